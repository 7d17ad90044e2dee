//! What vb-export promises beside the main job: formats, parts of a table, and values that it refuses rather than changes.

use anyhow::Result;
use std::fs;
use vb_tests::command::Command;
use vb_tests::place::Place;
use vb_tests::servers::{Database, Postgres};
use vb_tests::weather;

struct Source {
    place: Place,
    database: Database,
}

impl Source {
    fn of(sql: &str) -> Result<Self> {
        let database = Postgres::shared()?.create_database("export")?;
        database.client()?.batch_execute(sql)?;
        Ok(Self { place: Place::new()?, database })
    }

    fn line(&self, line: &str) -> Command {
        self.place.shell(line).env("DATABASE_URL", self.database.url())
    }

    fn text(&self, line: &str) -> Result<String> {
        Ok(self.line(line).run()?.succeeded()?.stdout_text().to_owned())
    }
}

const SMALL: &str = "CREATE TABLE small (id int PRIMARY KEY, note text, amount numeric, at timestamptz);
    INSERT INTO small VALUES (1, 'a \"quoted\", comma', 1.50, '2026-01-01 00:00+00'), (2, NULL, 'NaN', 'infinity'), (3, '', NULL, NULL)";

#[test]
fn text_formats_are_the_servers_own() {
    let source = Source::of(SMALL).unwrap();
    let csv = source.text("vb-export table small --format csv").unwrap();
    assert_eq!(
        csv,
        "id,note,amount,at\n1,\"a \"\"quoted\"\", comma\",1.50,2026-01-01 00:00:00+00\n2,,NaN,infinity\n3,\"\",,\n"
    );
    let lines = source.text("vb-export table small --format jsonl").unwrap();
    assert_eq!(lines.lines().count(), 3);
    assert_eq!(lines.lines().nth(1), Some(r#"{"id":2,"note":null,"amount":"NaN","at":"infinity"}"#));
    let array: serde_json::Value =
        serde_json::from_str(&source.text("vb-export table small --format json").unwrap()).unwrap();
    assert_eq!(array[2]["note"], "");
    assert_eq!(source.text("vb-export query 'SELECT 1 WHERE false' --format json").unwrap(), "[]\n");
}

#[test]
fn a_query_and_a_condition_select_rows() {
    let source = Source::of(SMALL).unwrap();
    assert_eq!(
        source.text("vb-export query 'SELECT id * 2 AS twice FROM small ORDER BY 1;' --format csv").unwrap(),
        "twice\n2\n4\n6\n"
    );
    assert_eq!(
        source.text("vb-export table small --where 'id > 2' --format csv").unwrap(),
        "id,note,amount,at\n3,\"\",,\n"
    );
}

#[test]
fn a_range_includes_both_days() {
    let database = Postgres::shared().unwrap().create_database("range").unwrap();
    weather::create(&database, 3000).unwrap();
    let place = Place::new().unwrap();
    let line = "vb-export table verification_scores --by valid_to --range 2026-10-31:2026-10-31 -o day.parquet";
    let done = place.shell(line).env("DATABASE_URL", database.url()).run().unwrap().succeeded().unwrap();
    let exported = done.event("vb-export", "done").unwrap();
    let query = "SELECT count(*) FROM verification_scores WHERE valid_to >= '2026-10-31Z' AND valid_to < '2026-11-01Z'";
    let expected: i64 = database.client().unwrap().query_one(query, &[]).unwrap().get(0);
    assert!(expected > 0);
    assert_eq!(exported["records_exported"], expected);
}

#[test]
fn the_status_line_says_what_is_text_and_why() {
    let sql = "CREATE TABLE odd (id int, amount numeric(9,2), v numeric, place inet, words tsvector, grid int[]);
        INSERT INTO odd VALUES (1, 'NaN', 1.10, '::1', 'a', '{{1}}'), (2, 0, 1.1, NULL, NULL, NULL)";
    let source = Source::of(sql).unwrap();
    let run = source.line("vb-export table odd -o odd.parquet").run().unwrap().succeeded().unwrap();
    let fidelity = &run.event("vb-export", "done").unwrap()["fidelity"];
    assert_eq!((&fidelity["exact_columns"], &fidelity["values_aside"]), (&2.into(), &1.into()), "{fidelity}");
    let others: Vec<String> = fidelity["others"]
        .as_array()
        .unwrap()
        .iter()
        .map(|other| format!("{}: {}, {}", other["column"], other["as"], other["why"]).replace('"', ""))
        .collect();
    assert_eq!(
        others,
        [
            "v: text, the numbers of decimal places differ",
            "place: text, Parquet has no addresses",
            "words: text, tsvector as the server prints it",
            "grid: text, arrays of several dimensions, or that do not begin at 1"
        ]
    );
}

#[test]
fn a_column_full_of_what_its_type_cannot_hold_is_refused_by_name() {
    let sql =
        "CREATE TABLE odd (id int, v numeric(9,5)); INSERT INTO odd SELECT g, 'NaN' FROM generate_series(1, 20000) g";
    let source = Source::of(sql).unwrap();
    let run = source.line("vb-export table odd -o odd.parquet").run().unwrap().exited(1).unwrap();
    let line = run.stderr_text().lines().find(|line| line.starts_with("vb-export: ")).unwrap_or_default().to_owned();
    assert!(line.contains("public.odd: column \"v\", row 9") && line.contains("is NaN"), "{line}");
    assert_eq!(fs::read_dir(source.place.work()).unwrap().count(), 0, "something was left behind");
}

#[test]
fn partitions_children_and_generated_columns_are_not_left_out() {
    let sql = "CREATE TABLE parted (id int, day date) PARTITION BY RANGE (day);
        CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        INSERT INTO parted VALUES (1, '2026-01-02');
        CREATE TABLE parent (id int, twice int GENERATED ALWAYS AS (id * 2) STORED); CREATE TABLE child () INHERITS (parent);
        INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2)";
    let source = Source::of(sql).unwrap();
    for (table, rows) in [("parted", 1), ("parent", 2)] {
        let run =
            source.line(&format!("vb-export table {table} -o {table}.parquet")).run().unwrap().succeeded().unwrap();
        assert_eq!(run.event("vb-export", "done").unwrap()["records_exported"], rows, "{table}");
    }
}

#[test]
fn a_dry_run_says_what_it_would_read_and_reads_nothing() {
    let source = Source::of(SMALL).unwrap();
    let run = source.line("vb-export table small --dry-run").run().unwrap().succeeded().unwrap();
    assert_eq!(
        run.event("vb-export", "done").unwrap()["copy"][0],
        r#""public"."small" ("id", "note", "amount", "at")"#
    );
}

#[test]
fn rows_hidden_by_a_policy_are_refused_not_missed() {
    let sql = "CREATE TABLE secret (id int); INSERT INTO secret VALUES (1); ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
        DROP ROLE IF EXISTS vb_reader_of_secret; CREATE ROLE vb_reader_of_secret LOGIN PASSWORD 'test-only'; GRANT SELECT ON secret TO vb_reader_of_secret";
    let source = Source::of(sql).unwrap();
    let run = source
        .line("PGUSER=vb_reader_of_secret; export PGUSER; vb-export table secret")
        .env(
            "DATABASE_URL",
            source
                .database
                .url()
                .replacen("postgres:", "vb_reader_of_secret:", 1)
                .replace("test-only-password", "test-only"),
        )
        .run()
        .unwrap();
    assert_eq!(run.exit_code(), 7, "{run}");
    assert!(run.stderr_text().contains("row-level security"), "{run}");
}
