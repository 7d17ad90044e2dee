//! Every table of a database as Parquet, its schema, sequences and large objects, in one tar and from one snapshot.

use super::reader::{Readers, Ready, Task};
use super::schema::SchemaDump;
use super::table::Source;
use super::tar::Writing;
use super::{DumpRequest, snapshot};
use postgres::Client;
use std::io::Write;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::ScopedJoinHandle;
use vb_core::label::Label;
use vb_core::{Error, Result};
use vb_postgres::catalog;
use vb_postgres::connection::{Parameters, connect_narrowed, from_postgres};
use vb_postgres::database::format::{self, MemberNames};
use vb_postgres::database::{Head, Manifest, Member, contents, large_objects};
use vb_postgres::snapshot::Snapshot;

/// A database whose tables are locked and whose snapshot is held.
pub struct Database {
    /// What the stream is; records come later.
    pub label: Label,
    /// What is known before anything is read.
    pub head: Head,
    request: DumpRequest,
    parameters: Parameters,
    snapshot: Snapshot,
    sources: Vec<Source>,
    schema: SchemaDump,
    client: Client,
}

/// What was dumped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dumped {
    /// Every member.
    pub manifest: Manifest,
    /// What people should know.
    pub warnings: Vec<String>,
}

impl Database {
    /// Connects, takes the snapshot and locks every table. `warn` hears of every attempt that failed.
    ///
    /// # Errors
    /// If the server cannot be reached, a table stays locked, hides rows, or there is no `pg_dump` for this server.
    pub fn open(request: &DumpRequest, parameters: &Parameters, warn: &mut dyn FnMut(&str)) -> Result<Self> {
        let (mut client, parameters) = connect_narrowed(parameters)?;
        let (snapshot, tables) = snapshot::take(&mut client, request, warn)?;
        let server = catalog::server(&mut client)?;
        let schema = SchemaDump::find(request, &server, &parameters, &snapshot.token)?;
        let label = request.label(&server, "tar");
        let encoding = client.query_one("SELECT pg_catalog.getdatabaseencoding()::text", &[]);
        let head = Head {
            format: format::FORMAT,
            database: server.database,
            server_version: server.version,
            system_identifier: server.system_identifier,
            snapshot_at: snapshot.moment.clock,
            made_by: schema.version().to_owned(),
            encoding: encoding.map_err(|cause| from_postgres("asking for the encoding", cause))?.get(0),
            tables: tables.len() as u64,
            sequences: contents::sequences(&mut client)?.len() as u64,
            large_objects: large_objects::count(&mut client)?,
            validity: contents::validity(&mut client)?,
        };
        let sources = tables.into_iter().map(Source::new).collect();
        Ok(Self { label, head, request: request.clone(), parameters, snapshot, sources, schema, client })
    }

    /// The tables, each with how many members it becomes.
    #[must_use]
    pub fn tables(&self) -> Vec<(String, usize)> {
        self.sources.iter().map(|source| (source.table.extent.name.clone(), source.members())).collect()
    }

    /// Reads everything into `output`; `told` hears of every table's member.
    ///
    /// # Errors
    /// A value that cannot be stored exactly, a server that goes away, an output that takes no more, a `pg_dump` that fails.
    pub fn run(mut self, output: impl Write, told: &mut dyn FnMut(&Member)) -> Result<Dumped> {
        let tasks = self.tasks()?;
        let mut readers = Readers::new(&self.parameters, &self.snapshot.token, &self.sources, tasks);
        (readers.compression, readers.row_hash) = (self.request.compression, self.request.row_hash);
        let (readers, schema, client) = (&readers, &self.schema, &mut self.client);
        let jobs = self.request.jobs.max(1);
        let (sender, ready) = sync_channel(1);
        let mut rest = Rest { head: &self.head, client, sources: &self.sources, names: MemberNames::default(), told };
        let dumped = std::thread::scope(|scope| {
            let reading: Vec<_> = (0..jobs)
                .map(|_| {
                    let sender = sender.clone();
                    scope.spawn(move || readers.run(&sender))
                })
                .collect();
            drop(sender);
            let before = scope.spawn(|| schema.section("pre-data"));
            let after = scope.spawn(|| schema.section("post-data"));
            let written = rest.write(output, before, &ready, reading, after);
            // If writing failed, nobody must wait for it.
            readers.stop();
            drop(ready);
            written
        })?;
        end(&mut self.client)?;
        Ok(dumped)
    }

    /// The large tables first, so that no connection is left with the last of them.
    fn tasks(&mut self) -> Result<Vec<Task>> {
        let mut order: Vec<usize> = (0..self.sources.len()).collect();
        order.sort_by_key(|number| std::cmp::Reverse(self.sources[*number].table.extent.pages));
        let of_table =
            |source: usize| (0..self.sources[source].members()).map(move |member| Task::Table { source, member });
        let mut tasks: Vec<Task> = order.into_iter().flat_map(of_table).collect();
        if self.head.large_objects > 0 {
            tasks.push(Task::LargeObjects(large_objects::query(&mut self.client)?));
        }
        Ok(tasks)
    }
}

type Section<'scope> = ScopedJoinHandle<'scope, Result<(String, Vec<String>)>>;

/// The thread that writes, and what it asks itself.
struct Rest<'dump> {
    head: &'dump Head,
    client: &'dump mut Client,
    sources: &'dump [Source],
    names: MemberNames,
    told: &'dump mut dyn FnMut(&Member),
}

impl Rest<'_> {
    fn write(
        &mut self,
        output: impl Write,
        before: Section<'_>,
        ready: &Receiver<Ready>,
        reading: Vec<ScopedJoinHandle<'_, Result<()>>>,
        after: Section<'_>,
    ) -> Result<Dumped> {
        let mut archive = Writing::new(output, self.head.snapshot_at);
        archive.json(format::HEAD, self.head)?;
        let (text, mut warnings) = joined(before)?;
        archive.text(format::BEFORE, text.as_bytes())?;
        for ready in ready {
            self.append(&mut archive, ready)?;
        }
        reading.into_iter().try_for_each(joined)?;
        archive.json(format::SEQUENCES, &contents::sequences(self.client)?)?;
        let (text, more) = joined(after)?;
        archive.text(format::AFTER, text.as_bytes())?;
        warnings.extend(more);
        Ok(Dumped { manifest: archive.finish()?, warnings })
    }

    fn append(&mut self, archive: &mut Writing<impl Write>, ready: Ready) -> Result<()> {
        let member = match &ready.task {
            Task::LargeObjects(_) => {
                archive.text(format::LARGE_OBJECTS_SQL, large_objects::statements(self.client)?.as_bytes())?;
                Member { name: format::LARGE_OBJECTS.to_owned(), rows: Some(ready.rows), ..Member::default() }
            }
            Task::Table { source, member } => {
                let source = self.sources.get(*source).ok_or_else(|| Error::failure("there is no such table"))?;
                let table = source.table.name.clone();
                let name = self.names.table(&table, member + 1, source.members());
                let condition = source.table.condition.clone();
                let (rows, row_hash) = (Some(ready.rows), ready.row_hash);
                Member { name, table: Some(table), condition, rows, row_hash, ..Member::default() }
            }
        };
        (self.told)(&member);
        archive.spooled(member, ready.spooled)
    }
}

fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(Error::failure("dumping the database: a thread ended unexpectedly")))
}

/// Had the transaction ended before, so would have the common moment of all members.
fn end(client: &mut Client) -> Result<()> {
    client.batch_execute("COMMIT").map_err(|cause| from_postgres("ending the dump", cause))?;
    if client.is_closed() {
        return Err(Error::unavailable("ending the dump: the connection that held the snapshot was closed"));
    }
    Ok(())
}
