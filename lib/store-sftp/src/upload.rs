//! An object on its way: written to a temporary file beside its target, brought to the disk, given its name.
//!
//! A connection that is lost ends the upload, although the file could be opened again and written on: what a server has
//! acknowledged but not synced may be gone after its restart, and nothing would tell.

use crate::SftpStore;
use crate::error::{Answer, Fault};
use crate::folder::{self, explain_refusal, folders_of};
use crate::names;
use crate::session::{Session, Ticket};
use crate::wire::{Attributes, Opening, Request, Status};
use std::collections::VecDeque;
use std::sync::Arc;
use vb_core::key::Key;
use vb_core::{Error, Result};
use vb_store::{OnOpen, Stored, Upload, random_u64};

/// How many pieces are on their way before the first is acknowledged. They are not held here, but by the connection.
const UNACKNOWLEDGED: usize = 64;

/// How often a folder is made anew that others remove because it is empty.
const TRIES: usize = 20;

pub(crate) struct SftpUpload {
    store: SftpStore,
    session: Arc<Session>,
    key: Key,
    /// The temporary file's path below the root, until it is removed.
    temporary: Option<String>,
    /// The open file, until it is closed.
    handle: Option<Vec<u8>>,
    gathered: Vec<u8>,
    sent_bytes: u64,
    unacknowledged: VecDeque<Ticket>,
    hasher: crc32fast::Hasher,
}

impl SftpUpload {
    pub(crate) fn begin(store: SftpStore, session: Arc<Session>, key: Key, on_open: OnOpen) -> Result<Self> {
        let folders = folders_of(key.as_str());
        let folder = if folders.is_empty() { String::new() } else { format!("{folders}/") };
        let name = names::temporary(key.file_name(), random_u64());
        let temporary = format!("{folder}{name}");
        let mut upload = Self {
            store,
            session,
            key,
            temporary: Some(temporary.clone()),
            handle: None,
            gathered: Vec::new(),
            sent_bytes: 0,
            unacknowledged: VecDeque::new(),
            hasher: crc32fast::Hasher::new(),
        };
        // Dropped, and so removed, if it cannot be recorded, or if it was created and only the answer to that was lost.
        upload.handle = Some(create(&upload.store, &upload.session, &upload.key, &temporary)?);
        if let Some(open) = names::open_upload(&folder, &name, chrono::Utc::now()) {
            on_open(&open)?;
        }
        Ok(upload)
    }

    fn step(&self) -> String {
        format!("storing {}", self.key)
    }

    fn path(&self, below: &str) -> String {
        self.store.root().path(below)
    }

    fn folder(&self) -> String {
        self.path(folders_of(self.key.as_str()))
    }

    fn failed(&self, fault: &Fault) -> Error {
        explain_refusal(&self.session, &self.folder(), fault, &self.step())
    }

    fn piece_bytes(&self) -> usize {
        usize::try_from(self.session.features.write_bytes).unwrap_or(usize::MAX)
    }

    fn send(&mut self, bytes: &[u8]) -> Answer<()> {
        self.acknowledge(UNACKNOWLEDGED - 1)?;
        let handle = self.handle.as_deref().unwrap_or_default();
        let request = Request::Write { handle, offset: self.sent_bytes, bytes };
        self.unacknowledged.push_back(self.session.ask(&request)?);
        self.sent_bytes += bytes.len() as u64;
        Ok(())
    }

    fn send_gathered(&mut self) -> Answer<()> {
        let bytes = std::mem::take(&mut self.gathered);
        let sent = if bytes.is_empty() { Ok(()) } else { self.send(&bytes) };
        self.gathered = bytes;
        self.gathered.clear();
        sent
    }

    /// Waits until no more than so many pieces are on their way.
    fn acknowledge(&mut self, most: usize) -> Answer<()> {
        while self.unacknowledged.len() > most
            && let Some(ticket) = self.unacknowledged.pop_front()
        {
            ticket.done(&self.session)?;
        }
        Ok(())
    }

    /// All bytes are at the server, on its disk if it can tell, and counted.
    fn settle(&mut self) -> Answer<u64> {
        let session = Arc::clone(&self.session);
        self.send_gathered()?;
        self.acknowledge(0)?;
        let handle = self.handle.take().unwrap_or_default();
        let settled = settle(&session, &handle);
        let closed = session.finish(&Request::Close { handle: &handle });
        let found = settled?;
        closed?;
        Ok(found.and_then(|found| found.size_bytes).unwrap_or(self.sent_bytes))
    }

    /// Gives the file its name, unless another has it.
    fn publish(&mut self) -> Result<()> {
        let Some(temporary) = self.temporary.clone() else {
            return Err(Error::failure(format!("{}: it was aborted", self.step())));
        };
        let (from, to) = (self.path(&temporary), self.path(self.key.as_str()));
        let linked = match self.session.features.link {
            true => self.session.finish(&Request::Link { from: &from, to: &to }).map_err(Some),
            false => Err(None),
        };
        match linked {
            Ok(()) => {
                folder::sync(&self.session, &self.folder());
                // A second name that stays is an upload to the store, not a second object.
                if self.session.finish(&Request::Remove { path: &from }).is_ok() {
                    self.temporary = None;
                }
                Ok(())
            }
            Err(Some(fault @ (Fault::Lost(_) | Fault::Malformed))) => Err(self.failed(&fault)),
            Err(refused) => {
                self.refuse_taken()?;
                if refused.is_some_and(|fault| fault.is(Status::NO_SUCH_FILE)) {
                    return Err(Error::not_found(format!("{}: its temporary file was removed", self.step())));
                }
                // No hard links here, such as on FAT. The protocol's rename must refuse a name that is taken.
                let renamed = self.session.finish(&Request::Rename { from: &from, to: &to });
                self.explain_rename(renamed)
            }
        }
    }

    /// By whatever has the name: a folder, too.
    fn refuse_taken(&self) -> Result<()> {
        match folder::look(&self.session, self.store.root(), self.key.as_str(), &self.step())? {
            Some(_) => Err(Error::conflict(format!("{}: it exists already", self.step()))),
            None => Ok(()),
        }
    }

    fn explain_rename(&mut self, renamed: Answer<()>) -> Result<()> {
        match renamed {
            Ok(()) => {
                self.temporary = None;
                folder::sync(&self.session, &self.folder());
                Ok(())
            }
            Err(fault @ Fault::Refused(_)) => {
                self.refuse_taken()?;
                Err(self.failed(&fault))
            }
            Err(fault) => Err(self.failed(&fault)),
        }
    }

    /// Frees what the server holds, over a new connection if need be.
    fn release(&mut self) -> Result<()> {
        if let Some(handle) = self.handle.take() {
            // An open file takes up space even when its name is gone.
            let _closed_with_the_session = self.session.finish(&Request::Close { handle: &handle });
        }
        let Some(temporary) = self.temporary.take() else { return Ok(()) };
        let session = self.store.session()?;
        self.store.remove(&session, &temporary, &format!("aborting the upload of {}", self.key))
    }
}

/// Brings the file to the disk and looks at it.
fn settle(session: &Session, handle: &[u8]) -> Answer<Option<Attributes>> {
    if session.features.sync {
        session.ask(&Request::Sync { handle })?.within(session.sync_limit).done(session)?;
    }
    session.ask(&Request::LookAtOpen { handle })?.attributes(session)
}

/// A new file for the upload, in folders that are made if need be.
fn create(store: &SftpStore, session: &Session, key: &Key, temporary: &str) -> Result<Vec<u8>> {
    let path = store.root().path(temporary);
    let step = format!("storing {key}");
    for _ in 1..TRIES {
        let opened = session.ask(&Request::Open { path: &path, how: Opening::CreateNew });
        match opened.and_then(|ticket| ticket.handle(session)) {
            Ok(handle) => return Ok(handle),
            Err(fault) if fault.is(Status::NO_SUCH_FILE) => folder::make(session, store.root(), key)?,
            Err(fault) => {
                return Err(explain_refusal(session, &store.root().path(folders_of(key.as_str())), &fault, &step));
            }
        }
    }
    Err(Error::unavailable(format!("{step}: its folder is removed again and again")))
}

impl Upload for SftpUpload {
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        let piece_bytes = self.piece_bytes();
        while !bytes.is_empty() {
            let sent = if self.gathered.is_empty() && bytes.len() >= piece_bytes {
                let (piece, rest) = bytes.split_at(piece_bytes);
                bytes = rest;
                self.send(piece)
            } else {
                let (now, later) = bytes.split_at(bytes.len().min(piece_bytes - self.gathered.len()));
                self.gathered.extend_from_slice(now);
                bytes = later;
                if self.gathered.len() == piece_bytes { self.send_gathered() } else { Ok(()) }
            };
            sent.map_err(|fault| self.failed(&fault))?;
        }
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<Stored> {
        let size_bytes = self.settle().map_err(|fault| self.failed(&fault))?;
        if size_bytes != self.sent_bytes {
            let message = format!("{}: {size_bytes} of {} bytes are on the server", self.step(), self.sent_bytes);
            return Err(Error::integrity(message));
        }
        self.publish()?;
        Ok(Stored { size_bytes, crc32: self.hasher.clone().finalize() })
    }

    fn abort(mut self: Box<Self>) -> Result<()> {
        self.release()
    }
}

impl Drop for SftpUpload {
    /// Also after a commit, when the temporary name is a second link to the object. A failure leaves an open upload, which
    /// the store lists.
    fn drop(&mut self) {
        let _ = self.release();
    }
}
