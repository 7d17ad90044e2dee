//! Several stores at once: each its own verdict, and a quorum that decides.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::{Upstream, done, file, files, has_ended, label, spawn_with, until};
use rustix::process::{Pid, Signal, kill_process};
use std::sync::Arc;
use vb_core::environment::Environment;
use vb_core::location::Location;
use vb_store::{Store, no_warning};
use vb_tests::chance::noise;
use vb_tests::place::Place;
use vb_tests::servers::{Bucket, S3Server};

/// The kernel's own file system takes no folder from anybody, root included.
const READ_ONLY: &str = "file:///sys/vb-test";

fn bucket(label: &str) -> Bucket {
    S3Server::seaweedfs().unwrap().create_bucket(label).unwrap()
}

fn uploads(bucket: &Bucket) -> usize {
    let location = Location::parse(&format!("s3://{}", bucket.name())).unwrap();
    let store: Arc<dyn Store> =
        vb_stores::open(&location, &Environment::new(bucket.variables().clone()), no_warning()).unwrap();
    store.open_uploads("").unwrap().len()
}

#[test]
fn one_reading_is_the_same_backup_in_each() {
    let (place, bucket) = (Place::new().unwrap(), bucket("both"));
    file(&place, "data", &noise(20_000_000));
    let line = format!("VB_STORE='file://./my backups s3://{}/below' vb-put data", bucket.name());
    let run = place.shell(&line).envs(bucket.variables()).run().unwrap().succeeded().unwrap();
    let done = done(&run);
    let verdicts: Vec<_> = done["stores"]
        .as_array()
        .unwrap()
        .iter()
        .map(|store| (store["stored"].clone(), store["error"].clone()))
        .collect();
    assert_eq!(verdicts, [(true.into(), serde_json::Value::Null), (true.into(), serde_json::Value::Null)]);
    let events = run.status_lines().unwrap().into_iter().filter(|line| line["event"] == "stored").count();
    assert_eq!(events, 2);
    for field in ["key", "manifest_key"] {
        let key = done[field].as_str().unwrap();
        let here = std::fs::read(place.path("my backups").join(key)).unwrap();
        assert!(bucket.get(&format!("below/{key}")).unwrap() == here, "{field}");
    }
    assert_eq!(uploads(&bucket), 0);
}

#[test]
fn a_store_that_fails_is_undone_and_stops_no_other() {
    let (place, bucket) = (Place::new().unwrap(), bucket("quorum"));
    file(&place, "data", &noise(20_000_000));
    let stores = format!("--store {READ_ONLY} --store s3://{} --store file://./b", bucket.name());
    let aws = |line: &str| place.shell(line).envs(bucket.variables()).run().unwrap();
    // All are wanted by default, so one that fails undoes the others.
    let run = aws(&format!("vb-put {stores} --mark mark data")).exited(7).unwrap();
    let failed = run.event("vb-put", "failed").unwrap();
    assert!(failed["message"].as_str().unwrap().starts_with(READ_ONLY), "{failed}");
    assert_eq!((files(&place.path("b")), bucket.keys("").unwrap()), (vec![], vec![]));
    assert_eq!(uploads(&bucket), 0);
    // With a quorum of two the others have it.
    let run = aws(&format!("vb-put {stores} --quorum 2 data")).exited(3).unwrap();
    let done = done(&run);
    let stored: Vec<bool> =
        done["stores"].as_array().unwrap().iter().map(|store| store["stored"].as_bool().unwrap()).collect();
    assert_eq!((stored, &done["error"], &done["exit_code"]), (vec![false, true, true], &"partial".into(), &3.into()));
    assert!(run.stderr_text().contains("is in 2 of 3 stores"), "{run}");
    let store_failed = run.event("vb-put", "failed").unwrap();
    assert_eq!((&store_failed["store"], &store_failed["error"]), (&READ_ONLY.into(), &"denied".into()));
    assert_eq!((files(&place.path("b")).len(), bucket.keys("").unwrap().len()), (2, 2));
}

#[test]
fn the_mark_is_written_at_quorum_only() {
    let place = Place::new().unwrap();
    for (quorum, code, marked) in [(2, 7, false), (1, 3, true)] {
        let (mut upstream, stdin) = Upstream::new(&place);
        upstream.promise(&label(3));
        let quorum = quorum.to_string();
        let arguments = ["--store", READ_ONLY, "--store", "file://./b", "--quorum", &quorum, "--mark", "mark"];
        let child = common::spawn(&place, &arguments, stdin);
        upstream.write(b"abc");
        upstream.seal(label(3));
        let (ended, said) = common::ended(child);
        assert_eq!((ended, place.path("mark").exists()), (code, marked), "{said}");
    }
}

#[test]
fn a_disk_that_fills_up_fails_alone() {
    let place = Place::new().unwrap();
    file(&place, "data", &noise(8_000_000));
    let line = "mkdir small; unshare --map-root-user --mount sh -c '
        mount -t tmpfs -o size=3m none small && { cat data | vb-put --unproven --set w --store file://./small --store file://./b --quorum 1
        code=$?; find small -type f; exit $code; }'";
    let run = place.shell(line).run().unwrap().exited(3).unwrap();
    assert!(run.stderr_text().contains("no space left on device"), "{run}");
    assert!(!run.stdout_text().contains("\nsmall/"), "{}", run.stdout_text());
    assert_eq!(files(&place.path("b")).len(), 2);
}

#[test]
fn a_kill_leaves_nothing_in_any() {
    let (place, bucket) = (Place::new().unwrap(), bucket("killed"));
    let (mut upstream, stdin) = Upstream::new(&place);
    upstream.promise(&label(3));
    let s3 = format!("s3://{}", bucket.name());
    let child = spawn_with(&place, bucket.variables(), &["--store", &s3, "--store", "file://./b"], stdin);
    upstream.write(&noise(20_000_000));
    until("the upload", || (uploads(&bucket) > 0).then_some(()));
    let path = format!("/proc/{0}/task/{0}/children", child.id());
    let guards: Vec<u32> = until("two guards", || {
        let text = std::fs::read_to_string(&path).ok()?;
        let guards: Vec<u32> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        (guards.len() == 2).then_some(guards)
    });
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    assert_eq!(common::ended(child).0, 137);
    until("the guards' end", || guards.iter().all(|guard| has_ended(*guard)).then_some(()));
    assert_eq!((uploads(&bucket), bucket.keys("").unwrap().len(), files(&place.path("b")).len()), (0, 0, 0));
}

#[test]
fn a_command_of_one_store_wants_one() {
    let place = Place::new().unwrap();
    let run = place.shell("VB_STORE='file://./a file://./b' vb-get --latest").run().unwrap().exited(2).unwrap();
    assert!(run.stderr_text().contains("VB_STORE names 2 stores"), "{run}");
    let run = place.shell("echo 1 | vb-put --store file://./a --store file://./a").run().unwrap().exited(2).unwrap();
    assert!(run.stderr_text().contains("is named twice"), "{run}");
}
