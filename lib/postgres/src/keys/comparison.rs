//! One pass over the live keys, and what it says about those that were there before.

use super::buckets::{Bucket, Buckets};
use super::hash::KeyHash;

/// The most changed keys of a bucket of which every subset is tried.
const MOST_TRIED: usize = 12;

/// The keys of a base, and the live keys as they come.
#[derive(Debug)]
pub struct Comparison {
    base: Buckets,
    now: Buckets,
    unchanged: Vec<Bucket>,
    /// The hashes of the first changed keys of each bucket; `now` and `unchanged` know how many there are.
    changed: Vec<Vec<u64>>,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// What to remember of the live keys.
    pub now: Buckets,
    /// The buckets from which keys are gone, or may be, in ascending order.
    pub dirty: Vec<u32>,
    /// How many live keys these have.
    pub live: u64,
    /// In how many buckets there are keys that are new and yet not among the exported rows: the export would lose them.
    pub missed: u64,
}

impl Comparison {
    /// Begins, with what is remembered of the base.
    #[must_use]
    pub fn new(base: Buckets) -> Self {
        let number = base.number() as usize;
        let now = Buckets::new(base.columns.clone(), base.number());
        Self { base, now, unchanged: vec![Bucket::default(); number], changed: vec![Vec::new(); number] }
    }

    /// How many buckets keys are to be hashed for.
    #[must_use]
    pub fn buckets(&self) -> u32 {
        self.base.number()
    }

    /// Takes the next live key, and whether its row is among those that are exported.
    pub fn add(&mut self, key: KeyHash, exported: bool) {
        self.now.add(key);
        let place = key.bucket as usize;
        if !exported {
            self.unchanged[place].add(key.hash);
        } else if self.changed[place].len() <= MOST_TRIED {
            self.changed[place].push(key.hash);
        }
    }

    /// After the last key.
    #[must_use]
    pub fn finish(self) -> Changes {
        let (mut dirty, mut live, mut missed) = (Vec::new(), 0, 0);
        for (number, (unchanged, changed)) in (0..).zip(self.unchanged.iter().zip(&self.changed)) {
            let (before, now) = (self.base.bucket(number), self.now.bucket(number));
            // Rows that are not exported must have been there before.
            missed +=
                u64::from(unchanged.count > before.count || unchanged.count == before.count && *unchanged != before);
            if !is_explained(before, now, *unchanged, changed) {
                dirty.push(number);
                live += now.count;
            }
        }
        Changes { now: self.now, dirty, live, missed }
    }
}

/// Whether all keys that were there before are still there: the unchanged ones, and some of the changed ones; the others of
/// these were inserted.
fn is_explained(before: Bucket, now: Bucket, unchanged: Bucket, changed: &[u64]) -> bool {
    if before == unchanged || before == now {
        return true;
    }
    let Some(wanted) = before.count.checked_sub(unchanged.count).and_then(|wanted| usize::try_from(wanted).ok()) else {
        return false;
    };
    changed.len() <= MOST_TRIED && has_subset(changed, wanted, before.sum.wrapping_sub(unchanged.sum))
}

/// Whether so many of these numbers have this sum.
fn has_subset(numbers: &[u64], wanted: usize, sum: u64) -> bool {
    if wanted == 0 || wanted > numbers.len() {
        return wanted == 0 && sum == 0;
    }
    let Some((first, rest)) = numbers.split_first() else { return false };
    has_subset(rest, wanted - 1, sum.wrapping_sub(*first)) || has_subset(rest, wanted, sum)
}
