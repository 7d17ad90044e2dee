//! What follows when the rows are in the table: constraints, indexes, triggers. Rows are worth more than any of them, so that one
//! that cannot be made here is left out and named, and the others are made.

use postgres::Client;
use postgres::error::SqlState;
use vb_core::{Error, Result};
use vb_postgres::connection::from_postgres;

/// A statement that may fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Optional {
    pub(crate) statement: String,
    /// Whether the table is as it was without it: a part whose parent is not there.
    pub(crate) dispensable: bool,
}

/// A statement that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// What was to be made.
    pub statement: String,
    /// Why it could not be.
    pub reason: String,
    /// Whether the table is as it was without it.
    pub dispensable: bool,
}

/// Runs each of them on its own.
///
/// # Errors
/// What does not lie in the statement: a lost connection, a lock, a full disk. Then nothing is restored.
pub(crate) fn run(client: &mut Client, step: &str, statements: &[Optional]) -> Result<Vec<LeftOut>> {
    let mut left_out = Vec::new();
    for Optional { statement, dispensable } in statements {
        attempt(client, step, statement)?.into_iter().for_each(|reason| {
            left_out.push(LeftOut { statement: one_line(statement), reason, dispensable: *dispensable });
        });
    }
    Ok(left_out)
}

/// Why the statement failed, if it did.
fn attempt(client: &mut Client, step: &str, statement: &str) -> Result<Option<String>> {
    let refused = |cause| from_postgres(step, cause);
    client.batch_execute("SAVEPOINT vb_optional").map_err(refused)?;
    let reason = match client.batch_execute(statement) {
        Ok(()) => None,
        Err(cause) if cause.code().is_some_and(lies_in_the_statement) => {
            client.batch_execute("ROLLBACK TO SAVEPOINT vb_optional").map_err(refused)?;
            let error: Error = from_postgres("", cause);
            Some(error.to_string().trim_start_matches(": ").to_owned())
        }
        Err(cause) => return Err(refused(cause)),
    };
    client.batch_execute("RELEASE SAVEPOINT vb_optional").map_err(refused)?;
    Ok(reason)
}

/// Classes of SQLSTATE: not supported, data, integrity, dependent objects, no such schema, syntax and access, program limits,
/// and what functions in expressions may say. A lock or a lost connection is none of them.
fn lies_in_the_statement(code: &SqlState) -> bool {
    const CLASSES: [&str; 9] = ["0A", "22", "23", "2B", "3F", "42", "54", "P0", "39"];
    CLASSES.contains(&code.code().get(..2).unwrap_or_default())
        || [SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, SqlState::UNDEFINED_FILE].contains(code)
}

fn one_line(statement: &str) -> String {
    statement.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_in_the_statement_may_be_left_out() {
        for code in [
            SqlState::UNDEFINED_TABLE,
            SqlState::FOREIGN_KEY_VIOLATION,
            SqlState::UNIQUE_VIOLATION,
            SqlState::UNDEFINED_OBJECT,
        ] {
            assert!(lies_in_the_statement(&code), "{code:?}");
        }
        for code in [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::DISK_FULL,
            SqlState::ADMIN_SHUTDOWN,
            SqlState::QUERY_CANCELED,
            SqlState::OUT_OF_MEMORY,
        ] {
            assert!(!lies_in_the_statement(&code), "{code:?}");
        }
    }
}
