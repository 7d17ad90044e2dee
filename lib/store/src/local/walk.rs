//! The files of a local store in the order of their keys, holding the names of one folder at a time.

use super::folder::{Root, modified_at, open_below};
use super::staged::is_temporary;
use crate::{ObjectInfo, OpenUpload};
use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use vb_core::key::Key;
use vb_core::{Error, Result};

/// A regular file below the root.
pub(super) enum Found {
    /// A committed one.
    Object(ObjectInfo),
    /// An upload under way, or what a killed one left.
    Temporary(OpenUpload),
}

/// Calls `each` for every regular file whose path below the root begins with `prefix`.
pub(super) fn walk(root: &Root, prefix: &str, each: &mut dyn FnMut(Found) -> Result<()>) -> Result<()> {
    match root.open(false) {
        Ok(Some(folder)) => walk_folder(&folder, "", prefix, each),
        Ok(None) => Ok(()),
        Err(cause) => Err(Error::io(format!("listing {}", root.path().display()), cause.into())),
    }
}

/// `path` is the folder's below the root: empty, or ending in a slash.
fn walk_folder(folder: &OwnedFd, path: &str, prefix: &str, each: &mut dyn FnMut(Found) -> Result<()>) -> Result<()> {
    let failed = |cause: Errno| Error::io(format!("listing /{path}"), cause.into());
    for name in names(folder, path, prefix).map_err(failed)? {
        if let Some(name) = name.strip_suffix('/') {
            match open_below(folder, name) {
                Ok(below) => walk_folder(&below, &format!("{path}{name}/"), prefix, each)?,
                // Removed or replaced since its name was read.
                Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => {}
                Err(cause) => return Err(failed(cause)),
            }
        } else if let Some(found) = look_at(folder, path, &name).map_err(failed)? {
            each(found)?;
        }
    }
    Ok(())
}

/// The names that can lead to a match, folders with a slash at their end: so sorted, their keys come in order.
fn names(folder: &OwnedFd, path: &str, prefix: &str) -> std::result::Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        let mut kind = entry.file_type();
        if kind == FileType::Unknown {
            kind = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) => FileType::from_raw_mode(found.st_mode),
                Err(_) => continue,
            };
        }
        let name = match kind {
            FileType::RegularFile => name.to_owned(),
            FileType::Directory if !matches!(name, "." | "..") => format!("{name}/"),
            _ => continue,
        };
        let full = format!("{path}{name}");
        if full.starts_with(prefix) || (name.ends_with('/') && prefix.starts_with(&full)) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn look_at(folder: &OwnedFd, path: &str, name: &str) -> std::result::Result<Option<Found>, Errno> {
    let Ok(key) = Key::parse(&format!("{path}{name}")) else { return Ok(None) };
    let found = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => found,
        Err(Errno::NOENT) => return Ok(None),
        Err(cause) => return Err(cause),
    };
    let modified_at = modified_at(&found);
    Ok(Some(if is_temporary(name) {
        Found::Temporary(OpenUpload { key, id: String::new(), begun_at: modified_at })
    } else {
        let size_bytes = u64::try_from(found.st_size).unwrap_or_default();
        Found::Object(ObjectInfo { key, size_bytes, modified_at, crc32: None, storage_class: None })
    }))
}
