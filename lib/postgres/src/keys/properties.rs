//! What must hold for every history: rows that come, change, go and get other keys, over many increments.

use super::*;
use crate::row_hash::HashedColumn;
use std::collections::{BTreeMap, BTreeSet};
use vb_tests::chance::Chance;

fn columns_of_key() -> Vec<HashedColumn> {
    vec![HashedColumn { name: "id".to_owned(), text: false }]
}

fn hash(key: u64, buckets: u32) -> KeyHash {
    KeyHash::of([&key.to_be_bytes()[..]].into_iter(), buckets)
}

/// A table: its keys, each with whether it changed since the last export.
struct Table {
    rows: BTreeMap<u64, bool>,
    next: u64,
}

impl Table {
    fn full(chance: &mut Chance) -> Self {
        let count = chance.below(3000) as u64;
        Self { rows: (0..count).map(|key| (key, false)).collect(), next: count }
    }

    /// A key that is there, or was, or was left out.
    fn any_key(&self, chance: &mut Chance) -> u64 {
        chance.below(self.next.max(1) as usize) as u64
    }

    fn some_key(&self, chance: &mut Chance) -> Option<u64> {
        let from = self.any_key(chance);
        self.rows.range(from..).next().map(|(key, _)| *key)
    }

    /// A statement; 0 inserts, 1 updates, 2 deletes, 3 changes a key, 4 inserts a key that was there before.
    fn change(&mut self, chance: &mut Chance, kind: usize) {
        let old = if kind == 0 { None } else { self.some_key(chance) };
        if kind >= 2
            && let Some(old) = old
        {
            self.rows.remove(&old);
        }
        let new = match kind {
            0 | 3 => self.next + 1,
            1 => old.unwrap_or_default(),
            4 => self.any_key(chance),
            _ => return,
        };
        if kind != 1 || old.is_some() {
            self.rows.insert(new, true);
            self.next = self.next.max(new);
        }
    }

    /// A full export remembers its keys in as many buckets as they deserve.
    fn remembered(&self) -> Buckets {
        let mut buckets = Buckets::new(columns_of_key(), MOST_BUCKETS);
        self.rows.keys().for_each(|key| buckets.add(hash(*key, MOST_BUCKETS)));
        buckets.folded()
    }

    fn compare(&self, base: Buckets) -> Changes {
        let mut comparison = Comparison::new(base);
        for (key, changed) in &self.rows {
            comparison.add(hash(*key, comparison.buckets()), *changed);
        }
        comparison.finish()
    }

    fn deletes(&self, changes: &Changes) -> Deletes {
        let buckets = changes.now.number();
        let mut collector = Collector::new(columns_of_key(), buckets, &changes.dirty);
        self.rows.keys().for_each(|key| collector.add(hash(*key, buckets)));
        let deletes = collector.finish();
        let live: usize = deletes.dirty.values().map(Vec::len).sum();
        assert_eq!(live as u64, changes.live);
        Deletes::parse(&deletes.to_text()).unwrap()
    }
}

#[test]
fn every_chain_restores_exactly_the_live_keys() {
    for seed in 0..300 {
        let mut chance = Chance::new(seed);
        let mut table = Table::full(&mut chance);
        let mut state = table.remembered();
        let mut restored: BTreeSet<u64> = table.rows.keys().copied().collect();
        for increment in 0..6 {
            for _ in 0..chance.below(120) {
                let kind = chance.below(5);
                table.change(&mut chance, kind);
            }
            // An export overlaps with the one before.
            let overlap = table.some_key(&mut chance).unwrap_or_default();
            table.rows.range_mut(overlap..).take(5).for_each(|(_, changed)| *changed = true);

            let changes = table.compare(Buckets::parse(&state.to_bytes()).unwrap());
            assert_eq!(changes.missed, 0, "{seed} {increment}");
            let deletes = table.deletes(&changes);
            for key in &restored {
                let gone = deletes.is_gone(hash(*key, deletes.buckets));
                assert!(!(gone && table.rows.contains_key(key)), "{seed} {increment}: a live key was named");
                let changed = table.rows.get(key).copied().unwrap_or_default();
                assert!(gone || table.rows.contains_key(key) || changed, "{seed} {increment}: a dead key survives");
            }
            restored.retain(|key| !deletes.is_gone(hash(*key, deletes.buckets)));
            restored.extend(table.rows.iter().filter(|(_, changed)| **changed).map(|(key, _)| *key));
            assert!(restored.iter().eq(table.rows.keys()), "{seed} {increment}");
            state = changes.now;
            table.rows.values_mut().for_each(|changed| *changed = false);
        }
    }
}

#[test]
fn without_deletes_nothing_is_carried() {
    for seed in 0..100 {
        let mut chance = Chance::new(seed);
        let mut table = Table::full(&mut chance);
        let state = table.remembered();
        for _ in 0..5 {
            let kind = chance.below(2);
            table.change(&mut chance, kind);
        }
        let changes = table.compare(state);
        assert_eq!((changes.dirty.len(), changes.live, changes.missed), (0, 0, 0), "{seed}");
        assert_eq!(changes.now.keys(), table.rows.len() as u64);
    }
}

/// A row that came without being exported, since whatever tells new rows did not see it.
#[test]
fn a_row_that_an_export_would_lose_is_noticed() {
    for seed in 0..100 {
        let mut chance = Chance::new(seed);
        let mut table = Table::full(&mut chance);
        let state = table.remembered();
        table.change(&mut chance, 0);
        table.rows.values_mut().for_each(|changed| *changed = false);
        assert_eq!(table.compare(state).missed, 1, "{seed}");
    }
}

#[test]
fn what_is_kept_and_carried_is_bounded() {
    let mut buckets = Buckets::new(columns_of_key(), MOST_BUCKETS);
    (0..400_000u64).for_each(|key| buckets.add(hash(key, MOST_BUCKETS)));
    assert!(buckets.to_bytes().len() < 1_200_000);
    let few = buckets.clone().folded();
    assert_eq!((few.keys(), few.number(), few.folded().number()), (400_000, 8192, 8192));
    assert_eq!(buckets_for(400_000), 8192);
    assert!(!would_be_too_large(100, 65536, 1 << 20) && !would_be_too_large(65536, 65536, 1 << 20));
    assert!(would_be_too_large(20_000, 65536, 1 << 22) && !would_be_too_large(10_000, 65536, 1 << 22));
    assert!(would_be_too_large(10_000, 65536, 1 << 24));
}

#[test]
fn damage_is_told() {
    let mut table = Table { rows: (0..500).map(|key| (key, false)).collect(), next: 500 };
    let state = table.remembered();
    table.rows.remove(&7);
    let changes = table.compare(state);
    let (bytes, text) = (changes.now.to_bytes(), table.deletes(&changes).to_text());
    for end in 0..bytes.len() {
        assert!(Buckets::parse(&bytes[..end]).is_err(), "{end}");
    }
    for end in 0..text.len() {
        assert!(Deletes::parse(&text[..end]).is_err(), "{end}");
    }
    let none = Collector::new(columns_of_key(), 4, &[]).finish();
    assert_eq!(Deletes::parse(&none.to_text()).unwrap(), none);
    assert!(!none.is_gone(hash(1, 4)));
}
