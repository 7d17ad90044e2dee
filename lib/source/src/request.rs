//! What the user asked for.

use crate::pieces::Shard;
use chrono::TimeDelta;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use vb_core::mark::Mark;
use vb_core::time::Instant;
use vb_format::Compression;
use vb_postgres::keys::Buckets;
use vb_postgres::snapshot::Token;

/// One export.
#[derive(Debug, Clone)]
pub struct Request {
    /// What to read.
    pub selection: Selection,
    /// In which form.
    pub format: Format,
    /// The name of the set, where the user chose one.
    pub set: Option<String>,
    /// How many connections may read at the same time.
    pub jobs: usize,
    /// The snapshot to read from, where somebody else holds one.
    pub snapshot: Option<Token>,
    /// Whether the server hashes the rows, so that a restore can be compared.
    pub row_hash: bool,
    /// How long to try again while another session has locked the table.
    pub lock_wait: Duration,
    /// Whether to take the rows that row-level security shows, instead of refusing where it hides some.
    pub row_security: bool,
    /// The `pg_dump` for the schema, where the user chose one.
    pub pg_dump: Option<PathBuf>,
}

/// What to read.
#[derive(Debug, Clone)]
pub enum Selection {
    /// A table, or a part of it.
    Table(Box<TablePart>),
    /// A query.
    Query(String),
}

/// A table, or a part of it.
#[derive(Debug, Clone)]
pub struct TablePart {
    /// Its name as the user wrote it.
    pub name: String,
    /// Whether rows of tables that inherit from it are left out.
    pub only: bool,
    /// Where the last export ended: an incremental export; or why there is nothing to continue. None is a full one.
    pub since: Option<Result<Mark, String>>,
    /// Rows older than this only.
    pub until: Option<Instant>,
    /// Rows of these days only.
    pub range: Option<Range<Instant>>,
    /// A condition in SQL.
    pub condition: Option<String>,
    /// The time column, where the user chose one.
    pub by: Option<String>,
    /// What to step back where running transactions are hidden from us.
    pub overlap: TimeDelta,
    /// Only this one of several equal parts.
    pub shard: Option<Shard>,
    /// To find rows that are gone: what is remembered of the keys of the last export, or why that is of no use.
    pub deletes: Option<Result<Buckets, String>>,
}

/// The form of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet(Compression),
    /// One JSON object a line, made by the server.
    JsonLines,
    /// One JSON array of objects, made by the server.
    Json,
    /// CSV with a header, made by the server: NULL is empty, an empty text is `""`.
    Csv,
}

impl Format {
    /// The file extension.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Parquet(_) => "parquet",
            Self::JsonLines => "jsonl",
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}
