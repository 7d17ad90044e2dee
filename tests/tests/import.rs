//! vb-import from outside: rows come back as they were, in one transaction, and only behind a proven end.

#[path = "import/faithful.rs"]
mod faithful;
#[path = "import/refused.rs"]
mod refused;

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use vb_tests::command::{Command, Run};
use vb_tests::place::Place;
use vb_tests::servers::{Database, Postgres};
use vb_tests::weather;

/// A source, a target, and a place to run pipes between them.
struct Pair {
    place: Place,
    source: Database,
    target: Database,
}

impl Pair {
    fn new(definition: &str) -> Result<Self> {
        let server = Postgres::shared()?;
        let pair = Self {
            place: Place::new()?,
            source: server.create_database("import_source")?,
            target: server.create_database("import_target")?,
        };
        pair.source.client()?.batch_execute(definition)?;
        Ok(pair)
    }

    /// A line of sh in which `vb-export` reads the source and `vb-import` writes the target.
    fn shell(&self, line: &str) -> Command {
        let line = line.replace("vb-export", "DATABASE_URL=$SOURCE vb-export");
        let line = line.replace("vb-import", "DATABASE_URL=$TARGET vb-import");
        self.place.shell(&line).env("SOURCE", self.source.url()).env("TARGET", self.target.url())
    }

    fn run(&self, line: &str) -> Result<Run> {
        self.shell(line).run()
    }

    fn source_rows(&self, query: &str) -> Result<Vec<String>> {
        rows(&self.source, query)
    }

    fn target_rows(&self, query: &str) -> Result<Vec<String>> {
        rows(&self.target, query)
    }

    fn set_target(&self, statements: &str) -> Result<()> {
        Ok(self.target.client()?.batch_execute(statements)?)
    }
}

fn rows(database: &Database, query: &str) -> Result<Vec<String>> {
    let query = format!("SELECT row::text FROM ({query}) AS row ORDER BY 1");
    Ok(database.client()?.query(&query, &[])?.iter().map(|row| row.get(0)).collect())
}

const COLUMNS: &str = "SELECT attnum, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, \
     pg_get_expr(adbin, adrelid) FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum \
     WHERE attrelid = 'every.type'::regclass AND attnum > 0";
const KEY: &str =
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'every.type'::regclass";

const EVERY_TYPE: &str = r#"
CREATE SCHEMA every;
CREATE TYPE every.kind AS ENUM ('b', 'a', 'it''s "quoted"', 'ü');
CREATE TYPE "Plain" AS ENUM ('x');
CREATE TABLE every.type (
    "The Key" bigint GENERATED ALWAYS AS IDENTITY, part text, PRIMARY KEY (part, "The Key"),
    flag boolean, small smallint, whole integer, big bigint, single real, twin double precision,
    exact numeric, short numeric(9,5), eighteen numeric(18,2), long numeric(38,10), longest numeric(76,76), huge numeric(100,2),
    words text NOT NULL, limited varchar(10), padded char(5), called name, blob bytea, id uuid,
    day date, clock time, rounded time(3), stamp timestamp, zoned timestamptz(3), doc json, docb jsonb,
    kind every.kind, plain "Plain",
    flags boolean[], wholes integer[], exacts numeric[], shorts numeric(5,1)[], texts text[], kinds every.kind[], stamps timestamptz[],
    docs jsonb[], ids uuid[], blobs bytea[],
    twice integer GENERATED ALWAYS AS (whole / 2) STORED
);
INSERT INTO every.type (part, words) SELECT 'null', '' FROM generate_series(1, 3);
INSERT INTO every.type OVERRIDING SYSTEM VALUE VALUES
 (9223372036854775000, 'high', true, 32767, 2147483647, 9223372036854775807, 'infinity', 1.7976931348623157e308,
  123456789012345678901234567890.123456789012345678901234567890, 9999.99999, 9999999999999999.99, 9999999999999999999999999999.9999999999,
  0.9999999999999999999999999999999999999999999999999999999999999999999999999999, 1e97, repeat('ü€😀', 3000), 'ten letters'::varchar(10), 'abc',
  'name', '\x00ff', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '5874897-12-31', '24:00:00', '23:59:59.999', '200000-12-31 23:59:59.999999',
  '200000-12-31 23:59:59.999+00', '{"b" : 1,  "a": [null]}', '{"b": 1, "a": [null, 1e400]}', 'it''s "quoted"', 'x',
  '{t,NULL,f}', '{1,NULL,-2147483648}', '{NaN,0.000,-1e30}', '{-9999.9,NULL}', '{"",NULL,"NULL","a,b\"c\\"}', '{a,NULL,"it''s \"quoted\""}',
  '{2026-01-01 00:00:00.000001+00}', '{"{}",NULL}', '{ffffffff-ffff-ffff-ffff-ffffffffffff}', '{"\\x00"}'),
 (-9223372036854775000, 'low', false, -32768, -2147483648, -9223372036854775808, 'NaN', -5e-324,
  'NaN', -9999.99999, -9999999999999999.99, -0.0000000001, -1e-76, -0.01, E'\t\n\\\r', '', '', '', '', '00000000-0000-0000-0000-000000000000',
  '4714-11-24 BC', '00:00', '00:00:00.001', '4714-11-24 00:00:00 BC', '4714-11-24 00:00:00+00 BC', 'null', 'null', 'ü', NULL,
  '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
 (0, 'small', NULL, 0, 0, 0, -0.0, '-infinity', 0.00000000000000000001, 0, 0, 0, 0, 0, ' ', ' ', ' ', ' ', '\x5c', gen_random_uuid(),
  '2000-01-01', '12:34:56.789012', '12:34:56.7894', '1999-12-31 23:59:59.999999', '1970-01-01 00:00:00+00', '""', '""', 'b', 'x',
  NULL, '{0}', '{1.10,100000000}', '{0}', '{x}', '{b}', '{1999-12-31 23:59:59+00}', '{"1"}', NULL, NULL);
"#;

#[test]
fn every_type_comes_back_in_a_table_like_the_first() -> Result<()> {
    let pair = Pair::new(EVERY_TYPE)?;
    let done = pair.run("vb-export table every.type | vb-import")?.succeeded()?.event("vb-import", "done")?;
    assert_eq!((&done["table"], &done["mode"]), (&"every.type".into(), &"insert".into()));
    assert_eq!((&done["created"], &done["kind"]), (&true.into(), &"full".into()));
    assert_eq!((&done["records_restored"], &done["records_read"]), (&6.into(), &6.into()));
    for query in
        ["SELECT * FROM every.type", COLUMNS, KEY, "SELECT enum_range(NULL::every.kind), enum_range(NULL::\"Plain\")"]
    {
        assert_eq!(pair.target_rows(query)?, pair.source_rows(query)?, "{query}");
    }
    Ok(())
}

#[test]
fn the_weather_comes_back_through_gzip_and_its_sequence_goes_on() -> Result<()> {
    let pair = Pair::new("")?;
    weather::create(&pair.source, 30_000)?;
    pair.run("vb-export | vb-compress | vb-compress -d | vb-import")?.succeeded()?;
    assert_eq!(
        weather::digest(&pair.target, "verification_scores")?,
        weather::digest(&pair.source, "verification_scores")?
    );
    let insert = "INSERT INTO verification_scores (station, model, variable, lead_hours, valid_from, valid_to, forecast, is_extreme, created_at, updated_at) \
                  VALUES ('X', 'ICON', 'v', 1, now(), now(), 1, false, now(), now()) RETURNING id";
    assert_eq!(pair.target.client()?.query_one(insert, &[])?.get::<_, i64>(0), 30_001);
    Ok(())
}

const NOTES: &str = "CREATE TABLE notes (id serial PRIMARY KEY, body text, updated_at timestamptz NOT NULL);
    INSERT INTO notes (body, updated_at) VALUES ('one', '2026-11-01 00:00Z'), ('two', '2026-11-02 23:59:59.999999Z'), ('three', '2026-11-03 00:00Z')";
const ALL: &str = "SELECT id, body FROM notes";

#[test]
fn auto_inserts_into_an_empty_table_and_merges_into_a_full_one() -> Result<()> {
    let pair = Pair::new(NOTES)?;
    pair.set_target("CREATE TABLE notes (id serial PRIMARY KEY, more text NOT NULL DEFAULT 'more', updated_at timestamptz, body text)")?;
    let first = pair.run("vb-export table notes | vb-import")?.succeeded()?.event("vb-import", "done")?;
    assert_eq!((&first["mode"], &first["created"]), (&"insert".into(), &false.into()));
    assert_eq!(pair.target.client()?.query_one("SELECT nextval('notes_id_seq')", &[])?.get::<_, i64>(0), 4);
    pair.set_target("UPDATE notes SET body = 'changed' WHERE id = 2; DELETE FROM notes WHERE id = 3; INSERT INTO notes VALUES (9, 'm', now(), 'mine')")?;
    let second = pair.run("vb-export table notes | vb-import")?.succeeded()?.event("vb-import", "done")?;
    assert_eq!((&second["mode"], &second["records_restored"]), (&"upsert".into(), &3.into()));
    assert_eq!(pair.target_rows(ALL)?, ["(1,one)", "(2,two)", "(3,three)", "(9,mine)"]);
    Ok(())
}

#[test]
fn insert_refuses_a_known_key_and_changes_nothing() -> Result<()> {
    let pair = Pair::new(NOTES)?;
    pair.set_target("CREATE TABLE notes (id int PRIMARY KEY, body text, updated_at timestamptz); INSERT INTO notes VALUES (3, 'mine')")?;
    pair.run("vb-export table notes -o notes.parquet")?.succeeded()?;
    let run = pair.run("vb-import --mode insert notes.parquet")?.exited(5)?;
    assert!(
        run.stderr_text().contains("notes_pkey") && run.stderr_text().contains("hint: Nothing was changed"),
        "{run}"
    );
    assert_eq!(pair.target_rows(ALL)?, ["(3,mine)"]);
    Ok(())
}

#[test]
fn replace_leaves_only_the_files_rows_unless_others_point_at_them() -> Result<()> {
    let pair = Pair::new(NOTES)?;
    pair.set_target("CREATE TABLE notes (id int PRIMARY KEY, body text, updated_at timestamptz); INSERT INTO notes VALUES (9, 'mine')")?;
    let done = pair.run("vb-export table notes | vb-import --mode replace")?.succeeded()?.event("vb-import", "done")?;
    assert_eq!(done["mode"], "replace");
    assert_eq!(pair.target_rows(ALL)?, ["(1,one)", "(2,two)", "(3,three)"]);
    pair.set_target("CREATE TABLE child (note int REFERENCES notes ON DELETE CASCADE); INSERT INTO child VALUES (1)")?;
    let run = pair.run("vb-export table notes | vb-import --mode replace")?.exited(5)?;
    assert!(run.stderr_text().contains("child_note_fkey of child"), "{run}");
    assert_eq!(pair.target_rows("SELECT * FROM child")?, ["(1)"]);
    Ok(())
}

#[test]
fn a_full_table_without_a_key_demands_a_choice() -> Result<()> {
    let pair = Pair::new(NOTES)?;
    pair.set_target(
        "CREATE TABLE notes (id int, body text, updated_at timestamptz); INSERT INTO notes VALUES (1, 'mine')",
    )?;
    for (mode, code, count) in [("auto", 2, 1), ("upsert", 2, 1), ("insert", 0, 4), ("replace", 0, 3)] {
        pair.run(&format!("vb-export table notes | vb-import --mode {mode}"))?.exited(code).context(mode)?;
        assert_eq!(pair.target_rows(ALL)?.len(), count, "{mode}");
    }
    Ok(())
}

#[test]
fn two_rows_of_one_key_are_a_conflict() -> Result<()> {
    let pair = Pair::new(NOTES)?;
    pair.set_target("CREATE TABLE notes (id int PRIMARY KEY, body text); INSERT INTO notes VALUES (1, 'mine')")?;
    let run = pair
        .run("vb-export query \"SELECT 1 AS id, 'a'::text AS body UNION ALL SELECT 1, 'b'\" | vb-import --table notes")?
        .exited(5)?;
    assert!(run.stderr_text().contains("two rows of one primary key"), "{run}");
    assert_eq!(pair.target_rows(ALL)?, ["(1,mine)"]);
    Ok(())
}

#[test]
fn another_name_is_made_with_its_schema() -> Result<()> {
    let pair = Pair::new(NOTES)?;
    for (name, found) in
        [("scratch.copy", "scratch.copy"), ("Plain", "public.plain"), ("'\"Quoted\"'", "public.\"Quoted\"")]
    {
        pair.run(&format!("vb-export table notes | vb-import --table {name}"))?.succeeded()?;
        assert_eq!(pair.target_rows(&format!("SELECT count(*) FROM {found}"))?, ["(3)"]);
    }
    let run = pair.run("vb-export query 'SELECT 1 AS id' | vb-import")?.exited(2)?;
    assert!(run.stderr_text().contains("--table"), "{run}");
    Ok(())
}

#[test]
fn a_range_restores_whole_days() -> Result<()> {
    let pair = Pair::new(NOTES)?;
    let line = "vb-export table notes | vb-import --range 2026-11-01:2026-11-02";
    let done = pair.run(line)?.succeeded()?.event("vb-import", "done")?;
    assert_eq!(
        (&done["records_restored"], &done["records_read"], &done["by"]),
        (&2.into(), &3.into(), &"updated_at".into())
    );
    assert_eq!(pair.target_rows(ALL)?, ["(1,one)", "(2,two)"]);
    pair.run("vb-export table notes | vb-import --range 2026-11-02:2026-11-01")?.exited(2)?;
    pair.run("vb-export table notes | vb-import --range 2026-11-01:2026-11-02 --by body")?.exited(2)?;
    Ok(())
}

#[test]
fn a_dry_run_names_every_statement_and_changes_nothing() -> Result<()> {
    let pair = Pair::new(NOTES)?;
    let done = pair.run("vb-export table notes | vb-import --dry-run")?.succeeded()?.event("vb-import", "done")?;
    let statements: Vec<&str> =
        done["statements"].as_array().context("statements")?.iter().filter_map(|line| line.as_str()).collect();
    let place = |words: &str| statements.iter().position(|statement| statement.contains(words));
    let order = ["CREATE TABLE public.notes", "COPY ", "setval", "PRIMARY KEY"].map(place);
    ensure!(order.iter().all(Option::is_some) && order.is_sorted(), "{statements:#?}");
    assert_eq!(pair.target_rows("SELECT to_regclass('notes')")?, ["()"]);
    Ok(())
}

#[test]
fn columns_that_do_not_match_are_named() -> Result<()> {
    let pair = Pair::new(NOTES)?;
    for (definition, words) in [
        (
            "id int, body varchar(9), updated_at timestamptz",
            "column \"body\" is of type text in the file, but character varying(9)",
        ),
        ("id int, updated_at timestamptz", "no column \"body\""),
        ("id int, body text, updated_at timestamptz, must int NOT NULL", "\"must\""),
    ] {
        pair.set_target(&format!("DROP TABLE IF EXISTS notes; CREATE TABLE notes ({definition})"))?;
        let run = pair.run("vb-export table notes | vb-import")?.exited(2)?;
        assert!(run.stderr_text().contains(words), "{run}");
        assert!(pair.target_rows("SELECT * FROM notes")?.is_empty());
    }
    pair.set_target("DROP TABLE notes; CREATE VIEW notes AS SELECT 1 AS id")?;
    pair.run("vb-export table notes | vb-import")?.exited(2)?;
    Ok(())
}

#[test]
fn an_enum_must_have_the_files_labels() -> Result<()> {
    let pair = Pair::new(
        "CREATE TYPE mood AS ENUM ('low', 'high'); CREATE TABLE moods (id int, mood mood); INSERT INTO moods VALUES (1, 'high')",
    )?;
    pair.set_target("CREATE TYPE mood AS ENUM ('low')")?;
    let run = pair.run("vb-export table moods | vb-import")?.exited(5)?;
    assert!(run.stderr_text().contains("the enum mood in the database lacks \"high\""), "{run}");
    pair.set_target("ALTER TYPE mood ADD VALUE 'high' BEFORE 'low'; ALTER TYPE mood ADD VALUE 'new'")?;
    let warning = pair.run("vb-export table moods | vb-import")?.succeeded()?.event("vb-import", "warning")?;
    assert!(warning["message"].as_str().is_some_and(|words| words.contains("another order")), "{warning}");
    assert_eq!(pair.target_rows("SELECT * FROM moods")?, ["(1,high)"]);
    Ok(())
}

#[test]
fn triggers_are_named_or_kept_quiet() -> Result<()> {
    let pair = Pair::new(NOTES)?;
    pair.set_target(
        "CREATE TABLE notes (id int PRIMARY KEY, body text, updated_at timestamptz); INSERT INTO notes VALUES (1, 'mine');
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.body := 'touched'; RETURN NEW; END $$;
         CREATE TRIGGER touch BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION touch()",
    )?;
    let warning = pair.run("vb-export table notes | vb-import")?.succeeded()?.event("vb-import", "warning")?;
    assert!(warning["message"].as_str().is_some_and(|words| words.contains("(touch)")), "{warning}");
    assert_eq!(pair.target_rows(ALL)?, ["(1,touched)", "(2,two)", "(3,three)"]);
    pair.run("vb-export table notes | vb-import --disable-triggers")?.succeeded()?;
    assert_eq!(pair.target_rows(ALL)?, ["(1,one)", "(2,two)", "(3,three)"]);
    assert_eq!(pair.target_rows("SELECT tgenabled FROM pg_trigger WHERE tgname = 'touch'")?, ["(O)"]);
    Ok(())
}

#[test]
fn a_locked_table_is_worth_another_try() -> Result<()> {
    let pair = Pair::new(NOTES)?;
    pair.set_target("CREATE TABLE notes (id int PRIMARY KEY, body text, updated_at timestamptz)")?;
    let mut holder = pair.target.client()?;
    holder.batch_execute("BEGIN; LOCK TABLE notes")?;
    let run = pair.run("vb-export table notes | vb-import")?.exited(8)?;
    assert!(run.stderr_text().contains("lock timeout") && run.stderr_text().contains("Another session"), "{run}");
    Ok(())
}

#[test]
fn nothing_unproven_reaches_the_database() -> Result<()> {
    let pair = Pair::new(NOTES)?;
    pair.run("vb-export table notes -o notes.parquet && vb-compress < notes.parquet > notes.parquet.gz")?
        .succeeded()?;
    let whole = fs::read(pair.place.path("notes.parquet"))?;
    fs::write(pair.place.path("cut.parquet"), &whole[..whole.len() - 10])?;
    let mut damaged = whole.clone();
    damaged[4..12].fill(0xff);
    fs::write(pair.place.path("damaged.parquet"), damaged)?;
    for (line, code, words) in [
        ("vb-import cut.parquet", 6, "no Parquet footer"),
        ("cat cut.parquet | vb-import", 6, "no Parquet footer"),
        ("vb-import < damaged.parquet", 6, "reading standard input"),
        ("vb-import notes.parquet.gz", 2, "vb-compress -d"),
        ("cat notes.parquet.gz | vb-import", 2, "vb-compress -d"),
        ("head -c 700 notes.parquet.gz | vb-compress -d | vb-import", 6, "vb-compress (process"),
        ("vb-export table no_such_table | vb-import", 6, "vb-export (process"),
        ("vb-import < /dev/null", 6, "nothing came"),
        ("vb-export table notes --format csv | vb-import", 2, "vb-export wrote as Parquet"),
        ("vb-import missing.parquet", 4, "missing.parquet"),
    ] {
        let run = pair.run(line)?.exited(code).context(line)?;
        assert!(run.stderr_text().contains(words), "{line}: {run}");
        assert_eq!(pair.target_rows("SELECT to_regclass('notes')")?, ["()"], "{line}");
    }
    pair.run("cat notes.parquet | vb-import")?.succeeded()?;
    assert_eq!(pair.target_rows(ALL)?.len(), 3);
    Ok(())
}

/// The export has written its first row group and then waits; so it is surely killed in the middle.
#[test]
fn a_killed_upstream_changes_nothing() -> Result<()> {
    let pair = Pair::new("CREATE TABLE t (id int)")?;
    pair.set_target("CREATE TABLE t (id int); INSERT INTO t VALUES (7)")?;
    let line = "( vb-export query 'SELECT g AS id FROM generate_series(1, 700000) g UNION ALL SELECT 1 FROM pg_sleep(100)' & pid=$!
        until grep -q '^wchar: [0-9]\\{5,\\}' /proc/$pid/io; do sleep 0.05; done; kill -9 $pid; wait ) | vb-import --table t --mode replace";
    let run = pair.run(line)?.exited(6)?;
    assert!(run.stderr_text().contains("vb-export (process") && run.stderr_text().contains("died after"), "{run}");
    assert_eq!(pair.target_rows("SELECT * FROM t")?, ["(7)"]);
    assert_eq!(fs::read_dir(pair.place.run_dir())?.count(), 0);
    Ok(())
}

#[test]
fn an_import_that_is_killed_or_stopped_changes_nothing() -> Result<()> {
    let pair = Pair::new("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100000)")?;
    pair.run("vb-export table t -o t.parquet")?.succeeded()?;
    // A trigger that waits keeps the import in the middle for as long as it takes.
    pair.set_target(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (0);
         CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(100); RETURN NEW; END $$;
         CREATE TRIGGER wait BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.id = 50000) EXECUTE FUNCTION wait()",
    )?;
    for (signal, code) in [("TERM", 143), ("KILL", 137)] {
        let line = format!(
            "DATABASE_URL={} vb-import --mode replace t.parquet & pid=$!; read _; kill -{signal} $pid; wait $pid",
            pair.target.url()
        );
        let mut child = pair.place.shell(&line).spawn()?;
        until(
            &pair,
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()",
        )?;
        drop(child.stdin.take());
        assert_eq!(child.wait()?.code(), Some(code), "{signal}");
        pair.set_target("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()")?;
        until(
            &pair,
            "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'vb-import' AND datname = current_database()",
        )?;
        assert_eq!(pair.target_rows("SELECT * FROM t")?, ["(0)"], "{signal}");
    }
    Ok(())
}

fn until(pair: &Pair, question: &str) -> Result<()> {
    let mut client = pair.target.client()?;
    let end = Instant::now() + Duration::from_secs(60);
    while !client.query_one(question, &[])?.get::<_, bool>(0) {
        ensure!(Instant::now() < end, "waited a minute for {question}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
