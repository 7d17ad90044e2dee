//! One moment of the whole database: a snapshot, and locks on all tables that were there before anything in them changed.

use super::DumpRequest;
use crate::patience::Patience;
use postgres::Client;
use vb_core::{Error, Result};
use vb_postgres::connection::from_postgres;
use vb_postgres::database::contents::{self, DumpTable};
use vb_postgres::snapshot::{self, Snapshot};

/// The snapshot and the tables in it, locked. Where another session holds one of them, it lets go, pauses, and tries again with a
/// new snapshot.
pub(super) fn take(
    client: &mut Client,
    request: &DumpRequest,
    warn: &mut dyn FnMut(&str),
) -> Result<(Snapshot, Vec<DumpTable>)> {
    let mut patience = Patience::new(request.lock_wait);
    loop {
        let snapshot = snapshot::begin(client)?;
        let mut tables = contents::tables(client)?;
        refuse_hidden(&tables)?;
        let Some(why) = obstacle(client, &tables)? else {
            contents::measure(client, &mut tables)?;
            return Ok((snapshot, tables));
        };
        client.batch_execute("ROLLBACK").map_err(|cause| from_postgres("letting go of the snapshot", cause))?;
        let pause = patience.pause().ok_or_else(|| {
            Error::unavailable(format!("dumping the database: {why}"))
                .with_hint("Run it again when the other session has ended, or wait longer with --lock-wait.")
        })?;
        warn(&format!("{why}; trying again in {:.1} s", pause.as_secs_f64()));
        std::thread::sleep(pause);
    }
}

/// What keeps the tables from being read as they are in the snapshot.
fn obstacle(client: &mut Client, tables: &[DumpTable]) -> Result<Option<String>> {
    if let Some(refusal) = contents::lock(client, tables)? {
        return Ok(Some(format!("a table is locked or was removed by another session ({refusal})")));
    }
    let rewritten = contents::rewritten(client, tables)?;
    Ok(rewritten.map(|name| format!("{}.{} was rewritten just now", name.schema, name.name)))
}

/// To be refused is better than to miss rows.
fn refuse_hidden(tables: &[DumpTable]) -> Result<()> {
    let Some(table) = tables.iter().find(|table| table.has_row_security) else { return Ok(()) };
    let name = format!("{}.{}", table.name.schema, table.name.name);
    Err(Error::denied(format!("dumping the database: row-level security hides rows of {name} from this role"))
        .with_hint("Dump it as the tables' owner or as a role with BYPASSRLS."))
}
