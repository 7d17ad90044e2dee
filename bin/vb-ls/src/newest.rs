//! Which backup of a set is its newest: one that is all there, was not found damaged, and is not dated by a clock that was ahead unless there is no
//! other.

use crate::inventory::Backup;
use std::collections::BTreeMap;
use vb_core::time::{self, Instant};

/// The choice of each set.
#[derive(Debug, Default)]
pub(crate) struct Newest<'all> {
    /// The newest, the oldest of them first.
    pub(crate) chosen: Vec<&'all Backup>,
    /// What was passed over for them, in words.
    pub(crate) passed_over: Vec<String>,
    /// A set of which nothing is whole, in words.
    pub(crate) broken: Option<String>,
}

/// Of these, the oldest first.
pub(crate) fn of_each_set<'all>(backups: &[&'all Backup], now: Instant) -> Newest<'all> {
    let mut sets: BTreeMap<&str, Vec<&Backup>> = BTreeMap::new();
    for backup in backups {
        sets.entry(&backup.entry.row.set).or_default().push(backup);
    }
    let mut newest = Newest::default();
    for (set, backups) in sets {
        let whole = || backups.iter().rev().filter(|backup| backup.flaw().is_none());
        let chosen = whole().find(|backup| !is_ahead(backup, now)).or_else(|| whole().next());
        let newer =
            backups.iter().rev().take_while(|backup| chosen.is_none_or(|chosen| !std::ptr::eq(**backup, *chosen)));
        let ahead = |backup: &Backup| format!("{} is dated more than a day after now", backup.entry.row.id);
        let words: Vec<String> = newer.map(|backup| backup.flaw().unwrap_or_else(|| ahead(backup))).collect();
        match chosen {
            Some(chosen) => {
                let taken = |words: String| format!("{words}; {} is taken", chosen.entry.row.id);
                newest.passed_over.extend(words.into_iter().map(taken));
                newest.chosen.push(chosen);
            }
            None => {
                let first = words.into_iter().next().unwrap_or_default();
                newest.broken.get_or_insert(format!("nothing of {set} is whole; {first}"));
            }
        }
    }
    newest.chosen.sort_by_key(|backup| (backup.entry.row.created_at, &backup.entry.row.id));
    newest
}

/// Whether a wrong clock has dated it.
pub(crate) fn is_ahead(backup: &Backup, now: Instant) -> bool {
    time::is_ahead(backup.entry.row.created_at, now)
}
