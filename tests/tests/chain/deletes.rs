//! Rows that are gone, and rows whose keys have changed: of a chain, and of an incremental backup alone.

use super::{restore, restored, set_target, target};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use vb_tests::pair::Pair;

/// A key of an enum, a domain and numbers of which some have decimal places.
const KEYED: &str = "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN code AS varchar(9);
    CREATE TABLE keyed (mood mood, code code, number numeric, note text UNIQUE, at timestamptz NOT NULL, PRIMARY KEY (mood, code, number));
    INSERT INTO keyed SELECT (ARRAY['sad', 'glad'])[1 + n % 2]::mood, 'c' || n, n, 'note ' || n, '2026-11-01Z'::timestamptz + n * interval '1 minute'
        FROM generate_series(1, 5000) n";
const ALL: &str = "SELECT * FROM keyed";
const CHANGES: [&str; 4] = [
    "DELETE FROM keyed WHERE number <= 30; UPDATE keyed SET note = 'new ' || number, at = now() WHERE number % 100 = 0",
    // A key changes, a row comes back, and one trades its note with one that goes.
    "UPDATE keyed SET number = number + 0.50, at = now() WHERE number = 40; INSERT INTO keyed VALUES ('glad', 'c3', 3, 'again', now());
     DELETE FROM keyed WHERE number = 50; UPDATE keyed SET note = 'note 50', at = now() WHERE number = 51",
    "DELETE FROM keyed WHERE number = 3 OR number BETWEEN 300 AND 310",
    "INSERT INTO keyed VALUES ('glad', 'c305', 305, 'back', now()), ('sad', 'new', 1, 'new', now()); UPDATE keyed SET code = 'other' WHERE number = 500",
];

fn backup(pair: &Pair) -> Result<Value> {
    let line = "vb-export table keyed --by xmin --deletes --since @mark | vb-compress | vb-put --mark mark";
    pair.run(line)?.succeeded()?.event("vb-put", "done")
}

fn chain(definition: &str, changes: &[&str]) -> Result<Pair> {
    let pair = Pair::new(definition)?;
    backup(&pair)?;
    for change in changes {
        pair.source.client()?.batch_execute(change)?;
        let put = backup(&pair)?;
        ensure!(put["kind"] == "incremental", "{change} was exported in full: {put}");
    }
    Ok(pair)
}

#[test]
fn are_not_there_after_the_restore() -> Result<()> {
    let pair = chain(KEYED, &CHANGES)?;
    let done = restored(&pair, "")?;
    pair.same(ALL)?;
    let gone: u64 = done["backups"].as_array().into_iter().flatten().filter_map(|one| one["gone"].as_u64()).sum();
    // The first thirty, of which one came back and went again; a changed key twice over; the fiftieth; eleven, of which one is back.
    assert_eq!((gone, &done["records_deleted"]), (30 + 2 + 1 + 10, &0.into()), "{done}");
    restored(&pair, "--table copy")?;
    assert_eq!(target(&pair, "SELECT * FROM copy")?, Pair::rows(&pair.source, ALL)?);
    Ok(())
}

/// The table as the first backup left it, and rows that the source never had.
fn with_rows(changes: &[&str], more: &str) -> Result<Pair> {
    let pair = chain(KEYED, changes)?;
    pair.run("vb-get --latest --kind full | vb-compress -d | vb-import")?.succeeded()?;
    set_target(&pair, "INSERT INTO keyed SELECT 'sad', 'mine', n, 'mine ' || n, now() FROM generate_series(1, 300) n")?;
    set_target(&pair, more)?;
    Ok(pair)
}

#[test]
fn go_from_a_table_that_has_rows_and_no_others_do() -> Result<()> {
    let pair = with_rows(
        &CHANGES,
        "CREATE TABLE child (mood mood, code code, number numeric, FOREIGN KEY (mood, code, number) REFERENCES keyed);
        INSERT INTO child SELECT mood, code, number FROM keyed WHERE number > 1000",
    )?;
    let done = restored(&pair, "")?;
    assert_eq!((&done["mode"], &done["records_deleted"]), (&"upsert".into(), &(30 + 2 + 1 + 10).into()), "{done}");
    assert_eq!(target(&pair, "SELECT * FROM keyed WHERE code <> 'mine'")?, Pair::rows(&pair.source, ALL)?);
    assert_eq!(target(&pair, "SELECT count(*) FROM keyed WHERE code = 'mine'")?, ["(300)"]);
    // What points at a row that must go keeps all as it was.
    set_target(
        &pair,
        "DELETE FROM keyed WHERE code = 'mine'; INSERT INTO keyed VALUES ('glad', 'c301', 301, 'here', now()); INSERT INTO child VALUES ('glad', 'c301', 301)",
    )?;
    let before = target(&pair, ALL)?;
    let run = restore(&pair, "")?.exited(5)?;
    assert!(run.stderr_text().contains("child"), "{run}");
    assert_eq!(target(&pair, ALL)?, before);
    set_target(&pair, "DROP TABLE child")?;
    assert_eq!(restored(&pair, "--mode replace")?["records_deleted"], 0);
    pair.same(ALL)
}

/// A foreign key that acts is not set off by a row that goes, as little as by one that is replaced.
#[test]
fn take_no_rows_of_other_tables_with_them() -> Result<()> {
    let pair = with_rows(&CHANGES[..1], "CREATE TABLE child (mood mood, code code, number numeric, note text)")?;
    for action in ["CASCADE", "SET NULL", "SET DEFAULT"] {
        let rows = "TRUNCATE child; INSERT INTO child SELECT mood, code, number, 'mine' FROM keyed WHERE number IN (7, 1000) AND code <> 'mine'";
        let key = format!(
            "ALTER TABLE child ADD CONSTRAINT pointing FOREIGN KEY (mood, code, number) REFERENCES keyed ON DELETE {action}"
        );
        set_target(&pair, &format!("{rows}; {key}"))?;
        let before = (target(&pair, ALL)?, target(&pair, "SELECT * FROM child")?);
        let alone = format!("vb-get {} | vb-compress -d | vb-import", super::ids(&pair)?.last().context("a backup")?);
        for run in [restore(&pair, "")?, pair.run(&alone)?] {
            let run = run.exited(5)?;
            assert!(run.stderr_text().contains("pointing of child"), "{action}: {run}");
            assert_eq!((target(&pair, ALL)?, target(&pair, "SELECT * FROM child")?), before, "{action}");
        }
        set_target(&pair, "ALTER TABLE child DROP CONSTRAINT pointing")?;
    }
    // What points at rows that stay is in nobody's way.
    set_target(
        &pair,
        "DELETE FROM child WHERE number = 7; ALTER TABLE child ADD FOREIGN KEY (mood, code, number) REFERENCES keyed ON DELETE CASCADE",
    )?;
    assert_eq!(restored(&pair, "")?["records_deleted"], 30);
    assert_eq!(target(&pair, "SELECT number FROM child")?, ["(1000)"]);
    Ok(())
}

#[test]
fn of_some_days_only() -> Result<()> {
    let pair = with_rows(&CHANGES[..1], "DELETE FROM keyed WHERE code = 'mine'")?;
    let done = restored(&pair, "--range 2026-11-01:2026-11-01 --by at")?;
    assert_eq!(done["records_deleted"], 30, "{done}");
    // Some rows of that day were changed since, so that they are of today now, and what is here of them stays.
    let rows = "SELECT * FROM keyed WHERE number < 1440 AND number % 100 <> 0";
    assert_eq!(target(&pair, rows)?, Pair::rows(&pair.source, rows)?);
    assert_eq!(target(&pair, "SELECT note FROM keyed WHERE number = 100")?, ["(\"note 100\")"]);
    Ok(())
}

/// Backup after backup, as by hand.
#[test]
fn of_each_incremental_alone() -> Result<()> {
    let pair = chain(KEYED, &CHANGES)?;
    let mut deleted = Vec::new();
    for id in super::ids(&pair)? {
        let done =
            pair.run(&format!("vb-get {id} | vb-compress -d | vb-import"))?.succeeded()?.event("vb-import", "done")?;
        deleted.push(done["records_deleted"].as_u64());
    }
    assert_eq!(deleted, [0, 30, 2, 12, 1].map(Some));
    pair.same(ALL)
}

#[test]
fn by_keys_of_other_types() -> Result<()> {
    for (column, first, second, third) in [
        ("uuid", "gen_random_uuid()", "gen_random_uuid()", "gen_random_uuid()"),
        ("timestamptz", "'infinity'", "'-infinity'", "'2026-11-01 12:00:00.000001+00'"),
        ("numeric", "'NaN'", "1.10", "0.00000000000000000001"),
        ("bytea", "'\\x00'", "''", "'\\xff00'"),
        ("int[]", "'{1,2}'", "'{}'", "'{NULL}'"),
        ("inet", "'::1'", "'10.0.0.0/8'", "'10.0.0.1'"),
        ("text COLLATE \"C\"", "'ü'", "''", "'😀'"),
        ("double precision", "'NaN'", "0", "1e-300"),
    ] {
        let definition = format!(
            "CREATE TABLE keyed (id {column} PRIMARY KEY, note text); INSERT INTO keyed VALUES ({first}, 'a'), ({second}, 'b')"
        );
        let swap = format!("DELETE FROM keyed WHERE note = 'a'; INSERT INTO keyed VALUES ({third}, 'c')");
        let pair = chain(&definition, &[&swap, "UPDATE keyed SET note = 'd' WHERE note = 'b'"])?;
        restored(&pair, "")?;
        pair.same(ALL)?;
        assert_eq!(target(&pair, ALL)?.len(), 2, "{column}");
    }
    Ok(())
}

#[test]
fn by_keys_that_cannot_be_compared_are_refused() -> Result<()> {
    let definition = "CREATE TYPE pair AS (a int, b int); CREATE TABLE keyed (id pair PRIMARY KEY, note text);
        INSERT INTO keyed SELECT ROW(n, n)::pair, 'a' FROM generate_series(1, 9) n";
    let pair = chain(definition, &["DELETE FROM keyed WHERE (id).a = 3"])?;
    let warned = pair.run("vb-export table keyed --deletes --since @mark -o again.parquet")?.succeeded()?;
    let warning = warned.event("vb-export", "warning")?;
    assert!(warning["message"].as_str().is_some_and(|words| words.contains("backup by backup")), "{warning}");
    let run = restore(&pair, "")?.exited(2)?;
    assert!(
        run.stderr_text().contains("cannot be compared here") && run.stderr_text().contains("one after the other"),
        "{run}"
    );
    assert_eq!(target(&pair, "SELECT to_regclass('keyed')")?, ["()"]);
    for id in super::ids(&pair)? {
        pair.run(&format!("vb-get {id} | vb-compress -d | vb-import"))?.succeeded()?;
    }
    pair.same(ALL)
}
