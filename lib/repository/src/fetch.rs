//! A backup's bytes again: read in parallel ranges, handed over in order, verified before the end.

use crate::chunk::Chunk;
use crate::hashing::{Digests, Hashing};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use vb_core::key::Key;
use vb_core::manifest::{Manifest, Object};
use vb_core::parts::{MEBIBYTE, ranges};
use vb_core::{Error, Result};
use vb_store::Store;

pub(crate) const DAMAGED: &str = "This backup is damaged and nothing of it may be used; vb-ls shows others.";

/// Ranges of half a part: some eight of them are in memory at once.
const MOST_RANGE_BYTES: u64 = 4 * MEBIBYTE;

/// One range to read, and where its bytes are waited for.
struct Job {
    key: Key,
    range: Range<u64>,
    answer: SyncSender<Result<Vec<u8>>>,
}

/// Hands every byte of a backup to `sink`. What was handed over counts only if this returns `Ok`.
///
/// # Errors
/// `Integrity` if an object is missing or is not what the manifest says; those of the store and of `sink`.
pub fn fetch(store: &dyn Store, manifest: &Manifest, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    fetch_objects(store, &manifest.objects, &mut |chunk| sink(chunk))
}

/// The same for some objects of a backup, in pieces that can be kept.
///
/// # Errors
/// As for [`fetch`].
pub fn fetch_objects(store: &dyn Store, objects: &[Object], sink: &mut dyn FnMut(&Chunk) -> Result<()>) -> Result<()> {
    objects.iter().try_for_each(|object| check_length(store, object))?;
    let parallel = store.limits().parallel.max(1);
    let (jobs, queue) = sync_channel::<Job>(parallel);
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| {
        for _ in 0..parallel {
            scope.spawn(|| work(store, &queue));
        }
        // Dropped at the end of this closure, which ends the workers before the scope waits for them.
        let jobs = jobs;
        objects.iter().try_for_each(|object| fetch_object(store, object, &jobs, sink))
    })
}

fn check_length(store: &dyn Store, object: &Object) -> Result<()> {
    let broken = |why: String| Err(Error::integrity(format!("reading {}: {why}", object.key)).with_hint(DAMAGED));
    match store.head(&object.key)? {
        None => broken(format!("the manifest names it, but it is not in {}", store.describe())),
        Some(found) if found.size_bytes != object.size_bytes => {
            broken(format!("it has {} bytes instead of {}", found.size_bytes, object.size_bytes))
        }
        Some(_) => Ok(()),
    }
}

fn work(store: &dyn Store, queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let _nobody_waits_after_a_failure = job.answer.send(store.read(&job.key, job.range));
    }
}

fn fetch_object(
    store: &dyn Store,
    object: &Object,
    jobs: &SyncSender<Job>,
    sink: &mut dyn FnMut(&Chunk) -> Result<()>,
) -> Result<()> {
    let limits = store.limits();
    let hashing = Hashing::start(Digests::Sha256)?;
    let mut waiting: VecDeque<Receiver<Result<Vec<u8>>>> = VecDeque::new();
    let mut ranges = ranges(object.size_bytes, limits.part_bytes.min(MOST_RANGE_BYTES));
    loop {
        while waiting.len() <= limits.parallel
            && let Some(range) = ranges.next()
        {
            let (answer, answered) = sync_channel(1);
            let job = Job { key: object.key.clone(), range, answer };
            jobs.send(job).map_err(|_| ended())?;
            waiting.push_back(answered);
        }
        let Some(next) = waiting.pop_front() else { break };
        let chunk = Chunk::from(next.recv().map_err(|_| ended())??);
        hashing.update(chunk.clone())?;
        sink(&chunk)?;
    }
    let hashes = hashing.finish()?;
    if (hashes.size_bytes, &hashes.sha256) != (object.size_bytes, &object.sha256) {
        let message = format!("reading {}: its SHA-256 is {} instead of {}", object.key, hashes.sha256, object.sha256);
        return Err(Error::integrity(message).with_hint(DAMAGED));
    }
    Ok(())
}

fn ended() -> Error {
    Error::failure("a reading thread ended early")
}
