//! What an export will read, decided from the request, the catalog and the snapshot. Pure: a dry run prints the same.

use crate::pieces::{self, Piece, Rows, Shard};
use crate::request::{Request, TablePart};
use vb_core::label::{Kind, Label, Proof};
use vb_core::time::Instant;
use vb_core::watermark::{self, Mark};
use vb_core::{Error, Result, naming};
use vb_postgres::catalog::{NO_COLUMNS, Server, Table};
use vb_postgres::extent::Extent;
use vb_postgres::schema::TableDescription;
use vb_postgres::snapshot::Snapshot;
use vb_postgres::sql::{identifier, timestamptz};

/// The time columns that are looked for, the best first: an update must be seen.
const TIME_COLUMNS: [&str; 2] = ["updated_at", "created_at"];

/// What will be read, and what it is.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is read, in order: all of it at once, or pieces side by side.
    pub pieces: Vec<Piece>,
    /// The same rows as a query.
    pub select: String,
    /// What the stream is; records and stages come later.
    pub label: Label,
    /// The columns.
    pub description: TableDescription,
    /// The time column, if one was used.
    pub by: Option<String>,
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

/// Plans the export of a table. `extents` are where its rows lie, if it may be read in pieces.
///
/// # Errors
/// A usage error if a time column is needed and there is none, or the one chosen is none.
pub fn of_table(
    request: &Request,
    part: &TablePart,
    table: &Table,
    extents: &[Extent],
    server: &Server,
    snapshot: &Snapshot,
) -> Result<Plan> {
    let TablePart { since, until, range, condition, by, overlap, shard, .. } = part;
    let description = &table.description;
    let column = time_column(description, by.as_deref())?;
    let needs_column = until.is_some() || range.is_some() || by.is_some();
    if column.is_none() && needs_column {
        return Err(Error::usage(format!("the table {} has no time column", description.full_name()))
            .with_hint("Name one with --by COLUMN, or select rows with --where."));
    }
    let (base, reason) = base(since.as_ref(), column, description, server);
    let watermark = watermark::of_export(&snapshot.moment, *overlap);
    let mut conditions = Vec::new();
    if let Some(column) = column {
        let column = identifier(column);
        let lower = base.iter().map(|mark| mark.until).chain(range.iter().map(|range| range.start));
        conditions.extend(lower.map(|at| format!("{column} >= {}", timestamptz(at))));
        let upper = until.iter().copied().chain(range.iter().map(|range| range.end));
        conditions.extend(upper.map(|at| format!("{column} < {}", timestamptz(at))));
    }
    conditions.extend(condition.iter().map(|condition| format!("({condition})")));
    // A part of the table is no ground for an incremental to stand on.
    let continues = column.is_some() && until.is_none() && range.is_none() && condition.is_none() && shard.is_none();
    let mut label = label(request, description, server, &naming::set_of_table(&description.schema, &description.table));
    if let Some(Shard { number, of }) = shard {
        label.set = naming::set_from(&format!("{}-{number}of{of}", label.set));
    }
    label.kind = if base.is_some() { Kind::Incremental } else { Kind::Full };
    label.base = base.and_then(|mark| mark.id.clone());
    label.since = base.map(|mark| mark.until);
    label.until = column.map(|_| until.map_or(watermark, |until| until.min(watermark)));
    label.continues = continues;
    // A part that an index finds is read by its index.
    let in_pieces = request.jobs > 1 && base.is_none() && range.is_none();
    let Statements { whole, select, columns, name } = Statements::of(table, &conditions);
    let rows = Rows { columns: &columns, conditions: &conditions };
    let pieces = match shard {
        Some(shard) => some_or(pieces::for_shard(extents, rows, *shard), || pieces::nothing(&name, &columns)),
        None if in_pieces && !extents.is_empty() => pieces::for_jobs(extents, rows, request.jobs),
        None => vec![whole],
    };
    let select = if shard.is_some() { union(&pieces) } else { select };
    let warnings = warnings(base, column, snapshot, continues && since.is_some());
    let by = column.map(str::to_owned);
    Ok(Plan { pieces, select, label, description: description.clone(), by, reason, warnings })
}

/// Plans the export of a query.
#[must_use]
pub fn of_query(request: &Request, query: &str, description: TableDescription, server: &Server) -> Plan {
    let query = query.trim().trim_end_matches(';').to_owned();
    let mut label = label(request, &description, server, "query");
    label.source.source_type = "query".to_owned();
    label.source.name.clone_from(&query);
    let pieces = vec![Piece::of(query.clone(), None)];
    Plan { pieces, select: query, label, description, by: None, reason: None, warnings: Vec::new() }
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

/// The column by which rows are new.
fn time_column<'table>(table: &'table TableDescription, by: Option<&'table str>) -> Result<Option<&'table str>> {
    let is_time = |name: &str| table.column(name).is_some_and(|column| column.type_name.starts_with("timestamp"));
    match by {
        None => Ok(TIME_COLUMNS.into_iter().find(|name| is_time(name))),
        Some(name) if is_time(name) => Ok(Some(name)),
        Some(name) => Err(Error::usage(format!("the table {} has no timestamp column {name:?}", table.full_name()))
            .with_hint("Name a column of type timestamptz or timestamp.")),
    }
}

/// The mark that the export may stand on, or why it cannot.
fn base<'mark>(
    since: Option<&'mark Mark>,
    column: Option<&str>,
    table: &TableDescription,
    server: &Server,
) -> (Option<&'mark Mark>, Option<String>) {
    let Some(mark) = since else { return (None, None) };
    let differs = |was: &Option<String>, is: Option<&str>| matches!((was, is), (Some(was), Some(is)) if was != is);
    let reason = if column.is_none() {
        "the table has no time column"
    } else if differs(&mark.source, Some(&table.full_name())) {
        "the last export was of another table"
    } else if differs(&mark.system_identifier, server.system_identifier.as_deref()) {
        "the last export was from another server"
    } else if differs(&mark.schema_sha256, Some(&table.digest())) {
        "the table's columns have changed"
    } else {
        return (Some(mark), None);
    };
    (None, Some(reason.to_owned()))
}

/// The SQL that a plan is made of.
struct Statements {
    /// Everything at once.
    whole: Piece,
    /// The same as a query.
    select: String,
    columns: String,
    name: String,
}

impl Statements {
    fn of(table: &Table, conditions: &[String]) -> Self {
        let description = &table.description;
        let name = description.quoted_name();
        let columns: Vec<String> = description.columns.iter().map(|column| identifier(&column.name)).collect();
        let columns = if description.no_columns { NO_COLUMNS.to_owned() } else { columns.join(", ") };
        let only = if table.only { "ONLY " } else { "" };
        let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        let select = format!("SELECT {columns} FROM {only}{name}{filter}");
        // COPY of the table itself is a little faster, but leaves out generated columns and children.
        let has_generated = description.columns.iter().any(|column| column.generated.is_some());
        let is_itself = table.is_plain && conditions.is_empty() && !has_generated && !description.no_columns;
        let mut whole = Piece::of(select.clone(), None);
        if is_itself {
            whole.copy = format!("{name} ({columns})");
        }
        Self { whole, select, columns, name }
    }
}

fn some_or(pieces: Vec<Piece>, otherwise: impl FnOnce() -> Piece) -> Vec<Piece> {
    if pieces.is_empty() { vec![otherwise()] } else { pieces }
}

fn union(pieces: &[Piece]) -> String {
    pieces.iter().map(|piece| piece.select.as_str()).collect::<Vec<_>>().join(" UNION ALL ")
}

fn warnings(base: Option<&Mark>, column: Option<&str>, snapshot: &Snapshot, continues: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if base.is_some() && column == Some("created_at") {
        warnings.push(
            "rows are new by created_at: updates are not seen; add updated_at with a trigger that keeps it".to_owned(),
        );
    }
    if continues && snapshot.moment.hidden {
        warnings.push("running transactions of other roles are hidden (grant pg_read_all_stats): the next export will overlap by --overlap".to_owned());
    }
    warnings
}

/// Whether a time is the watermark of a label, for messages.
#[must_use]
pub fn since_words(since: Option<Instant>) -> String {
    since.map_or_else(|| "the beginning".to_owned(), vb_core::time::exact)
}
