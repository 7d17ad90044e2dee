//! A store in a folder of this machine: one file an object, visible only once it is whole and on the disk.

mod folder;
mod staged;
mod walk;

use crate::{Facts, ObjectInfo, OnOpen, OpenUpload, Store, Stored, Upload, Warn, no_warning};
use folder::{Root, length, modified_at, step_error};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use staged::{Staged, Staging, is_temporary};
use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use vb_core::key::Key;
use vb_core::parts::{MEBIBYTE, PartLimits};
use vb_core::{Error, Result};
use walk::{Found, Walk};

/// Keys are paths below the root folder, which is made by the first write.
///
/// Symbolic links below the root are never followed, neither in a key's folders nor as an object: a key must not lead
/// out of the store; a listing says so. The root itself may be one. Other kinds of files than regular ones are no objects.
#[derive(Clone)]
pub struct LocalStore {
    root: Arc<Root>,
    staging: Staging,
    warn: Warn,
}

impl LocalStore {
    /// The store in this folder.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self::warning(root, no_warning())
    }

    /// The same; `warn` hears once of each link to a folder that a listing leaves out.
    #[must_use]
    pub fn warning(root: impl Into<PathBuf>, warn: Warn) -> Self {
        let told = Mutex::new(HashSet::new());
        let warn: Warn = Arc::new(move |words: &str| {
            if told.lock().unwrap_or_else(PoisonError::into_inner).insert(words.to_owned()) {
                warn(words);
            }
        });
        Self { root: Arc::new(Root::new(root.into())), staging: Staging::Unnamed, warn }
    }

    /// The same, but with named temporary files, as on file systems without `O_TMPFILE`: for tests.
    #[must_use]
    pub fn with_named_temporaries(root: impl Into<PathBuf>) -> Self {
        Self { staging: Staging::Named, ..Self::new(root) }
    }

    /// The object's file and what the system knows of it, or `None`.
    fn open(&self, key: &Key, step: &str) -> Result<Option<(File, Stat)>> {
        let Some(folder) = self.root.folder_of(key, false).map_err(|cause| step_error(step, key, cause))? else {
            return Ok(None);
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(folder, key.file_name(), flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(cause) => return Err(step_error(step, key, cause)),
        };
        let found = rustix::fs::fstat(&file).map_err(|cause| step_error(step, key, cause))?;
        let regular = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        Ok((regular && !is_temporary(key.file_name())).then(|| (File::from(file), found)))
    }

    /// The object's file and its length.
    fn open_existing(&self, key: &Key) -> Result<(File, u64)> {
        match self.open(key, "reading")? {
            Some((file, found)) => Ok((file, length(&found))),
            None => Err(Error::not_found(format!("reading {key}: no such object in {}", self.describe()))),
        }
    }

    fn refuse_existing(&self, key: &Key) -> Result<()> {
        if is_temporary(key.file_name()) {
            return Err(Error::usage(format!("storing {key}: such names are kept for temporary files")));
        }
        match self.head(key)? {
            Some(_) => Err(Error::conflict(format!("storing {key}: it exists already"))),
            None => Ok(()),
        }
    }
}

/// The bytes of an object; an object is never changed, so that its length can be asked for before.
fn read_at(file: &File, key: &Key, range: Range<u64>) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, range.start).map_err(|cause| Error::io(format!("reading {key}"), cause))?;
    Ok(bytes)
}

impl Store for LocalStore {
    fn describe(&self) -> String {
        format!("file://{}", self.root.path().display())
    }

    fn limits(&self) -> PartLimits {
        PartLimits { most_parts: u64::MAX / (8 * MEBIBYTE), part_bytes: 8 * MEBIBYTE, parallel: 2 }
    }

    fn put_new(&self, key: &Key, bytes: &[u8]) -> Result<Stored> {
        let mut upload = self.upload(key, &Facts::new(), crate::unrecorded())?;
        upload.write(bytes)?;
        upload.commit()
    }

    fn upload(&self, key: &Key, _metadata: &Facts, on_open: OnOpen) -> Result<Box<dyn Upload + Send>> {
        self.refuse_existing(key)?;
        let staged = Staged::begin(self.root.clone(), key.clone(), self.staging)?;
        if let Some(open) = staged.token()? {
            on_open(&open)?;
        }
        Ok(Box::new(staged))
    }

    fn head(&self, key: &Key) -> Result<Option<ObjectInfo>> {
        let Some((_, found)) = self.open(key, "looking for")? else { return Ok(None) };
        let (size_bytes, modified_at) = (length(&found), modified_at(&found));
        Ok(Some(ObjectInfo { key: key.clone(), size_bytes, modified_at, crc32: None, storage_class: None }))
    }

    fn read(&self, key: &Key, range: Range<u64>) -> Result<Vec<u8>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let (file, size_bytes) = self.open_existing(key)?;
        if size_bytes < range.end {
            let message = format!("reading {key}: it ends at byte {size_bytes}, before byte {}", range.end);
            return Err(Error::integrity(message));
        }
        read_at(&file, key, range)
    }

    fn read_small(&self, key: &Key, most_bytes: u64) -> Result<Vec<u8>> {
        let (file, size_bytes) = self.open_existing(key)?;
        if size_bytes > most_bytes {
            return Err(Error::integrity(format!("reading {key}: it is longer than {most_bytes} bytes")));
        }
        read_at(&file, key, 0..size_bytes)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo) -> Result<()>) -> Result<()> {
        let mut each = |Found { key, size_bytes, modified_at }| {
            each(ObjectInfo { key, size_bytes, modified_at, crc32: None, storage_class: None })
        };
        Walk { prefix, wants: |name| !is_temporary(name), warn: &*self.warn, each: &mut each }.run(&self.root)
    }

    fn delete(&self, key: &Key) -> Result<()> {
        let failed = |cause| step_error("deleting", key, cause);
        let Some(folder) = self.root.folder_of(key, false).map_err(failed)? else { return Ok(()) };
        match rustix::fs::unlinkat(&folder, key.file_name(), AtFlags::empty()) {
            Ok(()) => folder::sync(&folder).map_err(failed)?,
            Err(Errno::NOENT) => {}
            Err(cause) => return Err(failed(cause)),
        }
        self.root.remove_empty_folders(key);
        Ok(())
    }

    fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        let mut uploads = Vec::new();
        let mut each = |Found { key, modified_at, .. }| {
            uploads.push(OpenUpload { key, id: String::new(), begun_at: modified_at });
            Ok(())
        };
        Walk { prefix, wants: is_temporary, warn: &|_| (), each: &mut each }.run(&self.root)?;
        Ok(uploads)
    }

    fn abort_upload(&self, upload: &OpenUpload) -> Result<()> {
        if is_temporary(upload.key.file_name()) {
            return self.delete(&upload.key);
        }
        Err(Error::usage(format!("aborting {}: it is no temporary file of a local store", upload.key)))
    }
}
