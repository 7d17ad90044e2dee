//! Killed, interrupted, out of space, not allowed, raced: a backup or nothing.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::{Upstream, ended, files, guard_of, has_ended, label, spawn, until};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::Child;
use vb_tests::chance::noise;
use vb_tests::place::Place;

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// A run in the middle of its upload; upstream still holds the pipe.
fn uploading(place: &Place, arguments: &[&str]) -> (Upstream, Child) {
    let (mut upstream, stdin) = Upstream::new(place);
    upstream.promise(&label(3));
    let child = spawn(place, arguments, stdin);
    upstream.write(&noise(3_000_000));
    (upstream, child)
}

#[test]
fn a_signal_leaves_nothing() {
    let place = Place::new().unwrap();
    for (signal, expected) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let (_upstream, child) = uploading(&place, &["--mark", "mark"]);
        let guard = guard_of(&child);
        send(&child, signal);
        let (code, said) = ended(child);
        assert_eq!(code, expected, "{said}");
        assert!(said.contains("\"failed\""), "{said}");
        until("the guard's end", || has_ended(guard).then_some(()));
        assert_eq!(files(&place.path("backups")), [""; 0]);
        assert!(!place.path("mark").exists());
    }
}

#[test]
fn a_kill_leaves_nothing() {
    let place = Place::new().unwrap();
    let (_upstream, child) = uploading(&place, &[]);
    let guard = guard_of(&child);
    send(&child, Signal::KILL);
    assert_eq!(ended(child).0, 137);
    until("the guard's end", || has_ended(guard).then_some(()));
    assert_eq!(files(&place.path("backups")), [""; 0]);
}

#[test]
fn the_guard_holds_no_pipe_and_hears_no_signal_of_the_group() {
    let place = Place::new().unwrap();
    let (upstream, child) = uploading(&place, &[]);
    let guard = guard_of(&child);
    let target = |number: u32| std::fs::read_link(format!("/proc/{guard}/fd/{number}")).unwrap();
    until("the guard's own program", || {
        std::fs::read_to_string(format!("/proc/{guard}/cmdline")).ok()?.contains("vb-guard").then_some(())
    });
    assert_eq!([target(1), target(2)], [Path::new("/dev/null"); 2]);
    let stdin = target(0);
    let inputs = std::fs::read_link(format!("/proc/{}/fd/0", child.id())).unwrap();
    assert!(stdin.to_str().unwrap().starts_with("pipe:") && stdin != inputs);
    let group = rustix::process::getpgid(Pid::from_raw(i32::try_from(guard).unwrap())).unwrap();
    assert_ne!(group, rustix::process::getpgid(Some(Pid::from_child(&child))).unwrap());
    // Upstream ends well: the guard ends with the run and before it, so that no zombie stays.
    upstream.seal(label(3));
    assert_eq!(ended(child).0, 0);
    assert!(has_ended(guard));
    assert!(!Path::new(&format!("/proc/{guard}")).exists(), "it was waited for");
}

#[test]
fn two_at_the_same_second_are_two_backups() {
    let place = Place::new().unwrap();
    let line = "for n in 1 2 3; do echo $n | vb-put --unproven --set w & done; wait";
    let run = place.shell(line).run().unwrap().succeeded().unwrap();
    let lines = run.status_lines().unwrap();
    let stored = lines.iter().filter(|line| line["event"] == "done").count();
    let lost = lines.iter().filter(|line| line["event"] == "failed" && line["exit_code"] == 5).count();
    assert_eq!((stored + lost, lines.len()), (3, 3), "{lines:?}");
    assert!(stored >= 1);
    assert_eq!(files(&place.path("backups")).len(), 2 * stored);
}

#[test]
fn a_taken_second_is_waited_out() {
    let place = Place::new().unwrap();
    let line =
        "echo 1 | vb-put --unproven --set w; echo 2 | vb-put --unproven --set w; echo 3 | vb-put --unproven --set w";
    let run = place.shell(line).run().unwrap().succeeded().unwrap();
    assert_eq!(run.status_lines().unwrap().iter().filter(|line| line["stored"] == true).count(), 3);
}

#[test]
fn a_full_disk_is_one_line_and_leaves_nothing() {
    let place = Place::new().unwrap();
    common::file(&place, "data", &noise(5_000_000));
    let line = "mkdir small; unshare --map-root-user --mount sh -c '
        mount -t tmpfs -o size=2m none small && { vb-put --store file://./small data; code=$?; find small -type f; exit $code; }'";
    let run = place.shell(line).run().unwrap().exited(1).unwrap();
    let failed = run.event("vb-put", "failed").unwrap();
    assert!(failed["message"].as_str().unwrap().contains("no space left on device"), "{failed}");
    assert!(failed["hint"].is_string());
    assert!(!run.stdout_text().contains("small/"), "{}", run.stdout_text());
}

#[test]
fn a_folder_that_cannot_be_written_is_denied() {
    let place = Place::new().unwrap();
    common::file(&place, "data", b"x");
    // The kernel's own file system takes no folder from anybody, root included.
    let run = place.shell("vb-put --store file:///sys/vb-test data").run().unwrap().exited(7).unwrap();
    assert!(run.stderr_text().contains("not permitted") || run.stderr_text().contains("denied"), "{run}");
    let run = place.shell("vb-put --store file://./data/below data").run().unwrap().exited(2).unwrap();
    assert!(run.event("vb-put", "failed").unwrap()["message"].as_str().unwrap().contains("is a file"), "{run}");
}
