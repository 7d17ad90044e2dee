//! Rows are new by the transaction that wrote them.

use crate::Source;

const PLAIN: &str = "CREATE TABLE plain (id int PRIMARY KEY, note text); INSERT INTO plain SELECT n, 'n' || n FROM generate_series(1, 1000) n";

#[test]
fn a_table_without_a_time_goes_by_xmin() {
    let source = Source::alone("plain", PLAIN).unwrap();
    assert_eq!(source.full("").unwrap(), "");
    source.execute("UPDATE plain SET note = 'x' WHERE id <= 7; INSERT INTO plain VALUES (2000, 'new')").unwrap();
    let done = source.increment("", 8).unwrap();
    assert_eq!(done["by"], "xmin");
    let (_, put) = source.backup("").unwrap();
    assert_eq!((&put["stored"], &put["reason"]), (&false.into(), &"nothing new".into()));
    source.execute("UPDATE plain SET note = 'y' WHERE id = 9").unwrap();
    source.increment("--by xmin --jobs 2", 1).unwrap();
    source.is_restored().unwrap();
}

/// Frozen rows keep the number of the transaction that wrote them; so do rows of savepoints.
#[test]
fn neither_freezing_nor_savepoints_hide_a_row() {
    let source = Source::alone("plain", PLAIN).unwrap();
    source.execute("VACUUM FREEZE plain").unwrap();
    source.full("").unwrap();
    source.execute("UPDATE plain SET note = 'frozen' WHERE id = 1; VACUUM FREEZE plain").unwrap();
    let mut open = source.database.client().unwrap();
    open.batch_execute("BEGIN; UPDATE plain SET note = 'outer' WHERE id = 2; SAVEPOINT s; UPDATE plain SET note = 'inner' WHERE id = 3").unwrap();
    open.batch_execute("RELEASE s; SAVEPOINT r; UPDATE plain SET note = 'undone' WHERE id = 4; ROLLBACK TO r").unwrap();
    // What commits meanwhile is exported again, together with what was open.
    source.execute("UPDATE plain SET note = 'between' WHERE id = 5").unwrap();
    source.increment("", 2).unwrap();
    open.batch_execute("COMMIT").unwrap();
    source.increment("", 3).unwrap();
    source.is_restored().unwrap();
}

#[test]
fn a_prepared_transaction_is_waited_for() {
    let source = Source::alone("plain", PLAIN).unwrap();
    let mut client = source.database.client().unwrap();
    client.batch_execute("BEGIN; UPDATE plain SET note = 'prepared' WHERE id = 1").unwrap();
    client.batch_execute("PREPARE TRANSACTION 'increments'").unwrap();
    source.full("").unwrap();
    client.batch_execute("COMMIT PREPARED 'increments'").unwrap();
    source.increment("", 1).unwrap();
    source.is_restored().unwrap();
}

#[test]
fn parts_and_children_are_followed() {
    let sql = "CREATE TABLE parted (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
        CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (100); CREATE TABLE high (note text, id int NOT NULL);
        ALTER TABLE parted ATTACH PARTITION high FOR VALUES FROM (100) TO (200);
        CREATE TABLE later (id int PRIMARY KEY, note text); INSERT INTO later SELECT n, 'old' FROM generate_series(200, 209) n;
        INSERT INTO parted SELECT n, 'n' FROM generate_series(0, 199) n";
    let source = Source::alone("parted", sql).unwrap();
    source.full("").unwrap();
    source.execute("UPDATE parted SET note = 'x' WHERE id IN (1, 101); INSERT INTO later VALUES (210, 'old')").unwrap();
    source.increment("", 2).unwrap();
    // Its rows are older than the last export.
    source.execute("ALTER TABLE parted ATTACH PARTITION later FOR VALUES FROM (200) TO (300)").unwrap();
    source.execute("UPDATE parted SET note = 'y' WHERE id = 2").unwrap();
    source.increment("", 12).unwrap();
    for jobs in ["", "--jobs 2"] {
        source.execute("UPDATE parted SET note = note || '+' WHERE id % 50 = 0").unwrap();
        source.increment(jobs, 5).unwrap();
    }
    let children = "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (more text) INHERITS (parent);
        INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 'x')";
    let parents = Source::alone("parent", children).unwrap();
    parents.full("").unwrap();
    // The child may have a row of the parent's key.
    parents.execute("INSERT INTO child VALUES (1, 'y')").unwrap();
    assert!(parents.full("").unwrap().ends_with("whose keys may be its own"));
    parents.full("--only").unwrap();
    parents.execute("INSERT INTO parent VALUES (4)").unwrap();
    parents.increment("--only", 1).unwrap();
}

#[test]
fn a_time_column_is_followed_through_parts_and_nulls() {
    let sql = "CREATE TABLE parted (id int PRIMARY KEY, updated_at timestamptz DEFAULT now()) PARTITION BY RANGE (id);
        CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (100); INSERT INTO parted SELECT n FROM generate_series(0, 99) n;
        CREATE TABLE later (id int PRIMARY KEY, updated_at timestamptz); INSERT INTO later VALUES (100, '2020-01-01'), (101, NULL)";
    let source = Source::alone("parted", sql).unwrap();
    source.full("").unwrap();
    source.execute("ALTER TABLE parted ATTACH PARTITION later FOR VALUES FROM (100) TO (200)").unwrap();
    source.increment("", 2).unwrap();
    // A row without a time may be as new as any.
    source.execute("INSERT INTO parted VALUES (3000, now())").unwrap_err();
    source.execute("INSERT INTO parted VALUES (150, NULL)").unwrap();
    source.increment("", 2).unwrap();
}

#[test]
fn what_has_no_xmin_is_refused() {
    let sql = "CREATE TABLE dated (id int, created_at timestamptz DEFAULT now()); CREATE VIEW seen AS TABLE dated;
        CREATE MATERIALIZED VIEW kept AS TABLE dated";
    let source = Source::of("seen", sql).unwrap();
    let run = source.refused("--by xmin --since @mark").unwrap();
    assert!(
        run.stderr_text().contains("public.seen cannot be exported by xmin: a view has no rows of its own"),
        "{run}"
    );
    let dated = Source { table: "dated", ..source };
    for (options, why) in [
        ("--by xmin --since 2026-11-21", "xmin knows no times to start from"),
        ("--by xmin --range 2026-11-01:2026-11-02", "of which xmin knows none"),
        ("--by id", "has no timestamp column \"id\""),
    ] {
        let run = dated.refused(options).unwrap();
        assert!(run.stderr_text().contains(why), "{run}");
    }
    let kept = Source { table: "kept", ..dated };
    kept.full("--by xmin").unwrap();
    assert_eq!(kept.full("--by xmin").unwrap(), "the table has no primary key by which an increment could be merged");
}
