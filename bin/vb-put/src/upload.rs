//! The upload and its guard. Both begin only when there is more than one piece or the stream is proven: so most mistakes
//! cost no request, and a small backup is complete before the store hears of it.

use crate::GUARD_ARGUMENT;
use std::sync::Arc;
use vb_core::location::Location;
use vb_core::{Error, Result};
use vb_pipe::Session;
use vb_pipe::cleanup::{self, Undo};
use vb_repository::{Deposit, Deposited, Journal, Place};
use vb_store::Store;

/// Must outlive the commit: when it is dropped, the guard takes what is not settled for left behind.
pub(crate) struct LazyUpload<'run> {
    session: &'run Session,
    store: &'run Arc<dyn Store>,
    location: Location,
    place: Place,
    // In this order: the deposit is undone before its guard is sent home.
    deposit: Option<Deposit>,
    _guard: Option<Undo>,
}

impl<'run> LazyUpload<'run> {
    pub(crate) fn new(session: &'run Session, store: &'run Arc<dyn Store>, location: Location, place: Place) -> Self {
        Self { session, store, location, place, deposit: None, _guard: None }
    }

    /// The upload, begun by now.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn deposit(&mut self) -> Result<&mut Deposit> {
        let deposit = match self.deposit.take() {
            Some(deposit) => deposit,
            None => {
                let journal = self.start_guard();
                Deposit::begin(self.store, &journal, self.place.clone())?
            }
        };
        Ok(self.deposit.insert(deposit))
    }

    /// Completes the objects.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn complete(&mut self) -> Result<Deposited> {
        self.deposit()?;
        self.deposit.take().ok_or_else(|| Error::failure("the upload was not begun"))?.complete()
    }

    fn start_guard(&mut self) -> Arc<Journal> {
        let journal = Journal::start(GUARD_ARGUMENT, &self.location, self.session.environment());
        let journal = Arc::new(journal.unwrap_or_else(|error| {
            self.session.warn(&format!("{error}; if this process is killed, vb-prune has to sweep what it leaves"));
            Journal::unguarded()
        }));
        let ending = Arc::clone(&journal);
        self._guard = Some(cleanup::on_failure(move || ending.finish()));
        journal
    }
}
