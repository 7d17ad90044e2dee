//! What the user asked for.

use std::ops::Range;
use vb_core::time::Instant;

/// One restore.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The table's name as the user wrote it; none for the name that the file bears.
    pub table: Option<String>,
    /// What becomes of rows that are there.
    pub mode: ModeChoice,
    /// Rows of these days only.
    pub range: Option<Range<Instant>>,
    /// The time column for the range, where the user chose one.
    pub by: Option<String>,
    /// Connections that send rows, and processes of the server that may build one index, side by side; 0 leaves that to the server.
    pub jobs: usize,
    /// Whether the table's own triggers stay quiet.
    pub disable_triggers: bool,
    /// Whether a missing table is made from its description, even where the file holds the statements that made it.
    pub by_description: bool,
    /// Whether the rows are taken as they come, without a comparison with the source's hash.
    pub uncompared: bool,
}

/// What becomes of rows that are there, as asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ModeChoice {
    /// Insert into a new or empty table, upsert into one with rows.
    #[default]
    Auto,
    /// This one.
    Chosen(Mode),
}

/// What becomes of rows that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They stay; a row with the key of one of them is a conflict.
    Insert,
    /// They stay, unless the file has a row of the same primary key.
    Upsert,
    /// They go.
    Replace,
}

impl Mode {
    /// The word on the command line and in the status line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Upsert => "upsert",
            Self::Replace => "replace",
        }
    }
}
