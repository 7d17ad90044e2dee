//! `vb-verify` from outside: damage is found wherever it is, levels are recorded and honest, nothing is left of a scratch restore.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use vb_tests::chance::Chance;
use vb_tests::command::Run;
use vb_tests::leftovers::until;
use vb_tests::place::Place;
use vb_tests::servers::{Database, Postgres, S3Server};
use vb_tests::weather;

const PIPE: &str = "vb-export --since @.mark | vb-compress | vb-put --mark .mark";

/// A place with one real backup of a few thousand rows.
fn backed_up(rows: i64) -> Result<(Place, Database, String)> {
    let (place, database) = (Place::new()?, Postgres::shared()?.create_database("verify")?);
    weather::create(&database, rows)?;
    let run = place.shell(PIPE).env("DATABASE_URL", database.url()).run()?.succeeded()?;
    let id = run.event("vb-put", "done")?["id"].as_str().context("no id")?.to_owned();
    Ok((place, database, id))
}

fn object(place: &Place, id: &str) -> PathBuf {
    place.path(format!("backups/verification/{id}.parquet.gz"))
}

fn manifest(place: &Place, id: &str) -> PathBuf {
    place.path(format!("backups/verification/{id}_metadata.json"))
}

fn verify(place: &Place, line: &str) -> Result<Run> {
    place.command("vb-verify")?.args(line.split_whitespace()).run()
}

fn level(place: &Place, id: &str) -> Result<(Value, Value)> {
    let run = place.shell("vb-ls").run()?.succeeded()?;
    let line = run.status_lines()?.into_iter().find(|line| line["id"] == id).context("it is not listed")?;
    Ok((line["level"].clone(), line["damaged"].clone()))
}

#[test]
fn each_level_is_recorded_and_seen() {
    let (place, _, id) = backed_up(3000).unwrap();
    assert_eq!(level(&place, &id).unwrap(), (0.into(), false.into()));
    for wanted in [1, 2] {
        let run = verify(&place, &format!("{id} --level {wanted}")).unwrap().succeeded().unwrap();
        let line = run.event("vb-verify", "verification").unwrap();
        assert_eq!((&line["level"], &line["chain"]), (&wanted.into(), &"whole".into()), "{line}");
        assert_eq!(level(&place, &id).unwrap(), (wanted.into(), false.into()));
        if wanted == 2 {
            assert_eq!((&line["forms"], &line["records"]), (&json!(["gzip", "Parquet"]), &3000.into()), "{line}");
        }
    }
    place.shell("vb-ls --assert 'level>=2'").run().unwrap().succeeded().unwrap();
    place.shell("vb-ls --assert 'level>=3'").run().unwrap().exited(1).unwrap();
    let facts = fs::read_dir(place.path("backups/verification")).unwrap();
    let facts: Vec<String> = facts.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert!(facts.iter().any(|name| name.starts_with(&format!("{id}_verified_2_"))), "{facts:?}");
}

#[test]
fn a_thousand_damaged_places_are_found_by_the_checksum() {
    let (place, _, id) = backed_up(3000).unwrap();
    let path = object(&place, &id);
    let whole = fs::read(&path).unwrap();
    let mut chance = Chance::from_environment();
    for round in 0..1000 {
        let (at, bit) = (chance.below(whole.len()), chance.below(8));
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << bit;
        fs::write(&path, damaged).unwrap();
        let run = verify(&place, &format!("{id} --level 1 --no-record")).unwrap();
        assert_eq!(run.exit_code(), 6, "round {round}: bit {bit} of byte {at}: {run}");
    }
    fs::write(&path, whole).unwrap();
    verify(&place, &format!("{id} --level 1")).unwrap().succeeded().unwrap();
}

#[test]
fn decoding_finds_damage_of_which_the_manifest_knows_nothing() {
    let (place, _, id) = backed_up(3000).unwrap();
    let path = object(&place, &id);
    let whole = fs::read(&path).unwrap();
    let text = fs::read_to_string(manifest(&place, &id)).unwrap();
    let mut chance = Chance::from_environment();
    for round in 0..100 {
        let (at, bit) = (chance.below(whole.len()), chance.below(8));
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << bit;
        fs::write(&path, damaged).unwrap();
        let digest = place.shell(&format!("sha256sum <backups/verification/{id}.parquet.gz")).run().unwrap();
        let mut believed: Value = serde_json::from_str(&text).unwrap();
        believed["objects"][0]["sha256"] = digest.stdout_text().split(' ').next().unwrap().into();
        fs::write(manifest(&place, &id), believed.to_string()).unwrap();
        let run = verify(&place, &format!("{id} --level 2 --no-record")).unwrap();
        assert_eq!(run.exit_code(), 6, "round {round}: bit {bit} of byte {at}: {run}");
        assert!(!run.stderr_text().contains("SHA-256 is"), "the manifest's digest was to be bypassed: {run}");
        if round == 0 {
            verify(&place, &format!("{id} --level 1 --no-record")).unwrap().succeeded().unwrap();
        }
    }
}

#[test]
fn damage_is_recorded_and_so_is_its_repair() {
    let (place, _, id) = backed_up(3000).unwrap();
    let whole = fs::read(object(&place, &id)).unwrap();
    verify(&place, &id).unwrap().succeeded().unwrap();
    // A fact's name has its second.
    let second = || std::thread::sleep(Duration::from_millis(1100));
    for cut in [&whole[..whole.len() / 2], b""] {
        second();
        fs::write(object(&place, &id), cut).unwrap();
        let run = verify(&place, "--all").unwrap().exited(6).unwrap();
        let failed = run.event("vb-verify", "failed").unwrap();
        assert!(failed["message"].as_str().unwrap().contains(&id), "{failed}");
        assert!(run.stderr_text().contains(&format!("warning: {id} is damaged: ")), "{run}");
        assert_eq!(level(&place, &id).unwrap(), (0.into(), true.into()));
    }
    second();
    fs::write(object(&place, &id), whole).unwrap();
    verify(&place, &id).unwrap().succeeded().unwrap();
    assert_eq!(level(&place, &id).unwrap(), (2.into(), false.into()));
    fs::remove_file(object(&place, &id)).unwrap();
    verify(&place, &id).unwrap().exited(6).unwrap();
    fs::write(manifest(&place, &id), "{").unwrap();
    verify(&place, &id).unwrap().exited(6).unwrap();
    verify(&place, "verification_20200101_000000").unwrap().exited(4).unwrap();
}

#[test]
fn a_restore_is_tried_and_nothing_is_left_of_it() {
    let (place, database, full) = backed_up(3000).unwrap();
    database.client().unwrap().batch_execute("UPDATE verification_scores SET skill = 0 WHERE id % 10 = 0").unwrap();
    let night = || place.shell(&format!("sleep 1; {PIPE}")).env("DATABASE_URL", database.url()).run()?.succeeded();
    let id = night().unwrap().event("vb-put", "done").unwrap()["id"].as_str().unwrap().to_owned();
    let try_it = || {
        let line = format!("{id} --level 3");
        let command = place.command("vb-verify")?.args(line.split_whitespace());
        command.env("VB_SCRATCH_DATABASE_URL", database.url()).run()
    };
    let run = try_it().unwrap().succeeded().unwrap();
    let line = run.event("vb-verify", "verification").unwrap();
    assert!(line["level"].as_u64().unwrap() >= 3, "{line}");
    assert_eq!(line["bases"], json!([{"id": full, "level": 0}]));
    let left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'vb_scratch%'";
    let left = || database.client().unwrap().query_one(left, &[]).unwrap().get::<_, i64>(0);
    assert_eq!(left(), 0);
    verify(&place, &format!("{id} --level 3")).unwrap().exited(2).unwrap();

    // One that was killed leaves its database, and the next one drops it.
    let line = format!("{id} --level 3");
    let command = place.command("vb-verify").unwrap().args(line.split_whitespace());
    let mut running = command.env("VB_SCRATCH_DATABASE_URL", database.url()).spawn().unwrap();
    until("its database", || Ok((left() > 0).then_some(()))).unwrap();
    running.kill().unwrap();
    running.wait().unwrap();
    let swept = |run: Run| run.stderr_text().contains("which a killed command had left").then_some(());
    until("the end of it", || Ok(swept(try_it()?.succeeded()?))).unwrap();
    assert_eq!(left(), 0);

    // Without its base it restores nothing, although its own bytes are good.
    fs::remove_file(manifest(&place, &full)).unwrap();
    let run = verify(&place, &format!("{id} --no-record")).unwrap().exited(6).unwrap();
    let line = run.event("vb-verify", "verification").unwrap();
    assert!(line["level"] == 2 && line["chain"].as_str().unwrap().contains(&full), "{line}");
    assert_eq!(left(), 0);
}

#[test]
fn a_budget_goes_on_where_it_stopped() {
    let (place, database, _) = backed_up(100).unwrap();
    let full = "sleep 1; vb-export | vb-compress | vb-put";
    for _ in 0..3 {
        place.shell(full).env("DATABASE_URL", database.url()).run().unwrap().succeeded().unwrap();
    }
    let mut seen = Vec::new();
    for round in 1..=4 {
        let run = verify(&place, "--budget 0s --level 1").unwrap().succeeded().unwrap();
        assert_eq!(run.event("vb-verify", "done").unwrap()["left"], 3, "round {round}");
        seen.push(run.event("vb-verify", "verification").unwrap()["id"].as_str().unwrap().to_owned());
    }
    // The newest first, each once.
    assert!(seen.windows(2).all(|two| two[0] > two[1]), "{seen:?}");
    let run = verify(&place, "--sample 50% --level 1 --dry-run").unwrap().succeeded().unwrap();
    let would: Vec<Value> =
        run.status_lines().unwrap().into_iter().filter(|line| line["event"] == "verification").collect();
    assert_eq!((would.len(), &would[0]["id"]), (2, &Value::from(seen[0].as_str())));
}

#[test]
fn a_server_that_keeps_checksums_need_not_be_read() {
    let bucket = S3Server::seaweedfs().unwrap().create_bucket("verify").unwrap();
    let (place, url) = (Place::new().unwrap(), format!("s3://{}", bucket.name()));
    let line = |line: &str| place.shell(line).envs(bucket.variables()).env("VB_STORE", &url).run();
    let lines = "seq 2000 >numbers.jsonl && vb-compress <numbers.jsonl >n.jsonl.gz && vb-put n.jsonl.gz --set n";
    line(lines).unwrap().succeeded().unwrap();
    let run = line("vb-verify --latest --level 1").unwrap().succeeded().unwrap();
    let seen = run.event("vb-verify", "verification").unwrap();
    assert_eq!((&seen["checked_by_server"], &seen["read_bytes"]), (&1.into(), &0.into()), "{seen}");
    let run = line("vb-verify --latest").unwrap().succeeded().unwrap();
    let seen = run.event("vb-verify", "verification").unwrap();
    assert_eq!((&seen["forms"], &seen["level"]), (&json!(["gzip", "JSON lines"]), &2.into()), "{seen}");
    line("vb-ls --assert 'level==2'").unwrap().succeeded().unwrap();
}

#[test]
fn what_nothing_restores_does_not_end_the_run() {
    let (place, database, id) = backed_up(10).unwrap();
    // Of those that were checked in one second the newest comes first.
    std::thread::sleep(Duration::from_millis(1100));
    place
        .shell("echo a,b >words.csv && vb-put words.csv && vb-put --set dump -- echo a")
        .run()
        .unwrap()
        .succeeded()
        .unwrap();
    let line = |line: &str| place.shell(line).env("VB_SCRATCH_DATABASE_URL", database.url());
    let run = line("vb-verify --all --level 3").run().unwrap().succeeded().unwrap();
    let done = run.event("vb-verify", "done").unwrap();
    assert_eq!((&done["count"], &done["below"]), (&json!(3), &json!(2)), "{run}");
    assert_eq!(level(&place, &id).unwrap().0, 3);
    // Its turn does not come again before all others had theirs.
    std::thread::sleep(Duration::from_millis(1100));
    let run = line("vb-verify --budget 0s --level 3").run().unwrap().succeeded().unwrap();
    assert_ne!(run.event("vb-verify", "verification").unwrap()["set"], "verification", "{run}");
    let run = line("vb-verify --budget 0s --level 3").run().unwrap().succeeded().unwrap();
    assert_ne!(run.event("vb-verify", "verification").unwrap()["set"], "verification", "{run}");
    let run = line("vb-verify --budget 0s --level 3").run().unwrap().succeeded().unwrap();
    assert_eq!(run.event("vb-verify", "verification").unwrap()["set"], "verification", "{run}");
    // Who names one wants to know.
    let named = line("vb-verify $(vb-ls --ids --set dump) --level 3").run().unwrap().exited(2).unwrap();
    assert!(named.stderr_text().contains("nothing here restores a backup without an extension"), "{named}");
}
