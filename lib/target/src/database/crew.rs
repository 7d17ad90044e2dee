//! Several connections that share a list of tasks.

use postgres::Client;
use postgres::error::SqlState;
use std::sync::{Condvar, Mutex, PoisonError};
use vb_core::{Error, Result};
use vb_postgres::connection::from_postgres;

/// How often a statement is tried again that the server broke off because two waited for each other.
const ATTEMPTS: usize = 20;

/// Does every task, each on the connection that is free, the first ones first. After the first failure nothing more is begun.
///
/// # Errors
/// The first failure.
pub(super) fn share<T: Sync>(
    clients: &mut [Client],
    tasks: &[T],
    work: impl Fn(&mut Client, &T) -> Result<()> + Sync,
) -> Result<()> {
    share_apart(clients, tasks, |_, _| false, work)
}

/// The same of tasks that may keep each other waiting. Of two of which one keeps the other waiting only
/// one is done at a time, and what comes after them is not held up.
///
/// # Errors
/// The first failure.
pub(super) fn share_apart<T: Sync>(
    clients: &mut [Client],
    tasks: &[T],
    keeps_waiting: impl Fn(&T, &T) -> bool + Sync,
    work: impl Fn(&mut Client, &T) -> Result<()> + Sync,
) -> Result<()> {
    let board = Board::new(tasks, keeps_waiting);
    let until_none = |client: &mut Client| {
        while let Some(number) = board.take() {
            let done = tasks.get(number).map_or(Ok(()), |task| work(client, task));
            board.done(number, done.is_err());
            done?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = clients.iter_mut().map(|client| scope.spawn(|| until_none(client))).collect();
        let ended = threads.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(Error::failure("restoring the database: a thread ended unexpectedly")))
        });
        // All have ended before the first failure is told.
        ended.collect::<Vec<_>>().into_iter().collect()
    })
}

/// What is still to be done, and what is being done, by the tasks' numbers.
struct Board<'tasks, T, Waits> {
    tasks: &'tasks [T],
    keeps_waiting: Waits,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    waiting: Vec<usize>,
    running: Vec<usize>,
}

impl<'tasks, T, Waits: Fn(&T, &T) -> bool> Board<'tasks, T, Waits> {
    fn new(tasks: &'tasks [T], keeps_waiting: Waits) -> Self {
        let state = State { waiting: (0..tasks.len()).collect(), running: Vec::new() };
        Self { tasks, keeps_waiting, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The first task that none of those under way keeps waiting; waits until there is one. None when all are taken.
    fn take(&self) -> Option<usize> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.waiting.is_empty() {
                return None;
            }
            if let Some(place) = state.waiting.iter().position(|number| self.is_free(*number, &state.running)) {
                let number = state.waiting.remove(place);
                state.running.push(number);
                return Some(number);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn is_free(&self, number: usize, running: &[usize]) -> bool {
        let Some(task) = self.tasks.get(number) else { return true };
        !running.iter().filter_map(|other| self.tasks.get(*other)).any(|other| (self.keeps_waiting)(other, task))
    }

    fn done(&self, number: usize, failed: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.running.retain(|running| *running != number);
        if failed {
            state.waiting.clear();
        }
        self.changed.notify_all();
    }
}

/// Runs a statement by itself. Foreign keys lock two tables, so that two of them may wait for each other: the server breaks one off.
///
/// # Errors
/// Those of the server, with the beginning of the statement.
pub(super) fn run(client: &mut Client, step: &str, statement: &str) -> Result<()> {
    for attempt in 1.. {
        match client.batch_execute(statement) {
            Ok(()) => break,
            Err(cause) if cause.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED) && attempt < ATTEMPTS => {}
            Err(cause) => {
                let begins: String =
                    statement.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(120).collect();
                return Err(from_postgres(format!("{step} ({begins})"), cause));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &&str, other: &&str) -> bool {
        one == other
    }

    #[test]
    fn what_would_wait_lets_others_pass() {
        let tasks = ["a", "a", "b", "a"];
        let board = Board::new(&tasks, same);
        assert_eq!(board.take(), Some(0));
        assert_eq!(board.take(), Some(2));
        board.done(0, false);
        assert_eq!(board.take(), Some(1));
        board.done(1, false);
        assert_eq!(board.take(), Some(3));
        assert_eq!(board.take(), None);
    }

    #[test]
    fn a_connection_without_work_waits_for_the_one_that_keeps_it() {
        let tasks = ["a", "a"];
        let board = Board::new(&tasks, same);
        assert_eq!(board.take(), Some(0));
        let taken = std::thread::scope(|scope| {
            let other = scope.spawn(|| board.take());
            board.done(0, false);
            other.join().unwrap()
        });
        assert_eq!(taken, Some(1));
    }

    #[test]
    fn after_a_failure_nothing_more_is_begun() {
        let tasks = ["a", "b"];
        let board = Board::new(&tasks, same);
        assert_eq!(board.take(), Some(0));
        board.done(0, true);
        assert_eq!(board.take(), None);
    }
}
