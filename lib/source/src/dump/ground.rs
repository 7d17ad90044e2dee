//! What a dump stands on: decided from the mark, from what the last dump has remembered, and from what is there now. Pure.
//!
//! A row that its transaction's number does not show as new, and that is there now, was there at the last dump: it had been
//! committed before that one's snapshot, and is not deleted yet. So a table without new rows that has as many rows as then is what it
//! was. Only what is stored with a row's number hangs on that: where its rows lie elsewhere now, or its columns are others, a
//! table is dumped whole.

use super::Base;
use crate::news::By;
use vb_core::continuation::{self, Present};
use vb_core::mark::Mark;
use vb_postgres::database::contents::DumpTable;
use vb_postgres::database::{State, Then};

/// What an increment stands on.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    /// Where the last dump left off.
    pub(super) mark: Mark,
    /// The id of its backup.
    pub(super) id: String,
    /// What it has remembered.
    pub(super) state: State,
}

/// A table that is there now.
#[derive(Debug, Clone)]
pub(super) struct Now {
    pub(super) table: DumpTable,
    /// See [`vb_postgres::database::shape`].
    pub(super) shape: String,
}

impl Ground {
    /// Whether the dump may stand on that one.
    ///
    /// # Errors
    /// Why it must be full.
    pub(super) fn of(base: Base, present: &Present<'_>, tables: &[Now]) -> Result<Self, String> {
        let Base { mark, state } = base;
        continuation::same_course(&mark, present)?;
        let id = mark.id.clone().ok_or("the last export is no backup of a store")?;
        let ground = Self { mark, id, state: state? };
        if !ground.state.tables.is_empty() && tables.iter().all(|now| ground.then(now).is_err()) {
            return Err("no table is what it was: all are new, rewritten, or have other columns".to_owned());
        }
        Ok(ground)
    }

    /// What is remembered of a table, if its older rows may stand.
    ///
    /// # Errors
    /// Why they may not.
    pub(super) fn then(&self, now: &Now) -> Result<&Then, &'static str> {
        match self.state.table(now.table.oid) {
            None => Err("it is new"),
            Some(then) if then.filenode != now.table.extent.filenode => Err("it was rewritten or truncated"),
            Some(then) if then.shape != now.shape => {
                Err("its name, its columns, their types, or what its values name have changed")
            }
            Some(then) => Ok(then),
        }
    }

    /// What holds for rows that the last dump may not have seen.
    pub(super) fn new_rows(&self) -> String {
        By::Xmin.condition(&self.mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vb_core::label::Source;
    use vb_core::position::{Position, XMIN};
    use vb_postgres::database::Summary;
    use vb_postgres::extent::Extent;
    use vb_postgres::stored_schema::Name;

    fn now(oid: u32, filenode: u32, shape: &str) -> Now {
        let extent = Extent { oid, filenode, name: "\"s\".\"t\"".to_owned(), pages: 1, by_page: true, has_xmin: true };
        let name = Name { schema: "s".to_owned(), name: "t".to_owned() };
        let table = DumpTable { oid, name, extent, has_row_security: false, condition: None };
        Now { table, shape: shape.to_owned() }
    }

    fn base() -> Base {
        let then = |oid| Then { oid, filenode: oid, shape: "a".to_owned(), ..Then::default() };
        let position =
            Position { by: XMIN.to_owned(), until_xid: Some(1000), database_oid: Some(5), ..Position::default() };
        let mark = Mark {
            id: Some("shop_20261121_031500".to_owned()),
            source: Some("shop".to_owned()),
            position: Some(position),
            ..Mark::of_time("2026-11-21T03:15:00Z".parse().unwrap())
        };
        Base { mark, state: Ok(State { summary: Summary::default(), tables: vec![then(7), then(8)] }) }
    }

    fn decide(base: Base, database_oid: u32, tables: &[Now]) -> Result<Ground, String> {
        let source = Source { source_type: "database".to_owned(), name: "shop".to_owned(), ..Source::default() };
        let position = Position { by: XMIN.to_owned(), database_oid: Some(database_oid), ..Position::default() };
        let present =
            Present { source: &source, schema_sha256: "", position: &position, next_xid: 1100, deletes: true };
        Ground::of(base, &present, tables)
    }

    #[test]
    fn each_table_stands_by_itself() {
        let ground = decide(base(), 5, &[now(7, 7, "a"), now(8, 9, "a")]).unwrap();
        assert_eq!(ground.then(&now(7, 7, "a")).unwrap().oid, 7);
        let whole = [now(8, 9, "a"), now(8, 8, "b"), now(9, 9, "a")];
        let reasons = whole.map(|now| ground.then(&now).unwrap_err().to_owned()).join(", ");
        for word in ["rewritten", "columns", "new"] {
            assert!(reasons.contains(word), "{reasons}");
        }
        assert!(ground.new_rows().contains("'1000'"), "{}", ground.new_rows());
    }

    #[test]
    fn what_cannot_be_stood_on_makes_it_full() {
        let tables = [now(7, 7, "a")];
        let change = |change: &dyn Fn(&mut Base)| {
            let mut base = base();
            change(&mut base);
            decide(base, 5, &tables).unwrap_err()
        };
        assert!(change(&|base| base.state = Err("gone".to_owned())).contains("gone"));
        assert!(change(&|base| base.mark.source = Some("other".to_owned())).contains("this database"));
        assert!(change(&|base| base.mark.id = None).contains("no backup"));
        assert!(change(&|base| base.mark.position.as_mut().unwrap().until_xid = Some(1101)).contains("behind"));
        assert!(decide(base(), 6, &tables).unwrap_err().contains("made anew"));
        assert!(decide(base(), 5, &[now(7, 1, "a"), now(8, 1, "a")]).unwrap_err().contains("no table"));
    }
}
