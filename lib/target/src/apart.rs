//! A table that several connections fill at once: until it is whole it stands in scratch schemas of its own, which others could see, and
//! only then the one transaction begins that puts it where it belongs.
//!
//! A restore that fails drops its schemas. Of one that was killed they stay, and the next restore drops them: as long as a restore runs,
//! its connection holds a lock that says so.

use crate::alive;
use crate::errors::refused;
use crate::files::Files;
use crate::plan::Plan;
use crate::rows::{self, Counts, Groups, Sending};
use postgres::Client;
use std::thread;
use vb_core::{Error, Result};
use vb_postgres::connection::{Parameters, connect, from_postgres};
use vb_postgres::snapshot::SESSION_SETTINGS;
use vb_postgres::sql::{identifier, literal};

/// Scratch schemas that others can see.
#[derive(Clone)]
pub struct Apart {
    parameters: Parameters,
    schemas: Vec<String>,
}

impl Apart {
    pub(crate) fn new(parameters: &Parameters, plan: &Plan) -> Option<Self> {
        let moved = plan.moved.as_ref().filter(|_| plan.connections > 1)?;
        let schemas = moved.scratch.iter().map(|(_, scratch)| scratch.clone()).collect();
        Some(Self { parameters: parameters.clone(), schemas })
    }

    /// Lets other connections see the table, which the open transaction has made, and begins the next one.
    pub(crate) fn publish(&self, client: &mut Client, step: &str) -> Result<()> {
        let mut statements = Vec::new();
        for schema in &self.schemas {
            statements.push(format!("COMMENT ON SCHEMA {} IS {}", identifier(schema), literal(alive::MARK)));
            statements.push(format!(
                "SELECT {} FROM pg_catalog.pg_namespace WHERE nspname = {}",
                alive::claim("oid"),
                literal(schema)
            ));
        }
        statements.push("COMMIT".to_owned());
        statements.push("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE".to_owned());
        client.batch_execute(&statements.join("; ")).map_err(|cause| refused(step, cause))
    }

    /// Sends the rows of all files by so many connections, which share the row groups.
    pub(crate) fn send(
        &self,
        plan: &Plan,
        files: &Files<'_>,
        wanted: &(dyn Fn(usize, u64) -> bool + Sync),
        passed: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<Counts>> {
        let groups: Vec<Groups> = files.all.iter().map(|_| Groups::default()).collect();
        let groups = &groups;
        let shares = thread::scope(|scope| {
            let work = || self.send_share(plan, files, groups, wanted, passed);
            let running: Vec<_> = (0..plan.connections).map(|_| scope.spawn(work)).collect();
            // All of them, so that nothing is written any more when the first error is told.
            let ended: Vec<Result<Vec<Counts>>> = running
                .into_iter()
                .map(|thread| {
                    thread.join().unwrap_or_else(|_| Err(Error::failure("restoring rows: a thread ended early")))
                })
                .collect();
            ended.into_iter().collect::<Result<Vec<_>>>()
        })?;
        let mut all = vec![Counts::default(); files.all.len()];
        for (sum, share) in shares.iter().flat_map(|shares| shares.iter().enumerate()) {
            all[sum] += *share;
        }
        files.all.iter().zip(&all).try_for_each(|(file, counts)| rows::check_all(&plan.table, file, *counts))?;
        Ok(all)
    }

    /// The work of one connection.
    fn send_share(
        &self,
        plan: &Plan,
        files: &Files<'_>,
        groups: &[Groups],
        wanted: &(dyn Fn(usize, u64) -> bool + Sync),
        passed: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<Counts>> {
        let step = format!("restoring {}", plan.table);
        let mut client = connect(&self.parameters)?;
        let run = |client: &mut Client, statement: &str| {
            client.batch_execute(statement).map_err(|cause| from_postgres(&step, cause))
        };
        run(&mut client, &format!("{SESSION_SETTINGS}; SET lock_timeout = '10s'; BEGIN"))?;
        let send = |(place, (file, load))| {
            let wanted = |row: u64| wanted(place, row);
            let sending = Sending { table: &plan.table, file, load, groups: &groups[place], wanted: Some(&wanted) };
            rows::send_share(&mut client, &sending, passed)
        };
        let counts = files.all.iter().copied().zip(&plan.loads).enumerate().map(send).collect::<Result<Vec<_>>>()?;
        run(&mut client, "COMMIT")?;
        Ok(counts)
    }

    /// Drops the schemas with all that is in them; whoever still writes there is ended first. None of them is no error.
    ///
    /// # Errors
    /// Those of the server: then they stay until the next restore.
    pub fn remove(&self) -> Result<()> {
        let step = "dropping an unfinished table";
        let mut client = connect(&self.parameters)?;
        let ours = "SELECT DISTINCT pg_catalog.pg_terminate_backend(l.pid) FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation \
                    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY ($1) AND l.pid <> pg_catalog.pg_backend_pid()";
        client.execute(ours, &[&self.schemas]).map_err(|cause| from_postgres(step, cause))?;
        let names: Vec<String> = self.schemas.iter().map(|schema| identifier(schema)).collect();
        let drop = format!("SET lock_timeout = '10s'; DROP SCHEMA IF EXISTS {} CASCADE", names.join(", "));
        client.batch_execute(&drop).map_err(|cause| from_postgres(step, cause))
    }
}

/// Drops what killed restores have left, and names it.
///
/// # Errors
/// Those of the server.
pub fn sweep(parameters: &Parameters) -> Result<Vec<String>> {
    let step = "dropping what a killed restore has left";
    let mut client = connect(parameters)?;
    let query = format!(
        "SELECT nspname::text FROM pg_catalog.pg_namespace WHERE nspname ~ '^vb_restore_[0-9]+_[0-9]+$' \
         AND pg_catalog.obj_description(oid, 'pg_namespace') = $1 AND pg_catalog.pg_has_role(nspowner, 'USAGE') AND {} ORDER BY nspname",
        alive::is_abandoned("oid")
    );
    let rows = client.query(&query, &[&alive::MARK]).map_err(|cause| from_postgres(step, cause))?;
    let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    for name in &names {
        let drop = format!("SET lock_timeout = '10s'; DROP SCHEMA {} CASCADE", identifier(name));
        client.batch_execute(&drop).map_err(|cause| from_postgres(step, cause))?;
    }
    Ok(names)
}
