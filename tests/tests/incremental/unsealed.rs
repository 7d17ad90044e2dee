//! Increments whose seal is lost on the way: programs between, files, other compressors. The stream itself says what it is.

use crate::Source;
use anyhow::{Context, Result};
use serde_json::Value;

/// What becomes of an export of `$EXPORT`; each stores it and sets the mark.
const WAYS: [&str; 11] = [
    "$EXPORT -o f.parquet && vb-put --mark mark f.parquet",
    "$EXPORT -o f.parquet && vb-put --mark mark <f.parquet",
    "$EXPORT | cat | vb-put --mark mark --set notes",
    "$EXPORT | cat | VB_SET=notes vb-put --mark mark",
    "$EXPORT | cat | vb-compress | vb-put --mark mark --set notes",
    "$EXPORT | cat | vb-compress >f.parquet.gz && vb-put --mark mark f.parquet.gz",
    "$EXPORT | cat | vb-compress | cat | vb-put --mark mark --set notes",
    "$EXPORT -o f.parquet && vb-compress f.parquet | vb-put --mark mark",
    "$EXPORT | gzip | vb-put --mark mark --set notes",
    "$EXPORT | gzip | vb-compress -d | vb-put --mark mark --set notes",
    "$EXPORT | zstd -q | zstd -dc | vb-put --mark mark --set notes",
];

fn source() -> Result<Source> {
    // Alone, so that no other transaction makes increments overlap.
    Source::alone("notes", "CREATE TABLE notes (id int PRIMARY KEY, n int); INSERT INTO notes VALUES (0, 0)")
}

fn manifest(source: &Source, done: &Value) -> Result<Value> {
    let key = done["manifest_key"].as_str().context("nothing was stored")?;
    Ok(serde_json::from_slice(&std::fs::read(source.place.path("backups").join(key))?)?)
}

#[test]
fn an_increment_is_one_however_it_comes() {
    let source = source().unwrap();
    source.full("--by xmin --deletes").unwrap();
    let export = "vb-export table notes --since @mark --by xmin --deletes";
    for (number, way) in WAYS.iter().enumerate() {
        let change =
            format!("INSERT INTO notes VALUES ({0}, 0); UPDATE notes SET n = n + 1 WHERE id = {0}", number + 1);
        source.execute(&change).unwrap();
        let run = source.line(&way.replace("$EXPORT", export)).run().unwrap().succeeded().unwrap();
        let done = run.event("vb-put", "done").unwrap();
        let found = [&done["set"], &done["kind"], &done["records"]];
        assert_eq!(found, [&Value::from("notes"), &"incremental".into(), &1.into()], "{way}: {run}");
        let manifest = manifest(&source, &done).unwrap();
        assert_eq!(manifest["source"]["name"], "public.notes", "{way}");
        assert!(["format", "file"].contains(&manifest["proof"].as_str().unwrap()), "{way}: {manifest}");
        assert!(manifest["position"]["keys_sha256"].is_string(), "{way}: {manifest}");
    }
    source.execute("DELETE FROM notes WHERE id = 1").unwrap();
    let line = format!("{export} | cat | vb-put --mark mark --set notes");
    source.line(&line).run().unwrap().succeeded().unwrap();
    source.is_restored_at_once().unwrap();
    let quiet = source.line(&line).run().unwrap().succeeded().unwrap();
    assert_eq!(quiet.event("vb-put", "done").unwrap()["reason"], "nothing new");
}

#[test]
fn an_increment_whose_set_came_too_late_is_not_stored_elsewhere() {
    let source = source().unwrap();
    source.full("--by xmin").unwrap();
    source.execute("INSERT INTO notes VALUES (1, 1)").unwrap();
    for way in
        ["| cat | vb-put", "| cat | vb-compress | cat | vb-put", "-o other.parquet; gzip other.parquet; vb-put *.gz"]
    {
        let line = format!("vb-export table notes --since @mark --by xmin {way}");
        let run = source.line(&line).run().unwrap().exited(2).unwrap();
        assert!(run.stderr_text().contains("here with --set notes"), "{run}");
    }
    assert_eq!(source.line("vb-ls --ids").run().unwrap().stdout_text().lines().count(), 1);
}

#[test]
fn a_whole_table_through_a_program_keeps_its_records_and_its_mark() {
    let source = source().unwrap();
    let line = "vb-export table notes --since @mark --by xmin | cat | vb-compress | vb-put --mark mark --set notes";
    let run = source.line(line).run().unwrap().succeeded().unwrap();
    let done = run.event("vb-put", "done").unwrap();
    assert_eq!([&done["kind"], &done["records"]], [&Value::from("full"), &1.into()]);
    assert!(done["key"].as_str().unwrap().ends_with(".parquet.gz"), "{done}");
    source.execute("INSERT INTO notes VALUES (1, 1)").unwrap();
    source.increment("--by xmin", 1).unwrap();
    // What is no whole table is none here either: a query moves no mark.
    let line = "vb-export query 'SELECT * FROM notes' | cat | vb-put --mark other --set q";
    let run = source.line(line).run().unwrap().succeeded().unwrap();
    let manifest = manifest(&source, &run.event("vb-put", "done").unwrap()).unwrap();
    assert_eq!(manifest["source"]["type"], "query");
    assert!(run.stderr_text().contains("no incremental export can continue") && !source.place.path("other").exists());
}

#[test]
fn a_chain_of_another_form_than_parquet_is_for_others() {
    let source = source().unwrap();
    source.full("--by xmin").unwrap();
    let run = source.line("vb-export table notes --since @mark --by xmin --format csv >rows").run().unwrap();
    assert!(run.succeeded().unwrap().stderr_text().contains("a chain of csv is for other programs"));
}
