//! An object before its commit: a file without a name where the system can, so that nothing stays behind after a kill.

use super::folder::{self, Root, modified_at, step_error};
use crate::{OpenUpload, Stored, Upload, random_u64};
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use vb_core::key::Key;
use vb_core::{Error, Result};

/// Small writes are gathered; larger ones go to the file as they are.
const BUFFER_BYTES: usize = 128 << 10;

/// How a file is kept out of sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Staging {
    /// `O_TMPFILE`: it gets its first name when it is whole.
    Unnamed,
    /// `.vb-<random>.tmp` beside its target, for file systems without `O_TMPFILE`.
    Named,
}

/// Whether a file of this name is an upload that is not committed.
pub(super) fn is_temporary(file_name: &str) -> bool {
    file_name.starts_with(".vb-") && file_name.ends_with(".tmp")
}

pub(super) struct Staged {
    root: Arc<Root>,
    key: Key,
    folder: OwnedFd,
    file: BufWriter<File>,
    temporary_name: Option<String>,
    hasher: crc32fast::Hasher,
    size_bytes: u64,
}

impl Staged {
    pub(super) fn begin(root: Arc<Root>, key: Key, staging: Staging) -> Result<Self> {
        let failed = |cause| step_error("storing", &key, cause);
        let mut tries = 3;
        let (folder, file, temporary_name) = loop {
            let folder = root.folder_of(&key, true).map_err(failed)?.ok_or_else(|| failed(Errno::NOENT))?;
            match create(&folder, staging) {
                // Someone who deleted the last object of the folder removed it just now.
                Err(Errno::NOENT) if tries > 1 => tries -= 1,
                created => break created.map(|(file, name)| (folder, file, name)).map_err(failed)?,
            }
        };
        let file = BufWriter::with_capacity(BUFFER_BYTES, File::from(file));
        Ok(Self { root, key, folder, file, temporary_name, hasher: crc32fast::Hasher::new(), size_bytes: 0 })
    }

    /// What another process needs to remove the file; nothing if it has no name, since then it goes with this process.
    pub(super) fn token(&self) -> Result<Option<OpenUpload>> {
        let Some(name) = &self.temporary_name else { return Ok(None) };
        let found = rustix::fs::fstat(self.file.get_ref()).map_err(|cause| self.failed(cause))?;
        let path = match self.key.as_str().rsplit_once('/') {
            Some((folders, _)) => format!("{folders}/{name}"),
            None => name.clone(),
        };
        Ok(Some(OpenUpload { key: Key::parse(&path)?, id: String::new(), begun_at: modified_at(&found) }))
    }

    fn failed(&self, cause: Errno) -> Error {
        step_error("storing", &self.key, cause)
    }

    fn publish(&mut self) -> Result<()> {
        let step = || format!("storing {}", self.key);
        self.file.flush().map_err(|cause| Error::io(step(), cause))?;
        self.file.get_ref().sync_all().map_err(|cause| Error::io(step(), cause))?;
        let mut tries = 3;
        while let Err(cause) = self.link() {
            match cause {
                Errno::EXIST => return Err(Error::conflict(format!("{}: it exists already", step()))),
                Errno::NOENT if tries > 1 && self.temporary_name.is_none() => {
                    tries -= 1;
                    let folder = self.root.folder_of(&self.key, true).map_err(|cause| self.failed(cause))?;
                    self.folder = folder.ok_or_else(|| self.failed(cause))?;
                }
                cause => return Err(self.failed(cause)),
            }
        }
        folder::sync(&self.folder).map_err(|cause| self.failed(cause))
    }

    /// Gives the file its name, unless another has it: a hard link never replaces, unlike a rename.
    fn link(&self) -> std::result::Result<(), Errno> {
        let target = self.key.file_name();
        let Some(temporary) = &self.temporary_name else {
            let path = format!("/proc/self/fd/{}", self.file.get_ref().as_raw_fd());
            return rustix::fs::linkat(rustix::fs::CWD, path, &self.folder, target, AtFlags::SYMLINK_FOLLOW);
        };
        match rustix::fs::linkat(&self.folder, temporary, &self.folder, target, AtFlags::empty()) {
            // No hard links here, such as on FAT.
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
                rustix::fs::renameat_with(&self.folder, temporary, &self.folder, target, RenameFlags::NOREPLACE)
            }
            result => result,
        }
    }

    fn remove_temporary(&mut self) -> std::result::Result<(), Errno> {
        let Some(name) = self.temporary_name.take() else { return Ok(()) };
        match rustix::fs::unlinkat(&self.folder, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            result => result,
        }
    }
}

/// A new file in this folder, and its name if it has one.
fn create(folder: &OwnedFd, staging: Staging) -> std::result::Result<(OwnedFd, Option<String>), Errno> {
    let mode = Mode::from_raw_mode(0o666);
    // Without /proc an unnamed file could not be linked later.
    if staging == Staging::Unnamed && rustix::fs::access("/proc/self/fd", rustix::fs::Access::EXISTS).is_ok() {
        match rustix::fs::openat(folder, ".", OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode) {
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {}
            result => return result.map(|file| (file, None)),
        }
    }
    let name = format!(".vb-{:016x}.tmp", random_u64());
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, &name, flags, mode)?;
    Ok((file, Some(name)))
}

impl Upload for Staged {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.size_bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|cause| Error::io(format!("storing {}", self.key), cause))
    }

    fn commit(mut self: Box<Self>) -> Result<Stored> {
        self.publish()?;
        Ok(Stored { size_bytes: self.size_bytes, crc32: self.hasher.clone().finalize() })
    }

    fn abort(mut self: Box<Self>) -> Result<()> {
        self.remove_temporary().map_err(|cause| step_error("aborting", &self.key, cause))
    }
}

impl Drop for Staged {
    /// Also after a commit, when the temporary name is a second link to the object.
    fn drop(&mut self) {
        let _ = self.remove_temporary();
    }
}
