//! Whether a chain gives back the whole table, by the server's hash of all its rows at the newest export.

use crate::Source;
use anyhow::Result;
use serde_json::Value;
use vb_tests::command::Run;
use vb_tests::servers::Postgres;

const DATED: &str = "CREATE TABLE dated (id int PRIMARY KEY, note text, updated_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO dated SELECT n, 'n' FROM generate_series(1, 1000) n";
const OPTIONS: &str = "--deletes --row-hash";

/// The newest chain, into an empty database.
fn restore(source: &Source, options: &str) -> Result<Run> {
    let target = Postgres::shared()?.create_database("identity")?;
    source.line(&format!("vb-get --latest --chain | vb-import {options}")).env("DATABASE_URL", target.url()).run()
}

fn done(run: Run) -> Result<Value> {
    run.succeeded()?.event("vb-import", "done")
}

#[test]
fn a_chain_is_compared_with_the_whole_table() {
    let source = Source::alone("dated", DATED).unwrap();
    let options = format!("{OPTIONS} --by xmin");
    source.full(&options).unwrap();
    source.execute("UPDATE dated SET note = 'x' WHERE id <= 10; DELETE FROM dated WHERE id > 990").unwrap();
    let exported = source.increment(&options, 10).unwrap();
    assert!(exported["state_hash"].is_string() && exported["state_hash"] != exported["row_hash"], "{exported}");
    source.execute("INSERT INTO dated VALUES (2000, 'new')").unwrap();
    source.increment(&options, 1).unwrap();
    assert_eq!(done(restore(&source, "").unwrap()).unwrap()["identical"], true);
    assert_eq!(done(restore(&source, "--no-compare").unwrap()).unwrap()["not_compared"], "--no-compare");
    let verify = source.line("vb-verify --latest --level 4").env("VB_SCRATCH_DATABASE_URL", source.database.url());
    let verified = verify.run().unwrap().succeeded().unwrap();
    assert_eq!(verified.event("vb-verify", "verification").unwrap()["level"], 4, "{verified}");

    // Without the hash, or without the keys that are gone, there is nothing to compare.
    source.execute("INSERT INTO dated VALUES (2001, 'new')").unwrap();
    let plain = source.increment("--deletes --by xmin", 1).unwrap();
    assert_eq!(plain["state_hash"], Value::Null);
    let words = "the newest backup of the chain has no hash of the whole table";
    assert_eq!(done(restore(&source, "").unwrap()).unwrap()["not_compared"], words);
}

#[test]
fn an_update_that_the_time_column_does_not_show_is_found() {
    let source = Source::of("dated", DATED).unwrap();
    source.full(OPTIONS).unwrap();
    // What a trigger on the table would have kept from happening.
    source.execute("UPDATE dated SET note = 'unseen' WHERE id = 5; INSERT INTO dated VALUES (2000, 'new')").unwrap();
    source.increment(OPTIONS, 1).unwrap();
    let refused = restore(&source, "").unwrap().exited(6).unwrap().event("vb-import", "failed").unwrap();
    assert!(refused["hint"].as_str().unwrap().contains("--by xmin"), "{refused}");
    assert_eq!(done(restore(&source, "--no-compare").unwrap()).unwrap()["records_restored"], 1001);
}
