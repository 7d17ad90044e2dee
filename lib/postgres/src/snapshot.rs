//! One consistent moment: a read-only transaction, its exported snapshot, and what still ran when it was taken.

use crate::connection::from_postgres;
use chrono::DateTime;
use postgres::Client;
use std::time::Duration;
use vb_core::time::Instant;
use vb_core::watermark::Moment;
use vb_core::{Error, Result};

/// How long a transaction may take from the arrival of its first command, which becomes its `now()`, to its appearance
/// in `pg_stat_activity`. The list is read at least this long after the clock.
const APPEARS_WITHIN: Duration = Duration::from_millis(50);

const STEP: &str = "taking a snapshot";

/// Settings of every session that reads a backup. Row security off: to be refused is better than to miss rows.
pub const SESSION_SETTINGS: &str = "SET statement_timeout = 0; SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = 0; \
     SET row_security = off; SET client_encoding = 'UTF8'; SET DateStyle = 'ISO'; SET extra_float_digits = 3; \
     SET IntervalStyle = 'postgres'; SET xmloption = 'content'; SET array_nulls = on";

/// A held snapshot. It ends with the client's transaction.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The token with which other connections see the same moment.
    pub token: String,
    /// What still ran when it was taken.
    pub moment: Moment,
}

/// Begins a read-only transaction in which the whole export sees one moment.
///
/// The order is what makes the watermark safe: first the clock, then the list of running transactions, then the snapshot.
///
/// # Errors
/// If the server refuses one of the steps.
pub fn begin(client: &mut Client) -> Result<Snapshot> {
    let failed = |cause| from_postgres(STEP, cause);
    client.batch_execute(SESSION_SETTINGS).map_err(failed)?;
    let clock = ask(client, CLOCK)?;
    std::thread::sleep(APPEARS_WITHIN);
    let oldest_running = ask_optional(client, OLDEST_RUNNING)?;
    let oldest_prepared = ask_optional(client, OLDEST_PREPARED)?;
    let hidden: bool = client.query_one(HIDDEN, &[]).map_err(failed)?.get(0);
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").map_err(failed)?;
    let token: String = client.query_one("SELECT pg_export_snapshot()", &[]).map_err(failed)?.get(0);
    Ok(Snapshot { token, moment: Moment { clock, oldest_running, oldest_prepared, hidden } })
}

const CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// Whoever may write rows: not vacuum, which may run for hours, and not the senders of replication.
const OLDEST_RUNNING: &str = "SELECT (extract(epoch FROM min(xact_start)) * 1000000)::bigint FROM pg_catalog.pg_stat_activity \
     WHERE pid <> pg_backend_pid() AND backend_type NOT IN ('autovacuum worker', 'walsender') \
     AND (datname = current_database() OR datname IS NULL)";

const OLDEST_PREPARED: &str = "SELECT (extract(epoch FROM min(prepared)) * 1000000)::bigint \
     FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()";

/// A standby does not list what runs on its primary; a role without the right does not see others' transactions.
const HIDDEN: &str = "SELECT pg_is_in_recovery() OR NOT (pg_has_role('pg_read_all_stats', 'USAGE') \
     OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user))";

/// The commands by which another connection sees the same moment.
#[must_use]
pub fn join(token: &str) -> String {
    let token = crate::sql::literal(token);
    format!("{SESSION_SETTINGS}; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {token}")
}

fn ask(client: &mut Client, query: &str) -> Result<Instant> {
    ask_optional(client, query)?.ok_or_else(|| Error::failure(format!("{STEP}: the server gave no time")))
}

/// A time, asked for as microseconds since 1970.
fn ask_optional(client: &mut Client, query: &str) -> Result<Option<Instant>> {
    let row = client.query_one(query, &[]).map_err(|cause| from_postgres(STEP, cause))?;
    let out_of_bounds = || Error::failure(format!("{STEP}: the server gave an impossible time"));
    let microseconds: Option<i64> = row.get(0);
    microseconds.map(|at| DateTime::from_timestamp_micros(at).ok_or_else(out_of_bounds)).transpose()
}
