//! What is removed, what is kept, and in which order; on disk, and on S3 with a key that may not delete.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

#[path = "../../vb-get/tests/common/mod.rs"]
mod common;

use common::{Backup, at, full, incremental};
use serde_json::Value;
use vb_core::environment::Environment;
use vb_tests::command::Run;
use vb_tests::place::Place;
use vb_tests::servers::S3Server;

/// Ten days of full backups, two a day.
fn place() -> Place {
    let place = Place::new().unwrap();
    for day in 1..=10 {
        full(&place.work(), at(day, 1));
        full(&place.work(), at(day, 13));
    }
    place
}

fn ids(run: &Run, event: &str) -> Vec<String> {
    let lines = run.status_lines().unwrap();
    let ids = lines.iter().filter(|line| line["event"] == event).map(|line| line["id"].as_str().unwrap().to_owned());
    ids.collect()
}

fn listed(place: &Place) -> Vec<String> {
    let run = place.shell("cd backups && find . -type f | sort").run().unwrap();
    run.stdout_text().lines().map(|line| line.trim_start_matches("./").to_owned()).collect()
}

fn done(run: &Run) -> Value {
    run.event("vb-prune", "done").unwrap()
}

#[test]
fn a_dry_run_says_what_the_run_then_does() {
    let place = place();
    let before = listed(&place);
    let dry = place.shell("vb-prune --keep-daily 3 --dry-run").run().unwrap().succeeded().unwrap();
    assert_eq!(listed(&place), before);
    assert_eq!(ids(&dry, "keep"), ["w_20261110_130000", "w_20261109_130000", "w_20261108_130000"]);
    let real = place.shell("vb-prune --keep-daily 3").run().unwrap().succeeded().unwrap();
    assert_eq!((ids(&real, "keep"), ids(&real, "remove")), (ids(&dry, "keep"), ids(&dry, "remove")));
    for field in ["kept", "removed", "swept", "freed_bytes"] {
        assert_eq!(done(&real)[field], done(&dry)[field], "{field}");
    }
    assert_eq!((&done(&real)["kept"], &done(&real)["removed"]), (&3.into(), &17.into()));
    assert_eq!(listed(&place).len(), 6);
    let again = place.shell("vb-prune --keep-daily 3").run().unwrap().succeeded().unwrap();
    assert_eq!(done(&again)["removed"], 0);
}

#[test]
fn the_variables_of_older_programs_are_a_policy() {
    let place = place();
    let run = place.shell("BACKUP_RETENTION_DAYS=2 vb-prune").run().unwrap().succeeded().unwrap();
    assert_eq!(done(&run)["kept"], 2);
    let run = place.shell("BACKUP_RETENTION_DAYS=9 vb-prune --keep-last 1").run().unwrap().succeeded().unwrap();
    assert_eq!(done(&run)["kept"], 1);
}

#[test]
fn without_a_policy_nothing_happens() {
    let place = place();
    for line in
        ["vb-prune", "vb-prune --keep-daily 0", "vb-prune --keep-within soon", "BACKUP_RETENTION_DAYS=x vb-prune"]
    {
        let run = place.shell(line).run().unwrap().exited(2).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(run.stderr_text().contains("\nhint: "), "{line}: {run}");
    }
    assert_eq!(listed(&place).len(), 40);
}

#[test]
fn a_chain_goes_from_its_top_and_a_kept_one_keeps_its_base() {
    let place = Place::new().unwrap();
    let folder = place.work();
    full(&folder, at(1, 0));
    incremental(&folder, at(2, 0), at(1, 0));
    full(&folder, at(3, 0));
    incremental(&folder, at(4, 0), at(3, 0));
    let run = place.shell("vb-prune --keep-last 1").run().unwrap().succeeded().unwrap();
    assert_eq!(ids(&run, "remove"), ["w_20261102_000000", "w_20261101_000000"]);
    let kept: Vec<Value> = run.status_lines().unwrap().into_iter().filter(|line| line["event"] == "keep").collect();
    assert_eq!(kept[1]["reasons"][0], "base of w_20261104_000000");
    assert_eq!(listed(&place).len(), 4);
}

#[test]
fn a_listing_with_holes_decides_nothing() {
    let place = place();
    place.shell("echo '{' >backups/w/w_20261105_010000_metadata.json").run().unwrap();
    let run = place.shell("vb-prune --keep-last 1").run().unwrap().exited(6).unwrap();
    assert!(run.stderr_text().contains("w_20261105_010000_metadata.json"), "{run}");
    assert_eq!(listed(&place).len(), 40);
}

#[test]
fn leftovers_are_swept_after_a_day() {
    let place = Place::new().unwrap();
    full(&place.work(), at(1, 0));
    place
        .shell(
            "cd backups/w && touch w_20261102_000000.jsonl w_20261103_000000.jsonl notes .vb-1.tmp .vb-2.tmp
            touch -d '2 days ago' w_20261102_000000.jsonl notes .vb-1.tmp",
        )
        .run()
        .unwrap();
    let run = place.shell("vb-prune --keep-last 1").run().unwrap().succeeded().unwrap();
    let swept: Vec<Value> = run.status_lines().unwrap().into_iter().filter(|line| line["event"] == "swept").collect();
    let keys: Vec<&str> = swept.iter().filter_map(|line| line["key"].as_str()).collect();
    assert_eq!(keys, ["w/w_20261102_000000.jsonl", "w/.vb-1.tmp"]);
    assert_eq!(swept[1]["what"], "upload");
    let left = [
        "w/.vb-2.tmp",
        "w/notes",
        "w/w_20261101_000000.jsonl",
        "w/w_20261101_000000_metadata.json",
        "w/w_20261103_000000.jsonl",
    ];
    assert_eq!(listed(&place), left);
}

#[test]
fn a_set_is_judged_by_itself_and_another_is_left_alone() {
    let place = place();
    Backup { set: "v", at: at(1, 0), base: None, data: b"x".to_vec() }.store(&place.work());
    let run = place.shell("vb-prune --keep-last 1 --set w").run().unwrap().succeeded().unwrap();
    assert_eq!((done(&run)["kept"].clone(), done(&run)["removed"].clone()), (1.into(), 19.into()));
    let run = place.shell("vb-prune --keep-last 1").run().unwrap().succeeded().unwrap();
    assert_eq!((done(&run)["kept"].clone(), done(&run)["removed"].clone()), (2.into(), 0.into()));
}

#[test]
fn a_deletion_that_fails_stops_no_other_and_keeps_the_base() {
    let bucket = S3Server::seaweedfs().unwrap().create_bucket("prune").unwrap();
    let url = format!("s3://{}", bucket.name());
    let environment = Environment::new(bucket.variables().clone());
    let store = |day, base| Backup { set: "w", at: at(day, 0), base, data: b"x".to_vec() }.store_at(&url, &environment);
    store(1, None);
    store(2, Some(at(1, 0)));
    store(3, None);
    store(4, None);
    let place = Place::new().unwrap();
    let prune = || place.shell(&format!("vb-prune --keep-last 1 --store {url}"));
    let run = prune().envs(bucket.reader_variables()).run().unwrap().exited(3).unwrap();
    assert_eq!(run.status_lines().unwrap().iter().filter(|line| line["event"] == "warning").count(), 3);
    assert!(run.stderr_text().contains("a backup that stands on it is still there"), "{run}");
    assert_eq!(bucket.keys("").unwrap().len(), 8);
    let run = prune().envs(bucket.variables()).run().unwrap().succeeded().unwrap();
    assert_eq!(done(&run)["removed"], 3);
    assert_eq!(bucket.keys("").unwrap().len(), 2);
}

#[test]
fn what_is_not_all_there_neither_stays_for_good_nor_takes_a_place() {
    let place = place();
    place.shell(": > backups/w/w_20261110_130000.jsonl; rm backups/w/w_20261109_130000.jsonl").run().unwrap();
    let run = place.shell("vb-prune --keep-daily 1").run().unwrap().succeeded().unwrap();
    assert_eq!(ids(&run, "keep"), ["w_20261110_130000", "w_20261110_010000"], "the good one of the day stays too");
    let lines = run.status_lines().unwrap();
    let words = "counts for nothing: incomplete: w/w_20261110_130000.jsonl has 0 bytes instead of 28";
    assert!(lines[0]["reasons"].as_array().unwrap().contains(&words.into()), "{}", lines[0]);
    assert_eq!(ids(&run, "remove")[0], "w_20261109_130000");
    // The same from a listing.
    let run = place.shell("vb-ls | vb-prune --plan --keep-daily 1").run().unwrap().succeeded().unwrap();
    let plan: Value = serde_json::from_str(run.stdout_text()).unwrap();
    assert_eq!((plan["keep"].as_array().unwrap().len(), plan["remove"].as_array().unwrap().len()), (2, 0), "{plan}");
}

#[test]
fn ages_are_told_by_the_stores_clock() {
    let place = Place::new().unwrap();
    full(&place.work(), at(1, 0));
    // As a clock that is two days ahead sees what another run has just stored.
    place
        .shell("cd backups/w && touch w_20261102_000000.jsonl .vb-1.tmp && touch -d '2 days ago' * .vb-1.tmp")
        .run()
        .unwrap()
        .succeeded()
        .unwrap();
    let run = place.shell("vb-prune --keep-last 1").run().unwrap().succeeded().unwrap();
    assert_eq!(done(&run)["swept"], 0);
    full(&place.work(), at(3, 0));
    let run = place.shell("vb-prune --keep-last 2").run().unwrap().succeeded().unwrap();
    assert_eq!(done(&run)["swept"], 2);
}
