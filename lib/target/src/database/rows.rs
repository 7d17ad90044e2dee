//! The rows of one member into its table.

use super::chain::DatabaseChain;
use super::table::{Part, Table};
use crate::columns;
use crate::load::Load;
use crate::rows::{self, Sending};
use postgres::Client;
use vb_core::{Error, Result};
use vb_postgres::connection::from_postgres;
use vb_postgres::database::contents::quoted;

/// How a member's rows come into their table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// In a transaction of their own, which first empties the table, as nobody can see: so the server can write them as frozen.
    Alone,
    /// In a transaction of their own, to rows that may be there: those of other members, or of an extension.
    Further,
    /// In the one transaction that has made the table.
    InOne,
    /// In the one transaction, to rows that may be there.
    FurtherInOne,
}

impl Way {
    /// Of a table's members. An extension may have put rows of its own into a table.
    pub(super) fn of(table: &Table<'_>, one_transaction: bool) -> Self {
        match (one_transaction, table.condition.is_some()) {
            (true, true) => Self::FurtherInOne,
            (true, false) => Self::InOne,
            (false, false) if table.parts.len() == 1 => Self::Alone,
            (false, _) => Self::Further,
        }
    }
}

/// Sends them.
///
/// # Errors
/// Whatever the server refuses.
pub(super) fn load(
    client: &mut Client,
    chain: &DatabaseChain,
    table: &Table<'_>,
    part: &Part<'_>,
    way: Way,
    passed: &(dyn Fn(u64) + Sync),
) -> Result<()> {
    let (file, member) = (chain.parquet(part)?, part.member);
    let (home, shown) = (quoted(table.name), table.shown());
    let description =
        file.description().ok_or_else(|| Error::integrity(format!("{} describes no table", member.name)))?;
    let load = Load::new(0, columns::into_new(&file, description)?, &home, matches!(way, Way::Alone | Way::InOne));
    let run = |client: &mut Client, statement: &str| {
        client.batch_execute(statement).map_err(|cause| from_postgres(format!("restoring {shown}"), cause))
    };
    match way {
        Way::Alone => run(client, &format!("BEGIN; TRUNCATE TABLE ONLY {home}"))?,
        Way::Further => run(client, "BEGIN")?,
        Way::InOne | Way::FurtherInOne => {}
    }
    let live = |row: u64| table.is_live(part, row);
    let wanted: Option<&(dyn Fn(u64) -> bool + Sync)> = if table.is_judged() { Some(&live) } else { None };
    rows::send(client, &Sending { table: &shown, file: &file, load: &load, wanted }, passed)?;
    match way {
        Way::Alone | Way::Further => run(client, "COMMIT"),
        Way::InOne | Way::FurtherInOne if load.destination != home => {
            run(client, &format!("DROP TABLE {}", load.destination))
        }
        Way::InOne | Way::FurtherInOne => Ok(()),
    }
}
