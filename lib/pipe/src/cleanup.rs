//! What must be undone if the command fails or is told to stop: uploads, temporary files, records.
//!
//! A guard undoes its work when it is dropped; the signal thread undoes whatever is still guarded. A section that must
//! not be interrupted half way (the commit of a backup) takes [`uninterrupted`], for which the signal thread waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

type Action = Box<dyn FnOnce() + Send>;

static ACTIONS: Mutex<Vec<(u64, Action)>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);
static COMMIT: Mutex<()> = Mutex::new(());

/// Undoes its action when it is dropped, once, unless it was disarmed.
#[derive(Debug)]
#[must_use = "dropping it undoes the work at once"]
pub struct Undo(u64);

impl Undo {
    /// The work is finished: nothing is to be undone any more.
    pub fn disarm(self) {
        drop(take(self.0));
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        if let Some(action) = take(self.0) {
            action();
        }
    }
}

/// Registers what undoes the work that begins now.
pub fn on_failure(action: impl FnOnce() + Send + 'static) -> Undo {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    ACTIONS.lock().unwrap_or_else(PoisonError::into_inner).push((number, Box::new(action)));
    Undo(number)
}

fn take(number: u64) -> Option<Action> {
    let mut actions = ACTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    let place = actions.iter().position(|(other, _)| *other == number)?;
    Some(actions.remove(place).1)
}

/// Keeps a signal from ending the process until the guard is dropped. Keep it short.
pub fn uninterrupted() -> MutexGuard<'static, ()> {
    COMMIT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Undoes everything, the newest first. Called when the process is about to end.
pub(crate) fn undo_all() {
    loop {
        let newest = ACTIONS.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match newest {
            Some((_, action)) => action(),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn an_undo_happens_once_unless_disarmed() {
        let count = Arc::new(AtomicUsize::new(0));
        let undo = |count: &Arc<AtomicUsize>| {
            let count = Arc::clone(count);
            on_failure(move || count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed))
        };
        undo(&count).disarm();
        assert_eq!(count.load(Ordering::Relaxed), 0);
        drop(undo(&count));
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
}
