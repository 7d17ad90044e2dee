//! Passes over the keys of a table, in the same snapshot as its rows.

use crate::request::TablePart;
use crate::rows;
use postgres::Client;
use vb_core::{Error, Result};
use vb_postgres::catalog::{self, Table};
use vb_postgres::connection::Parameters;
use vb_postgres::copy_out::Blocks;
use vb_postgres::database::contents::DumpTable;
use vb_postgres::keys::{self, Buckets, Changes, Collector, Comparison, Deletes, KeyHash, KeyRows, MOST_BUCKETS};
use vb_postgres::relation::RelationKind;
use vb_postgres::row_hash::HashedColumn;
use vb_postgres::schema::Column;
use vb_postgres::types::{ColumnType, Scalar};

/// Whether the bytes of a key's column can be made again from what a file holds of it: of single values, and of the text that the
/// server prints.
fn can_be_hashed(column: &Column, hashed: &HashedColumn) -> bool {
    match (&column.column_type, hashed.text) {
        (Some(ColumnType::Printed(_) | ColumnType::Scalar(Scalar::Text)), true) => true,
        (Some(ColumnType::Scalar(_)), text) => !text,
        _ => false,
    }
}

/// What to know of a key that is hashed as text and kept as something else: a chain of the table cannot be restored as one.
pub(crate) fn about_chains(columns: &[HashedColumn], table: &Table) -> Option<String> {
    let is_kept_otherwise = |hashed: &&HashedColumn| {
        let column = table.description.column(&hashed.name);
        let column_type = column.and_then(|column| column.column_type.as_ref());
        hashed.text && !matches!(column_type, None | Some(ColumnType::Printed(_) | ColumnType::Scalar(Scalar::Text)))
    };
    let column = columns.iter().find(is_kept_otherwise)?;
    Some(format!(
        "the key's column {} is of a type whose values cannot be compared with the list of deleted rows: restore a chain of {} backup by backup",
        column.name,
        table.description.full_name()
    ))
}

/// What is needed for a pass.
#[derive(Debug, Clone)]
pub(crate) struct KeyPass {
    parameters: Parameters,
    token: String,
    row_security: bool,
    /// The key's columns.
    pub(crate) columns: Vec<HashedColumn>,
    /// What stands after FROM.
    from: String,
    /// The table, for messages.
    name: String,
}

/// How a connection comes to see the snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Moment<'export> {
    pub(crate) parameters: &'export Parameters,
    pub(crate) token: &'export str,
    pub(crate) row_security: bool,
}

impl KeyPass {
    /// For a table that has a key.
    ///
    /// # Errors
    /// A usage error if it has none.
    pub(crate) fn new(client: &mut Client, part: &TablePart, table: &Table, moment: &Moment<'_>) -> Result<Self> {
        let name = table.description.full_name();
        if table.kind == RelationKind::Table && !table.is_plain {
            return Err(Error::usage(format!(
                "{name} has rows of tables that inherit from it, and no key holds for all of them"
            ))
            .with_hint("Export each of the tables with --only --deletes."));
        }
        let key = keys::key_of(client, table.oid)?;
        if key.is_empty() {
            return Err(Error::usage(format!("{name} has no key by which rows that are gone could be told"))
                .with_hint(
                    "Add a primary key (or a unique index of columns that are NOT NULL), or leave out --deletes.",
                ));
        }
        let only = if part.only { "ONLY " } else { "" };
        Ok(Self {
            parameters: moment.parameters.clone(),
            token: moment.token.to_owned(),
            row_security: moment.row_security,
            columns: keys::columns(client, table.oid, &key)?,
            from: format!("{only}{}", table.description.quoted_name()),
            name,
        })
    }

    /// For the rows of a table's own, if it has a key whose values a restore can hash again; a table of a dump needs none.
    ///
    /// # Errors
    /// If the server does not answer.
    pub(crate) fn of_part(client: &mut Client, table: &DumpTable, moment: &Moment<'_>) -> Result<Option<Self>> {
        let key = keys::key_of(client, table.oid)?;
        if key.is_empty() {
            return Ok(None);
        }
        let columns = keys::columns(client, table.oid, &key)?;
        let described = catalog::table(client, &table.extent.name, true)?.description;
        let again = |column: &HashedColumn| described.column(&column.name).is_some_and(|is| can_be_hashed(is, column));
        Ok(columns.iter().all(again).then(|| Self {
            parameters: moment.parameters.clone(),
            token: moment.token.to_owned(),
            row_security: moment.row_security,
            from: format!("ONLY {}", table.extent.name),
            name: table.extent.name.clone(),
            columns,
        }))
    }

    /// What to remember of all keys.
    pub(crate) fn remember(&self) -> Result<Buckets> {
        let mut buckets = Buckets::new(self.columns.clone(), MOST_BUCKETS);
        self.each("false", MOST_BUCKETS, &mut |key, _| buckets.add(key))?;
        Ok(buckets.folded())
    }

    /// What has become of the keys of the base, where rows that meet this condition are exported.
    pub(crate) fn compare(&self, base: Buckets, exported: &str) -> Result<Changes> {
        let mut comparison = Comparison::new(base);
        let buckets = comparison.buckets();
        self.each(exported, buckets, &mut |key, exported| comparison.add(key, exported))?;
        Ok(comparison.finish())
    }

    /// The live keys of the dirty buckets: nothing is read where there are none.
    pub(crate) fn collect(&self, changes: &Changes) -> Result<Deletes> {
        let buckets = changes.now.number();
        let mut collector = Collector::new(self.columns.clone(), buckets, &changes.dirty);
        if !changes.dirty.is_empty() {
            self.each("false", buckets, &mut |key, _| collector.add(key))?;
        }
        Ok(collector.finish())
    }

    fn each(&self, exported: &str, buckets: u32, each: &mut impl FnMut(KeyHash, bool)) -> Result<()> {
        let key = keys::expressions(&self.columns).join(", ");
        let statement = format!("COPY (SELECT {key}, {exported} FROM {}) TO STDOUT (FORMAT binary)", self.from);
        let connection = rows::join_moment(&self.parameters, &self.token, self.row_security)?;
        let stream = connection.copy_out(&statement);
        let stream = stream.map_err(|error| error.during(format!("reading the keys of {}", self.name)))?;
        let (blocks, mut rows) = (Blocks::start(stream)?, KeyRows::new(buckets));
        while let Some(block) = blocks.next_block() {
            rows.push(&block, each)?;
            blocks.give_back(block);
        }
        rows.finish(blocks.finish()?.rows)
    }
}
