//! The round-trip oracle's second half: the server hashes the restored rows as it hashed the source's, and both must agree.

use crate::files::Files;
use crate::plan::Plan;
use postgres::Client;
use vb_core::{Error, Result};
use vb_postgres::catalog;
use vb_postgres::row_hash::{self, RowHash};
use vb_postgres::schema::{Column, TableDescription};

/// What the comparison said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Every row is what it was at the source.
    Identical,
    /// It could not be asked, and why.
    NotCompared(&'static str),
}

/// Compares, if the newest file carries a hash of all that the table was, and the table holds these rows only.
///
/// # Errors
/// An integrity error if the rows differ: then nothing may be committed.
pub(crate) fn check(client: &mut Client, plan: &Plan, files: &Files<'_>) -> Result<Identity> {
    let file = files.telling;
    if plan.uncompared {
        return Ok(Identity::NotCompared("--no-compare"));
    }
    let (expected, without) = match files.all.last() {
        Some(newest) if files.are_a_chain() => {
            (newest.state_hash(), "the newest backup of the chain has no hash of the whole table")
        }
        _ => (file.row_hash(), "the file has no hash of its rows"),
    };
    let Some(expected) = expected else { return Ok(Identity::NotCompared(without)) };
    if let Some(reason) = obstacle(plan) {
        return Ok(Identity::NotCompared(reason));
    }
    let oid = catalog::find(client, &plan.target)?;
    let target = catalog::columns(client, oid)?;
    if !file.description().is_some_and(|source| has_same_types(expected, source, &target)) {
        return Ok(Identity::NotCompared("the table's columns have other types than the source's"));
    }
    let select = format!("SELECT * FROM {}", plan.target);
    let found = row_hash::of_columns(client, &select, expected.columns.clone())?;
    if found == *expected {
        return Ok(Identity::Identical);
    }
    let message = format!("restoring {}: the rows are not what they were when they were exported", plan.table);
    let hint = if files.are_a_chain() {
        "Nothing was changed. Where rows are new by a time column, some were updated at the source without a new time: export with --by xmin. \
         Restore what there is with --no-compare, or an earlier full backup."
    } else {
        "Nothing was changed. A trigger or a rule on the table may have changed them; if there is none, report this as a defect of vb. \
         Restore what there is with --no-compare."
    };
    Err(Error::integrity(message).with_hint(hint))
}

/// What makes the table more, or less, than the file's rows.
fn obstacle(plan: &Plan) -> Option<&'static str> {
    if plan.by.is_some() {
        return Some("only some of the rows were restored");
    }
    let alone = plan.starts_from_nothing || plan.mode == crate::Mode::Replace;
    (!alone).then_some("the table had rows before")
}

/// Whether every column that was hashed as bytes has the same type here. These types are built in, and print alike everywhere;
/// the others were hashed as text, which must agree whatever the type is called.
fn has_same_types(hashed: &RowHash, source: &TableDescription, target: &[Column]) -> bool {
    let type_of = |columns: &[Column], name: &str| {
        columns.iter().find(|column| column.name == name).map(|column| column.type_name.clone())
    };
    hashed.columns.iter().filter(|column| !column.text).all(|column| {
        let there = type_of(&source.columns, &column.name);
        there.is_some() && there == type_of(target, &column.name)
    })
}
