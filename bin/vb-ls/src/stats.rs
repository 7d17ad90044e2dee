//! Counts and sizes of each set.

use crate::table;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use vb_core::label::Kind;
use vb_core::manifest::Manifest;
use vb_core::time::{self, Instant};
use vb_repository::words;

/// One set.
#[derive(Debug)]
pub(crate) struct SetStats<'all> {
    set: &'all str,
    full: usize,
    incremental: usize,
    size_bytes: u64,
    oldest: Instant,
    newest: Instant,
}

impl SetStats<'_> {
    /// The fields of its status line.
    pub(crate) fn fields(&self, now: Instant) -> Value {
        json!({
            "set": self.set,
            "count": self.full + self.incremental,
            "full": self.full,
            "incremental": self.incremental,
            "size_bytes": self.size_bytes,
            "oldest_at": time::seconds(self.oldest),
            "newest_at": time::seconds(self.newest),
            "newest_age_seconds": (now - self.newest).num_seconds(),
        })
    }
}

/// The sets in the order of their names.
pub(crate) fn of(backups: &[Manifest]) -> Vec<SetStats<'_>> {
    let mut sets: BTreeMap<&str, SetStats<'_>> = BTreeMap::new();
    for manifest in backups {
        let at = manifest.created_at;
        let new = SetStats { set: &manifest.set, full: 0, incremental: 0, size_bytes: 0, oldest: at, newest: at };
        let stats = sets.entry(&manifest.set).or_insert(new);
        match manifest.kind {
            Kind::Full => stats.full += 1,
            Kind::Incremental => stats.incremental += 1,
        }
        stats.size_bytes += manifest.size_bytes();
        stats.oldest = stats.oldest.min(at);
        stats.newest = stats.newest.max(at);
    }
    sets.into_values().collect()
}

/// The same for people.
pub(crate) fn table(sets: &[SetStats<'_>], now: Instant) -> String {
    let rows = sets.iter().map(|stats| {
        [
            stats.set.to_owned(),
            stats.full.to_string(),
            stats.incremental.to_string(),
            words::bytes(stats.size_bytes),
            words::age(now - stats.oldest),
            words::age(now - stats.newest),
        ]
    });
    let heads = ["SET", "FULL", "INCREMENTAL", "SIZE", "OLDEST", "NEWEST"];
    table::aligned(&heads, rows, &[false, true, true, true, true, true])
}
