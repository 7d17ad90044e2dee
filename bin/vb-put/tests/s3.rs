//! The same against a real S3 server: what is left after a kill, a signal, a refusal.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::{Upstream, guard_of, has_ended, label, until};
use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vb_core::environment::Environment;
use vb_core::location::Location;
use vb_store::{Store, no_warning};
use vb_tests::chance::noise;
use vb_tests::place::Place;
use vb_tests::servers::{Bucket, S3Server};

fn bucket(label: &str) -> Bucket {
    S3Server::seaweedfs().unwrap().create_bucket(label).unwrap()
}

fn store(bucket: &Bucket) -> Arc<dyn Store> {
    let location = Location::parse(&format!("s3://{}", bucket.name())).unwrap();
    vb_stores::open(&location, &Environment::new(bucket.variables().clone()), no_warning()).unwrap()
}

fn spawn(place: &Place, bucket: &Bucket, stdin: Stdio) -> Child {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vb-put"));
    command.env_clear().envs(bucket.variables()).env("CLOUD_PROVIDER", "aws").env("VB_RUN_DIR", place.run_dir());
    command.current_dir(place.work()).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// A run whose upload of several parts the server knows.
fn uploading(place: &Place, bucket: &Bucket) -> (Upstream, Child) {
    let (mut upstream, stdin) = Upstream::new(place);
    upstream.promise(&label(3));
    let child = spawn(place, bucket, stdin);
    upstream.write(&noise(20_000_000));
    until("the upload", || (!store(bucket).open_uploads("").unwrap().is_empty()).then_some(()));
    (upstream, child)
}

#[test]
fn a_stream_becomes_an_object_and_its_manifest() {
    let (place, bucket) = (Place::new().unwrap(), bucket("whole"));
    for length in [0, 1, 20_000_000] {
        let (mut upstream, stdin) = Upstream::new(&place);
        upstream.promise(&label(3));
        let child = spawn(&place, &bucket, stdin);
        let data = noise(length);
        upstream.write(&data);
        upstream.seal(label(3));
        let (code, said) = common::ended(child);
        assert_eq!(code, 0, "{said}");
        let done: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        assert!(bucket.get(done["key"].as_str().unwrap()).unwrap() == data);
        assert!(!bucket.get(done["manifest_key"].as_str().unwrap()).unwrap().is_empty());
    }
    assert!(store(&bucket).open_uploads("").unwrap().is_empty());
}

#[test]
fn a_kill_leaves_no_upload() {
    let (place, bucket) = (Place::new().unwrap(), bucket("killed"));
    let (_upstream, child) = uploading(&place, &bucket);
    let guard = guard_of(&child);
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    assert_eq!(common::ended(child).0, 137);
    until("the guard's work", || store(&bucket).open_uploads("").unwrap().is_empty().then_some(()));
    until("the guard's end", || has_ended(guard).then_some(()));
    assert_eq!(bucket.keys("").unwrap(), [""; 0]);
}

#[test]
fn a_kill_at_any_moment_leaves_no_backup_and_no_upload() {
    let (place, bucket) = (Place::new().unwrap(), bucket("any-moment"));
    let (mut guards, data) = (Vec::new(), noise(10 << 20));
    for step in 0..40 {
        let (mut upstream, stdin) = Upstream::new(&place);
        upstream.promise(&label(3));
        let child = spawn(&place, &bucket, stdin);
        // One piece more than the first part and the piece that is held back: now the multipart upload begins.
        upstream.write(&data);
        let guard = guard_of(&child);
        // From before it begins until it is known by name, in steps that are shorter than a request.
        let moment = Instant::now() + Duration::from_micros(step * 300);
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
        assert_eq!(common::ended(child).0, 137);
        guards.push(guard);
    }
    until("the guards' end", || guards.iter().all(|guard| has_ended(*guard)).then_some(()));
    assert!(store(&bucket).open_uploads("").unwrap().is_empty());
    assert_eq!(bucket.keys("").unwrap(), [""; 0]);
}

#[test]
fn a_signal_leaves_no_upload() {
    let (place, bucket) = (Place::new().unwrap(), bucket("ended"));
    let (_upstream, child) = uploading(&place, &bucket);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let (code, said) = common::ended(child);
    assert_eq!(code, 143, "{said}");
    assert!(store(&bucket).open_uploads("").unwrap().is_empty());
    assert_eq!(bucket.keys("").unwrap(), [""; 0]);
}

#[test]
fn refusals_say_what_to_do() {
    let (place, bucket) = (Place::new().unwrap(), bucket("refused"));
    common::file(&place, "data", &noise(10_000_000));
    let aws = |line: &str| place.shell(line).envs(bucket.variables());
    let run = aws("vb-put --store s3://no-such-bucket data").run().unwrap().exited(4).unwrap();
    assert!(run.stderr_text().contains("bucket"), "{run}");
    let run = aws("vb-put data").envs(bucket.reader_variables()).run().unwrap().exited(7).unwrap();
    assert!(run.stderr_text().contains("hint: "), "{run}");
    let run = aws("vb-put data").env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").run().unwrap();
    run.exited(8).unwrap();
    assert_eq!(bucket.keys("").unwrap(), [""; 0]);
    assert!(store(&bucket).open_uploads("").unwrap().is_empty());
}
