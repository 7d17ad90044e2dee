//! A database that is dropped again, unless it is released.

use super::{LIMIT, Listed, STAY, abandoned, claim};
use crate::connection::{Parameters, connect, from_postgres};
use crate::sql::{identifier, literal};
use postgres::Client;
use postgres::error::SqlState;
use std::sync::{Arc, Mutex};
use vb_core::Result;

/// How long to wait for whoever just looks whether anybody works on a database of this name.
const PATIENCE: &str = "SET lock_timeout = '10s'";

/// A database on its way. It is not dropped with this value: that is up to the caller, or to the next one that sweeps.
#[derive(Clone)]
pub struct Database {
    name: String,
    /// How to connect to the database beside it, where the lock is held.
    server: Parameters,
    /// Holds the lock.
    _alive: Arc<Mutex<Client>>,
}

impl Database {
    /// Makes an empty one of this name. The parameters lead to another database of the server; `options` stand at the end of the
    /// statement, with a blank in front.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn create(server: &Parameters, name: &str, options: &str) -> Result<Self> {
        let mut client = connect(server)?;
        let create =
            format!("CREATE DATABASE {} TEMPLATE template0 CONNECTION LIMIT {LIMIT}{options}", identifier(name));
        // The lock comes first: without it nothing that bears the mark is safe.
        for statement in [PATIENCE, STAY, &claim(&literal(name)), &create] {
            let made = client.batch_execute(statement);
            made.map_err(|cause| from_postgres(format!("making the database {name}"), cause))?;
        }
        Ok(Self { name: name.to_owned(), server: server.clone(), _alive: Arc::new(Mutex::new(client)) })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How to connect to it.
    #[must_use]
    pub fn parameters(&self) -> Parameters {
        self.server.in_database(&self.name)
    }

    /// The statement after which nobody drops it unasked.
    #[must_use]
    pub fn release(&self) -> String {
        format!("ALTER DATABASE {} CONNECTION LIMIT -1", identifier(&self.name))
    }

    /// Drops it, whoever is connected. None of its name is no error.
    ///
    /// # Errors
    /// Those of the server: then it is still there.
    pub fn remove(&self) -> Result<()> {
        let drop = format!("DROP DATABASE IF EXISTS {}", identifier(&self.name));
        let mut client = connect(&self.server)?;
        // Servers before 13 do not know the word.
        let forced = client.batch_execute(&format!("{drop} WITH (FORCE)"));
        let unforced = |cause: postgres::Error| match cause.code() {
            Some(&SqlState::SYNTAX_ERROR) => client.batch_execute(&drop),
            _ => Err(cause),
        };
        forced.or_else(unforced).map_err(|cause| from_postgres(format!("dropping the database {}", self.name), cause))
    }

    /// Drops those with this beginning of the name that nobody works on any more, and says so. The parameters lead to the database where
    /// their locks were held.
    ///
    /// # Errors
    /// Those of the server.
    pub fn sweep(server: &Parameters, beginning: &str) -> Result<Vec<String>> {
        let refused = |cause| from_postgres("looking for what killed commands have left", cause);
        let mut client = connect(server)?;
        let mut told = Vec::new();
        for name in abandoned(&mut client, Listed::Databases, beginning).map_err(refused)? {
            // Not by force: whoever is connected may work on it although the lock was lost.
            match client.batch_execute(&format!("DROP DATABASE {}", identifier(&name))) {
                Ok(()) => told.push(format!("dropped the database {name}, which a killed command had left")),
                Err(cause) if cause.code() == Some(&SqlState::OBJECT_IN_USE) => {}
                Err(cause) => told.push(from_postgres(format!("dropping the database {name}"), cause).to_string()),
            }
        }
        Ok(told)
    }
}
