//! The main job, as the issue of every night: export, compress, put; again with nothing new; and what lies in the store after it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use vb_tests::command::{Command, Run};
use vb_tests::place::Place;
use vb_tests::servers::{Bucket, Database, Postgres, S3Server};
use vb_tests::weather;

const PIPE: &str = "vb-export --since @data/.last_backup | vb-compress | vb-put --mark data/.last_backup";
const ROWS: i64 = 30_000;

/// A database with the table, and a place to work in.
struct Night {
    place: Place,
    database: Database,
    store: Vec<(String, String)>,
}

impl Night {
    fn on_disk() -> Result<Self> {
        Self::new(vec![("VB_STORE".to_owned(), "file://./backups".to_owned())])
    }

    /// Only what the older program's users have set.
    fn on_s3(bucket: &Bucket) -> Result<Self> {
        let names = ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "S3_BUCKET_NAME"];
        let set = bucket.variables().iter().filter(|(name, _)| names.contains(&name.as_str()));
        let mut store: Vec<(String, String)> = set.map(|(name, value)| (name.clone(), value.clone())).collect();
        store.push(("CLOUD_PROVIDER".to_owned(), "aws".to_owned()));
        Self::new(store)
    }

    fn new(store: Vec<(String, String)>) -> Result<Self> {
        let database = Postgres::shared()?.create_database("main-job")?;
        weather::create(&database, ROWS)?;
        Ok(Self { place: Place::new()?, database, store })
    }

    fn line(&self, line: &str) -> Command {
        self.place.shell(line).env("DATABASE_URL", self.database.url()).envs(self.store.clone())
    }

    fn backup(&self) -> Result<Value> {
        self.line(PIPE).run()?.succeeded()?.event("vb-put", "done")
    }

    fn mark(&self) -> Result<String> {
        fs::read_to_string(self.place.path("data/.last_backup")).context("reading the mark")
    }
}

fn the_object_is_the_table(night: &Night, id: &str) -> Result<()> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/compare_with_duckdb.py");
    let line = format!(
        "vb-get {id} -o object.gz && gunzip -c object.gz >object.parquet && psql -qAt \"$DATABASE_URL\" --csv -c \"$QUERY\" >rows.csv && python3 {script}"
    );
    let query = "SELECT id, station, model, variable, lead_hours, (extract(epoch FROM valid_from) * 1000000)::bigint, \
        (extract(epoch FROM valid_to) * 1000000)::bigint, forecast, observed, error, crps, skill, is_extreme, details, \
        (extract(epoch FROM created_at) * 1000000)::bigint, (extract(epoch FROM updated_at) * 1000000)::bigint \
        FROM verification_scores ORDER BY id";
    let run: Run = night.line(&line).env("QUERY", query).run()?.succeeded()?;
    ensure!(run.stdout_text().contains(&format!("{ROWS} rows are equal")), "{run}");
    Ok(())
}

fn a_night_and_a_quiet_one(night: &Night) -> Result<()> {
    let done = night.backup()?;
    let id = done["id"].as_str().context("no id")?.to_owned();
    ensure!(id.starts_with("verification_20") && id.len() == "verification_20261121_031500".len(), "{done}");
    ensure!(done["key"] == format!("verification/{id}.parquet.gz") && done["kind"] == "full", "{done}");
    ensure!(done["manifest_key"] == format!("verification/{id}_metadata.json") && done["proof"] == "sealed", "{done}");
    ensure!(done["records"] == ROWS, "{done}");
    the_object_is_the_table(night, &id)?;
    let mark = night.mark()?;
    ensure!(mark.contains(&id), "{mark}");

    let quiet = night.backup()?;
    ensure!(quiet["stored"] == false && quiet["kind"] == "incremental", "{quiet}");
    ensure!(night.mark()? == mark, "a quiet night moved the mark");
    let listed = night.line("vb-ls --ids").run()?.succeeded()?;
    ensure!(listed.stdout_text() == format!("{id}\n"), "{listed}");

    let forced = night.line(&format!("{PIPE} --allow-empty")).run()?.succeeded()?.event("vb-put", "done")?;
    ensure!(forced["stored"] == true && forced["base"] == id.as_str() && forced["records"] == 0, "{forced}");
    Ok(())
}

#[test]
fn on_seaweedfs() {
    let bucket = S3Server::seaweedfs().unwrap().create_bucket("main-job").unwrap();
    a_night_and_a_quiet_one(&Night::on_s3(&bucket).unwrap()).unwrap();
}

#[test]
fn on_moto() {
    let bucket = S3Server::moto().unwrap().create_bucket("main-job").unwrap();
    a_night_and_a_quiet_one(&Night::on_s3(&bucket).unwrap()).unwrap();
}

#[test]
fn on_a_disk() {
    a_night_and_a_quiet_one(&Night::on_disk().unwrap()).unwrap();
}

#[test]
fn an_open_transaction_loses_no_row() {
    let night = Night::on_disk().unwrap();
    let mut open = night.database.client().unwrap();
    let late = "INSERT INTO verification_scores (station, model, variable, lead_hours, valid_from, valid_to, forecast, is_extreme) \
        VALUES ('LATE', 'ICON', 'temperature_2m', 3, now(), now(), 1, false)";
    let mut transaction = open.transaction().unwrap();
    transaction.batch_execute(late).unwrap();
    let full = night.backup().unwrap();
    assert_eq!(full["records"], ROWS);
    transaction.commit().unwrap();
    // Its now() lies before the first export's end: a watermark of the newest time seen would have passed it by.
    let incremental = night.backup().unwrap();
    assert_eq!((&incremental["records"], &incremental["base"]), (&Value::from(1), &full["id"]), "{incremental}");
}

#[test]
fn a_changed_table_or_another_server_makes_a_full_export() {
    let night = Night::on_disk().unwrap();
    night.backup().unwrap();
    night.database.client().unwrap().batch_execute("ALTER TABLE verification_scores ADD COLUMN note text").unwrap();
    let run = night.line(PIPE).run().unwrap().succeeded().unwrap();
    let exported = run.event("vb-export", "done").unwrap();
    assert_eq!(
        (&exported["kind"], &exported["reason"]),
        (&Value::from("full"), &Value::from("the table's columns have changed"))
    );
    assert_eq!(run.event("vb-put", "done").unwrap()["kind"], "full");
}
