//! Reading a cache: a thread takes the lines apart while the caller is at the listing.

use super::line::{Line, Manifests};
use super::{Place, Stamp};
use crate::row::{Row, Shared};
use std::cmp::Ordering;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use vb_core::key::Key;

/// So many lines are handed over at once, and so many times before somebody takes them.
const BATCH: usize = 128;
const WAITING: usize = 4;

/// Goes through a cache in the order of keys.
#[derive(Default)]
pub(crate) struct Reader {
    /// What the keys of the set begin with that is listed.
    prefix: String,
    source: Option<Source>,
    batch: std::vec::IntoIter<Line>,
    next: Option<Line>,
    /// Whether a manifest was passed by that is not there any more.
    outdated: bool,
}

/// The thread, which ends with what the rows share.
struct Source {
    batches: Receiver<Vec<Line>>,
    thread: JoinHandle<Shared>,
}

impl Reader {
    pub(super) fn open(place: Option<&Place>, prefix: String) -> Option<Self> {
        let place = place?;
        let mut lines = BufReader::with_capacity(1 << 18, File::open(&place.path).ok()?);
        let mut title = String::new();
        lines.read_line(&mut title).ok()?;
        let known = title.strip_suffix('\n') == Some(place.title.as_str());
        let (sender, batches) = sync_channel(WAITING);
        let thread = thread::Builder::new().name("cache".to_owned());
        let thread = known.then(|| thread.spawn(move || read(lines, &sender)))?.ok()?;
        Some(Self { prefix, source: Some(Source { batches, thread }), ..Self::default() })
    }

    /// The row of this manifest, if it is the one that was cached. Keys must be asked for in their order.
    pub(crate) fn find(&mut self, key: &Key, stamp: Stamp) -> Option<Row> {
        loop {
            let line = self.take()?;
            match line.key.as_str().cmp(key.as_str()) {
                Ordering::Less => self.outdated |= line.key.starts_with(&self.prefix),
                Ordering::Equal => return (line.stamp == stamp).then_some(line.row),
                Ordering::Greater => {
                    self.next = Some(line);
                    return None;
                }
            }
        }
    }

    /// After the last key: whether it holds something of the set that is not there any more, and what its rows share.
    pub(crate) fn finish(mut self) -> (bool, Shared) {
        while !self.outdated
            && let Some(line) = self.take()
        {
            self.outdated = line.key.starts_with(&self.prefix);
            if line.key > self.prefix {
                break;
            }
        }
        let shared = self.source.map(|Source { batches, thread }| {
            drop(batches); // nobody waits for the rest
            thread.join().unwrap_or_default()
        });
        (self.outdated, shared.unwrap_or_default())
    }

    /// The next one before those of the set.
    pub(super) fn next_before(&mut self) -> Option<Line> {
        let line = self.take()?;
        if line.key < self.prefix {
            return Some(line);
        }
        self.next = Some(line);
        None
    }

    /// The next one after those of the set.
    pub(super) fn next_after(&mut self) -> Option<Line> {
        loop {
            let line = self.take()?;
            if !line.key.starts_with(&self.prefix) {
                return Some(line);
            }
        }
    }

    fn take(&mut self) -> Option<Line> {
        if let Some(line) = self.next.take() {
            return Some(line);
        }
        if self.batch.as_slice().is_empty() {
            self.batch = self.source.as_ref()?.batches.recv().ok()?.into_iter();
        }
        self.batch.next()
    }
}

/// Up to the end, or the first line that is damaged.
fn read(mut lines: BufReader<File>, to: &SyncSender<Vec<Line>>) -> Shared {
    let (mut shared, mut sources, mut text) = (Shared::default(), Manifests::default(), String::new());
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        text.clear();
        let read = lines.read_line(&mut text);
        let Some(text) = text.strip_suffix('\n').filter(|_| read.is_ok()) else { break };
        match sources.parse(text, &mut shared) {
            Some(Some(line)) => batch.push(line),
            Some(None) => {}
            None => break,
        }
        if batch.len() == BATCH && to.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))).is_err() {
            return shared;
        }
    }
    let _gone = to.send(batch);
    shared
}
