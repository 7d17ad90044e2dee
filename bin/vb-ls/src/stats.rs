//! Counts, sizes and growth of each set.

use crate::inventory::Backup;
use crate::table;
use chrono::TimeDelta;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use vb_core::label::Kind;
use vb_core::time::{self, Instant};
use vb_repository::{Row, words};

/// Growth is looked at over so many days.
const RECENT_DAYS: i64 = 30;
/// The newest backup is compared with so many before it.
const COMPARED: usize = 10;

/// One set.
#[derive(Debug)]
pub(crate) struct SetStats<'all> {
    pub(crate) set: &'all str,
    /// Its backups, the oldest first.
    pub(crate) backups: Vec<&'all Backup>,
}

/// The sets in the order of their names.
pub(crate) fn of<'all>(backups: &[&'all Backup]) -> Vec<SetStats<'all>> {
    let mut sets: BTreeMap<&str, Vec<&Backup>> = BTreeMap::new();
    for backup in backups {
        sets.entry(&backup.entry.row.set).or_default().push(backup);
    }
    sets.into_iter().map(|(set, backups)| SetStats { set, backups }).collect()
}

impl<'all> SetStats<'all> {
    fn rows(&self) -> impl DoubleEndedIterator<Item = &'all Row> {
        self.backups.iter().map(|backup| &*backup.entry.row)
    }

    fn count(&self, kind: Kind) -> usize {
        self.rows().filter(|row| row.kind == kind).count()
    }

    /// All bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.rows().map(Row::size_bytes).sum()
    }

    /// The newest backup.
    pub(crate) fn newest(&self) -> Option<&'all Backup> {
        self.backups.last().copied()
    }

    fn created_at(&self, row: Option<&Row>) -> Instant {
        row.map(|row| row.created_at).unwrap_or_default()
    }

    /// By how many per cent the newest is larger than the median of up to ten of its kind before it; 0 for a first one.
    #[allow(clippy::cast_precision_loss)] // per cent
    pub(crate) fn growth_percent(&self) -> f64 {
        let Some(newest) = self.rows().next_back() else { return 0.0 };
        let earlier = self.rows().rev().skip(1).filter(|row| row.kind == newest.kind);
        let mut sizes: Vec<u64> = earlier.take(COMPARED).map(Row::size_bytes).collect();
        sizes.sort_unstable();
        match sizes.get(sizes.len() / 2) {
            Some(median) if *median > 0 => (newest.size_bytes() as f64 / *median as f64 - 1.0) * 100.0,
            _ => 0.0,
        }
    }

    /// The bytes that a day added, over the last 30 days or the set's own shorter life.
    fn bytes_per_day(&self, now: Instant) -> u64 {
        let oldest = self.created_at(self.rows().next());
        let days = (now - oldest).num_days().clamp(1, RECENT_DAYS);
        let recent = self.rows().filter(|row| row.created_at > now - TimeDelta::days(days));
        recent.map(Row::size_bytes).sum::<u64>() / days.unsigned_abs()
    }

    /// The fields of its status line.
    pub(crate) fn fields(&self, now: Instant) -> Value {
        let (oldest, newest) = (self.created_at(self.rows().next()), self.created_at(self.rows().next_back()));
        json!({
            "set": self.set,
            "count": self.backups.len(),
            "full": self.count(Kind::Full),
            "incremental": self.count(Kind::Incremental),
            "incomplete": self.backups.iter().filter(|backup| backup.incomplete.is_some()).count(),
            "size_bytes": self.size_bytes(),
            "oldest_at": time::seconds(oldest),
            "newest_at": time::seconds(newest),
            "newest_age_seconds": (now - newest).num_seconds(),
            "newest_level": self.newest().map(|backup| backup.level),
            "growth_percent": (self.growth_percent() * 10.0).round() / 10.0,
            "size_bytes_per_day": self.bytes_per_day(now),
        })
    }
}

/// The same for people.
pub(crate) fn table(sets: &[SetStats<'_>], now: Instant) -> String {
    let rows = sets.iter().map(|stats| {
        [
            stats.set.to_owned(),
            stats.count(Kind::Full).to_string(),
            stats.count(Kind::Incremental).to_string(),
            words::bytes(stats.size_bytes()),
            words::age(now - stats.created_at(stats.rows().next())),
            words::age(now - stats.created_at(stats.rows().next_back())),
            format!("{:+.0}%", stats.growth_percent()),
            words::bytes(stats.bytes_per_day(now)),
        ]
    });
    let heads = ["SET", "FULL", "INCREMENTAL", "SIZE", "OLDEST", "NEWEST", "GROWTH", "A DAY"];
    table::aligned(&heads, rows, &[false, true, true, true, true, true, true, true])
}
