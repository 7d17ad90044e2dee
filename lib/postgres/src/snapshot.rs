//! One consistent moment: a read-only transaction, its exported snapshot, and what still ran when it was taken.

use crate::connection::from_postgres;
use crate::database::contents;
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

/// Settings of every session that reads a backup. Row security off: to be refused is better than to miss rows. Whoever waits for
/// a lock may keep others waiting behind it, so that we give up soon and try again.
pub const SESSION_SETTINGS: &str = "SET statement_timeout = 0; SET lock_timeout = '2s'; SET idle_in_transaction_session_timeout = 0; \
     SET row_security = off; SET client_encoding = 'UTF8'; SET DateStyle = 'ISO'; SET extra_float_digits = 3; \
     SET IntervalStyle = 'postgres'; SET xmloption = 'content'; SET array_nulls = on";

/// A snapshot that another process holds, as `vb-export snapshot` prints it: its name and the watermark that goes with it,
/// such as `00000003-0000001B-1@2026-11-21T03:15:00.123456Z`, and `+prepared` behind it if a prepared transaction was open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The server's name for the snapshot.
    pub name: String,
    /// The watermark of every export from it.
    pub until: Instant,
    /// Whether a transaction was prepared then, of which nobody knows when it began.
    pub prepared: bool,
}

const PREPARED: &str = "+prepared";

impl Token {
    /// Reads a token.
    ///
    /// # Errors
    /// A usage error if it is none.
    pub fn parse(text: &str) -> Result<Self> {
        let is_name = |name: &str| {
            name.split('-').count() == 3 && name.split('-').all(|number| u32::from_str_radix(number, 16).is_ok())
        };
        let text = text.trim();
        let (plain, prepared) = text.strip_suffix(PREPARED).map_or((text, false), |plain| (plain, true));
        let parts = plain.split_once('@').filter(|(name, _)| is_name(name));
        let token =
            parts.and_then(|(name, until)| Some(Self { name: name.to_owned(), until: until.parse().ok()?, prepared }));
        token.ok_or_else(|| {
            Error::usage(format!("the snapshot {text:?} is none"))
                .with_hint("Give the line that vb-export snapshot prints, with the time in it.")
        })
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let prepared = if self.prepared { PREPARED } else { "" };
        write!(formatter, "{}@{}{prepared}", self.name, vb_core::time::exact(self.until))
    }
}

/// A held snapshot. It ends with the client's transaction.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The token with which other connections see the same moment.
    pub token: String,
    /// The server's clock when we began.
    pub clock: Instant,
    /// What still ran when it was taken.
    pub moment: Moment,
    /// The same, by transactions.
    pub xids: Xids,
    /// The server's timeline, where we may ask for it.
    pub timeline: Option<u32>,
    /// When the server was started, in microseconds since 1970; none of a standby, beside which there may be others.
    pub started: Option<i64>,
    /// The database's oid.
    pub database_oid: u32,
}

/// The transactions that a snapshot divides, as xid8: 64 bits that never come round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Xids {
    /// The oldest that still ran (`pg_snapshot_xmin`): all before it are seen, or were rolled back. Transactions that were open then,
    /// prepared ones too, have this number or a later one, and so have all their savepoints, since a subtransaction's number is
    /// given out after its parent's. One that had no number yet gets a later one.
    pub oldest: u64,
    /// The first that had not begun (`pg_snapshot_xmax`): none from it on is seen.
    pub next: u64,
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
    let timeline = timeline(client)?;
    let clock = ask(client, CLOCK)?;
    std::thread::sleep(APPEARS_WITHIN);
    let oldest_running = ask_optional(client, OLDEST_RUNNING)?;
    let oldest_prepared = ask_optional(client, OLDEST_PREPARED)?;
    let hidden: bool = client.query_one(HIDDEN, &[]).map_err(failed)?.get(0);
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").map_err(failed)?;
    let token = export(client)?;
    let moment = Moment { clock, oldest_running, oldest_prepared, hidden };
    held(client, token, clock, moment, timeline)
}

/// Begins a transaction in a snapshot that another process holds. It stays when that process ends.
///
/// # Errors
/// `NotFound` if the snapshot has ended, or is another server's or database's.
pub fn adopt(client: &mut Client, token: &Token) -> Result<Snapshot> {
    let timeline = timeline(client)?;
    let clock = ask(client, CLOCK)?;
    client.batch_execute(&join(&token.name)).map_err(|cause| {
        let error = from_postgres("joining the snapshot", cause);
        let gone = error.to_string().contains("snapshot");
        let hint = "It must still be held, by a vb-export snapshot on the same server and database.";
        if gone { Error::not_found(error.to_string()).with_hint(hint) } else { error }
    })?;
    let oldest_prepared = token.prepared.then_some(token.until);
    let moment = Moment { clock: token.until, oldest_running: None, oldest_prepared, hidden: false };
    let own = export(client)?;
    held(client, own, clock, moment, timeline)
}

/// With what tells a server that was put back, and a database that was made anew.
fn held(client: &mut Client, token: String, clock: Instant, moment: Moment, timeline: Option<u32>) -> Result<Snapshot> {
    let started = client.query_one(STARTED, &[]).map_err(|cause| from_postgres(STEP, cause))?.get(0);
    let database_oid = contents::database_oid(client)?;
    Ok(Snapshot { token, clock, moment, xids: xids(client)?, timeline, started, database_oid })
}

const STARTED: &str = "SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() \
     THEN (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint END";

/// Of the transaction's snapshot.
fn xids(client: &mut Client) -> Result<Xids> {
    let row = client.query_one(XIDS, &[]).map_err(|cause| from_postgres(STEP, cause))?;
    let number = |column: usize| row.get::<_, String>(column).parse().ok();
    let xids = number(0).zip(number(1)).map(|(oldest, next)| Xids { oldest, next });
    xids.ok_or_else(|| Error::failure(format!("{STEP}: the server gave no transaction numbers")))
}

const XIDS: &str = "SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text, \
     pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text";

/// To be asked before the transaction, which a refusal would end.
fn timeline(client: &mut Client) -> Result<Option<u32>> {
    let failed = |cause| from_postgres(STEP, cause);
    let row = client.query_one(TIMELINE_RIGHTS, &[]).map_err(failed)?;
    let query = match (row.get::<_, bool>(0), row.get(1), row.get(2)) {
        (false, true, _) => TIMELINE_OF_PRIMARY,
        (true, _, true) => TIMELINE_OF_STANDBY,
        _ => return Ok(None),
    };
    let timeline: i64 = client.query_one(query, &[]).map_err(failed)?.get(0);
    Ok(u32::try_from(timeline).ok())
}

const TIMELINE_RIGHTS: &str = "SELECT pg_catalog.pg_is_in_recovery(), \
     pg_catalog.has_function_privilege('pg_catalog.pg_current_wal_lsn()', 'EXECUTE') \
     AND pg_catalog.has_function_privilege('pg_catalog.pg_walfile_name(pg_lsn)', 'EXECUTE'), \
     pg_catalog.has_function_privilege('pg_catalog.pg_control_checkpoint()', 'EXECUTE')";

/// The first eight digits of the file that is being written. The control file knows a promotion only after a checkpoint.
const TIMELINE_OF_PRIMARY: &str =
    "SELECT ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::int8";

const TIMELINE_OF_STANDBY: &str = "SELECT timeline_id::int8 FROM pg_catalog.pg_control_checkpoint()";

fn export(client: &mut Client) -> Result<String> {
    let row = client.query_one("SELECT pg_export_snapshot()", &[]);
    Ok(row.map_err(|cause| from_postgres(STEP, cause))?.get(0))
}

/// A standby has no rows that are newer than what it has replayed.
const CLOCK: &str = "SELECT (extract(epoch FROM CASE WHEN pg_is_in_recovery() \
     THEN least(clock_timestamp(), coalesce(pg_last_xact_replay_timestamp(), to_timestamp(0))) ELSE clock_timestamp() END) * 1000000)::bigint";

/// Whoever may write rows: not vacuum, which may run for hours, and not the senders of replication that have written nothing. Between two
/// transactions of one message no start is shown, and the next one's `now()` is the message's.
const OLDEST_RUNNING: &str = "SELECT (extract(epoch FROM min(least(xact_start, CASE WHEN state = 'active' THEN query_start END))) * 1000000)::bigint \
     FROM pg_catalog.pg_stat_activity \
     WHERE pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker' AND (backend_type <> 'walsender' OR backend_xid IS NOT NULL) \
     AND (datname = current_database() OR datname IS NULL)";

const OLDEST_PREPARED: &str = "SELECT (extract(epoch FROM min(prepared)) * 1000000)::bigint \
     FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()";

/// A standby does not list what runs on its primary; a role without the right does not see others' transactions, and nobody sees those of
/// sessions that do not tell of them.
const HIDDEN: &str = "SELECT pg_is_in_recovery() OR current_setting('track_activities') = 'off' \
     OR EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE state = 'disabled') OR NOT (pg_has_role('pg_read_all_stats', 'USAGE') \
     OR (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user))";

/// What follows the session's settings where the rows that row-level security shows are enough.
pub const ROW_SECURITY: &str = "SET row_security = on";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back() {
        for text in
            ["00000003-0000001B-1@2026-11-21T03:15:00.123456Z", "00000003-0000001B-1@2026-11-21T03:15:00Z+prepared"]
        {
            assert_eq!(Token::parse(&format!("{text}\n")).unwrap().to_string(), text);
        }
        for bad in
            ["", "00000003-0000001B-1", "x@2026-11-21T03:15:00Z", "3-1B-1@yesterday", "3-1B-1-1@2026-11-21T03:15:00Z"]
        {
            assert!(Token::parse(bad).is_err(), "{bad:?}");
        }
    }
}
