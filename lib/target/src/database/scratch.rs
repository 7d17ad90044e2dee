//! A database beside the live one: made as that is, filled and checked, and at the end put in its place by two renames in one
//! transaction, so that whatever happens there is either the old one or the new one, and never none.

use super::properties::{self, Properties};
use postgres::Client;
use postgres::error::SqlState;
use std::time::{Duration, Instant};
use vb_core::time::Instant as At;
use vb_core::{Error, ErrorKind, Result};
use vb_postgres::connection::{Parameters, connect, from_postgres};
use vb_postgres::passing::Database;
use vb_postgres::sql::identifier;

/// The longest name that the server keeps, in bytes.
const LONGEST: usize = 63;
/// Where to be while another database is renamed: one of these is on every server.
const ELSEWHERE: [&str; 2] = ["postgres", "template1"];
/// How long clients may take to end that were told to.
const LEAVING: Duration = Duration::from_secs(30);

/// A database that takes the place of another one, or is dropped.
#[derive(Clone)]
pub struct Scratch {
    /// The name that it is to have.
    pub live: String,
    /// The name that the old one is to have then; none where there is no old one.
    pub before: Option<String>,
    /// What became of that which killed restores into this place had left.
    pub warnings: Vec<String>,
    properties: Option<Properties>,
    server: Parameters,
    database: Database,
}

/// Somebody who is connected to the live database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    pid: i32,
    user: String,
    application: String,
    address: String,
}

impl std::fmt::Display for Connected {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { pid, user, application, address } = self;
        let application = if application.is_empty() { "no name" } else { application };
        write!(formatter, "process {pid} of {user} ({application}) from {address}")
    }
}

impl Scratch {
    /// Makes it, empty, beside the database of these parameters and with that one's encoding, locale and tablespace.
    ///
    /// # Errors
    /// If the server refuses.
    pub fn create(parameters: &Parameters, now: At) -> Result<Self> {
        let live = parameters.database().to_owned();
        let (mut client, server) = elsewhere(parameters)?;
        let properties = properties::of(&mut client, &live)?;
        let name = name(&live, "restore", now);
        // What is left is in nobody's way, so that it may stay for a better day.
        let warnings = sweep(&server, &name).unwrap_or_else(|error| vec![error.to_string()]);
        let options = properties.as_ref().map_or_else(String::new, Properties::create_options);
        let database = Database::create(&server, &name, &options)?;
        let before = properties.is_some().then(|| self::name(&live, "before", now));
        Ok(Self { live, before, warnings, properties, server, database })
    }

    /// Its name while it waits.
    #[must_use]
    pub fn name(&self) -> &str {
        self.database.name()
    }

    /// How to connect to it.
    #[must_use]
    pub fn parameters(&self) -> Parameters {
        self.database.parameters()
    }

    /// Drops it.
    ///
    /// # Errors
    /// Those of the server: then it is still there.
    pub fn remove(&self) -> Result<()> {
        self.database.remove()
    }

    /// Lets it stay although it takes nobody's place.
    ///
    /// # Errors
    /// Those of the server: then the next restore drops it.
    pub fn keep(&self) -> Result<()> {
        let kept = connect(&self.server)?.batch_execute(&self.database.release());
        kept.map_err(|cause| from_postgres(format!("keeping the database {}", self.name()), cause))
    }

    /// Puts it in the live one's place. With `disconnect`, whoever is connected to that is told to go.
    ///
    /// # Errors
    /// A conflict with the names of those who are connected; those of the server. Then everything is as it was.
    pub fn swap(&self, disconnect: bool) -> Result<()> {
        let mut client = connect(&self.server)?;
        let mut statements = vec![self.database.release()];
        statements.extend(self.properties.iter().flat_map(|live| live.statements(self.name())));
        let rename = |from: &str, to: &str| format!("ALTER DATABASE {} RENAME TO {}", identifier(from), identifier(to));
        statements.extend(self.before.iter().map(|before| rename(&self.live, before)));
        statements.push(rename(self.name(), &self.live));
        let transaction = format!("BEGIN; {}; COMMIT", statements.join("; "));
        let step = format!("putting {} in the place of {}", self.name(), self.live);
        let begun = Instant::now();
        loop {
            if disconnect {
                end_clients(&mut client, &self.live)?;
            } else {
                refuse(&connected_to(&mut client, &self.live)?, &self.live)?;
            }
            let Err(cause) = client.batch_execute(&transaction) else { return Ok(()) };
            let in_use = cause.code() == Some(&SqlState::OBJECT_IN_USE);
            let _ended_with_the_connection = client.batch_execute("ROLLBACK");
            if !in_use || begun.elapsed() > LEAVING {
                return Err(from_postgres(step, cause));
            }
        }
    }
}

/// Refuses a live database that somebody is connected to: asked before the work, so that nobody waits in vain for its end.
///
/// # Errors
/// A conflict with the names of those who are connected.
pub fn refuse_connected(parameters: &Parameters) -> Result<()> {
    let (mut client, _) = elsewhere(parameters)?;
    refuse(&connected_to(&mut client, parameters.database())?, parameters.database())
}

fn refuse(clients: &[Connected], live: &str) -> Result<()> {
    if clients.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = clients.iter().map(ToString::to_string).collect();
    Err(Error::conflict(format!("{} are connected to the database {live}: {}", clients.len(), names.join("; ")))
        .with_hint("Nothing was changed. End them first, or let them be disconnected with --disconnect."))
}

fn connected_to(client: &mut Client, database: &str) -> Result<Vec<Connected>> {
    let query = "SELECT pid, COALESCE(usename::text, ''), COALESCE(application_name, ''), COALESCE(host(client_addr), 'this machine') \
                 FROM pg_catalog.pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid() \
                 AND backend_type IN ('client backend', 'walsender') ORDER BY backend_start";
    let rows = client.query(query, &[&database]);
    let rows = rows.map_err(|cause| from_postgres("asking who is connected", cause))?;
    let connected = |row: &postgres::Row| Connected {
        pid: row.get(0),
        user: row.get(1),
        application: row.get(2),
        address: row.get(3),
    };
    Ok(rows.iter().map(connected).collect())
}

fn end_clients(client: &mut Client, database: &str) -> Result<()> {
    let query = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()";
    let ended = client.query(query, &[&database]);
    ended.map(drop).map_err(|cause| from_postgres(format!("disconnecting the clients of {database}"), cause))
}

/// A connection to another database of the same server, and how it was made.
fn elsewhere(parameters: &Parameters) -> Result<(Client, Parameters)> {
    let mut refusal = None;
    for database in ELSEWHERE.into_iter().filter(|name| *name != parameters.database()) {
        let there = parameters.in_database(database);
        match connect(&there) {
            Ok(client) => return Ok((client, there)),
            Err(error) if error.kind() == ErrorKind::NotFound => refusal = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(refusal.unwrap_or_else(|| Error::not_found("there is no database to be in while another one is renamed")))
}

/// Drops what killed restores into the place of this one have left, and says so. Those of another place hold their locks elsewhere.
fn sweep(server: &Parameters, name: &str) -> Result<Vec<String>> {
    Database::sweep(server, name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '_'))
}

/// `NAME_restore_20261121_031500`; a long name is cut.
fn name(live: &str, what: &str, now: At) -> String {
    let ending = format!("_{what}_{}", now.format("%Y%m%d_%H%M%S"));
    let mut end = live.len().min(LONGEST - ending.len());
    while !live.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ending}", &live[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_show_the_time() {
        let now = "2026-11-21T03:15:00Z".parse().unwrap();
        assert_eq!(name("app", "restore", now), "app_restore_20261121_031500");
        let long = name(&"ü".repeat(31), "before", now);
        assert!(long.len() <= LONGEST && long.ends_with("_before_20261121_031500"), "{long}");
    }
}
