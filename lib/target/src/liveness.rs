//! Which rows of a chain are there in the end: the newest version of each key, unless a later backup says that the key is gone. So
//! the rows of all backups can be sent at once, none of them twice, and nothing has to be merged or deleted where a table begins
//! empty. Pure: keys and lists of deletes are asked for.
//!
//! Memory does not grow with the chain but for a bit or two a row: the keys of its incrementals are looked at in shares, and of
//! the lists of deletes only what all later ones together say is kept.

use crate::row_set::RowSet;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use vb_core::{Error, Result};
use vb_postgres::keys::{Deletes, KeyHash, MOST_BUCKETS};

/// Keys that are held at once: 36 MB.
const KEYS_AT_ONCE: u64 = 1 << 20;

/// What becomes of the rows of one backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// A later backup has another version of them.
    pub(crate) superseded: RowSet,
    /// No later backup has them, and one says that they are gone.
    pub(crate) gone: RowSet,
}

impl Verdict {
    /// Whether the row is there in the end.
    pub(crate) fn is_live(&self, row: u64) -> bool {
        !self.superseded.has(row) && !self.gone.has(row)
    }
}

/// The backups of a chain, the full one first.
pub(crate) trait Chain {
    /// The rows of each backup.
    fn rows(&self) -> Vec<u64>;

    /// Tells the key of every row, hashed for [`MOST_BUCKETS`].
    ///
    /// # Errors
    /// If the backup cannot be read.
    fn keys(&self, backup: usize, each: &mut dyn FnMut(u64, KeyHash) -> Result<()>) -> Result<()>;

    /// Which rows of those before it are gone, if it says so.
    ///
    /// # Errors
    /// If the list cannot be read.
    fn deletes(&self, backup: usize) -> Result<Option<Deletes>>;
}

/// Judges every row, the newest backup's first.
///
/// # Errors
/// Those of the chain; an integrity error if a backup says of one of its own rows that it is gone.
pub(crate) fn judge(chain: &impl Chain) -> Result<Vec<Verdict>> {
    judge_in_shares(chain, KEYS_AT_ONCE)
}

fn judge_in_shares(chain: &impl Chain, keys_at_once: u64) -> Result<Vec<Verdict>> {
    let rows = chain.rows();
    let none = |rows: &u64| Verdict { superseded: RowSet::none(*rows), gone: RowSet::none(*rows) };
    let mut verdicts: Vec<Verdict> = rows.iter().map(none).collect();
    let newer: u64 = rows.iter().skip(1).sum();
    let shares = newer.div_ceil(keys_at_once).max(1);
    for share in 0..shares {
        let (mut seen, mut later) = (HashSet::new(), Gone::default());
        for (backup, verdict) in verdicts.iter_mut().enumerate().rev() {
            let own = chain.deletes(backup)?;
            chain.keys(backup, &mut |row, key| {
                if key.hash % shares != share {
                    return Ok(());
                }
                if own.as_ref().is_some_and(|own| own.is_gone(for_buckets(key, own.buckets))) {
                    return Err(Error::integrity("a backup of the chain says of its own rows that they are gone"));
                }
                if seen.contains(&key) {
                    verdict.superseded.add(row);
                } else if later.has(key) {
                    verdict.gone.add(row);
                }
                if backup > 0 {
                    seen.insert(key);
                }
                Ok(())
            })?;
            later.add(own);
        }
    }
    Ok(verdicts)
}

/// What several lists of deletes say together: gone is what one of them says is gone. A key that is not must be live in each of
/// them that knows its bucket.
#[derive(Debug, Default)]
struct Gone(BTreeMap<u32, BTreeMap<u32, Vec<u64>>>);

impl Gone {
    fn add(&mut self, deletes: Option<Deletes>) {
        let Some(deletes) = deletes else { return };
        let all = self.0.entry(deletes.buckets).or_default();
        for (bucket, live) in deletes.dirty {
            match all.entry(bucket) {
                Entry::Vacant(place) => drop(place.insert(live)),
                Entry::Occupied(mut known) => known.get_mut().retain(|hash| live.binary_search(hash).is_ok()),
            }
        }
    }

    fn has(&self, key: KeyHash) -> bool {
        self.0.iter().any(|(buckets, dirty)| {
            let key = for_buckets(key, *buckets);
            dirty.get(&key.bucket).is_some_and(|live| live.binary_search(&key.hash).is_err())
        })
    }
}

/// Fewer buckets are the first bits of more.
pub(crate) fn for_buckets(key: KeyHash, buckets: u32) -> KeyHash {
    KeyHash { bucket: key.bucket / (MOST_BUCKETS / buckets.clamp(1, MOST_BUCKETS)), ..key }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Each backup's keys, and after it the live keys of the whole table where it carries deletes.
    struct Made(Vec<(Vec<u64>, Option<Vec<u64>>)>);

    fn hash(key: u64) -> KeyHash {
        KeyHash::of(std::iter::once(&key.to_be_bytes()[..]), MOST_BUCKETS)
    }

    impl Chain for Made {
        fn rows(&self) -> Vec<u64> {
            self.0.iter().map(|(keys, _)| keys.len() as u64).collect()
        }

        fn keys(&self, backup: usize, each: &mut dyn FnMut(u64, KeyHash) -> Result<()>) -> Result<()> {
            self.0[backup].0.iter().zip(0..).try_for_each(|(key, row)| each(row, hash(*key)))
        }

        fn deletes(&self, backup: usize) -> Result<Option<Deletes>> {
            let Some(live) = &self.0[backup].1 else { return Ok(None) };
            // Another number of buckets each time, all of them dirty.
            let buckets = 4 << backup;
            let mut dirty: BTreeMap<u32, Vec<u64>> = (0..buckets).map(|bucket| (bucket, Vec::new())).collect();
            for key in live.iter().map(|key| for_buckets(hash(*key), buckets)) {
                dirty.entry(key.bucket).or_default().push(key.hash);
            }
            dirty.values_mut().for_each(|live| live.sort_unstable());
            Ok(Some(Deletes { columns: Vec::new(), buckets, dirty }))
        }
    }

    /// The keys that are live, each with its backup, and those that are gone.
    fn outcome(chain: &Made, keys_at_once: u64) -> (BTreeSet<(u64, usize)>, Vec<u64>) {
        let (mut live, mut gone) = (BTreeSet::new(), Vec::new());
        for (backup, verdict) in judge_in_shares(chain, keys_at_once).unwrap().iter().enumerate() {
            for (key, row) in chain.0[backup].0.iter().zip(0..) {
                if verdict.is_live(row) {
                    live.insert((*key, backup));
                }
                if verdict.gone.has(row) {
                    gone.push(*key);
                }
            }
        }
        gone.sort_unstable();
        (live, gone)
    }

    #[test]
    fn the_newest_version_lives_unless_it_is_gone() {
        let chain = Made(vec![
            (vec![1, 2, 3, 4, 5, 6], None),
            (vec![2, 3, 7], None),                // two changes and an insert
            (vec![8], Some(vec![1, 2, 5, 6, 8])), // 3, 4 and 7 are gone
            (vec![4], Some(vec![1, 4, 5, 6, 8])), // 4 is back, 2 is gone
        ]);
        for keys_at_once in [1, 2, 100] {
            let (live, gone) = outcome(&chain, keys_at_once);
            assert_eq!(live, BTreeSet::from([(1, 0), (4, 3), (5, 0), (6, 0), (8, 2)]));
            // The key that came back is no key to delete.
            assert_eq!(gone, [2, 3, 7]);
        }
    }

    #[test]
    fn a_list_that_contradicts_its_own_rows_is_refused() {
        let chain = Made(vec![(vec![1], None), (vec![2], Some(vec![1]))]);
        assert_eq!(judge(&chain).unwrap_err().kind(), vb_core::ErrorKind::Integrity);
    }
}
