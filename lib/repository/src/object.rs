//! One object on its way: uploaded and hashed at once, and undone by whatever ends the command before its manifest.

use crate::chunk::Chunk;
use crate::hashing::{Digests, Hashing};
use crate::journal::{Entry, Journal};
use crate::removal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vb_core::key::Key;
use vb_core::manifest::Object;
use vb_core::{Error, ErrorKind, Result};
use vb_pipe::cleanup::{self, Undo};
use vb_store::{Facts, OnOpen, OpenUpload, Store, Upload};

/// What the store holds of an object.
#[derive(Debug, Clone)]
enum Trace {
    /// Nothing that would outlive this process.
    Nothing,
    /// A request is on its way that may begin an upload of which we do not know.
    Opening,
    /// An upload of this name.
    Upload(OpenUpload),
}

/// All that undoing needs, shared with the thread that waits for signals.
struct Traces {
    store: Arc<dyn Store>,
    journal: Arc<Journal>,
    entry: Entry,
    key: Key,
    trace: Mutex<Trace>,
    /// Held during the commit; whether it succeeded.
    committed: Mutex<bool>,
}

impl Traces {
    /// Takes a step in which the store may begin an upload: when, is its own affair.
    fn watch<T>(&self, step: impl FnOnce() -> Result<T>) -> Result<T> {
        let may_open = matches!(&*lock(&self.trace), Trace::Nothing);
        if may_open {
            *lock(&self.trace) = Trace::Opening;
            self.journal.opening(self.entry, &self.key);
        }
        let result = step();
        // A refusal begins nothing; of an answer that was lost, cut off or changed nobody can say that.
        let unclear = [ErrorKind::Unavailable, ErrorKind::Failure, ErrorKind::Integrity];
        let answer_lost = result.as_ref().is_err_and(|error| unclear.contains(&error.kind()));
        let mut trace = lock(&self.trace);
        if matches!(*trace, Trace::Opening) && !answer_lost {
            *trace = Trace::Nothing;
            self.journal.settle(self.entry);
        }
        result
    }

    fn opened(&self, open: &OpenUpload) {
        self.journal.opened(self.entry, open);
        *lock(&self.trace) = Trace::Upload(open.clone());
    }

    fn undo(&self) {
        let abort = || match lock(&self.trace).clone() {
            Trace::Nothing => true,
            // The guard looks for it until it can be there no more.
            Trace::Opening => false,
            Trace::Upload(open) => self.store.abort_upload(&open).is_ok(),
        };
        // Aborted first, so that a commit which another thread waits for fails at once.
        let aborted = abort();
        let committed = *lock(&self.committed);
        let deleted = !committed || removal::delete_unnamed(&*self.store, &self.key).is_ok();
        if deleted && (aborted || abort()) {
            self.journal.settle(self.entry);
        }
    }
}

/// An object that is being uploaded. Dropped, it is undone.
pub(crate) struct ObjectUpload {
    upload: Box<dyn Upload + Send>,
    hashing: Hashing,
    size_bytes: u64,
    traces: Arc<Traces>,
    undo: Undo,
}

impl ObjectUpload {
    /// Begins an object, and registers it before it can leave a trace.
    pub(crate) fn begin(store: &Arc<dyn Store>, journal: &Arc<Journal>, key: &Key, metadata: &Facts) -> Result<Self> {
        let hashing = Hashing::start(Digests::Both)?;
        let traces = Arc::new(Traces {
            store: Arc::clone(store),
            journal: Arc::clone(journal),
            entry: journal.entry(),
            key: key.clone(),
            trace: Mutex::new(Trace::Nothing),
            committed: Mutex::new(false),
        });
        let undo = {
            let traces = Arc::clone(&traces);
            cleanup::on_failure(move || traces.undo())
        };
        let on_open: OnOpen = {
            let traces = Arc::clone(&traces);
            Box::new(move |open| {
                traces.opened(open);
                Ok(())
            })
        };
        let upload = traces.watch(|| store.upload(key, metadata, on_open))?;
        Ok(Self { upload, hashing, size_bytes: 0, traces, undo })
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(crate) fn write(&mut self, chunk: &Chunk) -> Result<()> {
        self.hashing.update(chunk.clone())?;
        let upload = &mut self.upload;
        self.traces.watch(|| upload.write(chunk))?;
        self.size_bytes += chunk.len() as u64;
        Ok(())
    }

    /// Makes the object visible. It can still be undone.
    pub(crate) fn complete(self) -> Result<CompleteObject> {
        let Self { upload, hashing, size_bytes, traces, undo } = self;
        let key = traces.key.clone();
        let hashes = hashing.finish()?;
        let mut committed = lock(&traces.committed);
        let stored = traces.watch(|| upload.commit())?;
        *lock(&traces.trace) = Trace::Nothing;
        *committed = true;
        traces.journal.complete(traces.entry, &key);
        drop(committed);
        if [stored.size_bytes, hashes.size_bytes] != [size_bytes; 2] {
            let message = format!("storing {key}: {} of {size_bytes} bytes were stored", stored.size_bytes);
            return Err(Error::integrity(message));
        }
        let crc32 = Some(format!("{:08x}", stored.crc32));
        let object = Object { key, size_bytes, sha256: hashes.sha256, md5: hashes.md5, crc32 };
        Ok(CompleteObject { object, traces, undo })
    }
}

/// An object that is complete, but that no manifest names yet. Dropped, it is deleted.
pub(crate) struct CompleteObject {
    pub(crate) object: Object,
    traces: Arc<Traces>,
    undo: Undo,
}

impl CompleteObject {
    /// It is part of a backup now.
    pub(crate) fn keep(self) {
        self.undo.disarm();
        self.traces.journal.settle(self.traces.entry);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
