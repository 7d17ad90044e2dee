//! The connections that read members side by side, each one member after the other.

use super::look::{Look, is_by_hash};
use super::member::{Spool, Spooled};
use super::table::{Plan, Source};
use crate::pieces::Piece;
use crate::rows::{self, Reading};
use postgres::Client;
use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};
use vb_core::{Error, Result};
use vb_format::Compression;
use vb_postgres::connection::{Parameters, connect, from_postgres};
use vb_postgres::keys::{self, Buckets};
use vb_postgres::row_hash::{self, RowHash};
use vb_postgres::schema::TableDescription;
use vb_postgres::{catalog, snapshot};

/// What is to be read next.
#[derive(Debug, Clone)]
pub(super) enum Task {
    /// A member of the table of this number.
    Table { source: usize, member: usize },
    /// The keys of the table of this number, for the next dump.
    Keys { source: usize },
    /// The rows of the query that gives the bytes of all large objects.
    LargeObjects(String),
}

/// What was read.
pub(super) enum Ready {
    /// A member of a table.
    Table { source: usize, member: usize, read: Read },
    /// The keys of a table.
    Keys { source: usize, keys: Buckets },
    /// The bytes of all large objects.
    LargeObjects(Read),
}

/// A member that was read.
pub(super) struct Read {
    pub(super) spooled: Spooled,
    pub(super) rows: u64,
    pub(super) row_hash: Option<RowHash>,
}

/// What all connections share.
pub(super) struct Readers<'dump> {
    pub(super) parameters: &'dump Parameters,
    /// The snapshot that all see.
    pub(super) token: &'dump str,
    pub(super) sources: &'dump [Source],
    pub(super) compression: Compression,
    pub(super) row_hash: bool,
    /// Whether another dump will stand on this one.
    pub(super) remember: bool,
    tasks: Mutex<VecDeque<Task>>,
}

/// A connection that sees the snapshot of this token.
///
/// # Errors
/// If the server refuses.
pub(super) fn join(parameters: &Parameters, token: &str) -> Result<Client> {
    let mut client = connect(parameters)?;
    let joined = client.batch_execute(&snapshot::join(token));
    joined.map_err(|cause| from_postgres("joining the snapshot", cause))?;
    // Names of types come with their schemas, whatever the search path of the target is.
    let named = client.batch_execute("SET search_path = ''");
    named.map_err(|cause| from_postgres("joining the snapshot", cause))?;
    Ok(client)
}

impl<'dump> Readers<'dump> {
    pub(super) fn new(
        parameters: &'dump Parameters,
        token: &'dump str,
        sources: &'dump [Source],
        tasks: Vec<Task>,
    ) -> Self {
        let tasks = Mutex::new(tasks.into());
        Self { parameters, token, sources, compression: Compression::None, row_hash: false, remember: false, tasks }
    }

    /// Nothing more is read.
    pub(super) fn stop(&self) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn next(&self) -> Option<Task> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Reads members over one connection until none is left, or nobody takes them.
    pub(super) fn run(&self, ready: &SyncSender<Ready>) -> Result<()> {
        let read = self.read_all(ready);
        if read.is_err() {
            self.stop();
        }
        read
    }

    fn read_all(&self, ready: &SyncSender<Ready>) -> Result<()> {
        let mut client = join(self.parameters, self.token)?;
        while let Some(task) = self.next() {
            let read = self.read(&mut client, task)?;
            if ready.send(read).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn read(&self, client: &mut Client, task: Task) -> Result<Ready> {
        match task {
            Task::Table { source, member } => {
                let read = self.member(client, self.source(source)?, member)?;
                Ok(Ready::Table { source, member, read })
            }
            Task::Keys { source } => match &self.source(source)?.look {
                Look::Whole { keys: Some(pass), .. } => Ok(Ready::Keys { source, keys: pass.remember()? }),
                _ => Err(Error::failure("there are no keys to read")),
            },
            Task::LargeObjects(query) => {
                let name = "the large objects";
                let description = catalog::query_columns(client, &query, name)?;
                let plan = Plan { description, pieces: vec![Piece::of(query, None)] };
                let (spooled, rows) = self.spool(&plan, name, Vec::new())?;
                Ok(Ready::LargeObjects(Read { spooled, rows, row_hash: None }))
            }
        }
    }

    fn source(&self, number: usize) -> Result<&Source> {
        self.sources.get(number).ok_or_else(|| Error::failure("there is no such table"))
    }

    fn member(&self, client: &mut Client, source: &Source, member: usize) -> Result<Read> {
        let name = format!("{}.{}", source.table.name.schema, source.table.name.name);
        let during = |error: Error| error.during(format!("dumping {name}"));
        let plan = source.plan(client, member).map_err(during)?;
        if let Look::Changes(changed) = &source.look {
            let deletes = || (keys::METADATA_KEY.to_owned(), changed.deletes.to_text());
            let footer = (member == 0).then(deletes).into_iter().collect();
            let (spooled, rows) = self.spool(&plan, &name, footer)?;
            return Ok(Read { spooled, rows, row_hash: None });
        }
        let hashed = self.row_hash || self.remember && is_by_hash(&source.table);
        let row_hash = hashed.then(|| row_hash::of_query(client, &plan.select())).transpose().map_err(during)?;
        let (spooled, rows) = self.spool(&plan, &name, Vec::new())?;
        if let Some(hash) = row_hash.as_ref().filter(|hash| hash.records != rows) {
            let hashed = hash.records;
            let message = format!("dumping {name}: {rows} rows were read, but the server hashed {hashed}");
            return Err(Error::integrity(message));
        }
        Ok(Read { spooled, rows, row_hash })
    }

    fn spool(&self, plan: &Plan, name: &str, footer: Vec<(String, String)>) -> Result<(Spooled, u64)> {
        let Plan { description, pieces } = plan;
        let mut spool = Spool::new()?;
        let reading = self.reading(description, pieces, name);
        let read = rows::to_parquet(&reading, self.compression, &mut spool, |_| Ok(footer))?;
        Ok((spool.finish()?, read.rows))
    }

    fn reading<'plan>(
        &'plan self,
        description: &'plan TableDescription,
        pieces: &'plan [Piece],
        name: &'plan str,
    ) -> Reading<'plan> {
        let Self { parameters, token, .. } = self;
        Reading { parameters, token, pieces, description, name, jobs: 1, row_security: false }
    }
}
