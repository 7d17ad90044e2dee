//! The rows of one member into its table, and whether a table holds what it held.

use super::archive::DatabaseArchive;
use crate::columns;
use crate::load::Load;
use crate::rows::{self, Sending};
use postgres::Client;
use vb_core::{Error, Result};
use vb_postgres::catalog;
use vb_postgres::connection::from_postgres;
use vb_postgres::database::Member;
use vb_postgres::database::contents::quoted;
use vb_postgres::row_hash::{self, RowHash};
use vb_postgres::stored_schema::Name;

/// Members of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table<'archive> {
    pub(super) name: &'archive Name,
    pub(super) condition: Option<&'archive str>,
    pub(super) members: Vec<&'archive Member>,
}

/// The tables of an archive, in its order.
pub(super) fn tables(members: &[Member]) -> Vec<Table<'_>> {
    let mut tables: Vec<Table<'_>> = Vec::new();
    let mut places = std::collections::BTreeMap::new();
    for member in members {
        let Some(name) = &member.table else { continue };
        let place = *places.entry(name).or_insert_with(|| {
            tables.push(Table { name, condition: member.condition.as_deref(), members: Vec::new() });
            tables.len() - 1
        });
        if let Some(table) = tables.get_mut(place) {
            table.members.push(member);
        }
    }
    tables
}

impl Table<'_> {
    /// `schema.table` for people.
    pub(super) fn shown(&self) -> String {
        format!("{}.{}", self.name.schema, self.name.name)
    }

    /// Rows of all members.
    pub(super) fn rows(&self) -> u64 {
        self.members.iter().filter_map(|member| member.rows).sum()
    }

    /// The server's hash of all its rows, if every member has one: a sum, like theirs.
    fn row_hash(&self) -> Option<RowHash> {
        let hashes: Option<Vec<&RowHash>> = self.members.iter().map(|member| member.row_hash.as_ref()).collect();
        let hashes = hashes?;
        let sums: Option<Vec<i128>> = hashes.iter().map(|hash| hash.sum.parse().ok()).collect();
        let sum = sums?.into_iter().try_fold(0_i128, i128::checked_add)?;
        let columns = hashes.first()?.columns.clone();
        Some(RowHash { records: hashes.iter().map(|hash| hash.records).sum(), sum: sum.to_string(), columns })
    }

    /// Whether the restored rows are those of the source, by the server's hash; none where there is no hash of these.
    ///
    /// # Errors
    /// An integrity error if they are not.
    pub(super) fn compare(&self, client: &mut Client) -> Result<Option<bool>> {
        let Some(expected) = self.row_hash() else { return Ok(None) };
        let condition = self.condition.map(|condition| format!(" {condition}")).unwrap_or_default();
        let home = quoted(self.name);
        let oid = catalog::find(client, &home)?;
        // A table without columns was dumped as one column, since a file must have one.
        let columns = if catalog::columns(client, oid)?.is_empty() { catalog::NO_COLUMNS } else { "*" };
        let select = format!("SELECT {columns} FROM ONLY {home}{condition}");
        let found = row_hash::of_columns(client, &select, expected.columns.clone())?;
        if found == expected {
            return Ok(Some(true));
        }
        Err(Error::integrity(format!(
            "restoring {}: the rows are not what they were when they were dumped",
            self.shown()
        )))
    }
}

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Loading<'archive> {
    table: Table<'archive>,
    way: Way,
}

/// What connections can share, the most rows first. A table stays together, so that its rows can be frozen, unless it is so large that
/// the other connections would wait for it.
pub(super) fn loadings<'archive>(tables: &[Table<'archive>], connections: usize) -> Vec<Loading<'archive>> {
    let all_rows: u64 = tables.iter().map(Table::rows).sum();
    let fair_share = all_rows / u64::try_from(connections).unwrap_or(u64::MAX).max(1);
    let mut loadings: Vec<Loading<'archive>> = Vec::new();
    for table in tables {
        // An extension may have put rows of its own into a table.
        let occupied = table.condition.is_some();
        let apart = table.members.len() > 1 && table.rows() > fair_share;
        let way = match (connections == 1, occupied) {
            (true, true) => Way::FurtherInOne,
            (true, false) => Way::InOne,
            (false, false) if !apart => Way::Alone,
            (false, _) => Way::Further,
        };
        if way == Way::Further {
            let part = |member: &&'archive Member| Table { members: vec![*member], ..table.clone() };
            loadings.extend(table.members.iter().map(part).map(|table| Loading { table, way }));
        } else {
            loadings.push(Loading { table: table.clone(), way });
        }
    }
    loadings.sort_by_key(|loading| std::cmp::Reverse(loading.table.rows()));
    loadings
}

impl Loading<'_> {
    /// Sends them.
    ///
    /// # Errors
    /// Whatever the server refuses.
    pub(super) fn run(
        &self,
        client: &mut Client,
        archive: &DatabaseArchive,
        passed: &(dyn Fn(u64) + Sync),
    ) -> Result<()> {
        let home = quoted(self.table.name);
        match self.way {
            Way::Alone => self.execute(client, &format!("BEGIN; TRUNCATE TABLE ONLY {home}"))?,
            Way::Further => self.execute(client, "BEGIN")?,
            Way::InOne | Way::FurtherInOne => {}
        }
        self.table.members.iter().try_for_each(|member| self.load(client, archive, member, passed))?;
        match self.way {
            Way::Alone | Way::Further => self.execute(client, "COMMIT"),
            Way::InOne | Way::FurtherInOne => Ok(()),
        }
    }

    fn load(
        &self,
        client: &mut Client,
        archive: &DatabaseArchive,
        member: &Member,
        passed: &(dyn Fn(u64) + Sync),
    ) -> Result<()> {
        let file = archive.parquet(member)?;
        let (home, shown) = (quoted(self.table.name), self.table.shown());
        let description =
            file.description().ok_or_else(|| Error::integrity(format!("{} describes no table", member.name)))?;
        let frozen = matches!(self.way, Way::Alone | Way::InOne);
        let load = Load::new(0, columns::into_new(&file, description)?, &home, frozen);
        rows::send(client, &Sending { table: &shown, file: &file, load: &load, wanted: None }, passed)?;
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

    fn member(table: &str, rows: u64, sum: &str) -> Member {
        let name = Name { schema: "s".to_owned(), name: table.to_owned() };
        let row_hash = Some(RowHash { records: rows, sum: sum.to_owned(), columns: Vec::new() });
        Member { table: Some(name), rows: Some(rows), row_hash, ..Member::default() }
    }

    #[test]
    fn parts_of_a_table_are_summed() {
        let members =
            [member("a", 2, "9223372036854775807"), member("b", 1, "7"), member("a", 3, "1"), Member::default()];
        let tables = tables(&members);
        assert_eq!(tables.len(), 2);
        assert_eq!((tables[0].rows(), tables[1].rows()), (5, 1));
        let hash = tables[0].row_hash().unwrap();
        assert_eq!((hash.records, hash.sum.as_str()), (5, "9223372036854775808"));
    }

    #[test]
    fn a_table_stays_together_unless_others_would_wait_for_it() {
        let members = [
            member("small", 1, "0"),
            member("large", 6, "0"),
            member("large", 5, "0"),
            member("half", 6, "0"),
            member("half", 4, "0"),
        ];
        let tables = tables(&members);
        let shown = |connections| {
            let loadings = loadings(&tables, connections);
            loadings.iter().map(|one| (one.table.name.name.clone(), one.table.rows(), one.way)).collect::<Vec<_>>()
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
        let member = Member { condition: Some("WHERE a".to_owned()), ..member("of_extension", 1, "0") };
        let members = [member];
        let ways: Vec<Way> = [1, 2].map(|connections| loadings(&tables(&members), connections)[0].way).to_vec();
        assert_eq!(ways, [Way::FurtherInOne, Way::Further]);
    }
}
