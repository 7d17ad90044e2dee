//! Copies between a disk and a real S3 server: identical, in order, verified, resumed.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vb_core::environment::Environment;
use vb_core::fact::{Fact, Level};
use vb_core::label::{Kind, Label};
use vb_core::location::Location;
use vb_core::manifest::{Manifest, Proof};
use vb_core::time;
use vb_repository::{Chunk, Deposit, Journal, Place as BackupPlace};
use vb_store::{LocalStore, Store, no_warning};
use vb_tests::chance::Chance;
use vb_tests::command::Run;
use vb_tests::leftovers::files;
use vb_tests::place::Place;
use vb_tests::servers::{Bucket, S3Server};

/// A backup of the set `w` in the folder `a`, of this hour.
fn backup(place: &Place, hour: u32, base: Option<u32>, length: usize) -> Manifest {
    let at = |hour: u32| -> time::Instant { format!("2026-11-21T{hour:02}:00:00Z").parse().unwrap() };
    let store: Arc<dyn Store> = Arc::new(LocalStore::new(place.path("a")));
    let mut label = Label::of_stream("table", "public.w", "w", "parquet");
    label.base = base.map(|base| vb_core::naming::id("w", at(base)));
    label.kind = if base.is_some() { Kind::Incremental } else { Kind::Full };
    let here = BackupPlace::new("w", "parquet", at(hour));
    let mut deposit = Deposit::begin(&store, &Arc::new(Journal::unguarded()), here.clone()).unwrap();
    deposit.write(&Chunk::from(Chance::new(u64::from(hour)).bytes(length))).unwrap();
    let deposited = deposit.complete().unwrap();
    let manifest = Manifest::new(&here.id, here.created_at, label, deposited.objects(), Proof::Sealed);
    drop(deposited.commit(&manifest).unwrap());
    manifest
}

fn copy(place: &Place, bucket: &Bucket, more: &str) -> Run {
    let line = format!("vb-copy --from file://./a --to s3://{}/c {more}", bucket.name());
    place.shell(&line).envs(bucket.variables()).run().unwrap()
}

fn done(run: &Run) -> Value {
    run.event("vb-copy", "done").unwrap()
}

fn copied(run: &Run) -> Vec<String> {
    let lines = run.status_lines().unwrap().into_iter().filter(|line| line["event"] == "copy");
    lines.map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

fn below(bucket: &Bucket) -> BTreeSet<String> {
    bucket.keys("c/").unwrap().iter().map(|key| key.trim_start_matches("c/").to_owned()).collect()
}

fn new_bucket(label: &str) -> Bucket {
    S3Server::seaweedfs().unwrap().create_bucket(label).unwrap()
}

fn until(what: &str, mut look: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !look() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_is_missing_comes_identical_and_in_order() {
    let (place, bucket) = (Place::new().unwrap(), new_bucket("identical"));
    // The clock of the machine that made the base was ahead.
    for (hour, base, length) in [(5, None, 20_000_000), (3, Some(5), 1000), (4, Some(3), 0)] {
        backup(&place, hour, base, length);
    }
    let dry = copy(&place, &bucket, "--dry-run").succeeded().unwrap();
    assert_eq!((copied(&dry).len(), below(&bucket).len()), (3, 0));
    let run = copy(&place, &bucket, "").succeeded().unwrap();
    assert_eq!(copied(&run), ["w_20261121_050000", "w_20261121_030000", "w_20261121_040000"]);
    let here = files(&place.path("a")).unwrap();
    assert_eq!((here.len(), &here), (6, &below(&bucket)));
    for key in &here {
        assert!(bucket.get(&format!("c/{key}")).unwrap() == std::fs::read(place.path("a").join(key)).unwrap(), "{key}");
    }
    let again = done(&copy(&place, &bucket, "").succeeded().unwrap());
    assert_eq!((&again["copied"], &again["present"]), (&0.into(), &3.into()));
    // And back, where only one is wanted: with what it stands on.
    let back = format!("vb-copy --from s3://{}/c --to file://./back w_20261121_030000", bucket.name());
    let run = place.shell(&back).envs(bucket.variables()).run().unwrap().succeeded().unwrap();
    assert_eq!(copied(&run), ["w_20261121_050000", "w_20261121_030000"]);
    assert_eq!(files(&place.path("back")).unwrap().len(), 4);
}

#[test]
fn a_damaged_backup_is_not_copied_nor_what_stands_on_it() {
    let (place, bucket) = (Place::new().unwrap(), new_bucket("damaged"));
    let damaged = backup(&place, 1, None, 3_000_000);
    backup(&place, 2, Some(1), 10);
    backup(&place, 3, None, 10);
    let path = place.path("a").join(damaged.objects[0].key.as_str());
    std::fs::write(&path, Chance::new(99).bytes(3_000_000)).unwrap();
    let run = copy(&place, &bucket, "").exited(3).unwrap();
    let (done, failed) = (done(&run), run.event("vb-copy", "failed").unwrap());
    assert_eq!((&done["copied"], &done["failed"], &done["error"]), (&1.into(), &2.into(), &"partial".into()));
    assert!(failed["message"].as_str().unwrap().contains("its base w_20261121_010000 was not copied"), "{failed}");
    let kept = ["w/w_20261121_030000.parquet", "w/w_20261121_030000_metadata.json"].map(str::to_owned);
    assert_eq!(below(&bucket), BTreeSet::from(kept));
    assert_eq!(bucket.open_uploads().unwrap(), 0);
    // Alone it decides the exit code.
    copy(&place, &new_bucket("alone"), "w_20261121_010000").exited(6).unwrap();
    copy(&place, &bucket, "w_20261121_090000").exited(4).unwrap();
}

#[test]
fn pins_are_copied_and_verifications_are_not() {
    let (place, bucket) = (Place::new().unwrap(), new_bucket("pins"));
    let manifest = backup(&place, 1, None, 10);
    copy(&place, &bucket, "").succeeded().unwrap();
    let store = LocalStore::new(place.path("a"));
    for fact in [Fact::Pinned, Fact::Verified(Level::Decoded, manifest.created_at)] {
        store.put_new(&fact.key("w", &manifest.id).unwrap(), b"{}\n").unwrap();
    }
    let run = copy(&place, &bucket, "").succeeded().unwrap();
    assert_eq!((&done(&run)["pins"], &done(&run)["copied"]), (&1.into(), &0.into()));
    assert!(below(&bucket).contains("w/w_20261121_010000_pinned.json"));
    assert_eq!(below(&bucket).len(), 3);
}

#[test]
fn an_interrupted_copy_leaves_nothing_and_starts_again() {
    let (place, bucket) = (Place::new().unwrap(), new_bucket("interrupted"));
    backup(&place, 1, None, 10);
    backup(&place, 2, None, 60_000_000);
    for (signal, code) in [(Signal::KILL, 137), (Signal::TERM, 143)] {
        let mut child = copying(&place, &bucket);
        until("the upload", || bucket.open_uploads().unwrap() > 0);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let status = child.wait().unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(signal.map_or(status.code(), |signal| Some(128 + signal)), Some(code));
        until("the end of its upload", || bucket.open_uploads().unwrap() == 0);
        vb_tests::leftovers::wait_for_processes(&place).unwrap();
        assert_eq!(below(&bucket).len(), 2, "the first one is complete");
    }
    let run = copy(&place, &bucket, "").succeeded().unwrap();
    assert_eq!(copied(&run), ["w_20261121_020000"]);
}

fn copying(place: &Place, bucket: &Bucket) -> std::process::Child {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vb-copy"));
    command.env_clear().envs(bucket.variables()).env("VB_RUN_DIR", place.run_dir()).current_dir(place.work());
    command.args(["--from", "file://./a", "--to", &format!("s3://{}/c", bucket.name())]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn an_object_that_stayed_is_taken_over_if_it_is_the_right_one() {
    let (place, bucket) = (Place::new().unwrap(), new_bucket("stayed"));
    let manifest = backup(&place, 1, None, 1000);
    let other = backup(&place, 2, None, 1000);
    let object = |manifest: &Manifest| manifest.objects[0].key.clone();
    bucket.put(&format!("c/{}", object(&manifest)), &Chance::new(1).bytes(1000)).unwrap();
    bucket.put(&format!("c/{}", object(&other)), &Chance::new(3).bytes(1000)).unwrap();
    let run = copy(&place, &bucket, "").exited(3).unwrap();
    assert_eq!(copied(&run), [manifest.id]);
    assert_eq!(run.event("vb-copy", "failed").unwrap()["error"], "conflict");
    // What was there is still there.
    assert!(bucket.get(&format!("c/{}", object(&other))).unwrap() == Chance::new(3).bytes(1000));
}

#[test]
fn another_backup_of_the_same_id_is_a_conflict() {
    let place = Place::new().unwrap();
    let manifest = backup(&place, 1, None, 10);
    place.shell("cp -r a b && cp -r a c && rm -r a").run().unwrap().succeeded().unwrap();
    assert_ne!(backup(&place, 1, None, 20), manifest);
    let run = place.shell("vb-copy --from file://./a --to file://./b").run().unwrap().exited(5).unwrap();
    assert!(run.stderr_text().contains("has another backup w_20261121_010000"), "{run}");
    place.shell("diff -r b c").run().unwrap().succeeded().unwrap();
    let run = place.shell("vb-copy --from file://./a --to file://./a").run().unwrap().exited(2).unwrap();
    assert!(run.stderr_text().contains("name the same store"), "{run}");
    assert!(Path::new(&place.path("a")).exists());
}

#[test]
fn the_other_stores_options_are_asked_for() {
    let (place, bucket) = (Place::new().unwrap(), new_bucket("options"));
    let manifest = backup(&place, 1, None, 10);
    copy(&place, &bucket, "--storage-class STANDARD_IA").succeeded().unwrap();
    let said = bucket.headers(&format!("c/{}", manifest.objects[0].key)).unwrap();
    assert!(said.contains("x-amz-storage-class: standard_ia") && said.contains("x-amz-meta-set: w"), "{said}");
    let location = Location::parse(&format!("s3://{}/c", bucket.name())).unwrap();
    let store = vb_stores::open(&location, &Environment::new(bucket.variables().clone()), no_warning()).unwrap();
    assert_eq!(vb_repository::list(&*store, None).unwrap().backups, [manifest]);
}

#[test]
fn each_side_may_have_variables_of_its_own() {
    let place = Place::new().unwrap();
    let (old, new) = (new_bucket("old"), new_bucket("new"));
    let first = backup(&place, 1, None, 1000);
    copy(&place, &old, "").succeeded().unwrap();
    // What has no prefix leads nowhere for the store of --from.
    let reader = old.reader_variables();
    let own = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (format!("OLD_{name}"), reader[name].clone()));
    let line = format!("vb-copy --from s3://{}/c --from-env OLD_ --to s3://{}/c", old.name(), new.name());
    let run = place.shell(&line).envs(new.variables()).envs(own.clone()).run().unwrap().succeeded().unwrap();
    assert_eq!(copied(&run), std::slice::from_ref(&first.id));
    assert_eq!(below(&new), below(&old));

    let back = format!("vb-copy --from file://./a --to s3://{}/d --to-env OLD_", old.name());
    let denied = place.shell(&back).envs(new.variables()).envs(own).run().unwrap();
    assert_eq!(denied.exit_code(), 7, "a reader wrote: {denied}");
    let unknown = place.shell(&line.replace("OLD_", "NEVER_")).envs(new.variables()).run().unwrap();
    assert!(unknown.exited(2).unwrap().stderr_text().contains("no variable begins so"));
}

#[test]
fn an_increment_comes_only_where_its_own_base_is() {
    let place = Place::new().unwrap();
    // Another full backup of the same second, as two machines make it.
    backup(&place, 1, None, 20);
    place.shell("mv a b").run().unwrap().succeeded().unwrap();
    backup(&place, 1, None, 10);
    backup(&place, 2, Some(1), 10);
    let copy = |more: &str| place.shell(&format!("{more} vb-copy --from file://./a --to file://./b")).run().unwrap();
    let run = copy("").exited(5).unwrap();
    let failed: Vec<Value> = run.status_lines().unwrap().into_iter().filter(|line| line["event"] == "failed").collect();
    assert_eq!((&failed[1]["id"], &failed[1]["error"]), (&"w_20261121_020000".into(), &"integrity".into()), "{run}");
    assert!(failed[1]["message"].as_str().unwrap().contains("base w_20261121_010000 is another backup there"), "{run}");
    assert_eq!(files(&place.path("b")).unwrap().len(), 2);
    copy("rm -r b; mkdir b; mv a/w/w_20261121_010000* .;").exited(6).unwrap();
    assert_eq!(files(&place.path("b")).unwrap().len(), 0, "there is no base at all");
    // The right one, of which an object is missing there.
    let run = copy("mv w_20261121_010000* a/w/; cp -r a/. b; rm b/w/*020000* b/w/*010000.parquet;").exited(3).unwrap();
    assert!(run.stderr_text().contains("is incomplete there: w/w_20261121_010000.parquet is not there"), "{run}");
    copy("rm -r b;").succeeded().unwrap();
    assert_eq!(files(&place.path("b")).unwrap().len(), 4);
}

#[test]
fn a_folder_that_is_not_there_has_nothing_to_copy() {
    let place = Place::new().unwrap();
    backup(&place, 1, None, 10);
    for from in ["--from file://./nowhere", "--from file://./a --set other"] {
        let run = place.shell(&format!("vb-copy {from} --to file://./b")).run().unwrap().exited(4).unwrap();
        assert!(run.stderr_text().contains("no backup in "), "{run}");
    }
    place.shell("vb-copy --from file://./a --to file://./b").run().unwrap().succeeded().unwrap();
}
