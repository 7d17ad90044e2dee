//! A guard for as long as there may be something to undo.

use crate::journal::Journal;
use std::sync::Arc;
use vb_core::environment::Environment;
use vb_core::location::Location;
use vb_pipe::Session;
use vb_pipe::cleanup::{self, Undo};

/// Must outlive the commit: when it is dropped, the guard takes what is not settled for left behind.
pub struct Guarded {
    /// What is told to the guard.
    pub journal: Arc<Journal>,
    _ending: Undo,
}

impl Guarded {
    /// Starts a guard for work in this store. Where none can be started, the run goes on with a warning.
    #[must_use]
    pub fn start(session: &Session, location: &Location, environment: &Environment) -> Self {
        let journal = Arc::new(Journal::start(location, environment).unwrap_or_else(|error| {
            session.warn(&format!("{error}; if this process is killed, vb-prune has to sweep what it leaves"));
            Journal::unguarded()
        }));
        let ending = Arc::clone(&journal);
        Self { journal, _ending: cleanup::on_failure(move || ending.finish()) }
    }
}
