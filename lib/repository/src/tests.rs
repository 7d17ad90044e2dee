//! Backups made, read and removed on a store in memory, which can be made to fail at each step.

pub(crate) mod failing;

use crate::fetch::fetch;
use crate::select::{self, Wanted};
use crate::{Chunk, Deposit, Journal, Place, list, litter, removal};
use failing::{Failing, Fault};
use std::sync::Arc;
use vb_core::key::Key;
use vb_core::label::{Kind, Label};
use vb_core::manifest::{Manifest, Proof};
use vb_core::retention::Backup;
use vb_core::time::Instant;
use vb_core::{ErrorKind, Result};
use vb_store::{MemoryStore, Store};

fn at(hour: u32) -> Instant {
    "2026-11-21T00:00:00Z".parse::<Instant>().unwrap() + chrono::TimeDelta::hours(hour.into())
}

fn label(base: Option<u32>, hour: u32) -> Label {
    let mut label = Label::of_stream("table", "public.w", "w", "parquet");
    label.kind = if base.is_some() { Kind::Incremental } else { Kind::Full };
    label.base = base.map(|base| vb_core::naming::id("w", at(base)));
    label.until = Some(at(hour));
    label
}

fn store_backup(store: &Arc<dyn Store>, data: &[u8], base: Option<u32>, hour: u32) -> Result<Manifest> {
    let place = Place::new("w", "parquet", at(hour));
    let mut deposit = Deposit::begin(store, &Arc::new(Journal::unguarded()), place.clone())?;
    data.chunks(300_000).try_for_each(|piece| deposit.write(&Chunk::from(piece.to_vec())))?;
    let deposited = deposit.complete()?;
    let manifest = Manifest::new(&place.id, place.created_at, label(base, hour), deposited.objects(), Proof::Sealed);
    deposited.commit(&manifest)?;
    Ok(manifest)
}

fn fetched(store: &dyn Store, manifest: &Manifest) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fetch(store, manifest, &mut |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(bytes)
}

fn keys(store: &dyn Store) -> Vec<String> {
    let objects = crate::listing::objects(store, None).unwrap();
    objects.into_iter().map(|object| object.key.to_string()).collect()
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

#[test]
fn a_stream_comes_back_as_it_was() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    // More than ten million bytes: the store in memory begins a further object there.
    for (hour, length) in [(1, 0), (2, 1), (3, 1_000_000), (4, 10_000_000), (5, 20_000_001)] {
        let data = pattern(length);
        let manifest = store_backup(&store, &data, None, hour).unwrap();
        assert_eq!(manifest.objects.len(), 1 + (length.max(1) - 1) / 10_000_000);
        assert!(fetched(&*store, &manifest).unwrap() == data, "{length} bytes");
    }
    let listing = list(&*store, Some("w")).unwrap();
    assert_eq!(listing.backups.len(), 5);
    assert_eq!(listing.backups[4].objects[2].key.as_str(), "w/w_20261121_050000.parquet.3");
    assert!(store.open_uploads("").unwrap().is_empty());
}

#[test]
fn an_object_has_ten_thousand_parts_and_the_next_byte_is_another_object() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let limits = store.limits();
    assert_eq!((limits.most_parts, limits.largest_object_bytes()), (10_000, 10_000_000));
    let cases = [(1, 9_999_999), (2, 10_000_000), (3, 10_000_001), (4, 20_000_000), (5, 30_000_001)];
    for (hour, length) in cases {
        let data = pattern(length);
        let manifest = store_backup(&store, &data, None, hour).unwrap();
        let sizes: Vec<u64> = manifest.objects.iter().map(|object| object.size_bytes).collect();
        assert_eq!(sizes.len() as u64, limits.objects(length as u64), "{length} bytes");
        let (last, full) = sizes.split_last().unwrap();
        assert!(full.iter().all(|size| *size == limits.largest_object_bytes()), "{sizes:?}");
        assert_eq!(last.div_ceil(limits.part_bytes), limits.last_parts(length as u64), "{length} bytes");
        assert!(fetched(&*store, &manifest).unwrap() == data, "{length} bytes");
    }
}

#[test]
fn what_fails_before_the_manifest_leaves_nothing() {
    for fault in [Fault::Open, Fault::Write, Fault::Commit, Fault::Manifest(ErrorKind::Denied)] {
        let inner = MemoryStore::new();
        let store: Arc<dyn Store> = Arc::new(Failing::new(inner.clone(), fault));
        let error = store_backup(&store, &pattern(10_500_000), None, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{fault:?}");
        assert_eq!(keys(&inner), [""; 0], "{fault:?}");
        assert!(inner.open_uploads("").unwrap().is_empty(), "{fault:?}");
    }
}

#[test]
fn a_manifest_whose_answer_was_lost_is_a_backup() {
    let inner = MemoryStore::new();
    let store: Arc<dyn Store> = Arc::new(Failing::new(inner.clone(), Fault::ManifestAnswer));
    store_backup(&store, b"abc", None, 1).unwrap();
    assert_eq!(list(&inner, None).unwrap().backups.len(), 1);
}

#[test]
fn a_manifest_that_may_still_arrive_keeps_its_object() {
    let inner = MemoryStore::new();
    let store: Arc<dyn Store> = Arc::new(Failing::new(inner.clone(), Fault::Manifest(ErrorKind::Unavailable)));
    let error = store_backup(&store, b"abc", None, 1).unwrap_err();
    assert!(error.hint().unwrap().contains("vb-ls"), "{error:?}");
    assert_eq!(keys(&inner), ["w/w_20261121_010000.parquet"]);
}

#[test]
fn a_second_backup_of_the_same_second_changes_nothing() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let first = store_backup(&store, b"first", None, 1).unwrap();
    assert_eq!(store_backup(&store, b"second", None, 1).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(fetched(&*store, &first).unwrap(), b"first");
    assert!(!Place::new("w", "parquet", at(1)).is_free(&*store).unwrap());
    assert!(Place::new("w", "parquet", at(2)).is_free(&*store).unwrap());
}

#[test]
fn damage_is_found() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let manifest = store_backup(&store, &pattern(100_000), None, 1).unwrap();
    let object = manifest.objects[0].key.clone();
    for (bytes, words) in
        [(Some(vec![7; 100_000]), "SHA-256"), (Some(pattern(99_999)), "99999 bytes"), (None, "it is not in memory")]
    {
        store.delete(&object).unwrap();
        if let Some(bytes) = bytes {
            store.put_new(&object, &bytes).unwrap();
        }
        let error = fetched(&*store, &manifest).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity);
        assert!(error.to_string().contains(words) && error.to_string().contains(object.as_str()), "{error}");
    }
}

#[test]
fn a_backup_is_found_by_what_it_is() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    for (base, hour) in [(None, 1), (Some(1), 2), (None, 3), (Some(3), 4)] {
        store_backup(&store, b"x", base, hour).unwrap();
    }
    let newest = |wanted| newest(&*store, wanted).0.map(|manifest| manifest.id);
    let full = Some(Kind::Full);
    assert_eq!(newest(Wanted::default()).unwrap(), "w_20261121_040000");
    assert_eq!(newest(Wanted { kind: full, at: None }).unwrap(), "w_20261121_030000");
    assert_eq!(newest(Wanted { kind: full, at: Some(at(2)) }).unwrap(), "w_20261121_010000");
    assert_eq!(newest(Wanted { kind: None, at: Some(at(2)) }).unwrap(), "w_20261121_020000");
    let error = newest(Wanted { kind: None, at: Some(at(0)) }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), "no backup as of 2026-11-21T00:00:00Z of w in memory");
    assert_eq!(select::by_id(&*store, "w_20261121_020000").unwrap().kind, Kind::Incremental);
    assert_eq!(select::by_id(&*store, "w_20261121_050000").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(select::by_id(&*store, "../w").unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(select::only_set(&*store).unwrap(), "w");
}

/// At the end of the day, with what was warned of.
fn newest(store: &dyn Store, wanted: Wanted) -> (Result<Manifest>, Vec<String>) {
    let mut warnings = Vec::new();
    let found = select::newest(store, "w", wanted, at(23), &mut |words| warnings.push(words.to_owned()));
    (found, warnings)
}

#[test]
fn the_newest_is_a_whole_one_and_not_from_the_future() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let [_, short, gone] = [1, 2, 3].map(|hour| store_backup(&store, b"abc", None, hour).unwrap());
    store.delete(&gone.objects[0].key).unwrap();
    store.delete(&short.objects[0].key).unwrap();
    store.put_new(&short.objects[0].key, b"").unwrap();
    let (found, warnings) = newest(&*store, Wanted::default());
    assert_eq!(found.unwrap().id, "w_20261121_010000");
    assert_eq!(
        warnings,
        [
            "w_20261121_030000 is incomplete: w/w_20261121_030000.parquet is not there; w_20261121_010000 is taken",
            "w_20261121_020000 is incomplete: w/w_20261121_020000.parquet has 0 bytes instead of 3; w_20261121_010000 is taken",
        ]
    );
    store_backup(&store, b"abc", None, 23 + 72).unwrap();
    let (found, warnings) = newest(&*store, Wanted::default());
    assert_eq!((found.unwrap().id.as_str(), warnings.len()), ("w_20261121_010000", 3));
    assert!(warnings[2].contains("w_20261124_230000 is dated more than a day after now"), "{warnings:?}");
    store.delete(&Key::parse("w/w_20261121_010000.parquet").unwrap()).unwrap();
    let (found, warnings) = newest(&*store, Wanted::default());
    assert_eq!(found.unwrap().id, "w_20261124_230000");
    assert!(warnings[3].contains("because there is no other"), "{warnings:?}");
    store.delete(&Key::parse("w/w_20261124_230000.parquet").unwrap()).unwrap();
    let error = newest(&*store, Wanted::default()).0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.to_string().contains("no backup of w in memory is whole"), "{error}");
}

#[test]
fn a_manifest_that_cannot_be_read_is_neither_skipped_nor_fatal() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let manifest = store_backup(&store, b"x", None, 1).unwrap();
    let put = |key: &str, bytes: &[u8]| store.put_new(&Key::parse(key).unwrap(), bytes).unwrap();
    put("w/w_20261121_020000_metadata.json", b"{");
    put("w/w_20261121_030000_metadata.json", &manifest.to_bytes().unwrap());
    put("w/notes_metadata.json", b"not ours");
    put("elsewhere/w/w_20261121_040000_metadata.json", b"not ours");
    let listing = list(&*store, None).unwrap();
    assert_eq!((listing.backups.len(), listing.unreadable.len(), listing.objects.len()), (1, 2, 6));
    assert_eq!(newest(&*store, Wanted::default()).0.unwrap_err().kind(), ErrorKind::Integrity);
}

#[test]
fn removal_goes_from_the_top_of_a_chain_and_takes_all_of_a_backup() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    for (base, hour) in [(None, 1), (Some(1), 2), (Some(2), 3), (None, 4)] {
        store_backup(&store, b"abc", base, hour).unwrap();
    }
    let fact = Key::parse("w/w_20261121_020000_verification.json").unwrap();
    store.put_new(&fact, b"{}").unwrap();
    let going = ["w_20261121_010000", "w_20261121_020000", "w_20261121_030000"];
    let listing = list(&*store, Some("w")).unwrap();
    let backups: Vec<Backup> = listing.backups.iter().map(|manifest| Backup::new(manifest, &[])).collect();
    let mut backups: Vec<&Backup> = backups.iter().filter(|backup| going.contains(&backup.id.as_str())).collect();
    removal::sort(&mut backups, |backup| backup);
    let order: Vec<&str> = backups.iter().map(|backup| backup.id.as_str()).collect();
    assert_eq!(order, ["w_20261121_030000", "w_20261121_020000", "w_20261121_010000"]);
    let mut found = removal::Found::of(backups.iter().copied());
    let strange = "w/w_20261121_010000.parquet";
    let shown = listing.objects.iter().filter(|object| found.add(object, object.key.as_str() == strange)).count();
    assert_eq!(shown, 7);
    let mut plan: Vec<_> = backups.iter().map(|backup| found.take(backup).unwrap()).collect();
    assert_eq!(plan[1].objects, [Key::parse("w/w_20261121_020000.parquet").unwrap(), fact]);
    assert!(plan[2].objects.is_empty(), "another manifest may name it");
    plan[2].objects.push(Key::parse(strange).unwrap());
    plan.iter().for_each(|one| removal::remove(&*store, one).unwrap());
    assert_eq!(keys(&*store), ["w/w_20261121_040000.parquet", "w/w_20261121_040000_metadata.json"]);
    assert_eq!(litter::find(&list(&*store, None).unwrap().objects, &[], at(9)), litter::Litter::default());
}
