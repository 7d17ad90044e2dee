//! What is committed long after its time: rows of prepared transactions and of a subscription that lags behind. And values that read otherwise
//! although no row was written.

use anyhow::Result;
use std::time::{Duration, Instant};

use crate::Source;
use vb_tests::servers::Database;

#[test]
fn a_prepared_transaction_that_began_long_before() {
    let source = Source::of(
        "t",
        "CREATE TABLE t (id int PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT now()); INSERT INTO t VALUES (1)",
    )
    .unwrap();
    source.full("--overlap 1s").unwrap();
    // Prepared later than the overlap after it began.
    let begin = "BEGIN; INSERT INTO t VALUES (2); SELECT pg_sleep(3); PREPARE TRANSACTION 'long'";
    source.database.client().unwrap().batch_execute(begin).unwrap();
    source.execute("INSERT INTO t VALUES (3)").unwrap();
    let held = source.increment("--overlap 1s", 1).unwrap();
    assert_eq!(held["until"], held["since"], "{held}");
    source.execute("COMMIT PREPARED 'long'; INSERT INTO t VALUES (4)").unwrap();
    let released = source.increment("--overlap 1s", 3).unwrap();
    assert_ne!(released["until"], released["since"], "{released}");
    source.is_restored().unwrap();
}

#[test]
fn a_snapshot_that_others_join_tells_of_a_prepared_transaction() {
    let source =
        Source::of("t", "CREATE TABLE t (id int PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT now())").unwrap();
    source.full("").unwrap();
    let mut client = source.database.client().unwrap();
    client.batch_execute("BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'shared'").unwrap();
    let export =
        "vb-export table t --snapshot \"$VB_SNAPSHOT\" --since @mark | vb-compress | vb-put --mark mark --allow-empty";
    let line = format!("vb-export snapshot t -- sh -c '{export}'");
    let run = source.line(&line).run().unwrap().succeeded().unwrap();
    let exported = run.status_lines().unwrap().into_iter().find(|line| line["source"] == "table").unwrap();
    assert_eq!(exported["kind"], "incremental", "{run}");
    assert!(exported["until"].as_str().unwrap() <= exported["since"].as_str().unwrap(), "{run}");
    client.batch_execute("COMMIT PREPARED 'shared'").unwrap();
}

/// A table that a subscription fills from another database of the same server.
fn subscribe(publisher: &Database, source: &Source) -> Result<()> {
    publisher.client()?.batch_execute(
        "CREATE TABLE t (id int PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT now()); CREATE PUBLICATION p FOR TABLE t",
    )?;
    publisher.client()?.query("SELECT pg_create_logical_replication_slot('s', 'pgoutput')", &[])?;
    source.execute(&format!(
        "CREATE SUBSCRIPTION s CONNECTION '{}' PUBLICATION p WITH (create_slot = false, slot_name = 's')",
        publisher.url()
    ))
}

fn wait_for_rows(source: &Source, rows: i64) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while source.database.client()?.query_one("SELECT count(*) FROM t", &[])?.get::<_, i64>(0) != rows {
        anyhow::ensure!(Instant::now() < deadline, "the subscription brings nothing");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn a_subscription_that_lags_behind() {
    let source =
        Source::alone("t", "CREATE TABLE t (id int PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT now())")
            .unwrap();
    let publisher = source._server.as_ref().unwrap().create_database("publisher").unwrap();
    subscribe(&publisher, &source).unwrap();
    publisher.client().unwrap().batch_execute("INSERT INTO t VALUES (1)").unwrap();
    wait_for_rows(&source, 1).unwrap();
    source.full("").unwrap();
    source.execute("ALTER SUBSCRIPTION s DISABLE").unwrap();
    publisher.client().unwrap().batch_execute("INSERT INTO t VALUES (2)").unwrap();
    source.execute("INSERT INTO t VALUES (90)").unwrap();
    let (exported, _) = source.backup("").unwrap();
    assert_eq!(exported["by"], "xmin", "{exported}");
    source.execute("ALTER SUBSCRIPTION s ENABLE").unwrap();
    wait_for_rows(&source, 3).unwrap();
    let (exported, _) = source.backup("").unwrap();
    assert_eq!(exported["kind"], "incremental", "{exported}");
    source.is_restored().unwrap();
    // Whoever wants it by time gets all of it.
    source.full("--by updated_at").unwrap();
    let reason = source.full("--by updated_at").unwrap();
    assert!(reason.contains("a subscription writes to it"), "{reason}");
}

#[test]
fn what_values_name_is_renamed() {
    let rename = "ALTER TABLE one RENAME TO other; ALTER TABLE two RENAME TO one; ALTER TABLE other RENAME TO two";
    for column in ["r regclass", "r regclass[]", "r named"] {
        let value = if column.ends_with("[]") { "{one}" } else { "one" };
        let tables = format!(
            "CREATE TABLE one (); CREATE TABLE two (); CREATE DOMAIN named AS regclass; CREATE TABLE t (id int PRIMARY KEY, {column}, \
             updated_at timestamptz NOT NULL DEFAULT now()); INSERT INTO t VALUES (1, '{value}')"
        );
        for options in ["--by xmin", "--by updated_at"] {
            let source = Source::of("t", &tables).unwrap();
            source.full(options).unwrap();
            source.execute(rename).unwrap();
            let reason = source.full(options).unwrap();
            assert!(reason.contains("columns have changed, or what its values name"), "{column} {options}: {reason}");
        }
    }
}
