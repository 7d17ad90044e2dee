//! The SQL of a plan: which rows of which parts of the table are read, all at once or in pieces. Pure.

use crate::news::By;
use crate::pieces::{self, Piece, Rows};
use crate::plan::Ground;
use crate::request::{Request, TablePart};
use vb_postgres::catalog::{NO_COLUMNS, Table};
use vb_postgres::extent::Extent;
use vb_postgres::sql::{identifier, timestamptz};

/// Which rows are read.
pub(crate) struct Filter {
    /// Those that are new, if only these are.
    pub(crate) new: Option<String>,
    /// The parts whose rows are read all the same.
    pub(crate) whole: Vec<u32>,
    /// What must hold for every row.
    pub(crate) others: Vec<String>,
}

impl Filter {
    fn whole_parts(&self) -> String {
        let oids: Vec<String> = self.whole.iter().map(u32::to_string).collect();
        format!("('{{{}}}'::oid[])", oids.join(","))
    }

    /// Conditions for all parts but those that are read whole.
    fn rest(&self) -> Vec<String> {
        let but = (!self.whole.is_empty()).then(|| format!("tableoid <> ALL {}", self.whole_parts()));
        self.new.iter().cloned().chain(but).chain(self.others.iter().cloned()).collect()
    }

    /// The condition of all that is read, where it is not everything.
    pub(crate) fn exported(&self) -> Option<String> {
        let new = self.new.as_ref()?;
        let whole =
            if self.whole.is_empty() { String::new() } else { format!(" OR tableoid = ANY {}", self.whole_parts()) };
        Some(format!("(COALESCE({new}, false){whole})"))
    }
}

/// Conditions for every row.
pub(crate) fn others(part: &TablePart, by: Option<By<'_>>) -> Vec<String> {
    let TablePart { until, range, condition, .. } = part;
    let mut conditions = Vec::new();
    if let Some(column) = by.and_then(By::column) {
        let column = identifier(&column.name);
        conditions.extend(range.iter().map(|range| format!("{column} >= {}", timestamptz(range.start))));
        let upper = until.iter().copied().chain(range.iter().map(|range| range.end));
        conditions.extend(upper.map(|at| format!("{column} < {}", timestamptz(at))));
    }
    conditions.extend(condition.iter().map(|condition| format!("({condition})")));
    conditions
}

/// The pieces, and all of them as one query.
pub(crate) fn pieces(
    request: &Request,
    part: &TablePart,
    ground: &Ground<'_>,
    filter: &Filter,
    by: Option<By<'_>>,
) -> (Vec<Piece>, String) {
    let conditions = filter.rest();
    let Statements { whole: all, select, columns, name } = Statements::of(ground.table, &conditions);
    let rows = Rows { columns: &columns, conditions: &conditions };
    if let Some(shard) = part.shard {
        let pieces = some_or(pieces::for_shard(ground.extents, rows, shard), || pieces::nothing(&name, &columns));
        let select = union(&pieces);
        return (pieces, select);
    }
    // What an index finds is read by its index.
    let by_index = part.range.is_some() || filter.new.is_some() && by != Some(By::Xmin);
    let in_pieces = request.jobs > 1 && !by_index && !ground.extents.is_empty();
    if filter.whole.is_empty() {
        let pieces = if in_pieces { pieces::for_jobs(ground.extents, rows, request.jobs) } else { vec![all] };
        return (pieces, select);
    }
    let is_whole = |extent: &&Extent| filter.whole.contains(&extent.oid);
    let (whole, rest): (Vec<&Extent>, Vec<&Extent>) = ground.extents.iter().partition(is_whole);
    let owned = |extents: Vec<&Extent>| extents.into_iter().cloned().collect::<Vec<_>>();
    let mut pieces = if in_pieces { pieces::for_jobs(&owned(rest), rows, request.jobs) } else { vec![all] };
    let rows = Rows { columns: &columns, conditions: &filter.others };
    pieces.extend(pieces::for_jobs(&owned(whole), rows, request.jobs));
    let select = union(&pieces);
    (pieces, select)
}

/// All rows of the table, as a query.
pub(crate) fn everything(table: &Table) -> String {
    Statements::of(table, &[]).select
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
