//! The flows in `scripts/`, as `make` and a crontab run them: with settings from the environment, and in plain `sh`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use vb_tests::command::Command;
use vb_tests::leftovers::Stock;
use vb_tests::place::Place;
use vb_tests::servers::{Database, Postgres, S3Server};
use vb_tests::weather;

const TABLE: &str = "verification_scores";
const CHANGE: &str = "UPDATE verification_scores SET skill = skill / 2 WHERE id % 100 = 0; \
    INSERT INTO verification_scores (station, model, variable, lead_hours, valid_from, valid_to, forecast, is_extreme) \
    SELECT 'EDDF', 'ICON', 'temperature_2m', 24, now(), now(), n, false FROM generate_series(1, 50) n";

struct Night {
    place: Place,
    source: Database,
    target: Database,
    stock: Stock,
    /// What `make backup STORE=…` hands over.
    store: String,
}

impl Night {
    fn on_disk() -> Result<Self> {
        Self::on_disk_of(Postgres::shared()?)
    }

    fn on_disk_of(server: &Postgres) -> Result<Self> {
        let place = Place::new()?;
        let (stock, store) = (Stock::on_disk(&place), format!("file://{}", place.path("backups").display()));
        Self::new(server, place, stock, store)
    }

    fn on_s3() -> Result<Self> {
        let bucket = S3Server::seaweedfs()?.create_bucket("flows")?;
        let store = format!("s3://{}", bucket.name());
        Self::new(Postgres::shared()?, Place::new()?, Stock::S3(bucket), store)
    }

    fn new(server: &Postgres, place: Place, stock: Stock, store: String) -> Result<Self> {
        let (source, target) = (server.create_database("flows_source")?, server.create_database("flows_target")?);
        weather::create(&source, 5000)?;
        Ok(Self { place, source, target, stock, store })
    }

    /// A flow, run by the plainest shell that there is.
    fn flow(&self, name: &str) -> Command {
        let command = self.place.shell_of("dash", "exec dash \"$FLOW\"").env("FLOW", script(name));
        command.env("DATABASE_URL", self.source.url()).envs(self.stock.variables()).env("STORE", &self.store)
    }

    fn change(&self) -> Result<()> {
        Ok(self.source.client()?.batch_execute(CHANGE)?)
    }

    fn ids(&self) -> Result<Vec<String>> {
        let run = self.place.shell("vb-ls --ids").envs(self.stock.variables()).env("VB_STORE", &self.store).run()?;
        Ok(run.succeeded()?.stdout_text().lines().map(str::to_owned).collect())
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(name)
}

fn a_night_after_the_other(night: &Night) -> Result<()> {
    let kind = |name: &str| anyhow::Ok(night.flow(name).run()?.succeeded()?.event("vb-put", "done")?["kind"].clone());
    assert_eq!(kind("backup")?, "full");
    let first = weather::digest(&night.source, TABLE)?;
    night.change()?;
    assert_eq!(kind("incremental")?, "incremental");
    night.change()?;
    assert_eq!(kind("incremental")?, "incremental");
    let quiet = night.flow("incremental").run()?.succeeded()?.event("vb-put", "done")?;
    assert_eq!(quiet["stored"], false, "{quiet}");
    let ids = night.ids()?;
    assert_eq!(ids.len(), 3, "{ids:?}");

    let verified = night.flow("verify").run()?.succeeded()?;
    let lines = verified.status_lines()?;
    let good = |id: &String| lines.iter().any(|line| line["id"] == id.as_str() && line["level"] == 2);
    assert!(ids.iter().all(good), "{verified}");

    let restore = |id: &str| night.flow("restore").env("DATABASE_URL", night.target.url()).env("ID", id);
    night.flow("restore").env("DATABASE_URL", night.target.url()).run()?.succeeded()?;
    assert_eq!(weather::digest(&night.target, TABLE)?, weather::digest(&night.source, TABLE)?);
    restore(&ids[0]).env("TABLE", "first").run()?.succeeded()?;
    assert_eq!(weather::digest(&night.target, "first")?, first);
    // Again, over the rows that are there: nothing changes.
    restore(&ids[2]).run()?.succeeded()?;
    assert_eq!(weather::digest(&night.target, TABLE)?, weather::digest(&night.source, TABLE)?);
    Ok(())
}

#[test]
fn on_a_disk() {
    a_night_after_the_other(&Night::on_disk().unwrap()).unwrap();
}

#[test]
fn on_seaweedfs() {
    a_night_after_the_other(&Night::on_s3().unwrap()).unwrap();
}

#[test]
fn some_days_only() {
    let night = Night::on_disk().unwrap();
    // The 40 hours before the first of November.
    night.source.client().unwrap().batch_execute("SELECT fill_verification_scores(60000)").unwrap();
    night.flow("backup").run().unwrap().succeeded().unwrap();
    let range = night.flow("restore").env("DATABASE_URL", night.target.url()).env("RANGE", "2026-10-31:2026-10-31");
    range.run().unwrap().succeeded().unwrap();
    let days = "SELECT count(*), count(*) FILTER (WHERE updated_at >= '2026-10-31+00' AND updated_at < '2026-11-01+00') \
        FROM verification_scores";
    let row = night.target.client().unwrap().query_one(days, &[]).unwrap();
    let there = night.source.client().unwrap().query_one(days, &[]).unwrap();
    assert!(row.get::<_, i64>(0) > 0 && there.get::<_, i64>(1) < there.get::<_, i64>(0));
    assert_eq!([row.get::<_, i64>(0), row.get(1)], [there.get::<_, i64>(1); 2]);
}

#[test]
fn a_table_that_fails_does_not_stop_the_others() {
    let night = Night::on_disk().unwrap();
    let stations = "CREATE TABLE stations AS SELECT DISTINCT station FROM verification_scores";
    night.source.client().unwrap().batch_execute(stations).unwrap();
    for flow in ["backup", "incremental"] {
        let tables = "verification_scores no_such_table stations";
        let run = night.flow(flow).env("TABLES", tables).run().unwrap().exited(3).unwrap();
        assert!(run.stderr_text().contains(&format!("{flow}: no_such_table failed with exit code 6")), "{run}");
        let done = run.status_lines().unwrap();
        let done = done.iter().filter(|line| line["command"] == "vb-put" && line["event"] == "done");
        assert_eq!(done.count(), 2, "{run}");
    }
    // Each table has its own mark; the one that failed has none.
    let mut marks: Vec<_> =
        fs::read_dir(night.place.path("data")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    marks.sort();
    assert_eq!(marks[0], ".last_backup");
    assert!(!marks.iter().any(|mark| mark.to_string_lossy().contains("no_such_table")), "{marks:?}");

    let run = night.flow("backup").env("TABLES", "no_such_table").run().unwrap().exited(6).unwrap();
    assert_eq!(run.event("vb-export", "failed").unwrap()["exit_code"], 4);

    let restore = || night.flow("restore").env("DATABASE_URL", night.target.url());
    // Which of the two sets is meant is nothing to guess.
    let run = restore().run().unwrap().exited(2).unwrap();
    assert!(
        run.stderr_text().contains("several sets") && run.stderr_text().contains("VB_SET: stations verification"),
        "{run}"
    );
    restore().env("VB_SET", "stations").run().unwrap().succeeded().unwrap();
    let rows = night.target.client().unwrap().query_one("SELECT count(*) FROM stations", &[]).unwrap();
    assert_eq!(rows.get::<_, i64>(0), 300);
}

#[test]
fn a_lost_mark_is_found_in_the_store() {
    // What is new is counted from the oldest transaction on that still runs, be it another test's.
    let server = Postgres::start().unwrap();
    let night = Night::on_disk_of(&server).unwrap();
    let flow =
        |name: &str| night.flow(name).env("DELETES", "yes").env("BY", "xmin").run().unwrap().succeeded().unwrap();
    flow("backup");
    night.change().unwrap();
    night.source.client().unwrap().batch_execute("DELETE FROM verification_scores WHERE id % 1000 = 7").unwrap();
    fs::remove_file(night.place.path("data/.last_backup")).unwrap();
    let run = flow("incremental");
    assert!(run.stderr_text().contains("data/.last_backup was written anew for verification_"), "{run}");
    let done = run.event("vb-export", "done").unwrap();
    assert_eq!(
        (&done["kind"], &done["by"], &done["deletes"]["dirty"]),
        (&"incremental".into(), &"xmin".into(), &5.into())
    );
    night.flow("restore").env("DATABASE_URL", night.target.url()).run().unwrap().succeeded().unwrap();
    assert_eq!(weather::digest(&night.target, TABLE).unwrap(), weather::digest(&night.source, TABLE).unwrap());
}

#[test]
fn a_damaged_backup_is_neither_verified_nor_restored() {
    for night in [Night::on_disk().unwrap(), Night::on_s3().unwrap()] {
        night.flow("backup").run().unwrap().succeeded().unwrap();
        night.change().unwrap();
        night.flow("incremental").run().unwrap().succeeded().unwrap();
        let ids = night.ids().unwrap();
        // The full one, on which the latest stands.
        let key = format!("verification/{}.parquet.gz", ids[0]);
        let mut object = night.stock.get(&key).unwrap();
        let middle = object.len() / 2;
        object[middle] ^= 1;
        night.stock.put(&key, &object).unwrap();

        let run = night.flow("verify").run().unwrap().exited(6).unwrap();
        let failed = run.event("vb-verify", "failed").unwrap();
        assert!(failed["message"].as_str().unwrap().contains(&ids[0]), "{run}");
        let restore = night.flow("restore").env("DATABASE_URL", night.target.url()).run().unwrap().exited(6).unwrap();
        assert!(restore.stderr_text().contains("SHA-256"), "{restore}");
        let made = "SELECT to_regclass('verification_scores') IS NOT NULL";
        let made = night.target.client().unwrap().query_one(made, &[]).unwrap();
        assert!(!made.get::<_, bool>(0), "a table was made");
    }
}

#[test]
fn an_empty_store_is_not_found() {
    let night = Night::on_disk().unwrap();
    for flow in ["restore", "verify"] {
        night.flow(flow).env("DATABASE_URL", night.target.url()).run().unwrap().exited(4).unwrap();
    }
}

#[test]
fn words_that_a_flow_does_not_know_are_refused() {
    let night = Night::on_disk().unwrap();
    for (flow, name, value) in [
        ("backup", "DELETES", "ja"),
        ("backup", "VB_ROW_HASH", "maybe"),
        ("incremental", "EMPTY", "all"),
        ("incremental", "TABLE", "stations"),
        ("backup-database", "INCREMENTAL", "daily"),
        ("backup-database", "FORMAT", "tar"),
    ] {
        let run = night.flow(flow).env(name, value).run().unwrap().exited(2).unwrap();
        assert!(run.stderr_text().starts_with(&format!("{flow}: ")) && run.stderr_text().contains(name), "{run}");
    }
    let custom = night.flow("backup-database").env("FORMAT", "custom").env("INCREMENTAL", "full");
    custom.run().unwrap().exited(2).unwrap();
    assert!(!night.place.path("backups").exists(), "something was stored");
}

#[test]
fn a_quiet_night_is_stored_if_that_is_wanted() {
    let night = Night::on_disk().unwrap();
    let flow = |name: &str, empty: &str| {
        let flow = night.flow(name).env("EMPTY", empty).env("DELETES", "no").env("VB_ROW_HASH", "1");
        flow.run().unwrap().succeeded().unwrap()
    };
    let full = flow("backup", "no").event("vb-export", "done").unwrap();
    assert!(full["row_hash"].is_string() && full["deletes"].is_null(), "{full}");
    assert_eq!(flow("incremental", "false").event("vb-put", "done").unwrap()["stored"], false);
    let run = flow("incremental", "yes");
    let stored = run.event("vb-put", "done").unwrap();
    let told = (&stored["stored"], &stored["kind"], &stored["records"]);
    assert_eq!(told, (&true.into(), &"incremental".into(), &0.into()), "{stored}");
    assert!(run.event("vb-export", "done").unwrap()["deletes"].is_null(), "{run}");
    // The next one stands on it.
    night.change().unwrap();
    let next = flow("incremental", "0").event("vb-put", "done").unwrap();
    assert_eq!(next["base"], stored["id"], "{next}");
    night.flow("restore").env("DATABASE_URL", night.target.url()).run().unwrap().succeeded().unwrap();
    assert_eq!(weather::digest(&night.target, TABLE).unwrap(), weather::digest(&night.source, TABLE).unwrap());
}

#[test]
fn at_night_there_is_no_cargo() {
    let place = Place::new().unwrap();
    let built = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let make = |arguments: &str, target: &Path| {
        let line = format!(
            "exec make --directory \"$FLOWS/..\" {arguments} STORE=\"file://$PWD/empty\" PREFIX=\"$PWD/prefix\""
        );
        let make = place.shell(&line).env("PATH", "/usr/bin:/bin").env("FLOWS", script(""));
        make.env("CARGO_TARGET_DIR", target).run().unwrap()
    };
    let run = make("-s restore", &built).exited(2).unwrap();
    assert_eq!(run.event("vb-ls", "failed").unwrap()["error"], "not_found", "{run}");
    for (target, builds) in [(built, false), (place.path("nowhere"), true)] {
        for goal in ["backup", "restore-database", "verify", "install"] {
            let run = make(&format!("-n {goal}"), &target).succeeded().unwrap();
            assert_eq!(run.stdout_text().contains("cargo build"), builds, "{goal}: {}", run.stdout_text());
        }
    }
}

#[test]
fn verifying_needs_no_database() {
    let night = Night::on_disk().unwrap();
    night.flow("backup").run().unwrap().succeeded().unwrap();
    let nobody = "postgresql://nobody@127.0.0.1:1/nothing";
    night.flow("verify").env("DATABASE_URL", nobody).run().unwrap().succeeded().unwrap();
}

#[test]
fn the_demo_ends_well() {
    let place = Place::new().unwrap();
    let run = place.shell("exec \"$FLOW\"").env("FLOW", script("demo")).run().unwrap().succeeded().unwrap();
    let last = run.stdout_text().lines().last().context("no output").unwrap();
    assert_eq!(last, "200500 rows, identical", "{run}");
}
