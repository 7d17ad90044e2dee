//! A table of a dump or of a chain of them: which members its rows are in, which of these rows are there in the end, and whether it holds
//! what it held.

use super::chain::DatabaseChain;
use crate::files::hashed_key;
use crate::keys::{Keyable, Keys};
use crate::liveness::{self, Verdict};
use crate::parquet_file::ParquetFile;
use postgres::Client;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use vb_core::{Error, Result};
use vb_postgres::catalog;
use vb_postgres::connection::from_postgres;
use vb_postgres::database::contents::{quoted, select_all};
use vb_postgres::database::format::FORMAT_OF_INCREMENT;
use vb_postgres::database::{Carried, Manifest, Member, TableState};
use vb_postgres::row_hash::{self, RowHash};
use vb_postgres::stored_schema::Name;

/// A table that is to be restored.
#[derive(Debug)]
pub(super) struct Table<'chain> {
    pub(super) name: &'chain Name,
    pub(super) condition: Option<&'chain str>,
    /// Its members, the oldest dump's first.
    pub(super) parts: Vec<Part<'chain>>,
    /// What the newest dump says of it, where that is an increment.
    state: Option<&'chain TableState>,
    /// What becomes of the rows of each step, where there are several.
    verdicts: OnceLock<Vec<Verdict>>,
}

/// A member of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part<'chain> {
    pub(super) member: &'chain Member,
    /// The number of its dump in the chain.
    pub(super) link: usize,
    /// The number of its dump among those that have rows of the table.
    step: usize,
    /// How many rows that dump has before it.
    first_row: u64,
}

/// What a dump has of a table.
#[derive(Default)]
struct Had<'chain> {
    state: Option<&'chain TableState>,
    members: Vec<&'chain Member>,
}

/// The tables of a chain, in the newest dump's order.
///
/// # Errors
/// An integrity error if a dump does not have what a later one stands on.
pub(super) fn of<'chain>(manifests: &[&'chain Manifest]) -> Result<Vec<Table<'chain>>> {
    let had: Vec<BTreeMap<&Name, Had<'chain>>> = manifests.iter().map(|manifest| had(manifest)).collect();
    let Some(newest) = manifests.last() else { return Ok(Vec::new()) };
    if newest.format == FORMAT_OF_INCREMENT {
        return newest.tables.iter().map(|state| table(&state.name, &had)).collect();
    }
    let names = newest.members.iter().filter_map(|member| member.table.as_ref());
    // Members of one table do not follow each other.
    let mut seen = BTreeSet::new();
    names.filter(|name| seen.insert(*name)).map(|name| table(name, &had)).collect()
}

fn had(manifest: &Manifest) -> BTreeMap<&Name, Had<'_>> {
    let mut all: BTreeMap<&Name, Had<'_>> = BTreeMap::new();
    for state in &manifest.tables {
        all.entry(&state.name).or_default().state = Some(state);
    }
    for member in &manifest.members {
        if let Some(name) = &member.table {
            all.entry(name).or_default().members.push(member);
        }
    }
    all
}

/// From the newest dump back to the one that has all of it.
fn table<'chain>(name: &'chain Name, all: &[BTreeMap<&'chain Name, Had<'chain>>]) -> Result<Table<'chain>> {
    let missing = || Error::integrity(format!("the chain does not have all rows of {}.{}", name.schema, name.name));
    let state = all.last().and_then(|newest| newest.get(name)).and_then(|had| had.state);
    let mut steps: Vec<(usize, &Vec<&'chain Member>)> = Vec::new();
    for (link, had) in all.iter().enumerate().rev() {
        let had = had.get(name).ok_or_else(missing)?;
        match had.state.map(|state| state.carried) {
            Some(Carried::Nothing) => continue,
            Some(Carried::Changes) => steps.push((link, &had.members)),
            Some(Carried::Whole) | None => {
                steps.push((link, &had.members));
                break;
            }
        }
    }
    let (base, members) = steps.last().ok_or_else(missing)?;
    let is_whole = all
        .get(*base)
        .and_then(|had| had.get(name))
        .is_some_and(|had| had.state.is_none_or(|state| state.carried == Carried::Whole) && !had.members.is_empty());
    let condition = members.first().and_then(|member| member.condition.as_deref());
    if !is_whole {
        return Err(missing());
    }
    let mut parts = Vec::new();
    for (step, (link, members)) in steps.iter().rev().enumerate() {
        let mut first_row = 0;
        for member in *members {
            parts.push(Part { member, link: *link, step, first_row });
            first_row += member.rows.unwrap_or_default();
        }
    }
    Ok(Table { name, condition, parts, state, verdicts: OnceLock::new() })
}

impl Table<'_> {
    /// `schema.table` for people.
    pub(super) fn shown(&self) -> String {
        format!("{}.{}", self.name.schema, self.name.name)
    }

    /// The rows that it had.
    pub(super) fn rows(&self) -> u64 {
        let of_members = || self.parts.iter().filter_map(|part| part.member.rows).sum();
        self.state.map_or_else(of_members, |state| state.rows)
    }

    /// The server's hash of all its rows, if it was asked for.
    fn row_hash(&self) -> Option<RowHash> {
        if let Some(state) = self.state {
            return state.row_hash.clone();
        }
        let hashes: Option<Vec<&RowHash>> = self.parts.iter().map(|part| part.member.row_hash.as_ref()).collect();
        RowHash::sum(&hashes?)
    }

    /// Whether only some of the rows are there in the end.
    pub(super) fn is_judged(&self) -> bool {
        self.verdicts.get().is_some()
    }

    /// Whether this row of a member is there in the end.
    pub(super) fn is_live(&self, part: &Part<'_>, row: u64) -> bool {
        let verdict = self.verdicts.get().and_then(|verdicts| verdicts.get(part.step));
        verdict.is_none_or(|verdict| verdict.is_live(part.first_row + row))
    }

    /// Finds out which rows are there in the end, where several dumps have some. To be called when the table is made.
    ///
    /// # Errors
    /// If a member is not what its list says, or the dumps contradict each other.
    pub(super) fn judge(&self, client: &mut Client, chain: &DatabaseChain) -> Result<()> {
        let steps = self.parts.last().map_or(0, |part| part.step + 1);
        if steps < 2 {
            return Ok(());
        }
        let shown = self.shown();
        let open = |part: &Part<'_>| Ok((part.step, chain.parquet(part)?));
        let files: Vec<(usize, ParquetFile)> = self.parts.iter().map(open).collect::<Result<_>>()?;
        let broken = |why: &str| Error::integrity(format!("restoring {shown}: the chain is broken: {why}"));
        let wanted = files.first().and_then(|(_, first)| columns(first));
        if files.iter().any(|(_, file)| columns(file) != wanted) {
            return Err(broken("its dumps have other columns"));
        }
        let hashed = hashed_key(files.iter().map(|(_, file)| file), |_| broken("its dumps have other keys"))?;
        let hashed = hashed.ok_or_else(|| broken("its increments do not say which rows are gone"))?;
        let key: Vec<String> = hashed.iter().map(|column| column.name.clone()).collect();
        let of_step = |step| files.iter().filter(|(of, _)| *of == step).map(|(_, file)| file).collect();
        let home = quoted(self.name);
        let keyable = Keyable { table: &shown, home: &home, key: &key, hashed: Some(&hashed) };
        let keys = Keys::of_backups(client, &keyable, (0..steps).map(of_step).collect())?;
        let verdicts = liveness::judge(&keys).map_err(|error| error.during(format!("restoring {shown}")))?;
        self.verdicts.set(verdicts).map_err(|_| Error::failure(format!("{shown} was looked at twice")))
    }

    /// Whether the restored rows are those of the source, by the server's hash; none where there is no hash of these. What came out of a
    /// chain is counted in any case.
    ///
    /// # Errors
    /// An integrity error if they are not.
    pub(super) fn compare(&self, client: &mut Client) -> Result<Option<bool>> {
        let (expected, home) = (self.row_hash(), quoted(self.name));
        if expected.is_none() && self.state.is_none() {
            return Ok(None);
        }
        let oid = catalog::find(client, &home)?;
        let select = select_all(client, oid, &home, self.condition)?;
        let differs =
            |what: &str| Err(Error::integrity(format!("restoring {}: {what} when they were dumped", self.shown())));
        let Some(expected) = expected else {
            let rows = client.query_one(&format!("SELECT count(*) FROM ({select}) AS vb_rows"), &[]);
            let rows: i64 = rows.map_err(|cause| from_postgres("counting the rows", cause))?.get(0);
            if u64::try_from(rows) == Ok(self.rows()) {
                return Ok(None);
            }
            return differs(&format!("there are {rows} rows, and there were {}", self.rows()));
        };
        let found = row_hash::of_columns(client, &select, expected.columns.clone())?;
        if found == expected { Ok(Some(true)) } else { differs("the rows are not what they were") }
    }
}

/// The columns with their types.
fn columns(file: &ParquetFile) -> Option<Vec<(&str, &str)>> {
    let columns = file.description()?.columns.iter();
    Some(columns.map(|column| (column.name.as_str(), column.type_name.as_str())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Name {
        Name { schema: "s".to_owned(), name: name.to_owned() }
    }

    fn member(table: &str, rows: u64, sum: &str) -> Member {
        let row_hash = Some(RowHash { records: rows, sum: sum.to_owned(), columns: Vec::new() });
        Member { table: Some(name(table)), rows: Some(rows), row_hash, ..Member::default() }
    }

    fn increment(tables: &[(&str, Carried, u64)], members: Vec<Member>) -> Manifest {
        let state = |(table, carried, rows): &(&str, Carried, u64)| TableState {
            name: name(table),
            carried: *carried,
            reason: None,
            rows: *rows,
            row_hash: None,
        };
        let tables = tables.iter().map(state).collect();
        Manifest { format: FORMAT_OF_INCREMENT, tables, members, ..Manifest::default() }
    }

    #[test]
    fn parts_of_a_table_are_summed() {
        let members =
            vec![member("a", 2, "9223372036854775807"), member("b", 1, "7"), member("a", 3, "1"), Member::default()];
        let manifest = Manifest { format: 1, members, ..Manifest::default() };
        let tables = of(&[&manifest]).unwrap();
        assert_eq!(tables.len(), 2);
        assert_eq!((tables[0].rows(), tables[1].rows()), (5, 1));
        let hash = tables[0].row_hash().unwrap();
        assert_eq!((hash.records, hash.sum.as_str()), (5, "9223372036854775808"));
    }

    #[test]
    fn a_tables_rows_begin_where_all_of_it_is() {
        use Carried::{Changes, Nothing, Whole};
        let members = vec![member("a", 2, "1"), member("b", 9, "1"), member("a", 3, "1"), member("dropped", 1, "1")];
        let full = Manifest { format: 1, members, ..Manifest::default() };
        let second = increment(&[("a", Changes, 5), ("b", Whole, 4)], vec![member("a", 1, ""), member("b", 4, "")]);
        let third = increment(
            &[("a", Nothing, 5), ("b", Changes, 4), ("c", Whole, 0)],
            vec![member("b", 1, ""), member("c", 0, "")],
        );
        let tables = of(&[&full, &second, &third]).unwrap();
        let places = |table: &Table<'_>| {
            table.parts.iter().map(|part| (part.link, part.step, part.first_row)).collect::<Vec<_>>()
        };
        let all: Vec<_> = tables.iter().map(|table| (table.name.name.as_str(), table.rows(), places(table))).collect();
        let expected = [
            ("a", 5, vec![(0, 0, 0), (0, 0, 2), (1, 1, 0)]),
            ("b", 4, vec![(1, 0, 0), (2, 1, 0)]),
            ("c", 0, vec![(2, 0, 0)]),
        ];
        assert_eq!(all, expected);
        assert!(of(&[&full, &increment(&[("new", Nothing, 1)], Vec::new())]).is_err());
        assert!(of(&[&full, &increment(&[("a", Nothing, 5)], Vec::new()), &third]).is_err(), "b is not in between");
        assert!(of(&[&increment(&[("a", Changes, 5)], vec![member("a", 1, "")])]).is_err());
    }
}
