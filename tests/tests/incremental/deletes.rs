//! Rows that are gone.

use crate::Source;
use std::fs;

const KEYED: &str = "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN code AS varchar(9);
    CREATE TABLE keyed (mood mood, code code, number numeric, note text, PRIMARY KEY (mood, code, number));
    INSERT INTO keyed SELECT (ARRAY['sad', 'glad'])[1 + n % 2]::mood, 'c' || n, n, 'n' FROM generate_series(1, 2000) n";

#[test]
fn deleted_rows_are_gone_after_the_restore() {
    let source = Source::alone("keyed", KEYED).unwrap();
    source.full("--deletes").unwrap();
    source.execute("DELETE FROM keyed WHERE number <= 3; UPDATE keyed SET note = 'x' WHERE number % 100 = 0; INSERT INTO keyed VALUES ('sad', 'new', 1, 'y')").unwrap();
    let done = source.increment("--deletes", 21).unwrap();
    assert_eq!((&done["deletes"]["dirty"], &done["deletes"]["keys"]), (&3.into(), &1998.into()));
    // The key itself changes, and a deleted one comes back.
    source.execute("UPDATE keyed SET number = number + 0.50 WHERE number = 10; INSERT INTO keyed VALUES ('glad', 'c3', 3, 'again'); DELETE FROM keyed WHERE number = 11").unwrap();
    source.increment("--deletes", 2).unwrap();
    // Nothing is new but that something is gone: that is a backup.
    source.execute("DELETE FROM keyed WHERE number = 12").unwrap();
    assert_eq!(source.increment("--deletes", 0).unwrap()["deletes"]["dirty"], 1);
    source.is_restored().unwrap();
    let (exported, put) = source.backup("--deletes").unwrap();
    assert_eq!((&exported["deletes"]["dirty"], &put["reason"]), (&0.into(), &"nothing new".into()));
}

#[test]
fn a_part_that_is_truncated_or_dropped_is_told_by_its_keys() {
    let parts = "CREATE TABLE parted (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
        CREATE TABLE one PARTITION OF parted FOR VALUES FROM (0) TO (1000); CREATE TABLE two PARTITION OF parted FOR VALUES FROM (1000) TO (2000);
        CREATE TABLE three PARTITION OF parted FOR VALUES FROM (2000) TO (3000); INSERT INTO parted SELECT n, 'n' FROM generate_series(0, 2999) n";
    let source = Source::alone("parted", parts).unwrap();
    source.full("--deletes").unwrap();
    source.execute("TRUNCATE one; INSERT INTO one VALUES (5, 'five'); DROP TABLE two; UPDATE three SET note = 'x' WHERE id = 2500").unwrap();
    source.increment("--deletes", 2).unwrap();
    source.is_restored().unwrap();
}

#[test]
fn digests_that_are_lost_make_the_next_export_full() {
    let source = Source::alone("keyed", KEYED).unwrap();
    source.full("").unwrap();
    assert_eq!(source.full("--deletes").unwrap(), "the last export did not look at the keys");
    let folder = source.place.path("mark.keys");
    let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    fs::write(&file, "other bytes").unwrap();
    assert!(source.full("--deletes").unwrap().starts_with("the digests of the keys are damaged"));
    fs::remove_dir_all(&folder).unwrap();
    assert!(source.full("--deletes").unwrap().starts_with("the digests of the keys are gone"));
    source.execute("DELETE FROM keyed WHERE number = 7").unwrap();
    source.increment("--deletes", 0).unwrap();
    source.execute("ALTER TABLE keyed DROP CONSTRAINT keyed_pkey, ADD UNIQUE (mood, code, number)").unwrap();
    let reason = "the table has no primary key by which an increment could be merged";
    assert_eq!([source.full("--deletes").unwrap(), source.full("--deletes").unwrap()], [reason, reason]);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "both remember the same keys, and older ones are swept");
}

/// A row came that the time column does not show.
#[test]
fn a_row_that_would_be_lost_makes_the_export_full() {
    let sql = "CREATE TABLE dated (id int PRIMARY KEY, updated_at timestamptz); INSERT INTO dated SELECT n, now() FROM generate_series(1, 1000) n";
    let source = Source::of("dated", sql).unwrap();
    source.full("--deletes").unwrap();
    source.execute("INSERT INTO dated VALUES (5000, '2001-01-01')").unwrap();
    assert_eq!(source.full("--deletes").unwrap(), "there are new rows that updated_at does not show as new");
    source.is_restored().unwrap();
}

#[test]
fn what_cannot_tell_is_refused() {
    let sql = "CREATE TABLE keyless (id int UNIQUE, at timestamptz); CREATE VIEW seen AS TABLE keyless;
        CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child () INHERITS (parent)";
    let mut source = Source::of("keyless", sql).unwrap();
    for (table, options, why) in [
        ("keyless", "--deletes", "--deletes needs --since @FILE"),
        ("keyless", "--deletes --since 7d", "--deletes needs --since @FILE"),
        ("keyless", "--deletes --since @mark", "has no key by which rows that are gone could be told"),
        ("seen", "--deletes --since @mark", "has no key"),
        ("parent", "--deletes --since @mark", "no key holds for all of them"),
        ("parent", "--deletes --since @mark --where true", "parts of the table"),
        ("parent", "--deletes --since @mark --range 2026-11-01:2026-11-02", "parts of the table"),
        ("parent", "--deletes --since @mark --format csv", "only Parquet has room"),
    ] {
        source.table = table;
        let run = source.refused(options).unwrap();
        assert!(run.stderr_text().contains(why), "{run}");
        assert!(run.stderr_text().contains("hint: "), "{run}");
    }
    let query = source.line("vb-export query 'SELECT 1' --deletes").run().unwrap().exited(2).unwrap();
    assert!(query.stderr_text().contains("--deletes, --shard and --only are for tables"), "{query}");
    source.table = "parent";
    source.full("--deletes --only").unwrap();
    source.full("--deletes --only --full").unwrap();
    source.execute("INSERT INTO parent VALUES (9)").unwrap();
    source.increment("--deletes --only", 1).unwrap();
}
