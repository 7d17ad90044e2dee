//! How far an export reached, beside the time: what the next one needs to know that it continues this one and no other.

use crate::storage::Storage;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What [`Position::by`] is where rows are new by the transaction that wrote them. No column of a table can have this name.
pub const XMIN: &str = "xmin";

/// Where an export of a table leaves off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Position {
    /// By what rows are new: the name of a time column, or [`XMIN`].
    pub by: String,
    /// Rows of this transaction and later ones are in an increment by `xmin` (an xid8: 64 bits, never comes round).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_xid: Option<u64>,
    /// The oldest transaction that still ran when the snapshot was taken (`pg_snapshot_xmin`): the next increment begins here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_xid: Option<u64>,
    /// The server's timeline: another one means that it was promoted, or restored to an earlier moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<u32>,
    /// When the server was started, in microseconds since 1970: one that was put back from a copy of its files was started since, and need not
    /// show it otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<i64>,
    /// The database's oid: one that was made anew, or from a copy, has another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_oid: Option<u32>,
    /// A digest of all that the meaning of stored rows hangs on: numbers and types of columns, labels, attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<String>,
    /// Where the rows lie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// The name of the file of key digests that goes with this moment, its SHA-256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_sha256: Option<String>,
}

impl Position {
    /// What the proof of a chain needs of it.
    #[must_use]
    pub fn reach(&self) -> Reach<&str> {
        let Self { by, since_xid, until_xid, timeline, .. } = self;
        Reach { by, since_xid: *since_xid, until_xid: *until_xid, timeline: *timeline }
    }

    /// Whether rows are new by the transaction that wrote them.
    #[must_use]
    pub fn is_by_xmin(&self) -> bool {
        self.by == XMIN
    }
}

/// What the proof of a chain needs of a [`Position`], and no more: a listing holds one for each of a hundred thousand backups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reach<Text = Arc<str>> {
    /// As in the position.
    #[serde(default)]
    pub by: Text,
    /// As in the position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_xid: Option<u64>,
    /// As in the position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_xid: Option<u64>,
    /// As in the position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<u32>,
}

impl Reach<&str> {
    /// Whether rows are new by the transaction that wrote them.
    #[must_use]
    pub fn is_by_xmin(&self) -> bool {
        self.by == XMIN
    }
}

impl<Text: AsRef<str>> Reach<Text> {
    /// The same, borrowed.
    pub fn borrowed(&self) -> Reach<&str> {
        self.with(self.by.as_ref())
    }

    /// The same, its text held in another way.
    pub fn with<Other>(&self, by: Other) -> Reach<Other> {
        let Self { since_xid, until_xid, timeline, .. } = self;
        Reach { by, since_xid: *since_xid, until_xid: *until_xid, timeline: *timeline }
    }
}

/// A position of which nothing else is known.
impl From<&Reach> for Position {
    fn from(reach: &Reach) -> Self {
        let Reach { by, since_xid, until_xid, timeline } = reach.borrowed();
        Self { by: by.to_owned(), since_xid, until_xid, timeline, ..Self::default() }
    }
}
