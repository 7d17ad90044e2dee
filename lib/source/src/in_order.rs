//! The meeting point of the threads that read pieces side by side and the one that writes them in order.
//!
//! Pieces are taken in ascending order, so whoever waits here waits for a piece that somebody is reading. What each thread
//! holds is bounded: a piece whose turn has not come waits with one group, and nobody runs far ahead of the writer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use vb_core::{Error, Result};

/// `Group` is what the pieces are made of; `Choice` what the first piece with rows decides for all.
pub(crate) struct InOrder<Group, Choice> {
    pieces: usize,
    /// How far the readers may be ahead of the writer, in pieces.
    window: usize,
    state: Mutex<State<Group, Choice>>,
    changed: Condvar,
}

struct State<Group, Choice> {
    /// The next piece to be read.
    next: usize,
    /// The piece that is being written.
    current: usize,
    /// Every piece before this one had no rows to decide by.
    undecided: usize,
    choice: Option<Arc<Choice>>,
    waiting: BTreeMap<usize, VecDeque<Group>>,
    /// Pieces that are read to their end, and not yet written.
    ended: BTreeSet<usize>,
    stopped: bool,
}

impl<Group, Choice> InOrder<Group, Choice> {
    /// For so many pieces, and readers that may be `window` pieces ahead.
    pub(crate) fn new(pieces: usize, window: usize) -> Self {
        let state = State {
            next: 0,
            current: 0,
            undecided: 0,
            choice: None,
            waiting: BTreeMap::new(),
            ended: BTreeSet::new(),
            stopped: false,
        };
        Self { pieces, window: window.max(1), state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The next piece to read, or none if all are taken or somebody failed.
    pub(crate) fn take(&self) -> Option<usize> {
        let mut state = self.wait_until(|state| state.next >= self.pieces || state.next < state.current + self.window);
        if state.stopped || state.next >= self.pieces {
            return None;
        }
        state.next += 1;
        Some(state.next - 1)
    }

    /// What was decided, if it was.
    pub(crate) fn choice(&self) -> Option<Arc<Choice>> {
        self.lock().choice.clone()
    }

    /// What was decided; where nothing was, and every piece before this one has no rows, `choose` decides.
    ///
    /// # Errors
    /// Those of `choose`; or that another reader failed.
    pub(crate) fn decide(&self, piece: usize, choose: impl FnOnce() -> Result<Choice>) -> Result<Arc<Choice>> {
        let state = self.wait_until(|state| state.choice.is_some() || state.undecided == piece);
        if state.stopped {
            return Err(stopped());
        }
        if let Some(choice) = &state.choice {
            return Ok(Arc::clone(choice));
        }
        // Nobody else may decide as long as this piece has not: the others wait.
        drop(state);
        let choice = Arc::new(choose()?);
        self.lock().choice = Some(Arc::clone(&choice));
        self.changed.notify_all();
        Ok(choice)
    }

    /// Hands a group over, as soon as there is room.
    ///
    /// # Errors
    /// If another reader failed, or the writer.
    pub(crate) fn push(&self, piece: usize, group: Group) -> Result<()> {
        let mut state = self.wait_until(|state| state.waiting.get(&piece).is_none_or(VecDeque::is_empty));
        if state.stopped {
            return Err(stopped());
        }
        state.waiting.entry(piece).or_default().push_back(group);
        self.changed.notify_all();
        Ok(())
    }

    /// The piece has been read to its end. `empty` if there was no row in it.
    pub(crate) fn end(&self, piece: usize, empty: bool) {
        let mut state = self.wait_until(|state| !empty || state.choice.is_some() || state.undecided == piece);
        if empty && state.undecided == piece {
            state.undecided += 1;
        }
        state.ended.insert(piece);
        self.changed.notify_all();
    }

    /// The next group in the order of pieces; none after the last, or if somebody failed.
    pub(crate) fn next_group(&self) -> Option<Group> {
        loop {
            let mut state = self.wait_until(|state| state.current >= self.pieces || state.is_writer_wanted());
            let current = state.current;
            if state.stopped || current >= self.pieces {
                return None;
            }
            let group = state.waiting.get_mut(&current).and_then(VecDeque::pop_front);
            if group.is_none() {
                state.ended.remove(&current);
                state.waiting.remove(&current);
                state.current += 1;
            }
            self.changed.notify_all();
            if group.is_some() {
                return group;
            }
        }
    }

    /// Somebody failed: nobody waits any more.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Whether somebody failed.
    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    fn lock(&self) -> MutexGuard<'_, State<Group, Choice>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for this, or for a failure.
    fn wait_until(&self, ready: impl Fn(&State<Group, Choice>) -> bool) -> MutexGuard<'_, State<Group, Choice>> {
        let waiting = self.changed.wait_while(self.lock(), |state| !state.stopped && !ready(state));
        waiting.unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Group, Choice> State<Group, Choice> {
    fn is_writer_wanted(&self) -> bool {
        let has_group = self.waiting.get(&self.current).is_some_and(|groups| !groups.is_empty());
        has_group || self.ended.contains(&self.current)
    }
}

fn stopped() -> Error {
    Error::failure("reading rows: another part of the export failed")
}

/// Stops everybody if the thread that holds it panics or returns early.
pub(crate) struct StopUnlessDone<'order, Group, Choice> {
    order: &'order InOrder<Group, Choice>,
    done: bool,
}

impl<'order, Group, Choice> StopUnlessDone<'order, Group, Choice> {
    pub(crate) fn new(order: &'order InOrder<Group, Choice>) -> Self {
        Self { order, done: false }
    }

    /// All went well.
    pub(crate) fn done(mut self) {
        self.done = true;
    }
}

impl<Group, Choice> Drop for StopUnlessDone<'_, Group, Choice> {
    fn drop(&mut self) {
        if !self.done {
            self.order.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads pieces on some threads; piece `n` has the groups that `groups` says. Returns what was written, and the choice.
    fn run(
        pieces: usize,
        threads: usize,
        groups: impl Fn(usize) -> usize + Sync,
    ) -> (Vec<(usize, usize)>, Option<usize>) {
        let order: InOrder<(usize, usize), usize> = InOrder::new(pieces, threads * 2);
        let written = std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while let Some(piece) = order.take() {
                        for number in 0..groups(piece) {
                            order.decide(piece, || Ok(piece)).unwrap();
                            order.push(piece, (piece, number)).unwrap();
                        }
                        order.end(piece, groups(piece) == 0);
                    }
                });
            }
            std::iter::from_fn(|| order.next_group()).collect()
        });
        (written, order.choice().map(|choice| *choice))
    }

    #[test]
    fn groups_come_in_the_order_of_pieces_whoever_reads_them() {
        for threads in [1, 2, 5] {
            let (written, choice) = run(40, threads, |piece| (piece + 2) % 4);
            let expected: Vec<_> = (0..40).flat_map(|piece| (0..(piece + 2) % 4).map(move |n| (piece, n))).collect();
            assert_eq!((written, choice), (expected, Some(0)));
        }
    }

    #[test]
    fn the_first_piece_with_rows_decides() {
        let (written, choice) = run(9, 3, |piece| usize::from(piece >= 4));
        assert_eq!((written.len(), choice), (5, Some(4)));
        assert_eq!(run(9, 3, |_| 0), (Vec::new(), None));
        assert_eq!(run(0, 3, |_| 1), (Vec::new(), None));
    }

    #[test]
    fn after_a_failure_nobody_waits() {
        let order: InOrder<u8, u8> = InOrder::new(5, 2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let stop = StopUnlessDone::new(&order);
                assert_eq!(order.take(), Some(0));
                drop(stop);
            });
            assert_eq!(order.next_group(), None);
        });
        assert_eq!(order.take(), None);
        assert!(order.push(0, 1).is_err());
        assert!(order.decide(3, || Ok(1)).is_err());
    }
}
