//! The names in one folder of a local store.

use super::super::folder::{length, modified_at, open_below};
use super::Found;
use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use vb_core::Error;
use vb_core::key::Key;

/// Which names can lead to a match.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'walk> {
    /// What the paths below the root begin with.
    pub(super) prefix: &'walk str,
    /// Which file names are wanted; others are not even looked at.
    pub(super) wants: fn(&str) -> bool,
}

/// A folder and what of it is wanted.
pub(super) struct Folder {
    pub(super) handle: OwnedFd,
    /// Below the root: empty, or ending in a slash.
    pub(super) path: String,
    /// Folders with a slash at their end: so sorted, their keys come in order.
    pub(super) names: Vec<String>,
    /// Those that would lead to a match as folders.
    pub(super) links: Vec<String>,
}

/// What a look at a file's name gave: nothing where it is gone, or is no key.
pub(super) type Look = Result<Option<Found>, Error>;

impl Wanted<'_> {
    /// A folder below another one, or nothing if it was removed or replaced since its name was read.
    pub(super) fn below(self, folder: &Folder, name: &str) -> Result<Option<Folder>, Error> {
        match open_below(&folder.handle, name.trim_end_matches('/')) {
            Ok(handle) => self.read(handle, format!("{}{name}", folder.path)).map(Some),
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => Ok(None),
            Err(cause) => Err(folder.failed(cause)),
        }
    }

    pub(super) fn read(self, handle: OwnedFd, path: String) -> Result<Folder, Error> {
        let mut folder = Folder { handle, path, names: Vec::new(), links: Vec::new() };
        match self.fill(&mut folder) {
            Ok(()) => Ok(folder),
            Err(cause) => Err(folder.failed(cause)),
        }
    }

    fn fill(self, folder: &mut Folder) -> Result<(), Errno> {
        for entry in Dir::read_from(&folder.handle)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let mut is_link = false;
            let name = match kind(&folder.handle, name, entry.file_type()) {
                FileType::RegularFile if (self.wants)(name) => name.to_owned(),
                FileType::Directory if !matches!(name, "." | "..") => format!("{name}/"),
                FileType::Symlink => {
                    is_link = true;
                    format!("{name}/")
                }
                _ => continue,
            };
            if self.can_lead_to_a_match(&folder.path, &name) {
                match name.strip_suffix('/') {
                    Some(link) if is_link => folder.links.push(link.to_owned()),
                    _ => folder.names.push(name),
                }
            }
        }
        folder.names.sort_unstable();
        Ok(())
    }

    /// Whether it begins with the prefix, or as a folder with a part of it.
    fn can_lead_to_a_match(self, path: &str, name: &str) -> bool {
        match self.prefix.strip_prefix(path) {
            Some(rest) => name.starts_with(rest) || (name.ends_with('/') && rest.starts_with(name)),
            None => path.starts_with(self.prefix),
        }
    }
}

impl Folder {
    pub(super) fn failed(&self, cause: Errno) -> Error {
        Error::io(format!("listing /{}", self.path), cause.into())
    }

    /// Looks at a file.
    pub(super) fn look_at(&self, name: &str) -> Look {
        let Ok(key) = Key::parse(&format!("{}{name}", self.path)) else { return Ok(None) };
        match rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(Found { key, size_bytes: length(&found), modified_at: modified_at(&found) })),
            Err(Errno::NOENT) => Ok(None),
            Err(cause) => Err(self.failed(cause)),
        }
    }
}

/// Some file systems do not tell it with the name.
fn kind(folder: &OwnedFd, name: &str, told: FileType) -> FileType {
    if told != FileType::Unknown {
        return told;
    }
    let found = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    found.map_or(FileType::Unknown, |found| FileType::from_raw_mode(found.st_mode))
}
