//! Removal against a store that refuses to delete, as one with locked objects does.

use super::*;
use crate::tests::failing::{Failing, Fault};
use vb_store::MemoryStore;

/// What is left of a backup of two objects, a pin and a manifest after it was to be removed, and the error.
fn removed(locked: &'static str, kind: ErrorKind) -> (Vec<String>, Option<Error>) {
    removed_with(Fault::Delete(locked, kind))
}

fn removed_with(fault: Fault) -> (Vec<String>, Option<Error>) {
    let key = |ending: &str| Key::parse(&format!("w/w_20261121_010000{ending}")).unwrap();
    let store = Failing::new(MemoryStore::new(), fault);
    for ending in [".parquet", ".parquet.2", "_metadata.json", "_pinned.json"] {
        store.put_new(&key(ending), ending.as_bytes()).unwrap();
    }
    let line = r#"{"id":"w_20261121_010000","set":"w","kind":"full","created_at":"2026-11-21T01:00:00Z"}"#;
    let backup: Backup = serde_json::from_str(line).unwrap();
    let objects = [key(".parquet"), key(".parquet.2"), key("_pinned.json")];
    let removal = Removal { backup: &backup, objects: objects.to_vec(), size_bytes: 0 };
    let error = remove(&store, &removal).err();
    let mut left = Vec::new();
    store
        .list("", &mut |object| {
            left.push(object.key.file_name().trim_start_matches("w_20261121_010000").to_owned());
            Ok(())
        })
        .unwrap();
    if left.iter().any(|name| name == "_metadata.json") {
        assert_eq!(store.read_small(&key("_metadata.json"), 99).unwrap(), b"_metadata.json");
    }
    (left, error)
}

#[test]
fn a_locked_backup_stays_whole_manifest_and_all() {
    for locked in ["_metadata.json", ".parquet"] {
        let (left, error) = removed(locked, ErrorKind::Denied);
        assert_eq!(left, [".parquet", ".parquet.2", "_metadata.json", "_pinned.json"], "{locked}");
        let error = error.unwrap();
        assert!(error.to_string().contains("locked until 2027"), "{error}");
        assert_eq!(error.to_string().contains("stays as it was"), locked == ".parquet", "{error}");
    }
}

#[test]
fn what_can_be_whole_no_more_is_no_backup_any_more() {
    assert_eq!(removed(".parquet.2", ErrorKind::Denied).0, [".parquet.2", "_pinned.json"]);
    assert_eq!(removed(".parquet", ErrorKind::Unavailable).0, [".parquet", ".parquet.2", "_pinned.json"]);
    let (left, error) = removed("nothing", ErrorKind::Denied);
    assert!(left.is_empty() && error.is_none(), "{left:?} {error:?}");
}

#[test]
fn a_backup_that_a_copy_brings_back_meanwhile_keeps_its_data() {
    let (left, error) = removed_with(Fault::ComesBack("_metadata.json"));
    assert_eq!(left, [".parquet", ".parquet.2", "_metadata.json", "_pinned.json"]);
    assert!(error.unwrap().to_string().contains("a copy of it has come meanwhile"));
}
