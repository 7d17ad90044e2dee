//! What an export will read, decided from the request, the catalog and the snapshot. Pure: a dry run prints the same.

use crate::filter::{self, Filter};
use crate::news::By;
use crate::pieces::{Piece, Shard};
use crate::request::{Format, Request, TablePart};
use vb_core::continuation::{self, Present};
use vb_core::label::{Kind, Label, Proof};
use vb_core::mark::Mark;
use vb_core::position::Position;
use vb_core::storage::Storage;
use vb_core::time::Instant;
use vb_core::{Result, naming, watermark};
use vb_postgres::catalog::{Server, Table};
use vb_postgres::extent::Extent;
use vb_postgres::relation::RelationKind;
use vb_postgres::schema::TableDescription;
use vb_postgres::snapshot::Snapshot;

/// What will be read, and what it is.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is read, in order: all of it at once, or pieces side by side.
    pub pieces: Vec<Piece>,
    /// The same rows as a query.
    pub select: String,
    /// All rows of the table as a query, where only the new ones are read and a restore can know which of the others are gone.
    pub state: Option<String>,
    /// What the stream is; records and stages come later.
    pub label: Label,
    /// The columns.
    pub description: TableDescription,
    /// By what rows are new: a time column or `xmin`, if there is one.
    pub by: Option<String>,
    /// The condition that tells exported rows from the others; none where all are exported.
    pub exported: Option<String>,
    /// Why an export that was asked to be incremental is full.
    pub reason: Option<String>,
    /// What people should know.
    pub warnings: Vec<String>,
}

impl Plan {
    /// The same rows, with the text of columns that the server prints.
    #[must_use]
    pub fn printed(mut self) -> Self {
        for piece in &mut self.pieces {
            if let Some(selected) = self.description.selected_from(&piece.select) {
                piece.copy = format!("({selected})");
            }
        }
        self
    }
}

/// What the server says about a table at the moment of the snapshot.
#[derive(Debug, Clone)]
pub struct Ground<'export> {
    /// Its columns and kind.
    pub table: &'export Table,
    /// Where its rows lie.
    pub extents: &'export [Extent],
    /// Which server it is.
    pub server: &'export Server,
    /// The moment.
    pub snapshot: &'export Snapshot,
    /// The digest of its shape; empty where it does not matter.
    pub shape: String,
    /// Why the export must be full, where deleted rows are looked for and cannot be found otherwise.
    pub keys: std::result::Result<(), String>,
}

impl<'export> Ground<'export> {
    /// A table of which it is not yet known where its rows lie.
    #[must_use]
    pub fn of(table: &'export Table, server: &'export Server, snapshot: &'export Snapshot) -> Self {
        Self { table, extents: &[], server, snapshot, shape: String::new(), keys: Ok(()) }
    }
}

/// Plans the export of a table.
///
/// # Errors
/// A usage error if a time column is needed and there is none, or the one chosen is none.
pub fn of_table(request: &Request, part: &TablePart, ground: &Ground<'_>) -> Result<Plan> {
    let TablePart { since, until, range, condition, shard, .. } = part;
    let Ground { table, extents, snapshot, .. } = ground;
    let description = &table.description;
    let by = By::choose(part, table, extents)?;
    let watermark = watermark::of_export(&snapshot.moment, part.overlap, last(part));
    // A part of the table is no ground for an incremental to stand on.
    let is_typed = matches!(since, Some(Ok(mark)) if mark.id.is_none());
    let is_shown = request.row_security && table.has_row_security;
    let is_part = until.is_some() || range.is_some() || condition.is_some() || is_typed || is_shown;
    let is_all = !is_part && shard.is_none();
    let mut label =
        label(request, description, ground.server, &naming::set_of_table(&description.schema, &description.table));
    if let Some(Shard { number, of }) = shard {
        label.set = naming::set_from(&format!("{}-{number}of{of}", label.set));
    }
    label.source.part = !is_all;
    if is_part && request.set.is_none() {
        label.set = naming::set_from(&format!("{}_part", label.set));
    }
    label.until = by.map(|_| until.map_or(watermark, |until| until.min(watermark)));
    label.continues = by.is_some() && is_all;
    let position = by.map(|by| position(by, ground));
    let (base, whole, reason) = match since {
        None => (None, Vec::new(), None),
        Some(Err(reason)) => (None, Vec::new(), Some(reason.clone())),
        Some(Ok(mark)) => match continuation(mark, by, position.as_ref(), &label, ground, part.deletes.is_some()) {
            Ok(whole) => (Some(mark), whole, None),
            Err(reason) => (None, Vec::new(), Some(reason)),
        },
    };
    label.kind = if base.is_some() { Kind::Incremental } else { Kind::Full };
    label.base = base.and_then(|mark| mark.id.clone());
    label.since = base.map(|mark| mark.until);
    let since_xid = base.and_then(|mark| mark.position.as_ref()?.until_xid);
    label.position = position.map(|position| Position { since_xid, ..position });
    let filter =
        Filter { new: by.zip(base).map(|(by, mark)| by.condition(mark)), whole, others: filter::others(part, by) };
    let (pieces, select) = filter::pieces(request, part, ground, &filter, by);
    let mut warnings = warnings(base, by, part, ground, label.continues && since.is_some());
    if since.is_some() && !matches!(request.format, Format::Parquet(_)) {
        let format = request.format.extension();
        warnings.push(format!("vb-import reads Parquet only: a chain of {format} is for other programs"));
    }
    let by = by.map(|by| by.name().to_owned());
    let exported = filter.exported();
    let tells_all = base.is_some() && label.continues && part.deletes.is_some();
    let state = tells_all.then(|| filter::everything(table));
    Ok(Plan { pieces, select, state, label, description: description.clone(), by, exported, reason, warnings })
}

/// The watermark of the last export, if that is known.
fn last(part: &TablePart) -> Option<Instant> {
    part.since.as_ref().and_then(|mark| mark.as_ref().ok()).map(|mark| mark.until)
}

/// Where the export leaves off.
fn position(by: By<'_>, ground: &Ground<'_>) -> Position {
    Position {
        by: by.name().to_owned(),
        since_xid: None,
        until_xid: (by == By::Xmin).then_some(ground.snapshot.xids.oldest),
        timeline: ground.snapshot.timeline,
        started: ground.snapshot.started,
        database_oid: Some(ground.snapshot.database_oid),
        shape: Some(ground.shape.clone()),
        storage: Storage::of(ground.extents.iter().map(|extent| (extent.oid, extent.filenode))),
        keys_sha256: None,
    }
}

/// The parts that are exported whole, or why all is.
fn continuation(
    mark: &Mark,
    by: Option<By<'_>>,
    position: Option<&Position>,
    label: &Label,
    ground: &Ground<'_>,
    deletes: bool,
) -> std::result::Result<Vec<u32>, String> {
    let no_time = || "the table has no time column".to_owned();
    let (Some(by), Some(position)) = (by, position) else { return Err(no_time()) };
    if by == By::Xmin && *mark == Mark::of_time(mark.until) {
        return Err(no_time());
    }
    // Times and transactions that somebody gives by hand are taken as they are.
    if mark.id.is_some() {
        can_be_a_link(mark, by, ground, deletes)?;
    }
    let present = Present {
        source: &label.source,
        schema_sha256: label.schema_sha256.as_deref().unwrap_or_default(),
        position,
        next_xid: ground.snapshot.xids.next,
        deletes,
    };
    let whole = continuation::of(mark, &present)?;
    ground.keys.clone().map(|()| whole)
}

/// Whether an increment could be merged into the backup of that mark.
fn can_be_a_link(mark: &Mark, by: By<'_>, ground: &Ground<'_>, deletes: bool) -> std::result::Result<(), String> {
    if by != By::Xmin && ground.snapshot.clock < mark.until {
        return Err("the server's clock stands before the last export's end".to_owned());
    }
    if ground.table.is_subscribed && by != By::Xmin {
        return Err("a subscription writes to it, whose rows come later than their times".to_owned());
    }
    // The same key may stand in the parent and in a child.
    if ground.table.kind == RelationKind::Table && !ground.table.is_plain {
        return Err("other tables inherit from it, whose keys may be its own".to_owned());
    }
    // What overlaps is merged by the primary key, and a chain that nobody can restore is none.
    if ground.table.description.primary_key.is_empty() {
        return Err("the table has no primary key by which an increment could be merged".to_owned());
    }
    // The old value would stand beside the new one.
    if let Some(column) = ground.table.loose_key.as_deref().filter(|_| !deletes) {
        return Err(format!("values of {column} in its key may be equal and not the same: use --deletes"));
    }
    Ok(())
}

/// Plans the export of a query.
#[must_use]
pub fn of_query(request: &Request, query: &str, description: TableDescription, server: &Server) -> Plan {
    let query = query.trim().trim_end_matches(';').to_owned();
    let mut label = label(request, &description, server, "query");
    label.source.source_type = "query".to_owned();
    label.source.name.clone_from(&query);
    let pieces = vec![Piece::of(query.clone(), None)];
    Plan {
        pieces,
        select: query,
        state: None,
        label,
        description,
        by: None,
        exported: None,
        reason: None,
        warnings: Vec::new(),
    }
}

fn label(request: &Request, description: &TableDescription, server: &Server, set: &str) -> Label {
    let set = request.set.as_deref().unwrap_or(set);
    let mut label = Label::of_stream("table", &description.full_name(), set, request.format.extension());
    label.source.server_version = Some(server.version.clone());
    label.source.system_identifier.clone_from(&server.system_identifier);
    label.source.database = Some(server.database.clone());
    label.schema_sha256 = Some(description.digest());
    label.proof = Proof::Sealed;
    label
}

fn warnings(
    base: Option<&Mark>,
    by: Option<By<'_>>,
    part: &TablePart,
    ground: &Ground<'_>,
    continues: bool,
) -> Vec<String> {
    let (mut warnings, snapshot) = (Vec::new(), ground.snapshot);
    let is_found = base.is_some() && part.by.is_none();
    if is_found && !ground.table.has_update_trigger && by.is_some_and(|by| by.name() == "updated_at") {
        warnings.push(
            "rows are new by updated_at, which no trigger keeps: an update that leaves it is not seen; use --by xmin, or say --by updated_at if it is kept otherwise"
                .to_owned(),
        );
    }
    if base.is_some() && by.is_some_and(|by| by.name() == "created_at") {
        warnings.push(
            "rows are new by created_at: updates are not seen; use --by xmin, or add updated_at with a trigger that keeps it"
                .to_owned(),
        );
    }
    if continues && snapshot.moment.oldest_prepared.is_some() && by.is_some_and(|by| by != By::Xmin) {
        let message = match last(part) {
            Some(_) => {
                "a prepared transaction is open, whose start nobody knows: the watermark stays where it was; use --by xmin if there is always one"
            }
            None => {
                "a prepared transaction is open: it is taken to have begun no longer than --overlap before it was prepared"
            }
        };
        warnings.push(message.to_owned());
    }
    if continues && snapshot.moment.hidden && by != Some(By::Xmin) {
        warnings.push("running transactions of other roles are hidden (grant pg_read_all_stats): the next export will overlap by --overlap".to_owned());
    }
    warnings
}

/// Whether a time is the watermark of a label, for messages.
#[must_use]
pub fn since_words(since: Option<Instant>) -> String {
    since.map_or_else(|| "the beginning".to_owned(), vb_core::time::exact)
}
