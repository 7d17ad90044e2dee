//! Removal against a store that refuses to delete, as one with locked objects does.

use super::*;
use std::ops::Range;
use vb_core::parts::PartLimits;
use vb_store::{Facts, MemoryStore, OnOpen, OpenUpload, Stored, Upload};

/// A store that refuses to delete what ends so.
struct Locking {
    inner: MemoryStore,
    locked: &'static str,
    kind: ErrorKind,
}

impl Store for Locking {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn limits(&self) -> PartLimits {
        self.inner.limits()
    }

    fn put_new(&self, key: &Key, bytes: &[u8]) -> Result<Stored> {
        self.inner.put_new(key, bytes)
    }

    fn upload(&self, key: &Key, metadata: &Facts, on_open: OnOpen) -> Result<Box<dyn Upload + Send>> {
        self.inner.upload(key, metadata, on_open)
    }

    fn head(&self, key: &Key) -> Result<Option<ObjectInfo>> {
        self.inner.head(key)
    }

    fn read(&self, key: &Key, range: Range<u64>) -> Result<Vec<u8>> {
        self.inner.read(key, range)
    }

    fn read_small(&self, key: &Key, most_bytes: u64) -> Result<Vec<u8>> {
        self.inner.read_small(key, most_bytes)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo) -> Result<()>) -> Result<()> {
        self.inner.list(prefix, each)
    }

    fn delete(&self, key: &Key) -> Result<()> {
        if key.as_str().ends_with(self.locked) {
            return Err(Error::new(self.kind, format!("deleting {key}: it is locked until 2027-01-01")));
        }
        self.inner.delete(key)
    }

    fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        self.inner.open_uploads(prefix)
    }

    fn abort_upload(&self, upload: &OpenUpload) -> Result<()> {
        self.inner.abort_upload(upload)
    }
}

/// What is left of a backup of two objects, a pin and a manifest after it was to be removed, and the error.
fn removed(locked: &'static str, kind: ErrorKind) -> (Vec<String>, Option<Error>) {
    let key = |ending: &str| Key::parse(&format!("w/w_20261121_010000{ending}")).unwrap();
    let store = Locking { inner: MemoryStore::new(), locked, kind };
    for ending in [".parquet", ".parquet.2", "_metadata.json", "_pinned.json"] {
        store.put_new(&key(ending), ending.as_bytes()).unwrap();
    }
    let line = r#"{"id":"w_20261121_010000","set":"w","kind":"full","created_at":"2026-11-21T01:00:00Z"}"#;
    let backup: Backup = serde_json::from_str(line).unwrap();
    let objects = [key(".parquet"), key(".parquet.2"), key("_pinned.json")];
    let removal = Removal { backup: &backup, objects: objects.iter().collect(), size_bytes: 0 };
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
