//! The cache is never believed about what exists, and a damaged one is as good as none.

use super::*;
use crate::catalogue::{Catalogue, catalogue};
use crate::listing;
use vb_core::fact::{Fact, Level};
use vb_core::label::Label;
use vb_core::manifest::{Manifest, Object, Proof};
use vb_core::naming;
use vb_core::time::Instant;
use vb_store::{MemoryStore, Store};

fn at(day: u32) -> Instant {
    format!("2026-11-{day:02}T00:00:00Z").parse().unwrap()
}

fn put(store: &dyn Store, set: &str, day: u32, records: u64) {
    let id = naming::id(set, at(day));
    let mut label = Label::of_stream("table", "public.w", set, "parquet");
    (label.records, label.until) = (Some(records), Some(at(day)));
    let key = naming::object_key(set, &id, "parquet", 0).unwrap();
    let object = Object { key, size_bytes: 1, sha256: "ab".to_owned(), md5: "cd".to_owned(), crc32: None };
    let manifest = Manifest::new(&id, at(day), label, vec![object], Proof::Sealed);
    store.put_new(&naming::manifest_key(set, &id).unwrap(), &manifest.to_bytes().unwrap()).unwrap();
}

fn in_folder(folder: &Path) -> Cache {
    Cache(Some(Place { path: folder.join("cache"), title: "vb manifests 1 memory://".to_owned() }))
}

fn ids(found: &Catalogue) -> Vec<&str> {
    found.entries.iter().map(|entry| &*entry.row.id).collect()
}

#[test]
fn what_was_read_is_not_read_again_and_what_is_gone_is_gone() {
    let (store, folder) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    let cache = in_folder(folder.path());
    [("v", 3), ("w", 1), ("w", 2), ("x", 4)].iter().for_each(|(set, day)| put(&store, set, *day, 7));
    let look = |set: Option<&str>| catalogue(&store, set, &cache, at(30)).unwrap();
    let first = look(None);
    assert_eq!((first.read, first.entries.len()), (4, 4));
    let second = look(None);
    assert_eq!((second.read, &second.entries), (0, &first.entries));
    assert_eq!(ids(&second), ["w_20261101_000000", "w_20261102_000000", "v_20261103_000000", "x_20261104_000000"]);

    store.delete(&naming::manifest_key("w", "w_20261101_000000").unwrap()).unwrap();
    put(&store, "w", 5, 7);
    let only = look(Some("w"));
    assert_eq!((only.read, ids(&only)), (1, vec!["w_20261102_000000", "w_20261105_000000"]));
    // The other sets are still known, and nothing of the set that is gone.
    assert_eq!((look(None).read, look(None).entries.len()), (0, 4));
    let text = std::fs::read_to_string(folder.path().join("cache")).unwrap();
    assert!(!text.contains("w_20261101_000000") && text.contains("x_20261104_000000"), "{text}");
}

#[test]
fn another_manifest_of_the_same_name_is_read() {
    let (store, folder) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    let cache = in_folder(folder.path());
    put(&store, "w", 1, 7);
    catalogue(&store, None, &cache, at(30)).unwrap();
    store.delete(&naming::manifest_key("w", "w_20261101_000000").unwrap()).unwrap();
    put(&store, "w", 1, 8888);
    let again = catalogue(&store, None, &cache, at(30)).unwrap();
    assert_eq!((again.read, again.entries[0].row.records), (1, Some(8888)));
}

#[test]
fn every_damage_is_noticed_and_repaired() {
    let (store, folder) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    let cache = in_folder(folder.path());
    (1..6).for_each(|day| put(&store, "w", day, 7));
    let expected = catalogue(&store, None, &cache, at(30)).unwrap().entries;
    let path = folder.path().join("cache");
    let whole = std::fs::read(&path).unwrap();
    for place in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        std::fs::write(&path, if place % 2 == 0 { &damaged[..] } else { &whole[..place] }).unwrap();
        let found = catalogue(&store, None, &cache, at(30)).unwrap();
        assert_eq!(found.entries, expected, "byte {place}");
        assert!(found.read > 0 || place + 1 == whole.len(), "byte {place}");
        let repaired = std::fs::read(&path).unwrap();
        assert!(repaired == whole || found.read == 0, "byte {place}");
    }
}

#[test]
fn what_is_not_there_or_too_short_is_incomplete_with_and_without_the_cache() {
    let (store, folder) = (MemoryStore::default(), tempfile::tempdir().unwrap());
    let cache = in_folder(folder.path());
    [1, 2, 3].iter().for_each(|day| put(&store, "w", *day, 7));
    let object = |day: u32| naming::object_key("w", &naming::id("w", at(day)), "parquet", 0).unwrap();
    store.put_new(&object(1), b"x").unwrap();
    store.put_new(&object(2), b"").unwrap();
    for _ in 0..2 {
        let found = catalogue(&store, None, &cache, at(30)).unwrap();
        let flaws: Vec<_> = found.entries.iter().map(|entry| entry.incomplete.as_deref()).collect();
        let [short, gone] = [object(2), object(3)];
        let words = [format!("{short} has 0 bytes instead of 1"), format!("{gone} is not there")];
        assert_eq!(flaws, [None, Some(words[0].as_str()), Some(&words[1])]);
    }
}

#[test]
fn a_clock_that_was_ahead_is_told() {
    let store = MemoryStore::default();
    [1, 28].iter().for_each(|day| put(&store, "w", *day, 7));
    let fact = Fact::Verified(Level::Stored, at(28)).key("w", &naming::id("w", at(1))).unwrap();
    store.put_new(&fact, b"{}").unwrap();
    let found = catalogue(&store, None, &Cache::none(), at(26)).unwrap();
    assert_eq!((found.warnings.len(), found.entries.len()), (2, 2), "{:?}", found.warnings);
    assert!(found.warnings[0].contains("_verified_1_20261128_000000.json"), "{:?}", found.warnings);
    assert!(found.warnings[1].contains("w_20261128_000000"), "{:?}", found.warnings);
    assert!(catalogue(&store, None, &Cache::none(), at(29)).unwrap().warnings.is_empty());
}

#[test]
fn facts_are_beside_their_backup() {
    let store = MemoryStore::default();
    put(&store, "w", 1, 7);
    put(&store, "w", 2, 7);
    let id = naming::id("w", at(1));
    let facts = [
        Fact::Damaged(Level::Stored, at(3)),
        Fact::Verified(Level::Identical, at(2)),
        Fact::Verified(Level::Decoded, at(4)),
    ];
    for fact in facts {
        store.put_new(&fact.key("w", &id).unwrap(), b"{}").unwrap();
    }
    let found = catalogue(&store, None, &Cache::none(), at(30)).unwrap();
    let [first, second] = &found.entries[..] else { panic!("two backups") };
    assert_eq!((first.facts.len(), first.health().level, first.health().damaged), (3, Level::Decoded, false));
    assert_eq!((first.checked_at(Level::Stored), first.checked_at(Level::Restored)), (Some(at(4)), Some(at(2))));
    assert_eq!((second.health().level, second.checked_at(Level::Stored)), (Level::Listed, None));
    store.put_new(&Fact::Damaged(Level::Stored, at(5)).key("w", &id).unwrap(), b"{}").unwrap();
    let found = catalogue(&store, None, &Cache::none(), at(30)).unwrap();
    assert!(found.entries[0].health().damaged);
    let mut order: Vec<_> = found.entries.iter().collect();
    crate::catalogue::sort_by_need(&mut order, |_| Level::Stored);
    assert_eq!(&*order[0].row.id, "w_20261102_000000");
    assert!(listing::is_manifest(&naming::manifest_key("w", &id).unwrap()));
}

#[test]
fn the_same_url_on_another_server_is_another_store() {
    let of = |server: &str| {
        let values = [("VB_CACHE_DIR", "/c"), ("AWS_ENDPOINT_URL", server)];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Cache::of("s3://b", &Environment::new(values)).0.unwrap().path
    };
    assert_ne!(of("http://127.0.0.1:1"), of("http://127.0.0.1:2"));
    assert_eq!(of("http://127.0.0.1:1"), of("http://127.0.0.1:1"));
}
