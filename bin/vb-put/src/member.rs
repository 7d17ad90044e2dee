//! One of the stores that get the stream: a short queue, and a thread that uploads what comes out of it.

use std::sync::MutexGuard;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use vb_core::key::Key;
use vb_core::label::Label;
use vb_core::manifest::{Manifest, Object, Proof};
use vb_core::{Error, ErrorKind, Result, chain};
use vb_pipe::Session;
use vb_repository::{Chunk, Deposit, Deposited, Guarded, OpenStore, Place, annotation, select};
use vb_store::Facts;

/// Pieces that wait for a store which is slower than the stream.
const WAITING: usize = 2;

/// What the thread is told. That nothing comes any more, without `Complete`, undoes the upload.
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

/// A store, and how it stands. Dropped before the commit, what it holds of the backup is undone.
pub(crate) struct Member {
    target: OpenStore,
    state: State,
}

impl Member {
    pub(crate) fn new(target: OpenStore) -> Self {
        Self { target, state: State::Idle }
    }

    /// Where it is.
    pub(crate) fn target(&self) -> &OpenStore {
        &self.target
    }

    /// Its URL.
    pub(crate) fn name(&self) -> String {
        self.target.store.describe()
    }

    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.state, State::Failed(_))
    }

    /// Why it failed, if it did.
    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Failed(error) => Some(error),
            state => {
                self.state = state;
                None
            }
        }
    }

    /// Whether nothing in the store has this id. If it cannot be asked it has failed, and is in nobody's way.
    pub(crate) fn is_free(&mut self, place: &Place) -> bool {
        if self.has_failed() {
            return true;
        }
        place.is_free(&*self.target.store).unwrap_or_else(|error| {
            self.state = State::Failed(error);
            true
        })
    }

    /// Fails if the store lacks the backup on which the new one stands, or that is another: nobody could restore it.
    pub(crate) fn demand_base(&mut self, base: &str, label: &Label) {
        if self.has_failed() {
            return;
        }
        if let Err(error) = base_is_there(&self.target, base, label) {
            self.state = State::Failed(error);
        }
    }

    /// Begins the upload, if it has not begun. The guard is a child of this thread, which lives as long as the process.
    pub(crate) fn start(&mut self, session: &Session, place: &Place, metadata: &Facts) {
        if !matches!(self.state, State::Idle) {
            return;
        }
        let (feed, orders) = sync_channel(WAITING);
        let guarded = Guarded::start(session, &self.target.location, &self.target.environment);
        let (target, place, metadata) = (self.target.clone(), place.clone(), metadata.clone());
        let run = move || upload(&target, guarded, place, metadata, &orders);
        self.state = match std::thread::Builder::new().name("store".to_owned()).spawn(run) {
            Ok(thread) => State::Running(feed, thread),
            Err(cause) => State::Failed(Error::io("starting a thread for the store", cause)),
        };
    }

    /// Hands over a piece, after waiting for a place in the queue.
    pub(crate) fn write(&mut self, chunk: &Chunk) {
        let gone = match &self.state {
            State::Running(feed, _) => feed.send(Order::Write(chunk.clone())).is_err(),
            _ => false,
        };
        if gone {
            self.settle();
        }
    }

    /// Asks for the objects to be completed; [`Member::settle`] waits for it.
    pub(crate) fn complete(&self) {
        if let State::Running(feed, _) = &self.state {
            let _its_end_tells = feed.send(Order::Complete);
        }
    }

    /// Waits for the thread and takes its result.
    pub(crate) fn settle(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Idle) {
            State::Running(feed, thread) => {
                drop(feed);
                match thread.join() {
                    Ok(Ok(ready)) => State::Complete(Box::new(ready)),
                    Ok(Err(error)) => State::Failed(error),
                    Err(_) => State::Failed(Error::failure("the thread of a store ended early")),
                }
            }
            state => state,
        };
    }

    /// Puts the manifest, if the objects are complete.
    pub(crate) fn commit(
        self,
        section: &MutexGuard<'_, ()>,
        manifest: impl Fn(Vec<Object>) -> Manifest,
        warn: impl FnOnce(&str),
    ) -> Result<(Manifest, Key)> {
        let Ready { deposited, _guarded } = match self.state {
            State::Complete(ready) => *ready,
            State::Failed(error) => return Err(error),
            State::Idle | State::Running(..) => return Err(Error::failure("its objects were never completed")),
        };
        let manifest = manifest(deposited.objects());
        let bytes = manifest.to_bytes()?;
        let key = deposited.commit_within(section, &manifest.id, &bytes).map_err(explain_conflict)?;
        annotation::tag(&*self.target.store, &manifest, warn);
        Ok((manifest, key))
    }

    /// Ends the feed, which undoes the upload; its thread is still to be waited for.
    pub(crate) fn give_up(self) -> Option<JoinHandle<impl Sized + use<>>> {
        match self.state {
            State::Running(_feed, thread) => Some(thread),
            State::Idle | State::Complete(_) | State::Failed(_) => None,
        }
    }
}

fn base_is_there(target: &OpenStore, base: &str, label: &Label) -> Result<()> {
    let refused =
        |why: &str| format!("storing an incremental backup: {base}, on which it stands, {why} {}", target.location);
    let lacking = |why| {
        Error::not_found(refused(why)).with_hint("Bring it there with vb-copy, or export in full: leave --since out.")
    };
    let manifest = select::by_id(&*target.store, base).map_err(|error| match error.kind() {
        ErrorKind::NotFound => lacking("is not in"),
        _ => error,
    })?;
    for object in &manifest.objects {
        let found = target.store.head(&object.key)?;
        if found.is_none_or(|found| found.size_bytes != object.size_bytes) {
            return Err(lacking("is not whole in"));
        }
    }
    let next = Manifest::new(base, manifest.created_at, label.clone(), Vec::new(), Proof::default());
    chain::follows(&manifest, &next).map_err(|why| {
        Error::conflict(format!("storing an incremental backup: {base}, on which it stands, {why}"))
            .with_hint("Export in full: leave --since out, or remove the mark.")
    })
}

/// The work of the thread.
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

fn explain_conflict(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Conflict => error.with_hint("Another run took the same second; run it again."),
        _ => error,
    }
}
