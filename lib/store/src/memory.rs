//! A store in memory, for tests.

use crate::{Facts, ObjectInfo, OnOpen, OpenUpload, Store, Stored, Upload};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vb_core::key::Key;
use vb_core::parts::PartLimits;
use vb_core::time::Instant;
use vb_core::{Error, Result};

#[derive(Default)]
struct State {
    objects: BTreeMap<Key, (Arc<[u8]>, Instant)>,
    uploads: BTreeMap<String, OpenUpload>,
    uploads_begun: u64,
}

/// Keeps everything until it is dropped; its clones are the same store.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<State>>);

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes(&self, key: &Key) -> Result<Arc<[u8]>> {
        let state = self.state();
        let (bytes, _) =
            state.objects.get(key).ok_or_else(|| Error::not_found(format!("reading {key}: no such object")))?;
        Ok(bytes.clone())
    }
}

impl State {
    fn insert_new(&mut self, key: &Key, bytes: &[u8]) -> Result<Stored> {
        if self.objects.contains_key(key) {
            return Err(Error::conflict(format!("storing {key}: it exists already")));
        }
        self.objects.insert(key.clone(), (bytes.into(), chrono::Utc::now()));
        Ok(Stored { size_bytes: bytes.len() as u64, crc32: crc32fast::hash(bytes) })
    }
}

fn info(key: &Key, bytes: &[u8], modified_at: Instant, crc32: Option<u32>) -> ObjectInfo {
    ObjectInfo { key: key.clone(), size_bytes: bytes.len() as u64, modified_at, crc32, storage_class: None }
}

impl Store for MemoryStore {
    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn limits(&self) -> PartLimits {
        PartLimits { most_parts: 10_000, part_bytes: 1000, parallel: 2 }
    }

    fn put_new(&self, key: &Key, bytes: &[u8]) -> Result<Stored> {
        self.state().insert_new(key, bytes)
    }

    fn upload(&self, key: &Key, _metadata: &Facts, on_open: OnOpen) -> Result<Box<dyn Upload + Send>> {
        let open = {
            let mut state = self.state();
            if state.objects.contains_key(key) {
                return Err(Error::conflict(format!("storing {key}: it exists already")));
            }
            state.uploads_begun += 1;
            let open =
                OpenUpload { key: key.clone(), id: state.uploads_begun.to_string(), begun_at: chrono::Utc::now() };
            state.uploads.insert(open.id.clone(), open.clone());
            open
        };
        let upload = MemoryUpload { store: self.clone(), open: open.clone(), bytes: Vec::new() };
        on_open(&open)?;
        Ok(Box::new(upload))
    }

    fn head(&self, key: &Key) -> Result<Option<ObjectInfo>> {
        let state = self.state();
        Ok(state.objects.get(key).map(|(bytes, at)| info(key, bytes, *at, Some(crc32fast::hash(bytes)))))
    }

    fn read(&self, key: &Key, range: Range<u64>) -> Result<Vec<u8>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = self.bytes(key)?;
        let ends = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let part = ends.and_then(|(start, end)| bytes.get(start..end));
        part.map(<[u8]>::to_vec).ok_or_else(|| {
            Error::integrity(format!("reading {key}: it ends at byte {}, before byte {}", bytes.len(), range.end))
        })
    }

    fn read_small(&self, key: &Key, most_bytes: u64) -> Result<Vec<u8>> {
        let bytes = self.bytes(key)?;
        if bytes.len() as u64 > most_bytes {
            return Err(Error::integrity(format!("reading {key}: it is longer than {most_bytes} bytes")));
        }
        Ok(bytes.to_vec())
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo) -> Result<()>) -> Result<()> {
        let found: Vec<ObjectInfo> = {
            let state = self.state();
            let objects = state.objects.iter().filter(|(key, _)| key.as_str().starts_with(prefix));
            objects.map(|(key, (bytes, at))| info(key, bytes, *at, None)).collect()
        };
        found.into_iter().try_for_each(each)
    }

    fn delete(&self, key: &Key) -> Result<()> {
        self.state().objects.remove(key);
        Ok(())
    }

    fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        let state = self.state();
        Ok(state.uploads.values().filter(|open| open.key.as_str().starts_with(prefix)).cloned().collect())
    }

    fn abort_upload(&self, upload: &OpenUpload) -> Result<()> {
        self.state().uploads.remove(&upload.id);
        Ok(())
    }
}

struct MemoryUpload {
    store: MemoryStore,
    open: OpenUpload,
    bytes: Vec<u8>,
}

impl Upload for MemoryUpload {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<Stored> {
        let mut state = self.store.state();
        if state.uploads.remove(&self.open.id).is_none() {
            return Err(Error::not_found(format!("storing {}: the upload was aborted by someone else", self.open.key)));
        }
        state.insert_new(&self.open.key, &self.bytes)
    }

    fn abort(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

impl Drop for MemoryUpload {
    fn drop(&mut self) {
        self.store.state().uploads.remove(&self.open.id);
    }
}
