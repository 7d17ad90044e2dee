//! One moment and one table, held as long as rows are read.

use crate::patience::Patience;
use crate::request::{Request, Selection};
use postgres::Client;
use std::thread::JoinHandle;
use vb_core::{Error, Result};
use vb_postgres::connection::from_postgres;
use vb_postgres::row_hash::{self, RowHash};
use vb_postgres::snapshot::{self, Snapshot};
use vb_postgres::stored_schema::Name;
use vb_postgres::{catalog, relation};

/// What the server hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hashed<T> {
    /// The rows that are read.
    pub(crate) rows: Option<T>,
    /// All that the table holds, where that is more.
    pub(crate) state: Option<T>,
}

/// The transaction that holds the snapshot, on a thread of its own: where it is asked to, it hashes the rows meanwhile.
pub(crate) struct Holder(JoinHandle<Result<(Client, Hashed<RowHash>)>>);

impl Holder {
    /// Hashes the rows of these queries.
    pub(crate) fn start(mut client: Client, queries: Hashed<String>) -> Result<Self> {
        let run = move || {
            let mut hash =
                |query: Option<String>| query.map(|query| row_hash::of_query(&mut client, &query)).transpose();
            let hashed = Hashed { rows: hash(queries.rows)?, state: hash(queries.state)? };
            Ok((client, hashed))
        };
        let thread = std::thread::Builder::new().name("snapshot".to_owned()).spawn(run);
        thread.map(Self).map_err(|cause| Error::io("starting the thread that holds the snapshot", cause))
    }

    /// Ends the transaction. Had it ended before, so would have the rows' common moment.
    pub(crate) fn finish(self) -> Result<Hashed<RowHash>> {
        let ended =
            self.0.join().unwrap_or_else(|_| Err(Error::failure("hashing the rows: the thread ended unexpectedly")));
        let (mut client, hashed) = ended?;
        client.batch_execute("COMMIT").map_err(|cause| from_postgres("ending the export", cause))?;
        if client.is_closed() {
            return Err(Error::unavailable("ending the export: the connection that held the snapshot was closed"));
        }
        Ok(hashed)
    }
}

/// A snapshot, and a lock on the table that was there before anything in it changed; the table's oid. Where another session
/// holds the table, it lets go, pauses, and tries again with a new snapshot.
pub(crate) fn locked_snapshot(
    client: &mut Client,
    request: &Request,
    warn: &mut dyn FnMut(&str),
) -> Result<(Snapshot, u32)> {
    let mut patience = Patience::new(request.lock_wait);
    loop {
        let snapshot = match &request.snapshot {
            Some(token) => snapshot::adopt(client, token)?,
            None => snapshot::begin(client)?,
        };
        if request.row_security {
            client
                .batch_execute(snapshot::ROW_SECURITY)
                .map_err(|cause| from_postgres("allowing row-level security", cause))?;
        }
        let Selection::Table(part) = &request.selection else { return Ok((snapshot, 0)) };
        let oid = catalog::find(client, &part.name)?;
        let name = readable(client, oid, request.row_security, warn)?;
        let is_locked = relation::lock(client, &name, part.only)?;
        if is_locked && !relation::was_rewritten(client, oid)? {
            return Ok((snapshot, oid));
        }
        client.batch_execute("ROLLBACK").map_err(|cause| from_postgres("letting go of the snapshot", cause))?;
        let name = format!("{}.{}", name.schema, name.name);
        let why = if is_locked { "was rewritten just now" } else { "is locked by another session" };
        let pause = patience.pause().ok_or_else(|| {
            Error::unavailable(format!("exporting {name}: it {why}"))
                .with_hint("Run it again when that session has ended, or wait longer with --lock-wait.")
        })?;
        warn(&format!("{name} {why}; trying again in {:.1} s", pause.as_secs_f64()));
        std::thread::sleep(pause);
    }
}

/// The table's name, if no policy hides rows from us, or only such as may be hidden.
fn readable(client: &mut Client, oid: u32, row_security: bool, warn: &mut dyn FnMut(&str)) -> Result<Name> {
    let (name, hidden) = relation::name(client, oid)?;
    let table = format!("{}.{}", name.schema, name.name);
    if hidden && !row_security {
        return Err(Error::denied(format!("exporting {table}: row-level security hides rows from this role")).with_hint(
            "Export it as its owner or as a role with BYPASSRLS, or take only what this role may see with --enable-row-security.",
        ));
    }
    if hidden {
        warn(&format!("row-level security is on for {table}: only rows that this role may see are exported"));
    }
    Ok(name)
}
