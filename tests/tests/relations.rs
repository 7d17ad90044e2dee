//! Every kind of relation: what is exported of it, what a restore makes of it, and who must wait for whom.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use vb_tests::pair::Pair;
use vb_tests::servers::Postgres;

fn pg_dump() -> Result<PathBuf> {
    Ok(Postgres::shared()?.programs()?.join("pg_dump"))
}

fn restored(pair: &Pair, table: &str) -> Result<serde_json::Value> {
    pair.run(&format!("vb-export table '{table}' | vb-import"))?.succeeded()?.event("vb-import", "done")
}

const PARTED: &str = "CREATE SCHEMA parts;
    CREATE TABLE parted (id bigint GENERATED ALWAYS AS IDENTITY, day date NOT NULL, body text DEFAULT 'x', PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE INDEX by_body ON parted (body);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE parts.\"Feb.2\" PARTITION OF parted (CHECK (body <> 'no')) FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY LIST (id);
    CREATE TABLE parts.sub PARTITION OF parts.\"Feb.2\" DEFAULT;
    CREATE TABLE parted_rest PARTITION OF parted DEFAULT;
    INSERT INTO parted (day) SELECT '2026-01-01'::date + g FROM generate_series(0, 99) g";

#[test]
fn a_partitioned_table_travels_with_all_its_parts() -> Result<()> {
    let pair = Pair::new(PARTED)?;
    let done = restored(&pair, "parted")?;
    assert_eq!((&done["records_restored"], &done["schema"]), (&100.into(), &"dump".into()));
    for table in ["parted", "ONLY parted_1", "parts.sub", "parted_rest"] {
        pair.same(&format!("SELECT * FROM {table}"))?;
    }
    pair.same_schema(&pg_dump()?, &["parted*", "parts.*"])?;
    let next = "INSERT INTO parted (day) VALUES ('2026-01-01') RETURNING id";
    assert_eq!(pair.target.client()?.query_one(next, &[])?.get::<_, i64>(0), 101);
    // And under another name, beside the first.
    pair.run("vb-export table parted -o p.parquet")?.succeeded()?;
    pair.run("vb-import --table copies.of p.parquet")?.succeeded()?;
    let parts = "SELECT relid::regclass FROM pg_partition_tree('copies.of')";
    assert_eq!(
        Pair::rows(&pair.target, parts)?,
        ["(\"copies.\"\"Feb.2\"\"\")", "(copies.of)", "(copies.of_1)", "(copies.of_rest)", "(copies.sub)"]
            .map(str::to_owned)
    );
    assert_eq!(Pair::rows(&pair.target, "SELECT count(*) FROM copies.of")?, ["(100)"]);
    Ok(())
}

#[test]
fn a_part_alone_is_a_table_and_finds_its_parent_again() -> Result<()> {
    let pair = Pair::new(PARTED)?;
    let run = pair.run("vb-export table parted_1 | vb-import")?.succeeded()?;
    let warning = run.event("vb-import", "warning")?;
    ensure!(warning["message"].as_str().is_some_and(|words| words.contains("ATTACH PARTITION")), "{warning}");
    pair.same("SELECT * FROM parted_1")?;
    pair.target.client()?.batch_execute("DROP TABLE parted_1; CREATE TABLE parted (id bigint NOT NULL, day date NOT NULL, body text DEFAULT 'x', PRIMARY KEY (id, day)) PARTITION BY RANGE (day)")?;
    restored(&pair, "parted_1")?;
    assert_eq!(Pair::rows(&pair.target, "SELECT count(*) FROM parted")?, ["(31)"]);
    // A copy under another name is nobody's part.
    pair.run("vb-export table parted_1 | vb-import --table another")?.succeeded()?;
    assert_eq!(Pair::rows(&pair.target, "SELECT count(*) FROM parted")?, ["(31)"]);
    Ok(())
}

const INHERITED: &str = "CREATE TABLE parent (id int PRIMARY KEY, body text DEFAULT 'p');
    CREATE TABLE child (more int DEFAULT 5) INHERITS (parent); CREATE TABLE grandchild (most int) INHERITS (child);
    INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2); INSERT INTO grandchild VALUES (3)";

#[test]
fn no_row_of_an_inherited_table_is_lost_or_doubled() -> Result<()> {
    let pair = Pair::new(INHERITED)?;
    // All tables one by one, each with its own rows: together they are what they were.
    for table in ["parent", "child", "grandchild"] {
        pair.run(&format!("vb-export table {table} --only | vb-import"))?.succeeded()?;
    }
    for table in ["parent", "ONLY parent", "child", "ONLY child", "grandchild"] {
        pair.same(&format!("SELECT * FROM {table}"))?;
    }
    pair.same_schema(&pg_dump()?, &["parent", "child", "grandchild"])?;
    // The parent alone, as SELECT shows it: every row, and a warning that they come from elsewhere.
    let run = pair.run("vb-export table parent -o all.parquet")?.succeeded()?;
    assert_eq!(run.event("vb-export", "done")?["records_exported"], 3);
    ensure!(
        run.event("vb-export", "warning")?["message"]
            .as_str()
            .is_some_and(|words| words.contains("public.grandchild") && words.contains("--only"))
    );
    pair.run("vb-import --table everything all.parquet")?.succeeded()?;
    assert_eq!(Pair::rows(&pair.target, "SELECT id FROM everything")?, ["(1)", "(2)", "(3)"]);
    // Where children are, their rows would be there twice.
    for mode in ["auto", "insert", "replace"] {
        pair.run(&format!("vb-import --mode {mode} all.parquet"))?.exited(5)?;
    }
    // Replacing a parent's own rows leaves its children's.
    pair.run("vb-export table parent --only | vb-import --mode replace")?.succeeded()?;
    pair.same("SELECT tableoid::regclass::text, * FROM parent")
}

#[test]
fn a_child_brings_the_tables_that_it_inherits_from() -> Result<()> {
    let pair = Pair::new(INHERITED)?;
    let run = pair.run("vb-export table grandchild | vb-import")?.succeeded()?;
    ensure!(
        run.stderr_text().contains("public.parent was not there")
            || run.stdout_text().contains("public.parent was not there"),
        "{run}"
    );
    pair.same_schema(&pg_dump()?, &["parent", "child", "grandchild"])?;
    assert_eq!(Pair::rows(&pair.target, "SELECT id FROM parent")?, ["(3)"]);
    // Another name does not show in the parent.
    pair.run("vb-export table grandchild | vb-import --table copy")?.succeeded()?;
    assert_eq!(Pair::rows(&pair.target, "SELECT id FROM parent")?, ["(3)"]);
    assert_eq!(Pair::rows(&pair.target, "SELECT id, more FROM copy")?, ["(3,5)"]);
    Ok(())
}

#[test]
fn views_and_foreign_tables_give_their_rows() -> Result<()> {
    let pair = Pair::new(
        "CREATE TABLE base (id int, body text); INSERT INTO base VALUES (1, 'a'), (2, 'b'); CREATE VIEW seen AS SELECT * FROM base WHERE id > 1;
         CREATE MATERIALIZED VIEW kept AS SELECT * FROM base; CREATE MATERIALIZED VIEW empty AS SELECT * FROM base WITH NO DATA;
         CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
         CREATE FOREIGN TABLE far (line text) SERVER files OPTIONS (program 'printf \"one\\ntwo\\n\"');
         CREATE SEQUENCE numbers",
    )?;
    for (name, rows) in [("seen", 1), ("kept", 2), ("far", 2)] {
        let done = restored(&pair, name)?;
        assert_eq!((&done["records_restored"], &done["schema"]), (&rows.into(), &"description".into()), "{name}");
        pair.same(&format!("SELECT * FROM {name}"))?;
        assert_eq!(
            Pair::rows(&pair.target, &format!("SELECT relkind FROM pg_class WHERE oid = '{name}'::regclass"))?,
            ["(r)"]
        );
    }
    let run = pair.run("vb-export table empty -o e.parquet")?.exited(1)?;
    ensure!(run.stderr_text().contains("has not been populated"), "{run}");
    let run = pair.run("vb-export table numbers -o e.parquet")?.exited(2)?;
    ensure!(run.stderr_text().contains("public.numbers is a sequence"), "{run}");
    Ok(())
}

#[test]
fn no_rows_no_columns_and_most_columns() -> Result<()> {
    let columns: Vec<String> = (1..=1600).map(|number| format!("c{number} int")).collect();
    let pair = Pair::new(&format!(
        "CREATE TABLE none (id int PRIMARY KEY); CREATE TABLE bare (); INSERT INTO bare SELECT FROM generate_series(1, 5000);
         CREATE TABLE wide ({}); INSERT INTO wide (c1, c1600) SELECT g, -g FROM generate_series(1, 500) g",
        columns.join(", ")
    ))?;
    for (name, rows) in [("none", 0), ("bare", 5000), ("wide", 500)] {
        assert_eq!(restored(&pair, name)?["records_restored"], rows, "{name}");
        pair.same(&format!("SELECT count(*) FROM {name}"))?;
        pair.same_schema(&pg_dump()?, &[name])?;
    }
    pair.same("SELECT c1, c2, c1600 FROM wide")?;
    pair.run("vb-export table bare | vb-import --mode insert")?.succeeded()?;
    assert_eq!(Pair::rows(&pair.target, "SELECT count(*) FROM bare")?, ["(10000)"]);
    pair.run("vb-export table bare | vb-import --schema description --table naked")?.succeeded()?;
    assert_eq!(Pair::rows(&pair.target, "SELECT count(*) FROM naked")?, ["(5000)"]);
    pair.run("vb-export table bare | vb-import --table wide")?.exited(2)?;
    Ok(())
}

#[test]
fn a_value_of_300_megabytes_and_toasted_ones_come_back() -> Result<()> {
    let pair = Pair::new(
        "CREATE TABLE large (id int PRIMARY KEY, body text, raw bytea);
         ALTER TABLE large ALTER COLUMN raw SET STORAGE EXTERNAL;
         INSERT INTO large VALUES (1, repeat('0123456789', 30 << 20), NULL), (2, 'small', '\\x00');
         INSERT INTO large SELECT g, repeat(md5(g::text), 1000), decode(repeat(md5(g::text), 1000), 'hex') FROM generate_series(3, 300) g",
    )?;
    let run = pair.shell("vb-export table large | vb-import").deadline(Duration::from_secs(280)).run()?.succeeded()?;
    assert_eq!(run.event("vb-import", "done")?["records_restored"], 300);
    pair.same("SELECT id, md5(body), length(body), md5(raw) FROM large")
}

#[test]
fn names_are_read_as_sql_reads_them_or_letter_by_letter() -> Result<()> {
    let pair = Pair::new(
        "CREATE SCHEMA \"S.x\"; CREATE TABLE \"S.x\".\"Tä\"\"b\" (\"Größe, m\" int); CREATE TABLE \"my table\" (id int); \
        CREATE TABLE \"Mixed\" (id int); CREATE TABLE \"a.b\" (id int); CREATE TABLE größe (id int)",
    )?;
    for name in [
        "\"S.x\".\"Tä\"\"b\"",
        "my table",
        "\"my table\"",
        "Mixed",
        "public.Mixed",
        "a.b",
        "\"a.b\"",
        "größe",
        "PUBLIC.größe",
    ] {
        pair.run(&format!("vb-export table '{name}' --format csv"))?.succeeded().context(name)?;
    }
    for name in ["mixed.x", "\"mixed\"", "public.\"Mixed", "", "."] {
        pair.run(&format!("vb-export table '{name}' --set x --format csv"))?.exited(4).context(name)?;
    }
    Ok(())
}

#[test]
fn row_level_security_is_refused_unless_asked_for() -> Result<()> {
    let pair = Pair::new(
        "CREATE TABLE secrets (id int PRIMARY KEY, who text); INSERT INTO secrets VALUES (1, 'reader_of_some'), (2, 'other');
         ALTER TABLE secrets ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON secrets USING (who = current_user);
         CREATE ROLE reader_of_some LOGIN PASSWORD 'reader'; GRANT SELECT ON secrets TO reader_of_some",
    )?;
    let url = pair.source.url().replace("postgres:test-only-password", "reader_of_some:reader");
    let export = |options: &str| {
        pair.place.shell(&format!("vb-export table secrets -o s.parquet {options}")).env("DATABASE_URL", &url).run()
    };
    let run = export("")?.exited(7)?;
    ensure!(
        run.stderr_text().contains("row-level security hides rows")
            && run.stderr_text().contains("--enable-row-security"),
        "{run}"
    );
    let run = export("--enable-row-security")?.succeeded()?;
    let done = run.event("vb-export", "done")?;
    assert_eq!((&done["records_exported"], &done["schema"]), (&1.into(), &"dump".into()));
    ensure!(
        run.event("vb-export", "warning")?["message"]
            .as_str()
            .is_some_and(|words| words.contains("only rows that this role may see"))
    );
    // Its owner sees all of it, and the policy travels.
    restored(&pair, "secrets")?;
    pair.same("SELECT * FROM secrets")?;
    pair.same_schema(&pg_dump()?, &["secrets"])
}

/// The table is held, rewritten and let go while the export waits: it must not see the table as it was before, which is empty.
#[test]
fn a_locked_table_is_waited_for_and_readers_do_not_queue_behind_us() -> Result<()> {
    let pair = Pair::new("CREATE TABLE held (id int PRIMARY KEY); INSERT INTO held SELECT generate_series(1, 10)")?;
    let mut holder = pair.source.client()?;
    holder.batch_execute("BEGIN; ALTER TABLE held ALTER COLUMN id TYPE bigint; INSERT INTO held VALUES (11)")?;
    let child = pair.shell("vb-export table held -o held.parquet --status lines").spawn()?;
    let lines = || std::fs::read_to_string(pair.place.path("lines")).unwrap_or_default();
    until("a warning about the lock", || Ok(lines().contains("is locked by another session")))?;
    // Between its attempts nobody waits.
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let mut watcher = pair.source.client()?;
    let mut queue = || Ok::<i64, anyhow::Error>(watcher.query_one(waiting, &[])?.get(0));
    until("a moment without a queue", || Ok(queue()? == 0))?;
    // It is let go in the middle of an attempt, whose snapshot is older.
    until("the next attempt", || Ok(queue()? == 1))?;
    holder.batch_execute("COMMIT")?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    ensure!(lines().contains("\"records_exported\":11"), "{}", lines());
    Ok(())
}

#[test]
fn a_table_that_stays_locked_is_worth_another_try() -> Result<()> {
    let pair = Pair::new("CREATE TABLE held (id int)")?;
    let mut holder = pair.source.client()?;
    holder.batch_execute("BEGIN; LOCK TABLE held")?;
    let run = pair.run("vb-export table held -o held.parquet --lock-wait 1s")?.exited(8)?;
    ensure!(
        run.stderr_text().contains("public.held: it is locked by another session")
            && run.stderr_text().contains("--lock-wait"),
        "{run}"
    );
    Ok(())
}

fn until(what: &str, mut is: impl FnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(60);
    while !is()? {
        ensure!(Instant::now() < end, "waited a minute for {what}");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
