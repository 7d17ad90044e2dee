//! The files of a local store in the order of their keys, holding the names of one folder at a time. Several threads look at
//! the files of a large folder, while the caller already works on those before: a look is a system call, on a share a trip.

use super::folder::{NOT_FOLLOWED, Root, length, modified_at, open_below};
use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use vb_core::key::Key;
use vb_core::time::Instant;
use vb_core::{Error, Result};

/// So many names are looked at by one thread at a time; a folder of fewer is not worth a thread.
const BATCH: usize = 256;

/// So many threads look at once.
const LOOKERS: usize = 4;

/// A regular file below the root.
pub(super) struct Found {
    pub(super) key: Key,
    pub(super) size_bytes: u64,
    pub(super) modified_at: Instant,
}

/// Goes through a store's folders.
pub(super) struct Walk<'walk> {
    /// What the paths below the root begin with.
    pub(super) prefix: &'walk str,
    /// Which file names are wanted; others are not even looked at.
    pub(super) wants: fn(&str) -> bool,
    /// Hears of links to folders, which are not followed.
    pub(super) warn: &'walk dyn Fn(&str),
    /// Called for every file, in the order of their keys.
    pub(super) each: &'walk mut dyn FnMut(Found) -> Result<()>,
}

impl Walk<'_> {
    pub(super) fn run(mut self, root: &Root) -> Result<()> {
        match root.open(false) {
            Ok(Some(folder)) => self.folder(&folder, ""),
            Ok(None) => Ok(()),
            Err(cause) => Err(Error::io(format!("listing {}", root.path().display()), cause.into())),
        }
    }

    /// `path` is the folder's below the root: empty, or ending in a slash.
    fn folder(&mut self, folder: &OwnedFd, path: &str) -> Result<()> {
        let failed = |cause: Errno| Error::io(format!("listing /{path}"), cause.into());
        let (names, links) = self.names(folder, path).map_err(failed)?;
        links.iter().try_for_each(|link| self.leave_out(folder, path, link))?;
        let look = |name: &String| look_at(folder, path, name);
        let mut take = |name: &str, look: Look| match (look.map_err(failed)?, name.strip_suffix('/')) {
            (Some(found), _) => (self.each)(found),
            (None, None) => Ok(()),
            (None, Some(name)) => match open_below(folder, name) {
                Ok(below) => self.folder(&below, &format!("{path}{name}/")),
                // Removed or replaced since its name was read.
                Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => Ok(()),
                Err(cause) => Err(failed(cause)),
            },
        };
        if names.len() < BATCH {
            return names.iter().try_for_each(|name| take(name, look(name)));
        }
        thread::scope(|scope| {
            let (senders, receivers): (Vec<_>, Vec<_>) = (0..LOOKERS).map(|_| sync_channel(1)).unzip();
            for (number, sender) in senders.into_iter().enumerate() {
                let batches = names.chunks(BATCH).skip(number).step_by(LOOKERS);
                let looker = thread::Builder::new().name("list".to_owned());
                let started = looker.spawn_scoped(scope, move || send_looks(batches, look, &sender));
                started.map_err(|cause| Error::io(format!("listing /{path}: starting a thread"), cause))?;
            }
            names.chunks(BATCH).zip(receivers.iter().cycle()).try_for_each(|(batch, receiver)| {
                batch.iter().zip(received(receiver)?).try_for_each(|(name, look)| take(name, look))
            })
        })
    }

    /// A link to a folder may be where somebody has moved a set to: what is asked for behind it is no empty set.
    fn leave_out(&self, folder: &OwnedFd, path: &str, link: &str) -> Result<()> {
        let found = rustix::fs::statat(folder, link, AtFlags::empty());
        if !found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Directory) {
            return Ok(());
        }
        let full = format!("{path}{link}");
        if self.prefix.starts_with(&format!("{full}/")) {
            return Err(Error::usage(format!("listing /{full}: it is a symbolic link")).with_hint(NOT_FOLLOWED));
        }
        (self.warn)(&format!("/{full} of the store is a symbolic link to a folder, so nothing in it is listed"));
        Ok(())
    }

    /// The names that can lead to a match, folders with a slash at their end: so sorted, their keys come in order. And the links,
    /// as which folders would.
    fn names(&self, folder: &OwnedFd, path: &str) -> std::result::Result<(Vec<String>, Vec<String>), Errno> {
        let (mut names, mut links) = (Vec::new(), Vec::new());
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let mut is_link = false;
            let name = match kind(folder, name, entry.file_type()) {
                FileType::RegularFile if (self.wants)(name) => name.to_owned(),
                FileType::Directory if !matches!(name, "." | "..") => format!("{name}/"),
                FileType::Symlink => {
                    is_link = true;
                    format!("{name}/")
                }
                _ => continue,
            };
            let full = format!("{path}{name}");
            if full.starts_with(self.prefix) || (name.ends_with('/') && self.prefix.starts_with(&full)) {
                match name.strip_suffix('/') {
                    Some(link) if is_link => links.push(link.to_owned()),
                    _ => names.push(name),
                }
            }
        }
        names.sort_unstable();
        Ok((names, links))
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

/// What a look at a name gave: nothing where it is a folder, is gone, or is no key.
type Look = std::result::Result<Option<Found>, Errno>;

/// Ends early if nobody waits any more.
fn send_looks<'names>(
    mut batches: impl Iterator<Item = &'names [String]>,
    look: impl Fn(&String) -> Look,
    to: &SyncSender<Vec<Look>>,
) {
    let _gone = batches.try_for_each(|batch| to.send(batch.iter().map(&look).collect()));
}

fn received(from: &Receiver<Vec<Look>>) -> Result<Vec<Look>> {
    from.recv().map_err(|_| Error::failure("listing a folder: a thread ended early"))
}

fn look_at(folder: &OwnedFd, path: &str, name: &str) -> Look {
    if name.ends_with('/') {
        return Ok(None);
    }
    let Ok(key) = Key::parse(&format!("{path}{name}")) else { return Ok(None) };
    let found = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => found,
        Err(Errno::NOENT) => return Ok(None),
        Err(cause) => return Err(cause),
    };
    Ok(Some(Found { key, size_bytes: length(&found), modified_at: modified_at(&found) }))
}
