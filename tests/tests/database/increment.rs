//! Increments of a whole database: whatever happened to it, the chain restores what it was at the last of them.

use anyhow::{Result, ensure};
use serde_json::Value;
use vb_tests::command::Run;
use vb_tests::servers::{Database, Postgres};

use crate::{Rental, same_text_in_any_order};

/// A database that is dumped again and again, each time on the last dump.
pub(crate) struct Increments {
    pub(crate) rental: Rental,
    /// The server, if it has one to itself.
    _server: Option<Postgres>,
}

impl Increments {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { rental: Rental::new()?, _server: None })
    }

    /// On a server of its own: a transaction that is open in any database of a server makes increments overlap.
    pub(crate) fn alone() -> Result<Self> {
        let server = Postgres::start()?;
        Ok(Self { rental: Rental::on(&server)?, _server: Some(server) })
    }

    pub(crate) fn execute(&self, sql: &str) -> Result<()> {
        Ok(self.rental.source.client()?.batch_execute(sql)?)
    }

    /// The next dump, with these options; what `vb-export` and `vb-put` say.
    pub(crate) fn dump(&self, options: &str) -> Result<(Value, Value)> {
        let export = format!("vb-export dump --format parquet --since @mark {options}");
        let run = self.rental.run(&format!("{export} | vb-compress | vb-put --mark mark"))?.succeeded()?;
        Ok((run.event("vb-export", "done")?, run.event("vb-put", "done")?))
    }

    /// The same, where it must be an increment that is stored; its id.
    pub(crate) fn increment(&self, options: &str) -> Result<String> {
        let (dumped, put) = self.dump(options)?;
        ensure!(dumped["kind"] == "incremental" && put["stored"] == true, "{dumped} {put}");
        Ok(put["id"].as_str().unwrap_or_default().to_owned())
    }

    /// The same, where it must be full; the reason.
    pub(crate) fn full(&self, options: &str) -> Result<String> {
        let (dumped, _) = self.dump(options)?;
        ensure!(dumped["kind"] == "full", "{dumped}");
        Ok(dumped["reason"].as_str().unwrap_or_default().to_owned())
    }

    /// A database beside the target.
    pub(crate) fn another(&self, name: &str) -> Result<Database> {
        let target = &self.rental.target;
        let name = format!("{}_{name}", target.variables()["PGDATABASE"]);
        target.client()?.batch_execute(&format!("CREATE DATABASE {name}"))?;
        Ok(target.beside(&name))
    }

    pub(crate) fn restore(&self, import: &str, into: &Database) -> Result<Run> {
        let line = format!("vb-get --latest --chain | vb-import {import}");
        self.rental.shell(&line).env("TARGET", into.url()).run()?.succeeded()
    }

    /// The chain, restored in one transaction and by several connections, must be the source.
    pub(crate) fn is_restored(&self) -> Result<()> {
        for (name, import) in [("one", ""), ("two", "--jobs 2")] {
            let target = self.another(name)?;
            let restored = self.restore(import, &target)?.event("vb-import", "done")?;
            ensure!(restored["backups"].as_array().is_some_and(|ids| ids.len() > 1), "{restored}");
            same_text_in_any_order(&self.rental.source, &target)?;
        }
        Ok(())
    }
}

/// Before a transaction that is open all the while.
const FIRST: &str = "
    INSERT INTO film (title, language_id) SELECT 'new ' || n, 1 FROM generate_series(1, 20) n;
    UPDATE film SET title = 'changed', price = 0.5 WHERE film_id BETWEEN 1100 AND 1130;
    UPDATE film SET film_id = film_id + 50000 WHERE film_id BETWEEN 1200 AND 1203;
    DELETE FROM film WHERE film_id BETWEEN 1300 AND 1320;
    UPDATE sales.payment SET paid_at = paid_at + interval '1 year' WHERE payment_id = 7;
    UPDATE sales.payment SET amount = 0 WHERE payment_id BETWEEN 2000 AND 2010;
    DELETE FROM sales.payment WHERE payment_id % 500 = 3;
    CREATE TABLE sales.payment_2027 PARTITION OF sales.payment FOR VALUES FROM ('2027-01-01+00') TO ('2028-01-01+00');
    INSERT INTO sales.payment (staff_id, amount, paid_at) VALUES (1, 1, '2027-05-05+00');
    TRUNCATE no_columns;
    INSERT INTO sales.reservation VALUES (9, '[2026-01-01,2026-01-02)');
    DELETE FROM child WHERE id = 2;
    UPDATE many_kinds SET multi = '{3,4}' WHERE id = 1;
    SELECT lo_put(424244, 3, 'changed'), lo_unlink(424243), lo_from_bytea(424250, 'another');
    SELECT nextval('never_used');
    CREATE TABLE since (id integer PRIMARY KEY, note text);
    INSERT INTO since SELECT n, 'since ' || n FROM generate_series(1, 100) n;
    DROP TABLE unlogged;
    COMMENT ON TABLE film IS 'films, seen again'";

const SECOND: &str = "
    DELETE FROM film WHERE title = 'new 3' OR film_id = 1100;
    INSERT INTO film (film_id, title, language_id) VALUES (1300, 'back again', 2);
    UPDATE film SET title = 'changed again' WHERE film_id = 1101;
    UPDATE sales.payment SET paid_at = paid_at - interval '1 year' WHERE payment_id = 7 OR paid_at > '2027-01-01';
    DELETE FROM since WHERE id > 50;
    INSERT INTO since SELECT n FROM generate_series(60, 70) n;
    REFRESH MATERIALIZED VIEW sales.zz_by_year;
    REFRESH MATERIALIZED VIEW sales.aa_total";

#[test]
fn a_chain_of_dumps_restores_what_the_source_is() {
    for options in ["", "--row-hash --jobs 3"] {
        let increments = Increments::new().unwrap();
        // They have changed a row before a dump, and end after it: a time would hide it, and no count of rows shows it.
        let (mut first, mut second) =
            (increments.rental.source.client().unwrap(), increments.rental.source.client().unwrap());
        first.batch_execute("BEGIN; UPDATE language SET name = 'Englisch' WHERE language_id = 1").unwrap();
        assert_eq!(increments.full(options).unwrap(), "");
        second.batch_execute("BEGIN; UPDATE film SET title = 'late' WHERE film_id = 1999").unwrap();
        first.batch_execute("COMMIT").unwrap();
        increments.execute(FIRST).unwrap();
        increments.increment(options).unwrap();
        second.batch_execute("COMMIT").unwrap();
        increments.execute(SECOND).unwrap();
        increments.increment(options).unwrap();
        increments.is_restored().unwrap();
        if !options.is_empty() {
            let run = increments.restore("", &increments.another("three").unwrap()).unwrap();
            assert_eq!(run.event("vb-import", "done").unwrap()["identical"], true, "{run}");
        }
    }
}

#[test]
fn a_small_change_costs_little_and_none_nothing() {
    let increments = Increments::alone().unwrap();
    increments
        .execute("INSERT INTO parent SELECT n, md5(n::text) FROM generate_series(10, 60000) n; ANALYZE parent")
        .unwrap();
    let (_, full) = increments.dump("").unwrap();
    let (dumped, put) = increments.dump("").unwrap();
    assert_eq!((&dumped["kind"], &dumped["changes"]), (&"incremental".into(), &0.into()), "{dumped}");
    assert_eq!((&put["stored"], &put["reason"]), (&false.into(), &"nothing new".into()), "{put}");
    // Each of these alone is something.
    for (change, records, changes) in [
        ("UPDATE parent SET note = 'x' WHERE id = 100", 1, 0),
        ("DELETE FROM parent WHERE id = 101", 0, 1),
        ("SELECT nextval('ticket')", 0, 1),
        ("COMMENT ON VIEW film_list IS 'another'", 0, 1),
        ("COMMENT ON LARGE OBJECT 424242 IS 'another'", 0, 1),
        ("SELECT lo_put(424242, 0, 'L')", 0, 1),
        ("DELETE FROM sales.counter", 0, 1),
        ("TRUNCATE no_rows", 0, 1),
    ] {
        increments.execute(change).unwrap();
        let (dumped, put) = increments.dump("").unwrap();
        let counted = (dumped["records_exported"].as_u64(), dumped["changes"].as_u64());
        assert_eq!(counted, (Some(records), Some(changes)), "{change}: {dumped}");
        assert_eq!((&put["stored"], &put["kind"]), (&true.into(), &"incremental".into()), "{change}: {put}");
        let size = |put: &Value| put["size_bytes"].as_u64().unwrap();
        assert!(size(&put) * 20 < size(&full), "{change}: {} bytes of {}", size(&put), size(&full));
    }
    increments.is_restored().unwrap();
}

#[test]
fn a_killed_dump_changes_nothing_for_the_next() {
    let increments = Increments::new().unwrap();
    increments.full("").unwrap();
    increments.execute("DELETE FROM film WHERE film_id < 1500").unwrap();
    // What it keeps beside the mark is of no dump that is stored.
    let line = "vb-export dump --format parquet --since @mark -o cut";
    increments.rental.run(line).unwrap().succeeded().unwrap();
    let kept = || std::fs::read_dir(increments.rental.place.path("mark.keys")).unwrap().count();
    assert_eq!(kept(), 2);
    increments.execute("DELETE FROM film WHERE film_id = 1600; INSERT INTO parent VALUES (7)").unwrap();
    increments.increment("").unwrap();
    assert_eq!(kept(), 2, "that of the base stays until the mark has moved, the other one is swept");
    increments.is_restored().unwrap();
}
