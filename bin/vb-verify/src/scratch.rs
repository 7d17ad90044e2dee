//! A database of its own for a restore: made before it, dropped after it, also when a signal ends us, and by the next run if a kill does.

use std::sync::atomic::{AtomicU32, Ordering};
use vb_core::environment::{DATABASE_URL, Environment, VB_SCRATCH_DATABASE_URL};
use vb_core::{Error, Result};
use vb_pipe::Session;
use vb_pipe::cleanup::{self, Undo};
use vb_postgres::connection::{Parameters, connect};
use vb_postgres::database::contents;
use vb_postgres::passing::Database;

/// Dropped with this value.
pub(crate) struct Scratch {
    url: String,
    database: Database,
    undo: Undo,
}

impl Scratch {
    /// Makes one on the server of this URL, or else of `VB_SCRATCH_DATABASE_URL`. Those of killed runs are dropped, with a warning.
    ///
    /// # Errors
    /// A usage error if neither is given; those of the server.
    pub(crate) fn create(url: Option<&str>, session: &Session) -> Result<Self> {
        let environment = session.environment();
        let url = url.or(environment.get(VB_SCRATCH_DATABASE_URL)).ok_or_else(|| {
            Error::usage("levels 3 and 4 need a PostgreSQL for scratch databases")
                .with_hint("Set VB_SCRATCH_DATABASE_URL or give --scratch; the role needs CREATEDB.")
        })?;
        let server = parameters(environment, url)?;
        let beginning = beginning(&server)?;
        // What is left is in nobody's way, so that it may stay for a better day.
        let swept = Database::sweep(&server, &beginning).unwrap_or_else(|error| vec![error.to_string()]);
        swept.iter().for_each(|words| session.warn(words));
        let database = Database::create(&server, &name(&beginning), "")?;
        let undo = {
            let database = database.clone();
            cleanup::on_failure(move || drop(database.remove()))
        };
        Ok(Self { url: in_database(url, database.name()), database, undo })
    }

    /// What leads a command to it.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        vec![(DATABASE_URL.name, self.url.clone())]
    }

    /// Drops it.
    ///
    /// # Errors
    /// Those of the server: then it is still there.
    pub(crate) fn drop_now(self) -> Result<()> {
        self.database.remove()?;
        self.undo.disarm();
        Ok(())
    }
}

/// What the names begin with whose locks are held in the database that we connect to first: `vb_scratch_5_`.
fn beginning(server: &Parameters) -> Result<String> {
    Ok(format!("vb_scratch_{}_", contents::database_oid(&mut connect(server)?)?))
}

fn name(beginning: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let time = chrono::Utc::now().format("%Y%m%d%H%M%S");
    format!("{beginning}{time}_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn parameters(environment: &Environment, url: &str) -> Result<Parameters> {
    let known = vb_core::environment::ALL.iter().filter(|variable| variable.name != DATABASE_URL.name);
    let values = known.filter_map(|variable| Some((variable.name.to_owned(), environment.get(*variable)?.to_owned())));
    let own = [(DATABASE_URL.name.to_owned(), url.to_owned())];
    Parameters::resolve(&Environment::new(values.chain(own)), "vb-verify")
}

/// The same server's URL or keywords with another database.
fn in_database(url: &str, name: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return format!("{url} dbname={name}") };
    let (address, query) =
        rest.split_once('?').map_or((rest, String::new()), |(address, query)| (address, format!("?{query}")));
    // Slashes in a password are percent-encoded; a socket's folder is too.
    let host = address.split_once('/').map_or(address, |(host, _)| host);
    format!("{scheme}://{host}/{name}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_changes() {
        for (url, expected) in [
            ("postgresql://u:p@h:1/a", "postgresql://u:p@h:1/x"),
            ("postgresql://u@h", "postgresql://u@h/x"),
            ("postgres://h/a?sslmode=require", "postgres://h/x?sslmode=require"),
            ("host=h user=u dbname=a", "host=h user=u dbname=a dbname=x"),
        ] {
            assert_eq!(in_database(url, "x"), expected);
        }
    }
}
