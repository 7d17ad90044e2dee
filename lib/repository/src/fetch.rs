//! A backup's bytes again: read in parallel ranges, handed over in order, verified before the end.

use crate::chunk::Chunk;
use crate::hashing::{Digests, Hashing};
use std::collections::VecDeque;
use std::io::Write;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use vb_core::key::Key;
use vb_core::manifest::{Manifest, Object};
use vb_core::parts::{MEBIBYTE, ranges};
use vb_core::{Error, Result};
use vb_pipe::Output;
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

/// The same for some objects, of one backup or of several, in pieces that can be kept; no piece belongs to two objects.
///
/// # Errors
/// As for [`fetch`].
pub fn fetch_objects<'all>(
    store: &dyn Store,
    objects: impl IntoIterator<Item = &'all Object, IntoIter: Clone>,
    sink: &mut dyn FnMut(&Chunk) -> Result<()>,
) -> Result<()> {
    read_objects(store, objects, &mut |object, chunks| {
        let hashing = Hashing::start(Digests::Sha256)?;
        for chunk in chunks {
            let chunk = chunk?;
            hashing.update(chunk.clone())?;
            sink(&chunk)?;
        }
        let hashes = hashing.finish()?;
        check(object, hashes.size_bytes, &hashes.sha256)
    })
}

/// A whole backup into an output. Where it is a single object, as nearly all are, the output's own digest is the object's, and nothing is
/// hashed twice. `passed` hears of the bytes, `not_written` explains an output that takes no more.
///
/// # Errors
/// As for [`fetch`].
pub fn fetch_into(
    store: &dyn Store,
    manifest: &Manifest,
    output: &mut Output,
    passed: &mut dyn FnMut(u64),
    not_written: &dyn Fn(std::io::Error) -> Error,
) -> Result<()> {
    let mut write = |output: &mut Output, bytes: &[u8]| {
        passed(bytes.len() as u64);
        output.write_all(bytes).map_err(not_written)
    };
    match &manifest.objects[..] {
        [object] if output.digest().bytes() == 0 => read_objects(store, [object], &mut |object, chunks| {
            for chunk in chunks {
                write(output, &chunk?)?;
            }
            check(object, output.digest().bytes(), &output.digest().sha256())
        }),
        _ => fetch(store, manifest, &mut |bytes| write(output, bytes)),
    }
}

/// The ranges of one object, in order.
type Chunks<'object> = &'object mut dyn Iterator<Item = Result<Chunk>>;

/// Reads ahead over all of these objects, and hands each of them to `each`, which must take all of it.
fn read_objects<'all>(
    store: &dyn Store,
    objects: impl IntoIterator<Item = &'all Object, IntoIter: Clone>,
    each: &mut dyn FnMut(&Object, Chunks<'_>) -> Result<()>,
) -> Result<()> {
    let objects = objects.into_iter();
    check_lengths(store, &objects.clone().collect::<Vec<_>>())?;
    let limits = store.limits();
    let range_bytes = limits.part_bytes.min(MOST_RANGE_BYTES);
    let (jobs, queue) = sync_channel::<Job>(limits.parallel.max(1));
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| {
        for _ in 0..limits.parallel.max(1) {
            scope.spawn(|| work(store, &queue));
        }
        let of_object = |object: &'all Object| ranges(object.size_bytes, range_bytes).map(move |range| (object, range));
        // Dropped at the end of this closure, which ends the workers before the scope waits for them.
        let mut ahead = Ahead {
            ranges: objects.clone().flat_map(of_object),
            jobs,
            waiting: VecDeque::new(),
            most: limits.parallel,
        };
        objects.clone().try_for_each(|object| {
            let count = ranges(object.size_bytes, range_bytes).count();
            each(object, &mut (0..count).map(|_| ahead.next()))
        })
    })
}

/// Asked side by side: of a long chain there are many.
fn check_lengths(store: &dyn Store, objects: &[&Object]) -> Result<()> {
    let threads = store.limits().parallel.clamp(1, objects.len().max(1));
    let check = |share: &[&Object]| share.iter().try_for_each(|object| check_length(store, object));
    let share = objects.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let checks: Vec<_> = objects.chunks(share).map(|share| scope.spawn(move || check(share))).collect();
        checks.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(ended())))
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

/// The ranges of all objects, of which the next ones are read while one is used: also those of the next object.
struct Ahead<I> {
    ranges: I,
    jobs: SyncSender<Job>,
    waiting: VecDeque<Receiver<Result<Vec<u8>>>>,
    most: usize,
}

impl<'all, I: Iterator<Item = (&'all Object, Range<u64>)>> Ahead<I> {
    fn next(&mut self) -> Result<Chunk> {
        while self.waiting.len() <= self.most
            && let Some((object, range)) = self.ranges.next()
        {
            let (answer, answered) = sync_channel(1);
            self.jobs.send(Job { key: object.key.clone(), range, answer }).map_err(|_| ended())?;
            self.waiting.push_back(answered);
        }
        let next = self.waiting.pop_front().ok_or_else(ended)?;
        Ok(Chunk::from(next.recv().map_err(|_| ended())??))
    }
}

fn check(object: &Object, size_bytes: u64, sha256: &str) -> Result<()> {
    if (size_bytes, sha256) == (object.size_bytes, &object.sha256) {
        return Ok(());
    }
    let message = format!("reading {}: its SHA-256 is {sha256} instead of {}", object.key, object.sha256);
    Err(Error::integrity(message).with_hint(DAMAGED))
}

fn ended() -> Error {
    Error::failure("a reading thread ended early")
}
