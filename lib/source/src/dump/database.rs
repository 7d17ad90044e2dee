//! Every table of a database as Parquet, its schema, sequences and large objects, in one tar and from one snapshot.

use super::assembly::{Assembly, Dumped, Found};
use super::ground::{Ground, Now};
use super::look::{Look, Looker};
use super::reader::{Readers, Task};
use super::schema::SchemaDump;
use super::table::{self, Source};
use super::{DumpRequest, snapshot};
use postgres::Client;
use std::io::Write;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::sync_channel;
use vb_core::continuation::Present;
use vb_core::label::{Kind, Label};
use vb_core::position::{Position, XMIN};
use vb_core::{Error, Result};
use vb_postgres::catalog;
use vb_postgres::connection::{Parameters, connect_narrowed, from_postgres};
use vb_postgres::database::format::{self, MemberNames};
use vb_postgres::database::{Head, Member, Summary, contents, large_objects, shape};
use vb_postgres::snapshot::Snapshot;

/// A database whose tables are locked and whose snapshot is held.
pub struct Database {
    /// What the stream is; records come later.
    pub label: Label,
    /// What is known before anything is read.
    pub head: Head,
    /// Why a dump that was asked to be incremental is full.
    pub reason: Option<String>,
    request: DumpRequest,
    parameters: Parameters,
    snapshot: Snapshot,
    tables: Vec<Now>,
    ground: Option<Ground>,
    schema: SchemaDump,
    client: Client,
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
        let mut label = request.label(&server, "tar");
        let no_shapes = || Ok(vec![String::new(); tables.len()]);
        let shapes = if request.since.is_some() { shape::of(&mut client, &tables) } else { no_shapes() }?;
        let tables: Vec<Now> = tables.into_iter().zip(shapes).map(|(table, shape)| Now { table, shape }).collect();
        let (ground, reason) = stand(request, &snapshot, &tables, &mut label)?;
        let encoding = client.query_one("SELECT pg_catalog.getdatabaseencoding()::text", &[]);
        let head = Head {
            format: if ground.is_some() { format::FORMAT_OF_INCREMENT } else { format::FORMAT },
            base: label.base.clone(),
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
        Ok(Self { label, head, reason, request: request.clone(), parameters, snapshot, tables, ground, schema, client })
    }

    /// The tables, each with how many members it becomes in a full dump.
    #[must_use]
    pub fn tables(&self) -> Vec<(String, usize)> {
        self.tables.iter().map(|now| (now.table.extent.name.clone(), table::members(&now.table))).collect()
    }

    /// Reads everything into `output`; `told` hears of every table's member. `complete` makes the label what it is in the end; it goes
    /// along as the last member.
    ///
    /// # Errors
    /// A value that cannot be stored exactly, a server that goes away, an output that takes no more, a `pg_dump` that fails; what
    /// `complete` says.
    pub fn run(
        mut self,
        output: impl Write,
        told: &mut dyn FnMut(&Member),
        complete: impl FnOnce(&Dumped, Label) -> Result<Label>,
    ) -> Result<(Dumped, Label)> {
        let summary = self.request.since.as_ref().map(|_| summary(&mut self.client)).transpose()?;
        let tables = self.tables.iter().map(|now| now.table.clone());
        let sources: Vec<Source> = tables.zip(self.looks()?).map(|(table, look)| Source::new(table, look)).collect();
        let tasks = self.tasks(&sources, summary.as_ref())?;
        let mut readers = Readers::new(&self.parameters, &self.snapshot.token, &sources, tasks);
        (readers.compression, readers.row_hash) = (self.request.compression, self.request.row_hash);
        readers.remember = summary.is_some();
        let (readers, schema) = (&readers, &self.schema);
        let (sender, ready) = sync_channel(1);
        let assembly = Assembly {
            head: &self.head,
            client: &mut self.client,
            tables: &self.tables,
            sources: &sources,
            ground: self.ground.as_ref(),
            summary,
            names: MemberNames::default(),
            told,
            found: vec![Found::default(); sources.len()],
        };
        let jobs = self.request.jobs.max(1);
        let label = self.label.clone();
        let complete = |dumped: &Dumped| {
            let (records, deletes) = (Some(dumped.manifest.records), dumped.changes);
            complete(dumped, Label { records, deletes, ..label })
        };
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
            let written = assembly.write(output, before, &ready, reading, after, complete);
            // If writing failed, nobody must wait for it.
            readers.stop();
            drop(ready);
            written
        })?;
        end(&mut self.client)?;
        Ok(dumped)
    }

    /// What is dumped of each table.
    fn looks(&self) -> Result<Vec<Look>> {
        if self.request.since.is_none() {
            return Ok(self.tables.iter().map(|_| Look::at_nothing()).collect());
        }
        let looker = Looker {
            parameters: &self.parameters,
            token: &self.snapshot.token,
            row_hash: self.request.row_hash,
            ground: self.ground.as_ref(),
            listed: AtomicU64::new(0),
        };
        looker.all(&self.tables, self.request.jobs)
    }

    /// The large tables first, so that no connection is left with the last of them.
    fn tasks(&mut self, sources: &[Source], summary: Option<&Summary>) -> Result<Vec<Task>> {
        let mut order: Vec<(usize, &Source)> = sources.iter().enumerate().collect();
        order.sort_by_key(|(_, source)| std::cmp::Reverse(source.table.extent.pages));
        let of_table = |(number, source): (usize, &Source)| {
            let keys =
                matches!(source.look, Look::Whole { keys: Some(_), .. }).then_some(Task::Keys { source: number });
            (0..source.members()).map(move |member| Task::Table { source: number, member }).chain(keys)
        };
        let mut tasks: Vec<Task> = order.into_iter().flat_map(of_table).collect();
        let known = self.ground.as_ref().map(|ground| &ground.state.summary.large_objects_sha256);
        let as_they_were = known.zip(summary).is_some_and(|(then, now)| *then == now.large_objects_sha256);
        if self.head.large_objects > 0 && !as_they_were {
            tasks.push(Task::LargeObjects(large_objects::query(&mut self.client)?));
        }
        Ok(tasks)
    }
}

/// What the dump stands on, or why it is full although it was to stand on something; the label says how far it reaches.
fn stand(
    request: &DumpRequest,
    snapshot: &Snapshot,
    tables: &[Now],
    label: &mut Label,
) -> Result<(Option<Ground>, Option<String>)> {
    let Some(since) = &request.since else { return Ok((None, None)) };
    let position = Position {
        by: XMIN.to_owned(),
        until_xid: Some(snapshot.xids.oldest),
        timeline: snapshot.timeline,
        started: snapshot.started,
        database_oid: Some(snapshot.database_oid),
        ..Position::default()
    };
    // What counts are transactions, so that the time may be the snapshot's own.
    (label.until, label.continues) = (Some(snapshot.moment.clock), true);
    let present = Present {
        source: &label.source,
        schema_sha256: "",
        position: &position,
        next_xid: snapshot.xids.next,
        deletes: true,
    };
    let ground = since.base.clone().map(|base| Ground::of(base, &present, tables)).transpose();
    let (ground, reason) = ground.map_or_else(|reason| (None, Some(reason)), |ground| (ground, None));
    label.position = Some(position);
    if let (Some(ground), Some(position)) = (&ground, &mut label.position) {
        (label.kind, label.base, label.since) = (Kind::Incremental, Some(ground.id.clone()), Some(ground.mark.until));
        position.since_xid = ground.mark.position.as_ref().and_then(|then| then.until_xid);
    }
    Ok((ground, reason))
}

/// What is known beforehand of what the next dump needs.
fn summary(client: &mut Client) -> Result<Summary> {
    Ok(Summary { large_objects_sha256: large_objects::digest(client)?, ..Summary::default() })
}

/// Had the transaction ended before, so would have the common moment of all members.
fn end(client: &mut Client) -> Result<()> {
    client.batch_execute("COMMIT").map_err(|cause| from_postgres("ending the dump", cause))?;
    if client.is_closed() {
        return Err(Error::unavailable("ending the dump: the connection that held the snapshot was closed"));
    }
    Ok(())
}
