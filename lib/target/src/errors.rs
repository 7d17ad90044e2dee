//! What the server's refusals of a restore mean, beyond what they mean everywhere.

use crate::plan::Plan;
use postgres::error::SqlState;
use vb_core::{Error, ErrorKind};
use vb_postgres::connection::from_postgres;

/// The error for a statement of a restore into this table.
pub(crate) fn refused(step: &str, cause: postgres::Error) -> Error {
    let code = cause.code().cloned();
    let error = from_postgres(step, cause);
    match code {
        Some(SqlState::UNIQUE_VIOLATION) => error.with_hint(
            "Nothing was changed. Use --mode upsert to overwrite rows of the same primary key, or --mode replace.",
        ),
        Some(SqlState::CARDINALITY_VIOLATION) => Error::conflict(format!("{step}: the file holds two rows of one primary key"))
            .with_hint("Nothing was changed. Import it into a table without a key, see which rows are meant, and remove the others."),
        Some(SqlState::UNDEFINED_OBJECT) => {
            error.with_hint("Nothing was changed. Create the missing type, extension or schema first, then run it again.")
        }
        Some(SqlState::FOREIGN_KEY_VIOLATION) => {
            error.with_hint("Nothing was changed. Restore the table that the foreign key points at first.")
        }
        _ => error,
    }
}

/// The error for a statement that makes the table.
pub(crate) fn not_made(step: &str, plan: &Plan, statement: &str, cause: postgres::Error) -> Error {
    let error = refused(step, cause);
    if plan.schema != Some("dump") || error.kind() == ErrorKind::Unavailable {
        return error;
    }
    let begins: String = statement.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(80).collect();
    error.during(format!("making the schema ({begins} …)")).with_hint(
        "Nothing was changed. Make what is missing, or make the table from its columns and its key alone with --schema description.",
    )
}

/// The error that a COPY's writer met while it sent rows.
pub(crate) fn not_sent(step: &str, cause: std::io::Error) -> Error {
    match cause.into_inner().map(<dyn std::error::Error + Send + Sync>::downcast::<postgres::Error>) {
        Some(Ok(cause)) => refused(step, *cause),
        _ => {
            Error::unavailable(format!("{step}: the connection broke")).with_hint("Nothing was changed; run it again.")
        }
    }
}
