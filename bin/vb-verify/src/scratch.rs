//! A database of its own for a restore: made before it, dropped after it, also when a signal ends us.

use std::sync::atomic::{AtomicU32, Ordering};
use vb_core::environment::{DATABASE_URL, Environment, VB_SCRATCH_DATABASE_URL};
use vb_core::{Error, Result};
use vb_pipe::cleanup::{self, Undo};
use vb_postgres::connection::{Parameters, connect, from_postgres};

/// Dropped with this value.
pub(crate) struct Scratch {
    url: String,
    name: String,
    server: Parameters,
    undo: Undo,
}

impl Scratch {
    /// Makes one on the server of this URL, or else of `VB_SCRATCH_DATABASE_URL`.
    ///
    /// # Errors
    /// A usage error if neither is given; those of the server.
    pub(crate) fn create(url: Option<&str>, environment: &Environment) -> Result<Self> {
        let url = url.or(environment.get(VB_SCRATCH_DATABASE_URL)).ok_or_else(|| {
            Error::usage("levels 3 and 4 need a PostgreSQL for scratch databases")
                .with_hint("Set VB_SCRATCH_DATABASE_URL or give --scratch; the role needs CREATEDB.")
        })?;
        let server = parameters(environment, url)?;
        let name = name();
        execute(&server, &format!("CREATE DATABASE {name} TEMPLATE template0"))
            .map_err(|error| error.during(format!("making the scratch database {name}")))?;
        let undo = {
            let (server, name) = (server.clone(), name.clone());
            cleanup::on_failure(move || drop(remove(&server, &name)))
        };
        Ok(Self { url: in_database(url, &name), name, server, undo })
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
        remove(&self.server, &self.name)?;
        self.undo.disarm();
        Ok(())
    }
}

fn name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let time = chrono::Utc::now().format("%Y%m%d%H%M%S");
    format!("vb_scratch_{time}_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn parameters(environment: &Environment, url: &str) -> Result<Parameters> {
    let known = vb_core::environment::ALL.iter().filter(|variable| variable.name != DATABASE_URL.name);
    let values = known.filter_map(|variable| Some((variable.name.to_owned(), environment.get(*variable)?.to_owned())));
    let own = [(DATABASE_URL.name.to_owned(), url.to_owned())];
    Parameters::resolve(&Environment::new(values.chain(own)), "vb-verify")
}

fn execute(server: &Parameters, statement: &str) -> Result<()> {
    connect(server)?.batch_execute(statement).map_err(|cause| from_postgres("scratch database", cause))
}

/// `FORCE` is of PostgreSQL 13 and newer; whoever is still connected to an older one's keeps it.
fn remove(server: &Parameters, name: &str) -> Result<()> {
    let forced = execute(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
    forced
        .or_else(|_| execute(server, &format!("DROP DATABASE IF EXISTS {name}")))
        .map_err(|error| error.during(format!("dropping the scratch database {name}")))
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
