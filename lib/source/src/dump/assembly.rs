//! The members as they become ready, put into the archive in their order by one thread; and what they leave to be remembered.

use super::ground::{Ground, Now};
use super::look::Look;
use super::reader::{Read, Ready};
use super::table::Source;
use super::tar::{Writing, to_json};
use postgres::Client;
use std::io::Write;
use std::sync::mpsc::Receiver;
use std::thread::ScopedJoinHandle;
use vb_core::label::Label;
use vb_core::{Error, Result};
use vb_postgres::database::format::{self, MemberNames};
use vb_postgres::database::{
    Carried, Head, Manifest, Member, State, Summary, TableState, Then, contents, large_objects,
};
use vb_postgres::keys::{Buckets, name_of};
use vb_postgres::row_hash::RowHash;
use vb_postgres::script::statements_and_places;

/// What was dumped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dumped {
    /// Every member.
    pub manifest: Manifest,
    /// In how many ways the database has changed since the dump that this one stands on, beside the records: groups of keys of which
    /// some are gone, tables that are carried whole, sequences, large objects, the schema. None in a full dump.
    pub changes: Option<u64>,
    /// What the next dump needs to stand on this one, if that was asked for.
    pub state: Option<State>,
    /// What people should know.
    pub warnings: Vec<String>,
}

pub(super) type Section<'scope> = ScopedJoinHandle<'scope, Result<(String, Vec<String>)>>;

/// The thread that writes, and what it asks itself.
pub(super) struct Assembly<'dump> {
    pub(super) head: &'dump Head,
    pub(super) client: &'dump mut Client,
    pub(super) tables: &'dump [Now],
    pub(super) sources: &'dump [Source],
    /// What the dump stands on, if it is an increment.
    pub(super) ground: Option<&'dump Ground>,
    /// What is known beforehand of what is to be remembered, if anything is.
    pub(super) summary: Option<Summary>,
    pub(super) names: MemberNames,
    pub(super) told: &'dump mut dyn FnMut(&Member),
    /// What was found of each table.
    pub(super) found: Vec<Found>,
}

/// What was read of a table.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    rows: u64,
    hashes: Vec<Option<RowHash>>,
    keys: Option<Buckets>,
}

impl Found {
    /// The hash of all rows, if every member has one.
    fn row_hash(&self) -> Option<RowHash> {
        let hashes: Option<Vec<&RowHash>> = self.hashes.iter().map(Option::as_ref).collect();
        RowHash::sum(&hashes?)
    }
}

impl Assembly<'_> {
    /// Writes everything, at the end what `complete` makes of the label.
    ///
    /// # Errors
    /// Those of whoever reads; an output that takes no more; what `complete` says.
    pub(super) fn write(
        mut self,
        output: impl Write,
        before: Section<'_>,
        ready: &Receiver<Ready>,
        reading: Vec<ScopedJoinHandle<'_, Result<()>>>,
        after: Section<'_>,
        complete: impl FnOnce(&Dumped) -> Result<Label>,
    ) -> Result<(Dumped, Label)> {
        let mut archive = Writing::new(output, self.head.snapshot_at, self.head.format);
        archive.json(format::HEAD, self.head)?;
        let (text, mut warnings) = joined(before)?;
        archive.text(format::BEFORE, text.as_bytes())?;
        let mut schema = statements_and_places(&text);
        for ready in ready {
            self.append(&mut archive, ready)?;
        }
        reading.into_iter().try_for_each(joined)?;
        let sequences = contents::sequences(self.client)?;
        archive.json(format::SEQUENCES, &sequences)?;
        let (text, more) = joined(after)?;
        archive.text(format::AFTER, text.as_bytes())?;
        schema.extend(statements_and_places(&text));
        warnings.extend(more);
        let states = self
            .tables
            .iter()
            .zip(self.sources)
            .zip(&self.found)
            .map(|((now, source), found)| table(now, source, found));
        let (states, then): (Vec<TableState>, Vec<Then>) = states.unzip();
        let sequences_sha256 = name_of(&to_json(format::SEQUENCES, &sequences)?);
        let summary = self.summary.take().map(|summary| Summary {
            schema_sha256: name_of(schema.join(";\n").as_bytes()),
            sequences_sha256,
            ..summary
        });
        let changes =
            self.ground.zip(summary.as_ref()).map(|(ground, now)| changes(&ground.state.summary, now, self.sources));
        let states = if self.ground.is_some() { states } else { Vec::new() };
        let state = summary.map(|summary| State { summary, tables: then });
        let dumped = Dumped { manifest: archive.list(states)?, changes, state, warnings };
        let label = complete(&dumped)?;
        archive.finish(&label)?;
        Ok((dumped, label))
    }

    fn append(&mut self, archive: &mut Writing<impl Write>, ready: Ready) -> Result<()> {
        match ready {
            Ready::LargeObjects(Read { spooled, rows, .. }) => {
                archive.text(format::LARGE_OBJECTS_SQL, large_objects::statements(self.client)?.as_bytes())?;
                let member = Member { name: format::LARGE_OBJECTS.to_owned(), rows: Some(rows), ..Member::default() };
                (self.told)(&member);
                archive.spooled(member, spooled)
            }
            Ready::Keys { source, keys } => {
                self.found(source)?.keys = Some(keys);
                Ok(())
            }
            Ready::Table { source: number, member, read: Read { spooled, rows, row_hash } } => {
                let found = self.found(number)?;
                found.rows += rows;
                found.hashes.push(row_hash.clone());
                let source = self.sources.get(number).ok_or_else(no_table)?;
                // The first of an increment says which rows are gone.
                if matches!(source.look, Look::Changes(_)) && rows == 0 && member > 0 {
                    return Ok(());
                }
                let table = source.table.name.clone();
                let name = self.names.table(&table, member + 1, source.members());
                let condition = source.table.condition.clone();
                let member =
                    Member { name, table: Some(table), condition, rows: Some(rows), row_hash, ..Member::default() };
                (self.told)(&member);
                archive.spooled(member, spooled)
            }
        }
    }

    fn found(&mut self, source: usize) -> Result<&mut Found> {
        self.found.get_mut(source).ok_or_else(no_table)
    }
}

fn no_table() -> Error {
    Error::failure("there is no such table")
}

pub(super) fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(Error::failure("dumping the database: a thread ended unexpectedly")))
}

/// What the increment says of a table, and what is remembered of it.
fn table(now: &Now, source: &Source, found: &Found) -> (TableState, Then) {
    let (oid, filenode, shape) = (now.table.oid, now.table.extent.filenode, now.shape.clone());
    let fresh = |rows, row_hash, keys| Then { oid, filenode, shape, rows, row_hash, keys };
    let (carried, reason, then) = match &source.look {
        Look::Whole { reason, .. } => {
            (Carried::Whole, reason.clone(), fresh(found.rows, found.row_hash(), found.keys.clone()))
        }
        Look::Changes(changed) => {
            let keys = &changed.keys;
            (Carried::Changes, None, fresh(keys.keys(), changed.row_hash.clone(), Some(keys.clone())))
        }
        Look::Nothing(then) => (Carried::Nothing, None, (**then).clone()),
    };
    let (rows, row_hash) = (then.rows, then.row_hash.clone());
    (TableState { name: now.table.name.clone(), carried, reason, rows, row_hash }, then)
}

/// See [`Dumped::changes`].
fn changes(then: &Summary, now: &Summary, sources: &[Source]) -> u64 {
    let of_table = |source: &Source| match &source.look {
        Look::Whole { .. } => 1,
        Look::Changes(changed) => changed.deletes.dirty.len() as u64,
        Look::Nothing(_) => 0,
    };
    let of_rest = [
        then.schema_sha256 != now.schema_sha256,
        then.sequences_sha256 != now.sequences_sha256,
        then.large_objects_sha256 != now.large_objects_sha256,
    ];
    sources.iter().map(of_table).chain(of_rest.map(u64::from)).sum()
}
