//! How what a killed restore has left is told from what a running one is making: it bears a mark, and as long as the restore runs one of
//! its connections holds a lock of the server on it.

/// The comment on a schema or database that is not whole yet.
pub(crate) const MARK: &str = "vb-import: on its way; to be dropped if no restore is running";

/// The upper half of the locks' keys: "vb". Below it is an oid.
const KEYS: i64 = 0x7662 << 32;

/// Keeps a connection that only holds locks from being ended by a setting, which 13 does not know.
pub(crate) const STAY: &str =
    "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'idle_session_timeout'";

/// What the names of scratch schemas begin with.
pub(crate) const SCHEMAS: &str = "vb_restore_";

/// In SQL: takes the lock, after waiting for a restore that is just looking whether it is held.
pub(crate) fn claim(oid: &str) -> String {
    format!("pg_catalog.pg_advisory_lock({KEYS} | {oid}::int8)")
}

/// In SQL: whether no restore holds the lock.
pub(crate) fn is_abandoned(oid: &str) -> String {
    format!("pg_catalog.pg_try_advisory_lock({KEYS} | {oid}::int8)")
}
