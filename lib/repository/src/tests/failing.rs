//! A store that fails at one step.

use std::ops::Range;
use vb_core::key::Key;
use vb_core::parts::PartLimits;
use vb_core::{Error, ErrorKind, Result};
use vb_store::{Facts, MemoryStore, ObjectInfo, OnOpen, OpenUpload, Store, Stored, Upload};

/// Where it fails: with `Denied` unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Open,
    /// In the second object.
    Write,
    /// Of the second object.
    Commit,
    /// Instead of storing it.
    Manifest(ErrorKind),
    /// The manifest is stored, but the answer does not come.
    ManifestAnswer,
    /// Of what ends so, as one with locked objects does.
    Delete(&'static str, ErrorKind),
    /// What ends so comes back as soon as it is deleted, as a copy brings it.
    ComesBack(&'static str),
}

pub(crate) struct Failing {
    inner: MemoryStore,
    fault: Fault,
}

impl Failing {
    pub(crate) fn new(inner: MemoryStore, fault: Fault) -> Self {
        Self { inner, fault }
    }
}

fn refused() -> Error {
    Error::denied("access denied")
}

impl Store for Failing {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn limits(&self) -> PartLimits {
        self.inner.limits()
    }

    fn put_new(&self, key: &Key, bytes: &[u8]) -> Result<Stored> {
        match self.fault {
            Fault::Manifest(kind) => Err(Error::new(kind, "no")),
            Fault::ManifestAnswer => self.inner.put_new(key, bytes).and(Err(Error::unavailable("the answer was lost"))),
            _ => self.inner.put_new(key, bytes),
        }
    }

    fn upload(&self, key: &Key, metadata: &Facts, on_open: OnOpen) -> Result<Box<dyn Upload + Send>> {
        if self.fault == Fault::Open {
            return Err(refused());
        }
        let inner = self.inner.upload(key, metadata, on_open)?;
        let fault = key.as_str().ends_with(".2").then_some(self.fault);
        Ok(Box::new(FailingUpload { inner, fault }))
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
        match self.fault {
            Fault::Delete(ending, kind) if key.as_str().ends_with(ending) => {
                Err(Error::new(kind, format!("deleting {key}: it is locked until 2027-01-01")))
            }
            Fault::ComesBack(ending) if key.as_str().ends_with(ending) => {
                let bytes = self.inner.read_small(key, 1 << 20)?;
                self.inner.delete(key)?;
                self.inner.put_new(key, &bytes).map(drop)
            }
            _ => self.inner.delete(key),
        }
    }

    fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        self.inner.open_uploads(prefix)
    }

    fn abort_upload(&self, upload: &OpenUpload) -> Result<()> {
        self.inner.abort_upload(upload)
    }
}

struct FailingUpload {
    inner: Box<dyn Upload + Send>,
    fault: Option<Fault>,
}

impl Upload for FailingUpload {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.fault == Some(Fault::Write) { Err(refused()) } else { self.inner.write(bytes) }
    }

    fn commit(self: Box<Self>) -> Result<Stored> {
        if self.fault == Some(Fault::Commit) { Err(refused()) } else { self.inner.commit() }
    }

    fn abort(self: Box<Self>) -> Result<()> {
        self.inner.abort()
    }
}
