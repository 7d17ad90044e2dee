//! The retrying wrapper against a store whose answers fail or get lost.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use vb_core::key::Key;
use vb_core::parts::PartLimits;
use vb_core::{Error, ErrorKind, Result};
use vb_store::{
    Facts, MemoryStore, ObjectInfo, OnOpen, OpenUpload, RetryPolicy, Retrying, Store, Stored, Upload, Warn, unrecorded,
};

/// Fails the first calls: before they do anything, or after, which is a lost answer.
struct Flaky {
    store: MemoryStore,
    failures: Arc<AtomicU32>,
    after_effect: bool,
}

impl Flaky {
    fn new(failures: u32, after_effect: bool) -> Arc<Self> {
        Arc::new(Self { store: MemoryStore::new(), failures: Arc::new(AtomicU32::new(failures)), after_effect })
    }

    fn call<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        fail(&self.failures, self.after_effect, work)
    }
}

fn fail<T>(failures: &AtomicU32, after_effect: bool, work: impl FnOnce() -> Result<T>) -> Result<T> {
    if failures.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_err() {
        return work();
    }
    if after_effect {
        let _ = work();
    }
    Err(Error::unavailable("storing: connection reset"))
}

impl Store for Flaky {
    fn describe(&self) -> String {
        "flaky".to_owned()
    }

    fn limits(&self) -> PartLimits {
        self.store.limits()
    }

    fn put_new(&self, key: &Key, bytes: &[u8]) -> Result<Stored> {
        self.call(|| self.store.put_new(key, bytes))
    }

    fn upload(&self, key: &Key, metadata: &Facts, on_open: OnOpen) -> Result<Box<dyn Upload + Send>> {
        let inner = self.store.upload(key, metadata, on_open)?;
        Ok(Box::new(FlakyUpload { inner, failures: self.failures.clone(), after_effect: self.after_effect }))
    }

    fn head(&self, key: &Key) -> Result<Option<ObjectInfo>> {
        // Without a checksum, so that the wrapper has to read what it compares.
        Ok(self.store.head(key)?.map(|found| ObjectInfo { crc32: None, ..found }))
    }

    fn read(&self, key: &Key, range: Range<u64>) -> Result<Vec<u8>> {
        self.call(|| self.store.read(key, range))
    }

    fn read_small(&self, key: &Key, most_bytes: u64) -> Result<Vec<u8>> {
        self.call(|| self.store.read_small(key, most_bytes))
    }

    /// Fails after the second object.
    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo) -> Result<()>) -> Result<()> {
        let mut seen = 0;
        self.store.list(prefix, &mut |found| {
            seen += 1;
            if seen == 3 {
                self.call(|| Ok(()))?;
            }
            each(found)
        })
    }

    fn delete(&self, key: &Key) -> Result<()> {
        self.call(|| self.store.delete(key))
    }

    fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        self.store.open_uploads(prefix)
    }

    fn abort_upload(&self, upload: &OpenUpload) -> Result<()> {
        self.call(|| self.store.abort_upload(upload))
    }
}

struct FlakyUpload {
    inner: Box<dyn Upload + Send>,
    failures: Arc<AtomicU32>,
    after_effect: bool,
}

impl Upload for FlakyUpload {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.inner.write(bytes)
    }

    fn commit(self: Box<Self>) -> Result<Stored> {
        let inner = self.inner;
        fail(&self.failures, self.after_effect, || inner.commit())
    }

    fn abort(self: Box<Self>) -> Result<()> {
        let mut inner = Some(self.inner);
        let result = fail(&self.failures, self.after_effect, || inner.take().map_or(Ok(()), Upload::abort));
        std::mem::forget(inner); // dropped, it would be aborted all the same
        result
    }
}

fn retrying(store: Arc<Flaky>) -> (Retrying<Flaky>, Arc<Mutex<Vec<String>>>) {
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let heard = warnings.clone();
    let warn: Warn = Arc::new(move |line: &str| heard.lock().unwrap().push(line.to_owned()));
    let policy = RetryPolicy { first_pause: Duration::from_millis(1), ..RetryPolicy::default() };
    (Retrying::new(store, policy, warn), warnings)
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

#[test]
fn a_warning_for_each_further_try() {
    let (store, warnings) = retrying(Flaky::new(2, false));
    store.put_new(&key("a"), b"x").unwrap();
    let warnings = warnings.lock().unwrap();
    assert_eq!(warnings.len(), 2);
    assert!(warnings[1].starts_with("storing: connection reset; trying again in 0.0 s (try 3 of 4)"), "{warnings:?}");
}

#[test]
fn after_the_last_try_the_error_is_reported() {
    let (store, warnings) = retrying(Flaky::new(99, false));
    assert_eq!(store.put_new(&key("a"), b"x").unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(warnings.lock().unwrap().len(), 3);
}

#[test]
fn a_put_whose_answer_was_lost_knows_its_own_object() {
    let (store, _) = retrying(Flaky::new(1, true));
    assert_eq!(store.put_new(&key("a"), b"mine").unwrap().size_bytes, 4);
}

#[test]
fn a_put_whose_every_answer_was_lost_is_found_by_looking() {
    let (store, _) = retrying(Flaky::new(3, true));
    assert_eq!(store.put_new(&key("a"), b"mine").unwrap().size_bytes, 4);
}

#[test]
fn another_writers_object_stays_a_conflict() {
    let inner = Flaky::new(1, true);
    inner.store.put_new(&key("a"), b"them").unwrap();
    let (store, _) = retrying(inner);
    assert_eq!(store.put_new(&key("a"), b"mine").unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn a_commit_whose_answer_was_lost_knows_its_own_object() {
    let (store, _) = retrying(Flaky::new(1, true));
    let mut upload = store.upload(&key("a"), &Facts::new(), unrecorded()).unwrap();
    upload.write(&[5; 2500]).unwrap();
    assert_eq!(upload.commit().unwrap().size_bytes, 2500);
}

#[test]
fn a_commit_that_failed_stays_failed() {
    let (store, _) = retrying(Flaky::new(1, false));
    let mut upload = store.upload(&key("a"), &Facts::new(), unrecorded()).unwrap();
    upload.write(b"x").unwrap();
    assert_eq!(upload.commit().unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(store.head(&key("a")).unwrap().is_none());
    assert!(store.open_uploads("").unwrap().is_empty());
}

#[test]
fn an_abort_that_failed_is_tried_again() {
    for (failures, expected) in [(2, None), (99, Some(ErrorKind::Unavailable))] {
        let inner = Flaky::new(failures, false);
        let (store, _) = retrying(inner.clone());
        let mut upload = store.upload(&key("a"), &Facts::new(), unrecorded()).unwrap();
        upload.write(&[5; 2500]).unwrap();
        assert_eq!(upload.abort().err().map(|error| error.kind()), expected);
        assert_eq!(inner.store.open_uploads("").unwrap().is_empty(), expected.is_none());
    }
}

#[test]
fn a_listing_that_breaks_off_goes_on_where_it_was() {
    let names = ["a", "b", "c", "d"];
    let inner = Flaky::new(2, false);
    for name in names {
        inner.store.put_new(&key(name), b"").unwrap();
    }
    let (store, warnings) = retrying(inner);
    let mut seen = Vec::new();
    store
        .list("", &mut |found| {
            seen.push(found.key.as_str().to_owned());
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, names);
    assert_eq!(warnings.lock().unwrap().len(), 2);
}

#[test]
fn a_readers_error_is_not_retried() {
    let (store, warnings) = retrying(Flaky::new(0, false));
    store.put_new(&key("a"), b"").unwrap();
    let error = store.list("", &mut |_| Err(Error::unavailable("the reader's own"))).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Unavailable, "the reader's own"));
    assert!(warnings.lock().unwrap().is_empty());
}
