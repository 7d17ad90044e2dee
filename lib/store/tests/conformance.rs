//! The stores of this crate keep the contract, bare and wrapped; and the suite notices stores that do not.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

use std::ops::Range;
use std::sync::Arc;
use vb_core::Result;
use vb_core::key::Key;
use vb_core::parts::PartLimits;
use vb_store::{
    Facts, LocalStore, MemoryStore, ObjectInfo, OnOpen, OpenUpload, RetryPolicy, Retrying, Store, Stored, Upload,
    conformance, no_warning,
};

fn check(store: &dyn Store) -> Result<()> {
    conformance::run(store, "conformance", &mut |_, _| {})
}

fn must_pass(store: &dyn Store) {
    if let Err(error) = check(store) {
        panic!("{error}");
    }
}

#[test]
fn memory() {
    must_pass(&MemoryStore::new());
}

#[test]
fn local_with_unnamed_files() {
    let folder = tempfile::tempdir().unwrap();
    must_pass(&LocalStore::new(folder.path().join("made/when/needed")));
}

#[test]
fn local_with_named_files() {
    let folder = tempfile::tempdir().unwrap();
    must_pass(&LocalStore::with_named_temporaries(folder.path()));
}

#[test]
fn retrying() {
    must_pass(&Retrying::new(Arc::new(MemoryStore::new()), RetryPolicy::default(), no_warning()));
}

/// A memory store with one fault.
struct Broken {
    store: MemoryStore,
    fault: Fault,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    Replaces,
    ShortReads,
    ReverseOrder,
    DeletesOnce,
    LosesLastByte,
}

impl Store for Broken {
    fn describe(&self) -> String {
        "broken".to_owned()
    }

    fn limits(&self) -> PartLimits {
        self.store.limits()
    }

    fn put_new(&self, key: &Key, bytes: &[u8]) -> Result<Stored> {
        if self.fault == Fault::Replaces {
            self.store.delete(key)?;
        }
        let length = bytes.len().saturating_sub(usize::from(self.fault == Fault::LosesLastByte));
        self.store.put_new(key, &bytes[..length])
    }

    fn upload(&self, key: &Key, metadata: &Facts, on_open: OnOpen) -> Result<Box<dyn Upload + Send>> {
        self.store.upload(key, metadata, on_open)
    }

    fn head(&self, key: &Key) -> Result<Option<ObjectInfo>> {
        self.store.head(key)
    }

    fn read(&self, key: &Key, range: Range<u64>) -> Result<Vec<u8>> {
        let size_bytes = self.store.head(key)?.map_or(0, |found| found.size_bytes);
        let end = if self.fault == Fault::ShortReads { range.end.min(size_bytes) } else { range.end };
        self.store.read(key, range.start..end)
    }

    fn read_small(&self, key: &Key, most_bytes: u64) -> Result<Vec<u8>> {
        self.store.read_small(key, most_bytes)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo) -> Result<()>) -> Result<()> {
        let mut found = Vec::new();
        self.store.list(prefix, &mut |object| {
            found.push(object);
            Ok(())
        })?;
        if self.fault == Fault::ReverseOrder {
            found.reverse();
        }
        found.into_iter().try_for_each(each)
    }

    fn delete(&self, key: &Key) -> Result<()> {
        if self.fault == Fault::DeletesOnce && self.store.head(key)?.is_none() {
            return Err(vb_core::Error::not_found("no such object"));
        }
        self.store.delete(key)
    }

    fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        self.store.open_uploads(prefix)
    }

    fn abort_upload(&self, upload: &OpenUpload) -> Result<()> {
        self.store.abort_upload(upload)
    }
}

#[test]
fn the_suite_finds_every_fault() {
    let faults = [
        (Fault::Replaces, "an object is never replaced"),
        (Fault::Replaces, "of ten writers at once one wins"),
        (Fault::ShortReads, "a range is exact or an error"),
        (Fault::ReverseOrder, "a listing is in order of bytes over several pages"),
        (Fault::DeletesOnce, "deleting twice is no error"),
        (Fault::LosesLastByte, "an object comes back as it was"),
    ];
    for (fault, case) in faults {
        let found = check(&Broken { store: MemoryStore::new(), fault }).unwrap_err().to_string();
        assert!(found.contains(&format!("  {case}: ")), "{case} passed: {found}");
    }
}
