//! Several connections that share a list of tasks.

use postgres::Client;
use postgres::error::SqlState;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use vb_core::{Error, Result};
use vb_postgres::connection::from_postgres;

/// How often a statement is tried again that the server broke off because two waited for each other.
const ATTEMPTS: usize = 20;

/// Does every task, each on the connection that is free. After the first failure nothing more is begun.
///
/// # Errors
/// The first failure.
pub(super) fn share<T: Send>(
    clients: &mut [Client],
    tasks: Vec<T>,
    work: impl Fn(&mut Client, T) -> Result<()> + Sync,
) -> Result<()> {
    let tasks = Mutex::new(VecDeque::from(tasks));
    let take = || tasks.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let until_none = |client: &mut Client| {
        while let Some(task) = take() {
            work(client, task).inspect_err(|_| tasks.lock().unwrap_or_else(PoisonError::into_inner).clear())?;
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
