//! The store itself: each method of the contract as requests of one session, which is opened when first needed.

use crate::SftpConfig;
use crate::error::{Answer, Fault};
use crate::folder::{self, Root};
use crate::listing::{self, Found};
use crate::names;
use crate::session::Session;
use crate::upload::SftpUpload;
use crate::wire::{Opening, Request, Status};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use vb_core::key::Key;
use vb_core::parts::PartLimits;
use vb_core::{Error, Result};
use vb_store::{Facts, ObjectInfo, OnOpen, OpenUpload, Store, Stored, Upload};

/// How many pieces of a range are asked for before the first has come.
const ASKED_AT_ONCE: usize = 64;

/// A folder on a server. Its clones share one connection; when that is lost, the next call makes another.
///
/// What is read or written in parallel shares the connection too: the requests of all threads are on their way together.
#[derive(Clone)]
pub struct SftpStore(Arc<Shared>);

struct Shared {
    config: SftpConfig,
    root: Root,
    session: Mutex<Option<Arc<Session>>>,
}

impl SftpStore {
    /// Speaks to nobody yet.
    ///
    /// # Errors
    /// A usage error if the key's or the known hosts' file is not there: `ssh` would go on without.
    pub fn open(config: SftpConfig) -> Result<Self> {
        for (path, name) in [(&config.key, "VB_SSH_KEY"), (&config.known_hosts, "VB_SSH_KNOWN_HOSTS")] {
            // `~` is for ssh to expand.
            if let Some(path) = path.as_ref().filter(|path| !path.starts_with('~'))
                && let Err(cause) = std::fs::File::open(path)
            {
                return Err(Error::usage(Error::io(format!("{name} is {path}"), cause).to_string())
                    .with_hint(format!("Set {name} to a file that this user can read.")));
            }
        }
        let root = Root(config.folder.clone());
        Ok(Self(Arc::new(Shared { config, root, session: Mutex::new(None) })))
    }

    pub(crate) fn root(&self) -> &Root {
        &self.0.root
    }

    /// The session that serves all, or a new one.
    pub(crate) fn session(&self) -> Result<Arc<Session>> {
        let mut current = self.0.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = current.as_ref().filter(|session| !session.is_lost()) {
            return Ok(Arc::clone(session));
        }
        *current = None;
        let session = Session::open(&self.0.config)?;
        *current = Some(Arc::clone(&session));
        Ok(session)
    }

    fn find(&self, session: &Session, key: &Key, step: &str) -> Result<Option<ObjectInfo>> {
        let found = folder::look_for_object(session, self.root(), key, step)?;
        let found = found.filter(|_| !names::is_temporary(key.file_name()));
        Ok(found.map(|attributes| listing::object(key.clone(), &attributes)))
    }

    fn find_existing(&self, session: &Session, key: &Key) -> Result<ObjectInfo> {
        let found = self.find(session, key, &format!("reading {key}"))?;
        found.ok_or_else(|| Error::not_found(format!("reading {key}: no such object in {}", self.describe())))
    }

    pub(crate) fn refuse_existing(&self, session: &Session, key: &Key) -> Result<()> {
        if names::is_temporary(key.file_name()) {
            return Err(Error::usage(format!("storing {key}: such names are kept for temporary files")));
        }
        match self.find(session, key, &format!("storing {key}"))? {
            Some(_) => Err(Error::conflict(format!("storing {key}: it exists already"))),
            None => Ok(()),
        }
    }

    /// These bytes of an object that is at least so long.
    fn fetch(&self, session: &Session, key: &Key, range: Range<u64>) -> Result<Vec<u8>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let path = self.root().path(key.as_str());
        let opened = session.ask(&Request::Open { path: &path, how: Opening::Read });
        let failed = |fault: Fault| fault.explain(&format!("reading {key}"));
        let handle = opened.and_then(|ticket| ticket.handle(session)).map_err(failed)?;
        let fetched = fetch(session, &handle, &range);
        let _closed_with_the_session = session.ask(&Request::Close { handle: &handle });
        fetched.map_err(failed)?.ok_or_else(|| {
            Error::integrity(format!("reading {key}: it ends before byte {} while it is read", range.end))
        })
    }

    /// Removes a file below the root; one that is gone already is no error.
    pub(crate) fn remove(&self, session: &Session, below: &str, step: &str) -> Result<()> {
        if folder::look(session, self.root(), below, step)?.is_some() {
            match session.finish(&Request::Remove { path: &self.root().path(below) }) {
                Err(fault) if !fault.is(Status::NO_SUCH_FILE) => return Err(fault.explain(step)),
                _ => folder::remove_empty(session, self.root(), below),
            }
        }
        Ok(())
    }
}

/// `None` if the file ends early.
fn fetch(session: &Session, handle: &[u8], range: &Range<u64>) -> Answer<Option<Vec<u8>>> {
    let mut bytes = vec![0; usize::try_from(range.end - range.start).map_err(|_| Fault::Malformed)?];
    let piece_bytes = usize::try_from(session.features.read_bytes).unwrap_or(bytes.len()).max(1);
    let mut wanted: VecDeque<Range<usize>> =
        (0..bytes.len()).step_by(piece_bytes).map(|start| start..(start + piece_bytes).min(bytes.len())).collect();
    let mut asked = VecDeque::new();
    loop {
        while asked.len() < ASKED_AT_ONCE
            && let Some(piece) = wanted.pop_front()
        {
            let (offset, length) = (range.start + piece.start as u64, u32::try_from(piece.len()).unwrap_or(u32::MAX));
            asked.push_back((session.ask(&Request::Read { handle, offset, length })?, piece));
        }
        let Some((ticket, piece)) = asked.pop_front() else { return Ok(Some(bytes)) };
        let Some(data) = ticket.data(session)? else { return Ok(None) };
        let end = piece.start + data.len();
        if data.is_empty() || end > piece.end {
            return Err(Fault::Malformed);
        }
        bytes[piece.start..end].copy_from_slice(&data);
        if end < piece.end {
            // A server may give less than it was asked for.
            wanted.push_front(end..piece.end);
        }
    }
}

impl Store for SftpStore {
    fn describe(&self) -> String {
        self.0.config.url.clone()
    }

    fn limits(&self) -> PartLimits {
        self.0.config.limits
    }

    fn put_new(&self, key: &Key, bytes: &[u8]) -> Result<Stored> {
        let mut upload = self.upload(key, &Facts::new(), vb_store::unrecorded())?;
        upload.write(bytes)?;
        upload.commit()
    }

    fn upload(&self, key: &Key, _metadata: &Facts, on_open: OnOpen) -> Result<Box<dyn Upload + Send>> {
        let session = self.session()?;
        self.refuse_existing(&session, key)?;
        Ok(Box::new(SftpUpload::begin(self.clone(), session, key.clone(), on_open)?))
    }

    fn head(&self, key: &Key) -> Result<Option<ObjectInfo>> {
        self.find(&*self.session()?, key, &format!("looking for {key}"))
    }

    fn read(&self, key: &Key, range: Range<u64>) -> Result<Vec<u8>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let session = self.session()?;
        let size_bytes = self.find_existing(&session, key)?.size_bytes;
        if size_bytes < range.end {
            let message = format!("reading {key}: it ends at byte {size_bytes}, before byte {}", range.end);
            return Err(Error::integrity(message));
        }
        self.fetch(&session, key, range)
    }

    fn read_small(&self, key: &Key, most_bytes: u64) -> Result<Vec<u8>> {
        let session = self.session()?;
        let size_bytes = self.find_existing(&session, key)?.size_bytes;
        if size_bytes > most_bytes {
            return Err(Error::integrity(format!("reading {key}: it is longer than {most_bytes} bytes")));
        }
        self.fetch(&session, key, 0..size_bytes)
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo) -> Result<()>) -> Result<()> {
        listing::walk(&*self.session()?, self.root(), prefix, &mut |found| match found {
            Found::Object(object) => each(object),
            Found::Temporary(_) => Ok(()),
        })
    }

    fn delete(&self, key: &Key) -> Result<()> {
        self.remove(&*self.session()?, key.as_str(), &format!("deleting {key}"))
    }

    fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        let mut uploads = Vec::new();
        listing::walk(&*self.session()?, self.root(), prefix, &mut |found| {
            if let Found::Temporary(upload) = found {
                uploads.push(upload);
            }
            Ok(())
        })?;
        Ok(uploads)
    }

    fn abort_upload(&self, upload: &OpenUpload) -> Result<()> {
        let path = names::path_of(upload)?;
        self.remove(&*self.session()?, &path, &format!("aborting the upload of {}", upload.key))
    }
}
