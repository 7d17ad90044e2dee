//! Where a table's rows lie: the identity of the table's own storage and of its parts', in a form small enough for every manifest.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A table with more parts than this is not described; then no export by `xmin` can continue.
pub const MOST_PARTS: usize = 4096;

/// The storage of each part that holds rows: its oid, and the `relfilenode` that changes when it is rewritten or truncated.
///
/// As text: for each part, in ascending order, by how much its oid is above the one before, in base 36; behind a colon its
/// `relfilenode` where that is another number; a blank between parts. At most some 50 KB.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Storage(BTreeMap<u32, u32>);

impl Storage {
    /// Of these parts, each an oid and a `relfilenode`; none if they are too many.
    #[must_use]
    pub fn of(parts: impl IntoIterator<Item = (u32, u32)>) -> Option<Self> {
        let parts: BTreeMap<u32, u32> = parts.into_iter().collect();
        (parts.len() <= MOST_PARTS).then_some(Self(parts))
    }

    /// Parts that are there now and were not then.
    pub fn added(&self, now: &Self) -> impl Iterator<Item = u32> {
        now.0.keys().copied().filter(|oid| !self.0.contains_key(oid))
    }

    /// Whether a part that was there then is gone.
    #[must_use]
    pub fn has_lost(&self, now: &Self) -> bool {
        self.0.keys().any(|oid| !now.0.contains_key(oid))
    }

    /// Parts that were rewritten or truncated since.
    pub fn rewritten(&self, now: &Self) -> impl Iterator<Item = u32> {
        now.0.iter().filter(|(oid, node)| self.0.get(oid).is_some_and(|then| then != *node)).map(|(oid, _)| *oid)
    }

    /// How many parts.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.0.len()
    }
}

impl From<Storage> for String {
    fn from(storage: Storage) -> Self {
        let mut previous = 0;
        let part = |(oid, node): (u32, u32)| {
            let step = base36(oid - std::mem::replace(&mut previous, oid));
            if oid == node { step } else { format!("{step}:{}", base36(node)) }
        };
        storage.0.into_iter().map(part).collect::<Vec<_>>().join(" ")
    }
}

impl TryFrom<String> for Storage {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = |digits: &str| u32::from_str_radix(digits, 36).ok();
        let mut oid = 0u32;
        let part = |word: &str| {
            let (step, node) = word.split_once(':').map_or((word, None), |(step, node)| (step, Some(node)));
            oid = oid.checked_add(number(step)?)?;
            Some((oid, node.map_or(Some(oid), number)?))
        };
        let parts: Option<BTreeMap<u32, u32>> = text.split_ascii_whitespace().map(part).collect();
        parts.map(Self).ok_or_else(|| format!("{text:?} does not describe a table's storage"))
    }
}

fn base36(mut number: u32) -> String {
    let mut digits = Vec::new();
    loop {
        digits.extend(char::from_digit(number % 36, 36));
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(parts: &[(u32, u32)]) -> Storage {
        Storage::of(parts.iter().copied()).unwrap()
    }

    #[test]
    fn the_text_is_read_back() {
        for parts in [&[][..], &[(16384, 16384)], &[(0, 7), (16385, 99999), (u32::MAX, u32::MAX)]] {
            let text = String::from(storage(parts));
            assert_eq!(Storage::try_from(text.clone()).unwrap(), storage(parts), "{text}");
        }
        assert_eq!(String::from(storage(&[(16384, 16384), (16390, 16400)])), "cn4 6:cnk");
        for bad in ["-1", "1:", ":1", "ü", "1z141z4 1z141z4"] {
            assert!(Storage::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn it_stays_small() {
        let most = Storage::of((0..4096).map(|part| (3_000_000_000 + part * 97, 4_000_000_000 - part))).unwrap();
        assert!(String::from(most).len() < 50_000);
        assert!(Storage::of((0..4097).map(|part| (part, part))).is_none());
    }

    #[test]
    fn what_has_changed_is_told() {
        let (then, now) = (storage(&[(1, 1), (2, 2), (3, 3)]), storage(&[(1, 1), (2, 20), (4, 4)]));
        assert_eq!(then.added(&now).collect::<Vec<_>>(), [4]);
        assert_eq!(then.rewritten(&now).collect::<Vec<_>>(), [2]);
        assert!(then.has_lost(&now) && !then.has_lost(&then));
    }
}
