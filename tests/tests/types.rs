//! Every type of PostgreSQL, out and back: identical, or refused by name.

#[path = "types/postgis.rs"]
mod postgis;
#[path = "types/values.rs"]
mod values;

use anyhow::{Context, Result, ensure};
use postgres::Client;
use std::fs;
use values::{SETUP, TYPES};
use vb_tests::chance::Chance;
use vb_tests::command::Run;
use vb_tests::place::Place;
use vb_tests::servers::{Database, Postgres};

const RANDOM_TABLES: usize = 25;

/// A database whose tables are restored beside themselves, into another schema, so that the server can compare them.
struct Mirror {
    place: Place,
    database: Database,
    client: Client,
}

impl Mirror {
    fn new() -> Result<Self> {
        let database = Postgres::shared()?.create_database("types")?;
        let mut client = database.client()?;
        client.batch_execute("CREATE SCHEMA back; SET extra_float_digits = 3; SET IntervalStyle = 'postgres'")?;
        client.batch_execute(SETUP)?;
        Ok(Self { place: Place::new()?, database, client })
    }

    fn there_and_back(&self, table: &str) -> Result<Run> {
        let line =
            format!("vb-export table {table} -o {table}.parquet >&2 && vb-import --table back.{table} {table}.parquet");
        self.place.shell(&line).env("DATABASE_URL", self.database.url()).run()
    }

    /// How many rows differ: by the text that the server prints, by the bytes that it sends, and by type.
    fn differences(&mut self, table: &str) -> Result<i64> {
        let columns = "SELECT attname::text, atttypid::regtype::text, typsend::regproc::text FROM pg_attribute \
             JOIN pg_type ON pg_type.oid = atttypid WHERE attrelid = $1::text::regclass AND attnum > 0 ORDER BY attnum";
        let mut compared = Vec::new();
        for row in self.client.query(columns, &[&table])? {
            let (name, type_name, send): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            compared.push(format!("\"{name}\"::bpchar::text COLLATE \"C\""));
            // textsend does not take a refcursor, which is a text by another name.
            if send != "-" && type_name != "refcursor" {
                compared.push(format!("{send}(\"{name}\")"));
            }
            if type_name == "xml" {
                compared.push(format!("\"{name}\"::text"));
            }
        }
        let rows = |table: &str| format!("SELECT {} FROM {table}", compared.join(", "));
        let (here, there) = (rows(table), rows(&format!("back.{table}")));
        let query = format!(
            "SELECT (SELECT count(*) FROM ({here} EXCEPT ALL {there}) AS lost) + (SELECT count(*) FROM ({there} EXCEPT ALL {here}) AS new)"
        );
        let types = "SELECT count(*) FROM (SELECT attnum, attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 \
             EXCEPT SELECT attnum, attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = ('back.' || $1)::regclass) AS lost";
        let rows: i64 = self.client.query_one(&query, &[])?.get(0);
        let types: i64 = self.client.query_one(types, &[&table])?.get(0);
        Ok(rows + types)
    }
}

/// Tables of up to a dozen columns and a hundred rows of whatever there is. `VB_SOAK_SEED` repeats a failure.
#[test]
fn random_tables_of_random_types_come_back_identical() -> Result<()> {
    let mut mirror = Mirror::new()?;
    let mut chance = Chance::from_environment();
    let nullable: Vec<_> = TYPES.iter().filter(|(type_name, _)| *type_name != "words").collect();
    let mut values_compared = 0;
    for index in 0..RANDOM_TABLES {
        let table = format!("random_{index}");
        let columns: Vec<_> = (0..=chance.below(12)).map(|_| nullable[chance.below(nullable.len())]).collect();
        let definitions = columns.iter().enumerate().map(|(place, (type_name, _))| format!("c{place} {type_name}"));
        let definitions: Vec<String> = definitions.collect();
        let mut create = format!("CREATE TABLE {table} ({});", definitions.join(", "));
        let rows = chance.below(100);
        for _ in 0..rows {
            let mut value =
                |values: &[&'static str]| values.get(chance.below(values.len() + 1)).copied().unwrap_or("NULL");
            let row: Vec<&str> = columns.iter().map(|(_, values)| value(values)).collect();
            create.push_str(&format!("INSERT INTO {table} VALUES ({});", row.join(", ")));
        }
        mirror.client.batch_execute(&create).context("making a random table")?;
        let what = format!("seed {}: {definitions:?}", chance.seed());
        mirror.there_and_back(&table)?.succeeded().with_context(|| what.clone())?;
        let differences = mirror.differences(&table).with_context(|| what.clone())?;
        ensure!(differences == 0, "{differences} rows differ; {what}");
        values_compared += rows * columns.len();
    }
    println!("{RANDOM_TABLES} random tables, {values_compared} values: identical");
    Ok(())
}

/// In another database the same types have other oids, and rows that are there are merged.
#[test]
fn types_of_users_come_back_into_another_database() -> Result<()> {
    let source = Postgres::shared()?.create_database("types_source")?;
    let target = Postgres::shared()?.create_database("types_target")?;
    let table =
        "CREATE TABLE t (id int PRIMARY KEY, v visit, vs visit[], p price, s searched, h hstore, e mood[], x place[]);";
    let mut from = source.client()?;
    from.batch_execute(&format!("{SETUP} {table} {VISITS}"))?;
    let mut into = target.client()?;
    into.batch_execute(&format!("CREATE TABLE other (id int); {SETUP} {table} INSERT INTO t VALUES (1), (9)"))?;
    let place = Place::new()?;
    let line = "DATABASE_URL=$SOURCE vb-export table t | DATABASE_URL=$TARGET vb-import";
    let run = place.shell(line).env("SOURCE", source.url()).env("TARGET", target.url()).run()?.succeeded()?;
    ensure!(run.event("vb-import", "done")?["mode"] == "upsert", "{run}");
    let rows = |client: &mut Client| -> Result<Vec<String>> {
        Ok(client.query("SELECT t::text FROM t WHERE id < 9 ORDER BY id", &[])?.iter().map(|row| row.get(0)).collect())
    };
    let (was, is) = (rows(&mut from)?, rows(&mut into)?);
    ensure!(was == is && was.len() == 3, "{was:#?}\n{is:#?}");
    Ok(())
}

/// Some with NaN in a decimal and odd arrays deep within, so that they are kept aside with the oids of the source.
const VISITS: &str = r#"INSERT INTO t VALUES
    (1, ROW(ROW('x', '(1,2)', 'high'), '{"[2026-01-01,2026-01-02)",empty,NULL}', 1.10, 7, '{a,NULL}'), NULL, 1.1, ROW(1, 'a b'), 'a=>1', '{low,NULL}', NULL),
    (2, ROW(ROW('x', NULL, 'low'), NULL, 'NaN', 7, '[0:0]={a}'),
        ARRAY[ROW(ROW('x', '(1,2)', 'ü'), '{empty}', 'NaN', 1, NULL), NULL, ROW(NULL, NULL, NULL, NULL, NULL)]::visit[], 'NaN', NULL, NULL, NULL, '{NULL}'),
    (3, NULL, '{}', NULL, ROW(NULL, NULL), '', '{{low},{high}}', ARRAY[ROW('a', '(1,2)', 'low')]::place[]);"#;

#[test]
fn every_value_of_every_type_comes_back_identical() -> Result<()> {
    let mut mirror = Mirror::new()?;
    let mut wrong = Vec::new();
    let mut values_compared = 0;
    for (index, (type_name, values)) in TYPES.iter().enumerate() {
        let table = format!("t_{index}");
        let nullable = if *type_name == "words" { "" } else { ", (0, NULL)" };
        let rows: Vec<String> = values.iter().enumerate().map(|(id, value)| format!("({}, {value})", id + 1)).collect();
        let create = format!(
            "CREATE TABLE {table} (id int PRIMARY KEY, v {type_name}); INSERT INTO {table} VALUES {}{nullable}",
            rows.join(", ")
        );
        mirror.client.batch_execute(&create).with_context(|| create.chars().take(300).collect::<String>())?;
        let run = mirror.there_and_back(&table)?;
        if run.exit_code() != 0 {
            wrong.push(format!("{type_name}: {}", run.stderr_text()));
            continue;
        }
        match mirror.differences(&table) {
            Ok(0) => values_compared += values.len() + 1,
            Ok(count) => wrong.push(format!("{type_name}: {count} rows differ")),
            Err(error) => wrong.push(format!("{type_name}: {error:#}")),
        }
    }
    println!("{} types, {values_compared} values: identical", TYPES.len() - wrong.len());
    ensure!(wrong.is_empty(), "{} types are wrong:\n{}", wrong.len(), wrong.join("\n"));
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"))?;
    let told = format!("{} types with {values_compared} edge values and {RANDOM_TABLES} random tables", TYPES.len());
    ensure!(readme.contains(&told), "the README does not say {told:?}");
    Ok(())
}

/// DuckDB takes a decimal of more than 38 digits for a double, and reads it right only from 24 or 32 bytes.
#[test]
fn long_decimals_are_read_by_others_too() -> Result<()> {
    let mut mirror = Mirror::new()?;
    let digits = [39, 40, 50, 56, 57, 58, 70, 75, 76];
    let columns: Vec<String> = digits.iter().map(|digits| format!("d{digits} numeric({digits},3)")).collect();
    let values = |value: &str| format!("({})", vec![value; digits.len()].join(", "));
    let long = "999999999999999999999999999999999999.999";
    mirror.client.batch_execute(&format!(
        "CREATE TABLE long ({}); INSERT INTO long VALUES {}, {}, {}, {}",
        columns.join(", "),
        values("1"),
        values("-2.5"),
        values(&format!("-{long}")),
        values("NULL")
    ))?;
    mirror.there_and_back("long")?.succeeded()?;
    assert_eq!(mirror.differences("long")?, 0);
    let read = "python3 -c \"import duckdb
for row in duckdb.sql('SELECT COLUMNS(*)::DOUBLE FROM \\'long.parquet\\'').fetchall(): print(set(row))\"";
    let read = mirror.place.shell(read).run()?.succeeded()?;
    ensure!(read.stdout_text().lines().eq(["{1.0}", "{-2.5}", "{-1e+36}", "{None}"]), "{read} {}", read.stdout_text());
    Ok(())
}
