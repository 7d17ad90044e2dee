//! The JSON members of a database's archive, and the names of all its members.

use crate::row_hash::RowHash;
use crate::stored_schema::Name;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use vb_core::time::Instant;

/// The form of a whole dump.
pub const FORMAT: u32 = 1;
/// The form of an increment, which no program restores that knows whole dumps only.
pub const FORMAT_OF_INCREMENT: u32 = 2;

/// The first member, by which the archive is known: a [`Head`].
pub const HEAD: &str = vb_core::label::DATABASE_HEAD;
/// What `pg_dump --section=pre-data` writes.
pub const BEFORE: &str = "schema-before.sql";
/// What `pg_dump --section=post-data` writes.
pub const AFTER: &str = "schema-after.sql";
/// Large objects without their bytes: statements.
pub const LARGE_OBJECTS_SQL: &str = "large-objects.sql";
/// The bytes of large objects.
pub const LARGE_OBJECTS: &str = "large-objects.parquet";
/// A list of [`SequenceState`].
pub const SEQUENCES: &str = "sequences.json";
/// The last member but for the label: a [`Manifest`].
pub const MANIFEST: &str = "manifest.json";

/// What is known of the database before anything is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// [`FORMAT`] or [`FORMAT_OF_INCREMENT`].
    pub format: u32,
    /// The id of the backup that an increment stands on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The database's name.
    pub database: String,
    /// Such as `15.18`.
    pub server_version: String,
    /// The cluster's identity, where we may ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_identifier: Option<String>,
    /// The moment that all members show.
    pub snapshot_at: Instant,
    /// The program that wrote the schema, such as `pg_dump 15.18`.
    pub made_by: String,
    /// The database's encoding, such as `UTF8`.
    pub encoding: String,
    /// Tables with rows of their own.
    pub tables: u64,
    /// Sequences.
    pub sequences: u64,
    /// Large objects.
    pub large_objects: u64,
    /// What holds in it.
    pub validity: Validity,
}

/// Constraints and indexes, counted: a restored database must have as many of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    /// Constraints that every row is known to meet.
    pub valid_constraints: i64,
    /// Constraints declared NOT VALID.
    pub unproven_constraints: i64,
    /// Indexes that can be used.
    pub valid_indexes: i64,
}

/// Every member before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// As in [`Head`].
    pub format: u32,
    /// Rows in the members of all tables.
    pub records: u64,
    /// Of an increment: every table that there is, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableState>,
    /// The members, in their order.
    pub members: Vec<Member>,
}

/// What an increment has of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carried {
    /// All of its rows, in the place of what older backups have of it.
    Whole,
    /// Its new rows, and which of the older ones are gone.
    Changes,
    /// Nothing: it is as it was.
    Nothing,
}

/// A table at the moment of an increment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableState {
    /// Its name.
    #[serde(flatten)]
    pub name: Name,
    /// What of it is in the increment.
    pub carried: Carried,
    /// Why all of it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many rows it had in all.
    pub rows: u64,
    /// The server's hash of all of them, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_hash: Option<RowHash>,
}

/// One member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name in the archive.
    pub name: String,
    /// Its length.
    pub size_bytes: u64,
    /// The SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// The table that its rows are from. A large table has several members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Name>,
    /// Which rows of the table it holds, as SQL from `WHERE` on, where an extension says that only these are its user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Its rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The server's hash of them, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_hash: Option<RowHash>,
}

/// Where a sequence stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceState {
    /// Its name.
    #[serde(flatten)]
    pub name: Name,
    /// The value.
    pub last_value: i64,
    /// Whether that value was given out already.
    pub is_called: bool,
}

/// Gives every table's member a name that any file system takes: what is no ASCII letter, digit, `_` or `-` becomes `-`, and a
/// number is added where two would be the same.
#[derive(Debug, Default)]
pub struct MemberNames(HashSet<String>);

impl MemberNames {
    /// The name of part `number` (from 1 on) of `of` parts of this table.
    pub fn table(&mut self, table: &Name, number: usize, of: usize) -> String {
        let part = if of > 1 { format!(".{number}") } else { String::new() };
        let stem = format!("{}.{}", plain(&table.schema), plain(&table.name));
        let numbered = |count: usize| if count == 0 { String::new() } else { format!("~{count}") };
        let names = (0..).map(|count| format!("tables/{stem}{}{part}.parquet", numbered(count)));
        let free = names.into_iter().find(|name| !self.0.contains(name)).unwrap_or(stem);
        self.0.insert(free.clone());
        free
    }
}

fn plain(name: &str) -> String {
    name.chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "_-".contains(letter) { letter } else { '-' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_becomes_one_of_its_own() {
        let mut names = MemberNames::default();
        let mut name = |schema: &str, name: &str, number, of| {
            names.table(&Name { schema: schema.to_owned(), name: name.to_owned() }, number, of)
        };
        assert_eq!(name("public", "scores", 1, 1), "tables/public.scores.parquet");
        assert_eq!(name("../x", "a/b", 1, 1), "tables/---x.a-b.parquet");
        assert_eq!(name("..-x", "ä b", 1, 1), "tables/---x.--b.parquet");
        assert_eq!(name("--- x", "ä.b", 1, 2), "tables/----x.--b.1.parquet");
        assert_eq!(name("public", "score?", 1, 1), "tables/public.score-.parquet");
        assert_eq!(name("public", "score!", 1, 1), "tables/public.score-~1.parquet");
    }

    #[test]
    fn members_of_a_newer_version_are_read() {
        let text = r#"{"name":"dump.json","size_bytes":3,"sha256":"ab","later":1}"#;
        assert_eq!(serde_json::from_str::<Member>(text).unwrap().rows, None);
    }
}
