//! A store that tries again what failed because the other side was not there, and knows its own object after a lost answer.

use crate::{
    Facts, Lifecycle, ObjectInfo, OnOpen, OpenUpload, RetryPolicy, Store, Stored, Upload, Warn, find_own, random_u64,
};
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use vb_core::key::Key;
use vb_core::parts::PartLimits;
use vb_core::{Error, ErrorKind, Result};

/// Wraps a store; only [`ErrorKind::Unavailable`] is tried again.
///
/// The parts of an upload are the provider's to send again, since only it still holds them: [`Upload::write`] is passed
/// through. A commit is not sent twice from here, but if its answer was lost the object is looked for.
pub struct Retrying<S: ?Sized> {
    policy: RetryPolicy,
    warn: Warn,
    store: Arc<S>,
}

impl<S: Store + ?Sized> Retrying<S> {
    /// Wraps `store`; `warn` hears of every further try.
    #[must_use]
    pub fn new(store: Arc<S>, policy: RetryPolicy, warn: Warn) -> Self {
        Self { policy, warn, store }
    }

    fn run<T>(&self, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        let begun = Instant::now();
        let mut failed_tries = 0;
        loop {
            let error = match attempt() {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            failed_tries += 1;
            let Some(pause) = self.policy.pause(&error, failed_tries, begun.elapsed(), random_u64()) else {
                return Err(error);
            };
            (self.warn)(&self.policy.warning(&error, failed_tries, pause));
            std::thread::sleep(pause);
        }
    }
}

impl<S: Store + ?Sized + 'static> Store for Retrying<S> {
    fn describe(&self) -> String {
        self.store.describe()
    }

    fn limits(&self) -> PartLimits {
        self.store.limits()
    }

    fn put_new(&self, key: &Key, bytes: &[u8]) -> Result<Stored> {
        let sent = Stored { size_bytes: bytes.len() as u64, crc32: crc32fast::hash(bytes) };
        let mut answer_lost = false;
        let result = self.run(|| {
            let result = self.store.put_new(key, bytes);
            match result {
                Err(error) if answer_lost && error.kind() == ErrorKind::Conflict => {
                    find_own(&*self.store, key, sent)?.ok_or(error)
                }
                result => {
                    answer_lost |= is_unavailable(&result);
                    result
                }
            }
        });
        look_for_own(&*self.store, key, sent, result)
    }

    fn upload(&self, key: &Key, metadata: &Facts, on_open: OnOpen) -> Result<Box<dyn Upload + Send>> {
        // The callback can be given away once only; opening sends nothing that a caller would have to hear of twice.
        self.run(|| self.store.head(key))?.map_or(Ok(()), |found| Err(already_exists(&found.key)))?;
        let open = Arc::new(OnceLock::new());
        let told = open.clone();
        let on_open = Box::new(move |upload: &OpenUpload| on_open(told.get_or_init(|| upload.clone())));
        let inner = self.store.upload(key, metadata, on_open)?;
        let sent = Stored { size_bytes: 0, crc32: 0 };
        let store = Self { policy: self.policy, warn: self.warn.clone(), store: self.store.clone() };
        Ok(Box::new(RetryingUpload { inner, open, sent, key: key.clone(), hasher: crc32fast::Hasher::new(), store }))
    }

    fn tag(&self, key: &Key, tags: &Facts) -> Result<()> {
        self.run(|| self.store.tag(key, tags))
    }

    fn install_lifecycle(&self, lifecycle: &Lifecycle) -> Result<()> {
        self.run(|| self.store.install_lifecycle(lifecycle))
    }

    fn head(&self, key: &Key) -> Result<Option<ObjectInfo>> {
        self.run(|| self.store.head(key))
    }

    fn read(&self, key: &Key, range: Range<u64>) -> Result<Vec<u8>> {
        self.run(|| self.store.read(key, range.clone()))
    }

    fn read_small(&self, key: &Key, most_bytes: u64) -> Result<Vec<u8>> {
        self.run(|| self.store.read_small(key, most_bytes))
    }

    /// A listing that breaks off goes on after the last key that was handed over: the order makes that possible.
    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo) -> Result<()>) -> Result<()> {
        let mut last: Option<Key> = None;
        let mut refused = None;
        let result = self.run(|| {
            self.store.list(prefix, &mut |found| {
                if last.as_ref().is_some_and(|last| found.key <= *last) {
                    return Ok(());
                }
                last = Some(found.key.clone());
                each(found).map_err(|error| {
                    refused = Some(error);
                    Error::failure("the listing was ended by its reader")
                })
            })
        });
        refused.map_or(result, Err)
    }

    fn delete(&self, key: &Key) -> Result<()> {
        self.run(|| self.store.delete(key))
    }

    fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        self.run(|| self.store.open_uploads(prefix))
    }

    fn abort_upload(&self, upload: &OpenUpload) -> Result<()> {
        self.run(|| self.store.abort_upload(upload))
    }
}

/// Counts what is sent, to recognise it if the commit's answer is lost.
struct RetryingUpload<S: ?Sized> {
    inner: Box<dyn Upload + Send>,
    /// Its name, once it has come into being.
    open: Arc<OnceLock<OpenUpload>>,
    sent: Stored,
    key: Key,
    hasher: crc32fast::Hasher,
    store: Retrying<S>,
}

impl<S: Store + ?Sized + 'static> Upload for RetryingUpload<S> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.sent.size_bytes += bytes.len() as u64;
        self.inner.write(bytes)
    }

    fn commit(self: Box<Self>) -> Result<Stored> {
        let sent = Stored { crc32: self.hasher.finalize(), ..self.sent };
        look_for_own(&*self.store.store, &self.key, sent, self.inner.commit())
    }

    fn abort(self: Box<Self>) -> Result<()> {
        match (self.inner.abort(), self.open.get()) {
            (Err(error), Some(open)) if error.is_passing() => self.store.abort_upload(open),
            (result, _) => result,
        }
    }
}

fn is_unavailable<T>(result: &Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable)
}

/// After the last try: an answer may have been lost although the object was stored. If that cannot be found out either,
/// the first error is the one to report.
fn look_for_own(store: &(impl Store + ?Sized), key: &Key, sent: Stored, result: Result<Stored>) -> Result<Stored> {
    if !is_unavailable(&result) {
        return result;
    }
    match find_own(store, key, sent) {
        Ok(Some(stored)) => Ok(stored),
        Ok(None) | Err(_) => result,
    }
}

fn already_exists(key: &Key) -> Error {
    Error::conflict(format!("storing {key}: it exists already"))
}
