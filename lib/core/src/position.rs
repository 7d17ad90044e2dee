//! How far an export reached, beside the time: what the next one needs to know that it continues this one and no other.

use crate::storage::Storage;
use serde::{Deserialize, Serialize};

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
    /// Where the rows lie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// The name of the file of key digests that goes with this moment, its SHA-256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_sha256: Option<String>,
}

impl Position {
    /// Whether rows are new by the transaction that wrote them.
    #[must_use]
    pub fn is_by_xmin(&self) -> bool {
        self.by == XMIN
    }
}
