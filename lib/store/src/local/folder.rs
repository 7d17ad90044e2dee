//! The folders of a local store, walked segment by segment so that no symbolic link leads out of it.

use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use vb_core::Error;
use vb_core::key::Key;
use vb_core::time::Instant;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

pub(super) const NOT_FOLLOWED: &str = "Links below the store's folder are not followed; mount the folder there, or make the link the store's folder itself.";

/// The store's root folder, which need not exist yet.
pub(super) struct Root(PathBuf);

impl Root {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The root folder; `None` if it does not exist and is not to be made.
    pub(super) fn open(&self, create: bool) -> Result<Option<OwnedFd>, Errno> {
        match rustix::fs::open(&self.0, FOLDER, Mode::empty()) {
            Err(Errno::NOENT) if create => {
                std::fs::create_dir_all(&self.0).map_err(|cause| Errno::from_io_error(&cause).unwrap_or(Errno::IO))?;
                let root = rustix::fs::open(&self.0, FOLDER, Mode::empty())?;
                sync(&rustix::fs::openat(&root, "..", FOLDER, Mode::empty())?)?;
                Ok(Some(root))
            }
            Err(Errno::NOENT) => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// The folder that holds the key's file; `None` if it does not exist and is not to be made.
    pub(super) fn folder_of(&self, key: &Key, create: bool) -> Result<Option<OwnedFd>, Errno> {
        let (folders, _) = key.as_str().rsplit_once('/').unwrap_or(("", ""));
        self.folder(folders, create)
    }

    fn folder(&self, path: &str, create: bool) -> Result<Option<OwnedFd>, Errno> {
        let Some(mut folder) = self.open(create)? else { return Ok(None) };
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            folder = match open_below(&folder, segment) {
                Err(Errno::NOENT) if create => make_below(&folder, segment)?,
                Err(Errno::NOENT) => return Ok(None),
                opened => opened?,
            };
        }
        Ok(Some(folder))
    }

    /// Removes the key's folders as far as they are empty, but not the root. A nicety, so failures are no errors.
    pub(super) fn remove_empty_folders(&self, key: &Key) {
        let mut path = key.as_str();
        while let Some((folders, _)) = path.rsplit_once('/') {
            let (above, name) = folders.rsplit_once('/').unwrap_or(("", folders));
            let Ok(Some(above)) = self.folder(above, false) else { return };
            if rustix::fs::unlinkat(above, name, AtFlags::REMOVEDIR).is_err() {
                return;
            }
            path = folders;
        }
    }
}

/// A folder within a folder; a symbolic link is refused with `ELOOP` or `ENOTDIR`.
pub(super) fn open_below(folder: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())
}

fn make_below(folder: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    match rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o777)) {
        Ok(()) => sync(folder)?,
        Err(Errno::EXIST) => {}
        Err(cause) => return Err(cause),
    }
    open_below(folder, name)
}

/// Brings a folder's entries to the disk. Some network file systems cannot and need not: they answer `EINVAL`.
pub(super) fn sync(folder: &OwnedFd) -> Result<(), Errno> {
    match rustix::fs::fsync(folder) {
        Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        result => result,
    }
}

/// The file's bytes.
pub(super) fn length(found: &Stat) -> u64 {
    u64::try_from(found.st_size).unwrap_or_default()
}

/// When the file was last written.
pub(super) fn modified_at(found: &Stat) -> Instant {
    let nanoseconds = u32::try_from(found.st_mtime_nsec).unwrap_or_default();
    chrono::DateTime::from_timestamp(found.st_mtime, nanoseconds).unwrap_or_default()
}

/// The system's refusal while doing something to a key.
pub(super) fn step_error(step: &str, key: &Key, cause: Errno) -> Error {
    match cause {
        Errno::LOOP | Errno::NOTDIR => {
            Error::usage(format!("{step} {key}: a folder of it is a file or a symbolic link")).with_hint(NOT_FOLLOWED)
        }
        cause => Error::io(format!("{step} {key}"), cause.into()),
    }
}
