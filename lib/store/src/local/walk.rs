//! The files of a local store in the order of their keys, holding the names of two folders at a time. Threads go ahead, since a look
//! at a file is a system call, on a share a trip: one reads the names of the next folder, several look at the files of a large
//! one, while the caller already works on those before.

mod names;

use super::folder::{NOT_FOLLOWED, Root};
use names::{Folder, Look, Wanted};
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, Scope, ScopedJoinHandle};
use vb_core::key::Key;
use vb_core::time::Instant;
use vb_core::{Error, Result};

/// So many names are looked at by one thread at a time; a folder of fewer is not worth several.
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

impl<'walk> Walk<'walk> {
    pub(super) fn run(mut self, root: &Root) -> Result<()> {
        let failed = |cause: Errno| Error::io(format!("listing {}", root.path().display()), cause.into());
        let Some(handle) = root.open(false).map_err(failed)? else { return Ok(()) };
        let folder = self.wanted().read(handle, String::new())?;
        self.folder(&folder)
    }

    fn wanted(&self) -> Wanted<'walk> {
        Wanted { prefix: self.prefix, wants: self.wants }
    }

    fn folder(&mut self, folder: &Folder) -> Result<()> {
        folder.links.iter().try_for_each(|link| self.leave_out(folder, link))?;
        if folder.names.len() < BATCH { self.small(folder) } else { self.large(folder) }
    }

    /// One like that of all sets: the folders below it are read ahead.
    fn small(&mut self, folder: &Folder) -> Result<()> {
        let wanted = self.wanted();
        thread::scope(|scope| {
            let mut below = folder.names.iter().filter(|name| name.ends_with('/'));
            let mut read_next = || below.next().map(|name| read_ahead(scope, wanted, folder, name)).transpose();
            let mut next = read_next()?;
            for name in &folder.names {
                if !name.ends_with('/') {
                    self.take(folder.look_at(name)?)?;
                } else if let Some(this) = next.take() {
                    next = read_next()?;
                    let below = this.join().unwrap_or_else(|_| Err(ended_early()))?;
                    below.map_or(Ok(()), |below| self.folder(&below))?;
                }
            }
            Ok(())
        })
    }

    /// One like that of a set: several threads look at its files.
    fn large(&mut self, folder: &Folder) -> Result<()> {
        thread::scope(|scope| {
            let (senders, receivers): (Vec<_>, Vec<_>) = (0..LOOKERS).map(|_| sync_channel(1)).unzip();
            for (number, sender) in senders.into_iter().enumerate() {
                let batches = folder.names.chunks(BATCH).skip(number).step_by(LOOKERS);
                let looker = thread::Builder::new().name("list".to_owned());
                looker.spawn_scoped(scope, move || send_looks(folder, batches, &sender)).map_err(no_thread)?;
            }
            folder.names.chunks(BATCH).zip(receivers.iter().cycle()).try_for_each(|(batch, receiver)| {
                let looks = receiver.recv().map_err(|_| ended_early())?;
                batch.iter().zip(looks).try_for_each(|(name, look)| {
                    if !name.ends_with('/') {
                        return self.take(look?);
                    }
                    let below = self.wanted().below(folder, name)?;
                    below.map_or(Ok(()), |below| self.folder(&below))
                })
            })
        })
    }

    fn take(&mut self, found: Option<Found>) -> Result<()> {
        found.map_or(Ok(()), |found| (self.each)(found))
    }

    /// A link to a folder may be where somebody has moved a set to: what is asked for behind it is no empty set.
    fn leave_out(&self, folder: &Folder, link: &str) -> Result<()> {
        let found = rustix::fs::statat(&folder.handle, link, AtFlags::empty());
        if !found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Directory) {
            return Ok(());
        }
        let full = format!("{}{link}", folder.path);
        if self.prefix.starts_with(&format!("{full}/")) {
            return Err(Error::usage(format!("listing /{full}: it is a symbolic link")).with_hint(NOT_FOLLOWED));
        }
        (self.warn)(&format!("/{full} of the store is a symbolic link to a folder, so nothing in it is listed"));
        Ok(())
    }
}

fn read_ahead<'scope>(
    scope: &'scope Scope<'scope, '_>,
    wanted: Wanted<'scope>,
    folder: &'scope Folder,
    name: &'scope str,
) -> Result<ScopedJoinHandle<'scope, Result<Option<Folder>>>> {
    let reader = thread::Builder::new().name("list".to_owned());
    reader.spawn_scoped(scope, move || wanted.below(folder, name)).map_err(no_thread)
}

/// Ends early if nobody waits any more.
fn send_looks<'names>(
    folder: &Folder,
    mut batches: impl Iterator<Item = &'names [String]>,
    to: &SyncSender<Vec<Look>>,
) {
    let look = |name: &String| if name.ends_with('/') { Ok(None) } else { folder.look_at(name) };
    let _gone = batches.try_for_each(|batch| to.send(batch.iter().map(look).collect()));
}

fn no_thread(cause: std::io::Error) -> Error {
    Error::io("listing a folder: starting a thread", cause)
}

fn ended_early() -> Error {
    Error::failure("listing a folder: a thread ended early")
}
