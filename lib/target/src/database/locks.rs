//! Which tables a statement of `pg_dump` locks, so that connections that share statements do not wait for each other. Pure.
//!
//! Only for the order in which statements are begun: one that is not understood locks nothing here, and waits at the server.

use super::phases::{Placed, added_constraint};
use std::collections::BTreeMap;
use vb_postgres::script::parse_name;
use vb_postgres::stored_schema::Name;

/// How a statement holds a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// Beside others of its kind, as CREATE INDEX does.
    Shared,
    /// Alone, as ALTER TABLE does.
    Alone,
}

/// A statement, and what it locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Locking {
    pub(super) statement: Placed,
    tables: Vec<(Name, Hold)>,
}

impl Locking {
    pub(super) fn new(statement: Placed) -> Self {
        let tables = tables_of(&statement.sql);
        Self { statement, tables }
    }

    /// Whether this one must end before the other can go on.
    pub(super) fn keeps_waiting(&self, other: &Self) -> bool {
        self.tables.iter().any(|(table, hold)| {
            let alone = |theirs: &Hold| *theirs == Hold::Alone || *hold == Hold::Alone;
            other.tables.iter().any(|(name, theirs)| name == table && alone(theirs))
        })
    }

    fn rows(&self, rows: &BTreeMap<&Name, u64>) -> u64 {
        self.tables.iter().filter_map(|(table, _)| rows.get(table)).copied().max().unwrap_or_default()
    }
}

/// The statements about large tables first, so that no connection is left with the last of them.
pub(super) fn largest_first(statements: Vec<Placed>, rows: &BTreeMap<&Name, u64>) -> Vec<Locking> {
    let mut all: Vec<Locking> = statements.into_iter().map(Locking::new).collect();
    all.sort_by_key(|locking| std::cmp::Reverse(locking.rows(rows)));
    all
}

fn tables_of(sql: &str) -> Vec<(Name, Hold)> {
    let mut tables = Vec::new();
    if let Some((own, definition)) = added_constraint(sql) {
        let referenced = definition.rsplit_once(" REFERENCES ").and_then(|(_, rest)| rest.split_once('('));
        let both = std::iter::once(own).chain(referenced.map(|(table, _)| table));
        tables.extend(both.filter_map(name).map(|name| (name, Hold::Alone)));
    } else if sql.starts_with("CREATE ")
        && let Some((before, _)) = sql.split_once(" USING ")
        && let Some((_, table)) = before.rsplit_once(" ON ")
    {
        tables.extend(name(table).map(|name| (name, Hold::Shared)));
    }
    tables
}

fn name(text: &str) -> Option<Name> {
    let (schema, name) = parse_name(text.strip_prefix("ONLY ").unwrap_or(text))?;
    Some(Name { schema: schema?, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locking(sql: &str) -> Locking {
        Locking::new(Placed { sql: sql.to_owned(), tablespace: None })
    }

    const KEY: &str = "ALTER TABLE ONLY public.a\n    ADD CONSTRAINT a_pkey PRIMARY KEY (id)";
    const INDEX: &str = "CREATE INDEX \"i ON b\" ON public.a USING btree (x)";
    const OF_PARENT: &str = "CREATE UNIQUE INDEX j ON ONLY public.a USING btree (y)";
    const FOREIGN: &str =
        "ALTER TABLE ONLY public.\"B c\"\n    ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES public.a(id)";

    #[test]
    fn indexes_of_a_table_are_built_side_by_side_but_not_beside_its_key() {
        let (key, index, of_parent) = (locking(KEY), locking(INDEX), locking(OF_PARENT));
        assert!(key.keeps_waiting(&index) && index.keeps_waiting(&key) && key.keeps_waiting(&of_parent));
        assert!(!index.keeps_waiting(&of_parent) && !index.keeps_waiting(&index));
    }

    #[test]
    fn a_foreign_key_locks_both_tables() {
        let own = locking("ALTER TABLE ONLY public.\"B c\"\n    ADD CONSTRAINT b_pkey PRIMARY KEY (id)");
        let foreign = locking(FOREIGN);
        assert!(foreign.keeps_waiting(&own) && foreign.keeps_waiting(&locking(KEY)));
        assert!(!own.keeps_waiting(&locking(KEY)));
    }

    #[test]
    fn what_is_not_understood_locks_nothing() {
        for sql in ["REFRESH MATERIALIZED VIEW public.v", "ALTER TABLE public.", "CREATE INDEX"] {
            assert_eq!(locking(sql).tables, []);
        }
    }

    #[test]
    fn large_tables_come_first() {
        let statement = |sql: &str| Placed { sql: sql.to_owned(), tablespace: None };
        let small = statement("CREATE INDEX s ON public.small USING btree (x)");
        let [first, second] = [statement(KEY), statement(INDEX)];
        let a = Name { schema: "public".to_owned(), name: "a".to_owned() };
        let sorted = largest_first(vec![small.clone(), first.clone(), second.clone()], &BTreeMap::from([(&a, 9)]));
        let sorted: Vec<Placed> = sorted.into_iter().map(|locking| locking.statement).collect();
        assert_eq!(sorted, [first, second, small]);
    }
}
