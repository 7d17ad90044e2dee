//! Every type of PostgreSQL, out and back: identical, or refused by name.

#[path = "types/values.rs"]
mod values;

use anyhow::{Context, Result, ensure};
use postgres::Client;
use values::{SETUP, TYPES};
use vb_tests::command::Run;
use vb_tests::place::Place;
use vb_tests::servers::{Database, Postgres};

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
    Ok(())
}
