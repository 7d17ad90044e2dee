//! A PostgreSQL server for the whole test binary, and a database of its own for each test.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use postgres::{Client, NoTls};

use super::Variables;
use super::held::{Held, Shared, shared};

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    held: Held,
}

impl Postgres {
    /// A server of the caller's own, for tests that change the server itself. It ends when it is dropped.
    ///
    /// # Errors
    /// What the script said, when the server did not start.
    pub fn start() -> Result<Self> {
        Held::start("postgres").map(|held| Self { held })
    }

    /// A server of this major version, as `scripts/setup` installs it; the caller's own.
    ///
    /// # Errors
    /// What the script said, when the server did not start.
    pub fn start_major(major: u32) -> Result<Self> {
        Held::start_with("postgres", &[("VB_TEST_POSTGRES", &major.to_string())]).map(|held| Self { held })
    }

    /// The folder of the server's programs.
    ///
    /// # Errors
    /// When the script did not name it.
    pub fn programs(&self) -> Result<&Path> {
        self.held.variable("VB_TEST_PG_BIN").map(Path::new)
    }

    /// The server that all tests of this binary share.
    ///
    /// # Errors
    /// What the script said, when the server did not start.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: Shared<Postgres> = Shared::new();
        shared(&SHARED, Self::start)
    }

    /// Makes an empty database that nobody else uses; `label` makes its name readable.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn create_database(&self, label: &str) -> Result<Database> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("{label}_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        connect(self.held.variable("DATABASE_URL")?)?
            .batch_execute(&format!("CREATE DATABASE \"{name}\""))
            .with_context(|| format!("creating the database {name}"))?;
        let mut variables = self.held.variables().clone();
        let (server, _) =
            self.held.variable("DATABASE_URL")?.rsplit_once('/').context("DATABASE_URL names no database")?;
        let url = format!("{server}/{name}");
        variables.insert("PGDATABASE".into(), name);
        variables.insert("DATABASE_URL".into(), url);
        Ok(Database { variables })
    }

    /// The certificate of the authority that issued the server's own.
    ///
    /// # Errors
    /// When the script did not name it.
    pub fn certificate_authority(&self) -> Result<&Path> {
        self.held.variable("VB_TEST_PG_CA").map(Path::new)
    }

    /// The folder of the server's Unix socket, where no password is asked for.
    ///
    /// # Errors
    /// When the script did not name it.
    pub fn socket(&self) -> Result<&Path> {
        self.held.variable("VB_TEST_PG_SOCKET").map(Path::new)
    }
}

/// A database that one test has to itself. It goes with its server.
#[derive(Debug)]
pub struct Database {
    variables: Variables,
}

impl Database {
    /// The variables that lead a command to this database: `DATABASE_URL`, `PGHOST`, …
    #[must_use]
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Its connection string, password included.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.variables["DATABASE_URL"]
    }

    /// Another database of the same server.
    #[must_use]
    pub fn beside(&self, name: &str) -> Self {
        let mut variables = self.variables.clone();
        let server = self.url().rsplit_once('/').map_or(self.url(), |(server, _)| server);
        variables.insert("DATABASE_URL".into(), format!("{server}/{name}"));
        variables.insert("PGDATABASE".into(), name.to_owned());
        Self { variables }
    }

    /// A new connection, for fixtures and checks.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn client(&self) -> Result<Client> {
        connect(self.url())
    }
}

fn connect(url: &str) -> Result<Client> {
    Client::connect(url, NoTls).context("connecting to the test database")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_database_is_empty_and_its_own() {
        let server = Postgres::shared().unwrap();
        let (one, other) = (server.create_database("mine").unwrap(), server.create_database("mine").unwrap());
        one.client().unwrap().batch_execute("CREATE TABLE only_here ()").unwrap();
        let seen = other
            .client()
            .unwrap()
            .query_one("SELECT to_regclass('only_here') IS NULL, current_database()", &[])
            .unwrap();
        assert!(seen.get::<_, bool>(0));
        assert_eq!(seen.get::<_, String>(1), other.variables()["PGDATABASE"]);
    }

    #[test]
    fn the_socket_asks_for_no_password() {
        let server = Postgres::shared().unwrap();
        let port = server.held.variable("PGPORT").unwrap();
        let mut client =
            Client::connect(&format!("host={} port={port} user=postgres", server.socket().unwrap().display()), NoTls)
                .unwrap();
        assert_eq!(client.query_one("SHOW wal_level", &[]).unwrap().get::<_, String>(0), "logical");
    }

    #[test]
    fn a_wrong_password_is_refused() {
        let database = Postgres::shared().unwrap().create_database("locked").unwrap();
        assert!(connect(&database.url().replace("test-only-password", "wrong")).is_err());
    }
}
