//! The stores that get the stream, each fed through a short queue by a thread of its own. One that fails is undone and
//! stops no other, as long as enough are left.
//!
//! An upload begins only when there is more than one piece or the stream is proven: so most mistakes cost no request, and
//! a small backup is complete before a store hears of it. All objects are complete everywhere before the first manifest
//! is sent.

use std::sync::MutexGuard;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use vb_core::key::Key;
use vb_core::manifest::{Manifest, Object};
use vb_core::{Error, ErrorKind, Result};
use vb_pipe::{Session, cleanup};
use vb_repository::{Chunk, Deposit, Deposited, Guarded, OpenStore, Place, annotation};
use vb_store::Facts;

/// Pieces that wait for a store which is slower than the stream.
const WAITING: usize = 2;

/// What a store's thread is told. That nothing comes any more, without `Complete`, undoes its upload.
enum Order {
    Write(Chunk),
    Complete,
}

/// Complete objects, and the guard that must outlive the commit.
struct Ready {
    // In this order: the deposit is undone before its guard is sent home.
    deposited: Deposited,
    _guarded: Guarded,
}

enum State {
    /// Nothing has been sent yet.
    Idle,
    Running(SyncSender<Order>, JoinHandle<Result<Ready>>),
    Complete(Box<Ready>),
    Failed(Error),
}

/// A store, and how it stands.
struct Member {
    target: OpenStore,
    state: State,
}

/// The stores of one run. Dropped before the commit, it undoes everything.
pub(crate) struct Fleet {
    session: Session,
    members: Vec<Member>,
    quorum: usize,
    /// Fixed when the first piece is sent.
    metadata: Facts,
}

/// What became of the backup in one store.
pub(crate) struct Verdict {
    /// The store's URL.
    pub(crate) store: String,
    /// The manifest and its key there.
    pub(crate) result: Result<(Manifest, Key)>,
}

/// The verdicts of all stores. As long as it lives no signal is heeded: the mark and the status line belong to it.
pub(crate) struct Verdicts {
    /// In the order in which the stores were named.
    pub(crate) all: Vec<Verdict>,
    _uninterrupted: MutexGuard<'static, ()>,
}

impl Fleet {
    /// `quorum` is how many stores must have the backup; all of them unless it is given.
    ///
    /// # Errors
    /// A usage error if there are not so many.
    pub(crate) fn new(session: &Session, targets: Vec<OpenStore>, quorum: Option<usize>) -> Result<Self> {
        let quorum = quorum.unwrap_or(targets.len());
        if !(1..=targets.len()).contains(&quorum) {
            return Err(Error::usage(format!("--quorum is {quorum}, but there are {} stores", targets.len()))
                .with_hint("Give a number from 1 to the number of stores."));
        }
        let members = targets.into_iter().map(|target| Member { target, state: State::Idle }).collect();
        Ok(Self { session: session.clone(), members, quorum, metadata: Facts::new() })
    }

    /// How many stores must have the backup.
    pub(crate) fn quorum(&self) -> usize {
        self.quorum
    }

    /// The URLs.
    pub(crate) fn names(&self) -> Vec<String> {
        self.members.iter().map(|member| member.target.store.describe()).collect()
    }

    /// Whether nothing in any store has this id. A store that cannot be asked has failed.
    ///
    /// # Errors
    /// If too few stores are left.
    pub(crate) fn is_free(&mut self, place: &Place) -> Result<bool> {
        let mut free = true;
        for index in 0..self.members.len() {
            let member = &self.members[index];
            if matches!(member.state, State::Failed(_)) {
                continue;
            }
            match place.is_free(&*member.target.store) {
                Ok(is_free) => free &= is_free,
                Err(error) => self.fail(index, error),
            }
        }
        self.demand_quorum()?;
        Ok(free)
    }

    /// What each object is stored with.
    pub(crate) fn describe(&mut self, metadata: Facts) {
        self.metadata = metadata;
    }

    /// Hands a piece to every store.
    ///
    /// # Errors
    /// If too few stores are left.
    pub(crate) fn write(&mut self, place: &Place, chunk: &Chunk) -> Result<()> {
        for index in 0..self.members.len() {
            self.start(index, place);
            let gone = match &self.members[index].state {
                State::Running(feed, _) => feed.send(Order::Write(chunk.clone())).is_err(),
                _ => false,
            };
            if gone {
                self.settle(index);
            }
        }
        self.demand_quorum()
    }

    /// Completes the objects everywhere.
    ///
    /// # Errors
    /// If too few stores have them; those that have are undone.
    pub(crate) fn complete(&mut self, place: &Place) -> Result<()> {
        for index in 0..self.members.len() {
            self.start(index, place);
            if let State::Running(feed, _) = &self.members[index].state {
                let _its_end_tells = feed.send(Order::Complete);
            }
        }
        (0..self.members.len()).for_each(|index| self.settle(index));
        self.demand_quorum()
    }

    /// Puts the manifests: from then on the backup exists. One that fails undoes its own store's objects only.
    pub(crate) fn commit(mut self, manifest: impl Fn(Vec<Object>) -> Manifest) -> Verdicts {
        let uninterrupted = cleanup::uninterrupted();
        let mut all = Vec::with_capacity(self.members.len());
        for member in std::mem::take(&mut self.members) {
            let store = member.target.store;
            let result = match member.state {
                State::Complete(ready) => {
                    let Ready { deposited, _guarded } = *ready;
                    let manifest = manifest(deposited.objects());
                    let result = manifest
                        .to_bytes()
                        .and_then(|bytes| deposited.commit_within(&uninterrupted, &manifest.id, &bytes))
                        .map_err(explain_conflict);
                    result.map(|key| (manifest, key))
                }
                State::Failed(error) => Err(error),
                State::Idle | State::Running(..) => Err(Error::failure("its objects were never completed")),
            };
            if let Ok((manifest, _)) = &result {
                annotation::tag(&*store, manifest, |words| self.session.warn(words));
            }
            all.push(Verdict { store: store.describe(), result });
        }
        Verdicts { all, _uninterrupted: uninterrupted }
    }

    fn start(&mut self, index: usize, place: &Place) {
        let member = &mut self.members[index];
        if !matches!(member.state, State::Idle) {
            return;
        }
        let (feed, orders) = sync_channel(WAITING);
        let (session, target, place) = (&self.session, member.target.clone(), place.clone());
        let metadata = self.metadata.clone();
        let guarded = Guarded::start(session, &target.location, &target.environment);
        let run = move || upload(&target, guarded, place, metadata, &orders);
        match std::thread::Builder::new().name("store".to_owned()).spawn(run) {
            Ok(thread) => member.state = State::Running(feed, thread),
            Err(cause) => self.fail(index, Error::io("starting a thread for the store", cause)),
        }
    }

    /// Waits for a store's thread and takes its result.
    fn settle(&mut self, index: usize) {
        let state = std::mem::replace(&mut self.members[index].state, State::Idle);
        let State::Running(feed, thread) = state else {
            self.members[index].state = state;
            return;
        };
        drop(feed);
        let result = thread.join().unwrap_or_else(|_| Err(Error::failure("the thread of a store ended early")));
        match result {
            Ok(ready) => self.members[index].state = State::Complete(Box::new(ready)),
            Err(error) => self.fail(index, error),
        }
    }

    fn fail(&mut self, index: usize, error: Error) {
        if self.members.len() > 1 {
            let store = self.members[index].target.store.describe();
            self.session.explain(&format!("{store} failed: {error}"));
        }
        self.members[index].state = State::Failed(error);
    }

    /// The first failure, if it makes too many.
    fn demand_quorum(&mut self) -> Result<()> {
        let failed = |member: &Member| matches!(member.state, State::Failed(_));
        let left = self.members.iter().filter(|member| !failed(member)).count();
        if left >= self.quorum {
            return Ok(());
        }
        let several = self.members.len() > 1;
        let mut first = None;
        for member in &mut self.members {
            if let State::Failed(error) = std::mem::replace(&mut member.state, State::Idle) {
                let store = member.target.store.describe();
                if several {
                    crate::report::store_failed(&self.session, &store, &error)?;
                }
                first.get_or_insert((store, error));
            }
        }
        Err(match first {
            Some((store, error)) if several => in_store(&store, error),
            Some((_, error)) => error,
            None => Error::failure("there is no store"),
        })
    }
}

impl Drop for Fleet {
    /// Waits until every upload is undone.
    fn drop(&mut self) {
        let running = self.members.drain(..).filter_map(|member| match member.state {
            State::Running(feed, thread) => Some((feed, thread)),
            _ => None,
        });
        let threads: Vec<_> = running.map(|(_feed, thread)| thread).collect();
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

/// The work of a store's thread.
fn upload(
    target: &OpenStore,
    guarded: Guarded,
    place: Place,
    metadata: Facts,
    orders: &Receiver<Order>,
) -> Result<Ready> {
    let mut deposit = Deposit::begin_with(&target.store, &guarded.journal, place, metadata)?;
    while let Ok(order) = orders.recv() {
        match order {
            Order::Write(chunk) => deposit.write(&chunk)?,
            Order::Complete => return Ok(Ready { deposited: deposit.complete()?, _guarded: guarded }),
        }
    }
    Err(Error::failure("the stream was given up"))
}

/// The same error, with the store to which it happened.
pub(crate) fn in_store(store: &str, error: Error) -> Error {
    let located = Error::new(error.kind(), format!("{store}: {error}"));
    match error.hint() {
        Some(hint) => located.with_hint(hint),
        None => located,
    }
}

fn explain_conflict(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Conflict => error.with_hint("Another run took the same second; run it again."),
        _ => error,
    }
}
