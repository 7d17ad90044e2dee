//! The rows of a table's members into it.

use super::chain::DatabaseChain;
use super::table::{Part, Table};
use crate::columns;
use crate::load::Load;
use crate::rows::{self, Groups, Sending};
use postgres::Client;
use vb_core::{Error, Result};
use vb_postgres::connection::from_postgres;
use vb_postgres::database::contents::quoted;

/// How rows come into their table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// In a transaction of their own, which first empties the table, as nobody can see: so the server can write them as frozen.
    Alone,
    /// In a transaction of their own, to rows that may be there: those of other members, or of an extension.
    Further,
    /// In the one transaction that has made the table.
    InOne,
    /// In the one transaction, to rows that may be there.
    FurtherInOne,
}

/// Members of one table that come into it one after the other.
#[derive(Debug)]
pub(super) struct Loading<'run> {
    table: &'run Table<'run>,
    parts: Vec<Part<'run>>,
    way: Way,
}

/// What connections can share, the most rows first. A table stays together, so that its rows can be frozen, unless it is so large that
/// the other connections would wait for it.
pub(super) fn loadings<'run>(tables: &'run [Table<'run>], connections: usize) -> Vec<Loading<'run>> {
    let all_rows: u64 = tables.iter().map(Table::rows).sum();
    let fair_share = all_rows / u64::try_from(connections).unwrap_or(u64::MAX).max(1);
    let mut loadings: Vec<Loading<'run>> = Vec::new();
    for table in tables {
        // An extension may have put rows of its own into a table.
        let occupied = table.condition.is_some();
        let apart = table.parts.len() > 1 && table.rows() > fair_share;
        let way = match (connections == 1, occupied) {
            (true, true) => Way::FurtherInOne,
            (true, false) => Way::InOne,
            (false, false) if !apart => Way::Alone,
            (false, _) => Way::Further,
        };
        let loading = |parts: &[Part<'run>]| Loading { table, parts: parts.to_vec(), way };
        if way == Way::Further {
            loadings.extend(table.parts.chunks(1).map(loading));
        } else {
            loadings.push(loading(&table.parts));
        }
    }
    loadings.sort_by_key(|loading| std::cmp::Reverse(loading.rows()));
    loadings
}

impl Loading<'_> {
    /// The rows of its members; more than are sent, where some are not there in the end.
    fn rows(&self) -> u64 {
        self.parts.iter().filter_map(|part| part.member.rows).sum()
    }

    /// Sends them.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub(super) fn run(&self, client: &mut Client, chain: &DatabaseChain, passed: &(dyn Fn(u64) + Sync)) -> Result<()> {
        let home = quoted(self.table.name);
        match self.way {
            Way::Alone => self.execute(client, &format!("BEGIN; TRUNCATE TABLE ONLY {home}"))?,
            Way::Further => self.execute(client, "BEGIN")?,
            Way::InOne | Way::FurtherInOne => {}
        }
        self.parts.iter().try_for_each(|part| self.load(client, chain, part, passed))?;
        match self.way {
            Way::Alone | Way::Further => self.execute(client, "COMMIT"),
            Way::InOne | Way::FurtherInOne => Ok(()),
        }
    }

    fn load(
        &self,
        client: &mut Client,
        chain: &DatabaseChain,
        part: &Part<'_>,
        passed: &(dyn Fn(u64) + Sync),
    ) -> Result<()> {
        let (file, member) = (chain.parquet(part)?, part.member);
        let (home, shown) = (quoted(self.table.name), self.table.shown());
        let description =
            file.description().ok_or_else(|| Error::integrity(format!("{} describes no table", member.name)))?;
        let frozen = matches!(self.way, Way::Alone | Way::InOne);
        let load = Load::new(0, columns::into_new(&file, description)?, &home, frozen);
        let live = |row: u64| self.table.is_live(part, row);
        let wanted: Option<&(dyn Fn(u64) -> bool + Sync)> = if self.table.is_judged() { Some(&live) } else { None };
        let sending = Sending { table: &shown, file: &file, load: &load, groups: &Groups::default(), wanted };
        rows::send(client, &sending, passed)?;
        // The next member of this transaction needs the name of the table in which rows wait.
        if load.destination == home {
            Ok(())
        } else {
            self.execute(client, &format!("DROP TABLE {}", load.destination))
        }
    }

    fn execute(&self, client: &mut Client, statement: &str) -> Result<()> {
        let step = || format!("restoring {}", self.table.shown());
        client.batch_execute(statement).map_err(|cause| from_postgres(step(), cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::table;
    use vb_postgres::database::{Manifest, Member};
    use vb_postgres::stored_schema::Name;

    fn member(table: &str, rows: u64) -> Member {
        let name = Name { schema: "s".to_owned(), name: table.to_owned() };
        Member { table: Some(name), rows: Some(rows), ..Member::default() }
    }

    fn manifest(members: Vec<Member>) -> Manifest {
        Manifest { format: 1, members, ..Manifest::default() }
    }

    #[test]
    fn a_table_stays_together_unless_others_would_wait_for_it() {
        let members =
            [("small", 1), ("large", 6), ("large", 5), ("half", 6), ("half", 4)].map(|(name, rows)| member(name, rows));
        let manifest = manifest(members.to_vec());
        let tables = table::of(&[&manifest]).unwrap();
        let shown = |connections| {
            let loadings = loadings(&tables, connections);
            loadings.iter().map(|one| (one.table.name.name.clone(), one.rows(), one.way)).collect::<Vec<_>>()
        };
        let named = |name: &str, rows, way| (name.to_owned(), rows, way);
        let (alone, further) = (Way::Alone, Way::Further);
        assert_eq!(shown(2), [named("large", 11, alone), named("half", 10, alone), named("small", 1, alone)]);
        assert_eq!(
            shown(3),
            [
                named("large", 6, further),
                named("half", 6, further),
                named("large", 5, further),
                named("half", 4, further),
                named("small", 1, alone)
            ]
        );
        assert!(shown(1).iter().all(|(_, _, way)| *way == Way::InOne));
    }

    #[test]
    fn rows_of_an_extension_stay() {
        let member = Member { condition: Some("WHERE a".to_owned()), ..member("of_extension", 1) };
        let manifest = manifest(vec![member]);
        let tables = table::of(&[&manifest]).unwrap();
        let ways: Vec<Way> = [1, 2].map(|connections| loadings(&tables, connections)[0].way).to_vec();
        assert_eq!(ways, [Way::FurtherInOne, Way::Further]);
    }
}
