//! How one table is read: which members it becomes, each of so many pages that a file for it finds room, and that connections can
//! share a large table.

use super::look::Look;
use crate::pieces::{self, Piece, Rows};
use postgres::Client;
use std::sync::Mutex;
use vb_core::{Error, Result};
use vb_postgres::catalog::{self, NO_COLUMNS};
use vb_postgres::database::contents::DumpTable;
use vb_postgres::measure;
use vb_postgres::schema::TableDescription;
use vb_postgres::sql::identifier;

/// Pieces of one member: of 128 MiB of the table each, at most.
const PIECES_A_MEMBER: usize = 4;

/// A table, and what was found out about it when its first member was read.
pub(super) struct Source {
    pub(super) table: DumpTable,
    /// What is dumped of it.
    pub(super) look: Look,
    plan: Mutex<Option<Plan>>,
}

/// What a table is read as.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) description: TableDescription,
    pub(super) pieces: Vec<Piece>,
}

impl Source {
    pub(super) fn new(table: DumpTable, look: Look) -> Self {
        Self { table, look, plan: Mutex::new(None) }
    }

    /// How many members it becomes, at most.
    pub(super) fn members(&self) -> usize {
        if let Look::Nothing(_) = self.look { 0 } else { members(&self.table) }
    }

    /// The plan of one member. Whoever comes first asks the server, and the others wait for that.
    pub(super) fn plan(&self, client: &mut Client, member: usize) -> Result<Plan> {
        let broken = |_| Error::failure("describing a table: a thread ended unexpectedly");
        let mut plan = self.plan.lock().map_err(broken)?;
        let whole = match &mut *plan {
            Some(plan) => plan,
            plan => plan.insert(of(client, &self.table, &self.look)?),
        };
        let pieces = whole.pieces.iter().skip(member * PIECES_A_MEMBER).take(PIECES_A_MEMBER).cloned().collect();
        Ok(Plan { description: whole.description.clone(), pieces })
    }
}

impl Plan {
    /// The same rows as a query.
    pub(super) fn select(&self) -> String {
        self.pieces.iter().map(|piece| piece.select.as_str()).collect::<Vec<_>>().join(" UNION ALL ")
    }
}

/// How many members a table becomes; known by its pages alone.
pub(super) fn members(table: &DumpTable) -> usize {
    let rows = Rows { columns: "", conditions: &[] };
    pieces::for_jobs(std::slice::from_ref(&table.extent), rows, 1).len().div_ceil(PIECES_A_MEMBER).max(1)
}

fn of(client: &mut Client, table: &DumpTable, look: &Look) -> Result<Plan> {
    let found = catalog::table(client, &table.extent.name, true)?;
    let mut description = found.description;
    let columns: Vec<String> = description.columns.iter().map(|column| identifier(&column.name)).collect();
    let columns = if description.no_columns { NO_COLUMNS.to_owned() } else { columns.join(", ") };
    let new = if let Look::Changes(changed) = look { vec![changed.condition.clone()] } else { Vec::new() };
    let rows = Rows { columns: &columns, conditions: &new };
    let mut pieces = pieces::for_jobs(std::slice::from_ref(&table.extent), rows, 1);
    let condition = new.first().map(|new| format!("WHERE {new}")).or(table.condition.clone());
    let condition = condition.map(|condition| format!(" {condition}")).unwrap_or_default();
    let name = &table.extent.name;
    let select = format!("SELECT {columns} FROM ONLY {name}{condition}");
    if let [piece] = pieces.as_mut_slice() {
        *piece = Piece::of(select.clone(), None);
        // COPY of the table itself is a little faster, but leaves out generated columns.
        let has_generated = description.columns.iter().any(|column| column.generated.is_some());
        if !has_generated && !description.no_columns && condition.is_empty() {
            piece.copy = format!("{name} ({columns})");
        }
    }
    measure::measure(client, &mut description, &select)?;
    for piece in &mut pieces {
        if let Some(selected) = description.selected_from(&piece.select) {
            piece.copy = format!("({selected})");
        }
    }
    Ok(Plan { description, pieces })
}

#[cfg(test)]
mod tests {
    use super::*;
    use vb_postgres::extent::Extent;
    use vb_postgres::stored_schema::Name;

    #[test]
    fn a_large_table_is_several_members() {
        let members = |pages, by_page| {
            let extent = Extent { oid: 1, filenode: 1, name: "\"s\".\"t\"".to_owned(), pages, by_page, has_xmin: true };
            let name = Name { schema: "s".to_owned(), name: "t".to_owned() };
            super::members(&DumpTable { oid: 1, name, extent, has_row_security: false, condition: None })
        };
        assert_eq!([0, 1, 4096, 16_000].map(|pages| members(pages, true)), [1, 1, 1, 1]);
        assert_eq!([50_000, 1_000_000].map(|pages| members(pages, true)), [2, 16]);
        assert_eq!(members(1_000_000, false), 1);
    }
}
