//! A table that several connections fill at once: until it is whole it stands in scratch schemas of its own, which others could see, and
//! only then the one transaction begins that puts it where it belongs.
//!
//! A restore that fails drops its schemas. Of one that was killed they stay, and the next restore drops them: as long as a restore runs,
//! its connection holds a lock that says so.

use crate::plan::Plan;
use crate::schema::Move;
use postgres::Client;
use std::sync::{Arc, Mutex, PoisonError};
use vb_core::Result;
use vb_postgres::connection::{Parameters, connect, from_postgres};
use vb_postgres::passing::{self, Listed, MARK};
use vb_postgres::snapshot::SESSION_SETTINGS;
use vb_postgres::sql::{identifier, literal};

/// What the names of scratch schemas begin with.
pub(crate) const SCHEMAS: &str = "vb_restore_";

/// So often what is in the way of dropping is ended.
const ATTEMPTS: usize = 5;

/// Scratch schemas that others can see.
#[derive(Clone)]
pub struct Apart {
    parameters: Parameters,
    schemas: Vec<String>,
    /// The server's processes for our connections.
    backends: Arc<Mutex<Vec<i32>>>,
}

/// The statements that let other connections see what the open transaction has made, and begin the next one.
pub(crate) fn publication(moved: &Move) -> Vec<String> {
    let mark = |(_, schema): &(String, String)| {
        [format!("COMMENT ON SCHEMA {} IS {}", identifier(schema), literal(MARK)), passing::claim(&literal(schema))]
    };
    let marks = moved.scratch.iter().flat_map(mark);
    let anew = ["COMMIT", "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"].map(str::to_owned);
    marks.chain(anew).collect()
}

/// The statements that wait, once all rows are there, until nobody else looks at the table: a dump of the whole database may do so for
/// hours, and what was sent is not thrown away for that.
pub(crate) fn seclusion(home: &str) -> Vec<String> {
    let lock = format!("LOCK TABLE {home} IN ACCESS EXCLUSIVE MODE");
    vec!["SET LOCAL lock_timeout = 0".to_owned(), lock, "SET LOCAL lock_timeout = '10s'".to_owned()]
}

impl Apart {
    pub(crate) fn new(parameters: &Parameters, plan: &Plan) -> Option<Self> {
        let moved = plan.moved.as_ref().filter(|_| plan.connections > 1)?;
        let schemas = moved.scratch.iter().map(|(_, scratch)| scratch.clone()).collect();
        Some(Self { parameters: parameters.clone(), schemas, backends: Arc::default() })
    }

    /// So many connections to it, each with its transaction open.
    pub(crate) fn connections(&self, count: usize) -> Result<Vec<Client>> {
        (0..count).map(|_| self.connect()).collect()
    }

    fn connect(&self) -> Result<Client> {
        let mut client = connect(&self.parameters)?;
        let refused = |cause| from_postgres("beginning to send rows", cause);
        client.batch_execute(&format!("{SESSION_SETTINGS}; SET lock_timeout = '10s'; BEGIN")).map_err(refused)?;
        let backend = client.query_one("SELECT pg_catalog.pg_backend_pid()", &[]).map_err(refused)?.get(0);
        self.backends.lock().unwrap_or_else(PoisonError::into_inner).push(backend);
        Ok(client)
    }

    /// Drops the schemas with all that is in them; our own connections that still write there are ended first. None of them is no
    /// error.
    ///
    /// # Errors
    /// Those of the server: then they stay until the next restore.
    pub fn remove(&self) -> Result<()> {
        let mut client = connect(&self.parameters)?;
        let removed = (1..ATTEMPTS).find_map(|_| self.try_to_remove(&mut client).ok());
        removed.map_or_else(|| self.try_to_remove(&mut client), Ok)
    }

    fn try_to_remove(&self, client: &mut Client) -> Result<()> {
        let refused = |cause| from_postgres("dropping an unfinished table", cause);
        let backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let end = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
                   WHERE pid = ANY ($1) AND datname = pg_catalog.current_database() AND usename = CURRENT_USER";
        client.execute(end, &[&backends]).map_err(refused)?;
        let ours = "SELECT nspname::text FROM pg_catalog.pg_namespace WHERE nspname = ANY ($1) \
                    AND pg_catalog.obj_description(oid, 'pg_namespace') = $2";
        let schemas = client.query(ours, &[&self.schemas, &MARK]).map_err(refused)?;
        drop_schemas(client, "2s", &schemas.iter().map(|row| row.get(0)).collect::<Vec<String>>()).map_err(refused)
    }
}

fn drop_schemas(client: &mut Client, patience: &str, schemas: &[String]) -> std::result::Result<(), postgres::Error> {
    schemas.iter().try_for_each(|schema| {
        client.batch_execute(&format!("SET lock_timeout = '{patience}'; DROP SCHEMA {} CASCADE", identifier(schema)))
    })
}

/// Drops what killed restores have left, and names it.
///
/// # Errors
/// Those of the server.
pub fn sweep(parameters: &Parameters) -> Result<Vec<String>> {
    let refused = |cause| from_postgres("dropping what a killed restore has left", cause);
    let mut client = connect(parameters)?;
    let names = passing::abandoned(&mut client, Listed::Schemas, SCHEMAS).map_err(refused)?;
    drop_schemas(&mut client, "10s", &names).map_err(refused)?;
    Ok(names)
}
