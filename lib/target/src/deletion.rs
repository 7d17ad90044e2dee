//! How rows go that the source no longer had, before the others are merged. Pure text.
//!
//! A chain knows which of its own rows are gone, and their keys are sent. An incremental alone only knows how to tell a key that is
//! gone, so that the table's keys are looked at. A table that begins empty needs neither.

use crate::catalog::Existing;
use crate::columns::Sent;
use crate::definition::list;
use crate::files::Files;
use crate::load::Load;
use crate::merging::same_key;
use crate::parquet_file::ParquetFile;
use crate::plan::Plan;
use crate::request::Request;
use crate::surroundings::Acting;
use vb_core::{Error, Result};
use vb_postgres::keys::expressions;
use vb_postgres::sql::{identifier, timestamptz};

/// Where the keys or the places wait of what is to be deleted.
const GONE: &str = "pg_temp.vb_import_gone";

/// What is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deletion {
    /// The rows of these keys, which the files hold.
    OfKeys {
        waiting: String,
        /// One for each file.
        loads: Vec<Load>,
        delete: Delete,
    },
    /// The rows of the table whose keys the file's list says are gone.
    ByList {
        /// Keeps rows where they are, makes the table where their places wait.
        before: Vec<String>,
        /// Gives the place of every row, and its key.
        keys: String,
        copy: String,
        delete: Delete,
    },
}

/// The deletion itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delete {
    /// Before it, where foreign keys act: keeps others from pointing at what goes.
    pub(crate) hold: Option<String>,
    /// The foreign keys that act, each with a query whether it would.
    pub(crate) guards: Vec<(String, String)>,
    pub(crate) statement: String,
}

impl Delete {
    /// Of those rows of the table for which this holds.
    fn new(home: &str, existing: &Existing, which: &str) -> Self {
        let only = existing.only();
        let known = format!("{only}{home} AS known, {GONE} AS gone WHERE {which}");
        let acting = &existing.around.acting;
        let guard = |acting: &Acting| {
            let pointing = format!("SELECT FROM {} AS pointing WHERE {}", acting.from, acting.points());
            (acting.name.clone(), format!("SELECT EXISTS (SELECT FROM {known} AND EXISTS ({pointing}))"))
        };
        Self {
            hold: (!acting.is_empty())
                .then(|| format!("SELECT count(*) FROM (SELECT FROM {known} FOR UPDATE OF known) AS held")),
            guards: acting.iter().map(guard).collect(),
            statement: format!("DELETE FROM {only}{home} AS known USING {GONE} AS gone WHERE {which}"),
        }
    }

    fn statements(&self) -> impl Iterator<Item = &String> {
        let guards = self.guards.iter().map(|(_, query)| query);
        self.hold.iter().chain(guards).chain(std::iter::once(&self.statement))
    }
}

impl Deletion {
    /// How keys are sent.
    pub(crate) fn loads_mut(&mut self) -> impl Iterator<Item = &mut Load> {
        let loads = match self {
            Self::OfKeys { loads, .. } => loads.as_mut_slice(),
            Self::ByList { .. } => &mut [],
        };
        loads.iter_mut()
    }

    /// Its statements, in order.
    pub(crate) fn statements(&self) -> Vec<&String> {
        match self {
            Self::OfKeys { waiting, loads, delete } => {
                let loads = loads.iter().flat_map(Load::statements);
                std::iter::once(waiting).chain(loads).chain(delete.statements()).collect()
            }
            Self::ByList { before, keys, copy, delete } => {
                before.iter().chain([keys, copy]).chain(delete.statements()).collect()
            }
        }
    }
}

/// What has to go from a table that has rows.
pub(crate) fn of(plan: &Plan, files: &Files<'_>, existing: &Existing, request: &Request) -> Result<Option<Deletion>> {
    let Some(hashed) = &files.hashed else { return Ok(None) };
    let (home, only) = (&plan.home, existing.only());
    if files.are_a_chain() {
        let names = list(plan.key.iter().map(String::as_str));
        let load = |(number, file): (usize, &&ParquetFile)| {
            // The numbers of the other loads come before.
            Ok(Load::new(files.all.len() + number, key_of(file, &plan.key, existing)?, GONE, false))
        };
        return Ok(Some(Deletion::OfKeys {
            waiting: format!(
                "CREATE TEMPORARY TABLE vb_import_gone ON COMMIT DROP AS SELECT {names} FROM {home} WITH NO DATA"
            ),
            loads: files.all.iter().enumerate().map(load).collect::<Result<_>>()?,
            delete: Delete::new(home, existing, &same_key("known", "gone", &plan.key)),
        }));
    }
    let mut conditions = Vec::new();
    if let (Some(range), Some(by)) = (&request.range, &plan.by) {
        let by = identifier(by);
        conditions =
            vec![format!("{by} >= {}", timestamptz(range.start)), format!("{by} < {}", timestamptz(range.end))];
    }
    let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    let keys = expressions(hashed).join(", ");
    Ok(Some(Deletion::ByList {
        before: vec![
            format!("LOCK TABLE {home} IN SHARE ROW EXCLUSIVE MODE"),
            "CREATE TEMPORARY TABLE vb_import_gone (relation oid, place tid) ON COMMIT DROP".to_owned(),
        ],
        keys: format!("COPY (SELECT tableoid, ctid, {keys} FROM {only}{home}{filter}) TO STDOUT (FORMAT binary)"),
        copy: format!("COPY {GONE} FROM STDIN (FORMAT binary)"),
        delete: Delete::new(home, existing, "known.tableoid = gone.relation AND known.ctid = gone.place"),
    }))
}

/// The key's columns as they are sent.
pub(crate) fn key_of(file: &ParquetFile, key: &[String], existing: &Existing) -> Result<Vec<Sent>> {
    let sent = |name: &String| {
        let index = file.schema().index_of(name).map_err(|_| no_column(file, name))?;
        let printed = file.description().and_then(|table| table.column(name)).is_some_and(|column| column.printed);
        let there = existing.columns.iter().find(|column| column.name == *name);
        let parsed_as = there.filter(|_| printed).map(|column| column.type_name.clone());
        Ok(Sent { name: name.clone(), index, parsed_as })
    };
    key.iter().map(sent).collect()
}

pub(crate) fn no_column(file: &ParquetFile, name: &str) -> Error {
    Error::integrity(format!("reading {}: it has no column {name:?}, which is in its key", file.name()))
}
