//! Several connections fill one table: what others see of it before it is whole is never under its name, and never stays.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use vb_tests::pair::Pair;
use vb_tests::pipeline::{Ended, Pipeline};
use vb_tests::servers::Postgres;

/// Two row groups, and what hangs on a table: a sequence, an index, a default, a comment.
const NOTES: &str = "\
CREATE TABLE notes (id bigserial PRIMARY KEY, word text NOT NULL DEFAULT 'none', at date CHECK (at > '2020-01-01'));
CREATE INDEX by_word ON notes (word, at);
COMMENT ON TABLE notes IS 'two row groups';
INSERT INTO notes (word, at) SELECT 'word ' || n % 1000, date '2026-01-01' + n % 300 FROM generate_series(1, 600000) AS n";
const DEADLINE: Duration = Duration::from_secs(60);
const SCRATCH: &str = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'vb_restore%'";
const IS_THERE: &str = "SELECT to_regclass('notes')::text";
const LOCK: &str = "SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE locktype = 'advisory' AND datname = current_database()";

struct Restore {
    pair: Pair,
}

impl Restore {
    /// With the exported table in `notes.parquet`.
    fn new(definition: &str) -> Result<Self> {
        let pair = Pair::new(definition)?;
        pair.run("vb-export table notes --row-hash -o notes.parquet")?.succeeded()?;
        Ok(Self { pair })
    }

    fn target(&self, query: &str) -> Result<Vec<String>> {
        Pair::rows(&self.pair.target, query)
    }

    /// A `vb-import` of which others can see that it is at work.
    fn at_work(&self) -> Result<Pipeline> {
        let import = self.pair.place.command("vb-import")?.args(["--jobs", "2", "notes.parquet"]);
        let running = Pipeline::start(vec![import.env("DATABASE_URL", self.pair.target.url())])?;
        let begun = Instant::now();
        while self.target(SCRATCH)?.is_empty() {
            ensure!(begun.elapsed() < DEADLINE, "no scratch schema was seen");
            thread::sleep(Duration::from_millis(5));
        }
        Ok(running)
    }

    fn signalled(&self, signal: Signal) -> Result<Ended> {
        let running = self.at_work()?;
        running.signal(0, signal)?;
        end_of(running)
    }

    fn is_whole(&self) -> Result<()> {
        self.pair.same("SELECT count(*), sum(hashtext(n::text)::int8) FROM notes n")?;
        self.pair.same("SELECT last_value, is_called FROM notes_id_seq")?;
        self.pair.same_schema(&Postgres::shared()?.programs()?.join("pg_dump"), &["notes"])
    }
}

fn end_of(running: Pipeline) -> Result<Ended> {
    running.finish(DEADLINE)?.into_iter().next().context("nothing ended")
}

#[test]
fn the_table_is_what_it_was() {
    let restore = Restore::new(NOTES).unwrap();
    let run = restore.pair.run("vb-import --jobs 8 notes.parquet").unwrap().succeeded().unwrap();
    let done = run.event("vb-import", "done").unwrap();
    assert_eq!((&done["connections"], &done["identical"]), (&2.into(), &true.into()), "{run}");
    assert_eq!(done["records_restored"], 600_000);
    restore.is_whole().unwrap();
    let beside = restore.pair.run("vb-import --jobs 2 --table copy notes.parquet").unwrap().succeeded().unwrap();
    assert_eq!(beside.event("vb-import", "done").unwrap()["connections"], 2, "{beside}");
    let differences = "SELECT count(*) FROM (SELECT hashtext(n::text) FROM notes n EXCEPT ALL SELECT hashtext(c::text) FROM copy c) AS d";
    assert_eq!(restore.target(differences).unwrap(), ["(0)"]);
    assert!(restore.target(SCRATCH).unwrap().is_empty());
}

#[test]
fn of_a_chain_the_rows_come_that_are_there_in_the_end() {
    let pair = Pair::new(NOTES).unwrap();
    let export =
        "vb-export table notes --by xmin --deletes --row-hash --since @mark | vb-compress | vb-put --mark mark";
    let store = |line: &str| pair.shell(line).env("VB_STORE", "file://./backups").run().unwrap().succeeded().unwrap();
    store(export);
    // In both row groups, so that a row's number in its file matters.
    let change = "UPDATE notes SET word = 'changed' WHERE id % 1000 = 7; DELETE FROM notes WHERE id % 1000 = 8; \
        INSERT INTO notes (word) SELECT 'new' FROM generate_series(1, 100)";
    pair.source.client().unwrap().batch_execute(change).unwrap();
    store(export);
    let run = store("vb-get --latest --chain | vb-import --jobs 2");
    let done = run.event("vb-import", "done").unwrap();
    assert_eq!((&done["connections"], &done["identical"]), (&2.into(), &true.into()), "{run}");
    assert_eq!(done["backups"].as_array().map(Vec::len), Some(2), "{run}");
    pair.same("SELECT count(*), sum(hashtext(n::text)::int8) FROM notes n").unwrap();
}

#[test]
fn a_role_that_may_not_make_schemas_restores_over_one_connection() {
    let restore = Restore::new(NOTES).unwrap();
    let (target, role) = (restore.pair.target.variables()["PGDATABASE"].clone(), "vb_tests_without_schemas");
    let mut server = restore.pair.target.client().unwrap();
    let make = format!(
        "DROP ROLE IF EXISTS {role}; CREATE ROLE {role}; GRANT CREATE, USAGE ON SCHEMA public TO {role}; GRANT {role} TO CURRENT_USER; \
         ALTER DATABASE {target} SET role TO {role}"
    );
    server.batch_execute(&make).unwrap();
    let run = restore.pair.run("vb-import --jobs 2 notes.parquet").unwrap();
    server
        .batch_execute(&format!("ALTER DATABASE {target} RESET role; DROP OWNED BY {role} CASCADE; DROP ROLE {role}"))
        .unwrap();
    assert_eq!(run.succeeded().unwrap().event("vb-import", "done").unwrap()["connections"], 1);
}

#[test]
fn what_would_be_seen_elsewhere_keeps_to_one_connection() {
    let restore =
        Restore::new(&format!("CREATE TYPE mood AS ENUM ('ok'); {NOTES}; ALTER TABLE notes ADD mood mood")).unwrap();
    let run = restore.pair.run("vb-import --jobs 2 notes.parquet").unwrap().succeeded().unwrap();
    assert_eq!(run.event("vb-import", "done").unwrap()["connections"], 1, "{run}");
    restore.is_whole().unwrap();
}

#[test]
fn a_signal_leaves_nothing() {
    let restore = Restore::new(NOTES).unwrap();
    let ended = restore.signalled(Signal::TERM).unwrap();
    assert_eq!(ended.exit_code, 143, "{ended}");
    assert!(restore.target(SCRATCH).unwrap().is_empty(), "{ended}");
    assert_eq!(restore.target(IS_THERE).unwrap(), ["()"]);
}

#[test]
fn what_a_kill_leaves_the_next_restore_drops() {
    let restore = Restore::new(NOTES).unwrap();
    let ended = restore.signalled(Signal::KILL).unwrap();
    assert_eq!(ended.exit_code, 137, "{ended}");
    assert_eq!(restore.target(IS_THERE).unwrap(), ["()"]);
    let left = restore.target(SCRATCH).unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    // The server may not have noticed yet that the other end is gone.
    let begun = Instant::now();
    while !restore.target(LOCK).unwrap().is_empty() {
        assert!(begun.elapsed() < DEADLINE, "the lock of a killed restore stays");
        thread::sleep(Duration::from_millis(20));
    }
    let run = restore.pair.run("vb-import --jobs 2 notes.parquet").unwrap().succeeded().unwrap();
    assert!(run.stderr_text().contains("which a killed restore had left"), "{run}");
    assert!(restore.target(SCRATCH).unwrap().is_empty());
    restore.is_whole().unwrap();
}

#[test]
fn a_restore_that_runs_is_not_taken_for_one_that_was_killed() {
    let restore = Restore::new(&format!("{NOTES}; CREATE TABLE small AS SELECT 1 AS one")).unwrap();
    restore.pair.run("vb-export table small -o small.parquet").unwrap().succeeded().unwrap();
    let running = restore.at_work().unwrap();
    let beside = restore.pair.run("vb-import small.parquet").unwrap().succeeded().unwrap();
    let was_at_work = !restore.target(SCRATCH).unwrap().is_empty();
    let ended = end_of(running).unwrap();
    assert_eq!(ended.exit_code, 0, "{ended}\n{beside}");
    assert!(was_at_work, "it ended too early to tell");
    restore.is_whole().unwrap();
}

#[test]
fn damage_leaves_nothing() {
    let restore = Restore::new(NOTES).unwrap();
    let path = restore.pair.place.work().join("notes.parquet");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let run = restore.pair.run("vb-import --jobs 2 notes.parquet").unwrap().exited(6).unwrap();
    assert!(restore.target(SCRATCH).unwrap().is_empty(), "{run}");
    assert_eq!(restore.target(IS_THERE).unwrap(), ["()"]);
}
