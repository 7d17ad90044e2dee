//! Which backup comes, how it is sealed, and that nothing counts that is damaged.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::{Backup, at, full, incremental};
use std::io::Read;
use std::process::Stdio;
use vb_core::manifest::Manifest;
use vb_pipe::record::{PipeId, State, take};
use vb_tests::place::Place;

/// Two days of a full backup and an increment.
fn place() -> Place {
    let place = Place::new().unwrap();
    let folder = place.work();
    for day in [20, 21] {
        full(&folder, at(day, 1));
        incremental(&folder, at(day, 2), at(day, 1));
    }
    place
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

/// A backup whose object is read in several ranges.
fn large(place: &Place) -> Manifest {
    Backup { set: "w", at: at(22, 0), base: None, data: pattern(10_000_001) }.store(&place.work())
}

#[test]
fn the_backup_that_was_asked_for() {
    let place = place();
    for (line, expected) in [
        ("vb-get w_20261120_010000", "full 2026-11-20 01:00:00 UTC"),
        ("vb-get --latest", "incremental 2026-11-21 02:00:00 UTC"),
        ("vb-get --latest --kind full", "full 2026-11-21 01:00:00 UTC"),
        ("vb-get --at 2026-11-20", "incremental 2026-11-20 02:00:00 UTC"),
        ("vb-get --at 2026-11-21T00:00:00Z", "incremental 2026-11-20 02:00:00 UTC"),
        ("vb-get --at 2026-11-21", "incremental 2026-11-21 02:00:00 UTC"),
        ("vb-get --at '2026-11-21 01:00:00' --kind incremental --set w", "incremental 2026-11-20 02:00:00 UTC"),
        ("vb-get --latest -o out >status && cat out", "incremental 2026-11-21 02:00:00 UTC"),
    ] {
        let run = place.shell(line).run().unwrap().succeeded().unwrap();
        assert_eq!(run.stdout_text(), expected, "{line}");
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let place = place();
    for (line, code, words) in [
        ("vb-get w_20261119_010000", 4, "no backup w_20261119_010000"),
        ("vb-get --at 2026-11-19", 4, "no backup as of 2026-11-19T23:59:59Z of w"),
        ("vb-get --latest --set v", 4, "no backup of v"),
        ("vb-get --latest --store file://./elsewhere", 4, "no backup in"),
        ("vb-get nonsense", 2, "is no backup's id"),
        ("vb-get", 2, "required"),
        ("vb-get --latest w_20261120_010000", 2, "cannot be used with"),
        ("vb-get --at soon", 2, "is no time"),
    ] {
        let run = place.shell(line).run().unwrap().exited(code).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(run.stderr_text().contains(words), "{line}: {run}");
        assert!(run.stdout.is_empty());
    }
}

#[test]
fn several_sets_must_be_told_apart() {
    let place = place();
    Backup { set: "v", at: at(20, 0), base: None, data: b"other".to_vec() }.store(&place.work());
    let run = place.shell("vb-get --latest").run().unwrap().exited(2).unwrap();
    assert!(run.stderr_text().contains("several sets: v, w"), "{run}");
    assert_eq!(place.shell("VB_SET=v vb-get --latest").run().unwrap().stdout_text(), "other");
}

#[test]
fn the_stream_is_announced_and_sealed_with_its_label() {
    let place = place();
    let manifest = large(&place);
    let (mut reader, writer) = std::io::pipe().unwrap();
    let pipe = PipeId::of(&reader).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vb-get"));
    command.env_clear().env("VB_RUN_DIR", place.run_dir()).current_dir(place.work()).arg(&manifest.id);
    let mut child = command.stdout(writer).stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    let mut first = [0; 1];
    reader.read_exact(&mut first).unwrap();
    let announced = vb_pipe::record::peek(&place.run_dir(), pipe).unwrap().unwrap().state;
    assert!(matches!(announced, State::Open { label: Some(label), .. } if *label == manifest.label()));
    let mut bytes = first.to_vec();
    reader.read_to_end(&mut bytes).unwrap();
    assert!(bytes == pattern(10_000_001));
    assert!(child.wait().unwrap().success());
    let State::Sealed { size_bytes, sha256, label } = take(&place.run_dir(), pipe).unwrap().unwrap().state else {
        panic!("not sealed")
    };
    assert_eq!((size_bytes, &sha256), (10_000_001, &manifest.objects[0].sha256));
    assert_eq!((label.set.as_str(), label.stages.len()), ("w", 1));
}

#[test]
fn damage_is_never_sealed_and_leaves_no_file() {
    for (damage, words) in [
        ("printf X | dd of=$object bs=1 seek=9000000 conv=notrunc 2>/dev/null", "its SHA-256 is"),
        ("truncate -s 9000000 $object", "9000000 bytes instead of 10000001"),
        ("printf X >>$object", "10000002 bytes instead of 10000001"),
        ("rm $object", "the manifest names it, but it is not in"),
    ] {
        let place = place();
        let manifest = large(&place);
        let key = manifest.objects[0].key.as_str();
        let id = &manifest.id;
        let line = format!("object=backups/{key}; {damage}; vb-get {id} -o out; code=$?; ls; exit $code");
        let run = place.shell(&line).run().unwrap().exited(6).unwrap();
        let failed = run.event("vb-get", "failed").unwrap();
        let message = failed["message"].as_str().unwrap();
        assert!(message.contains(words) && message.contains(key), "{message}");
        assert!(failed["hint"].is_string());
        let names: Vec<&str> = run.stdout_text().lines().filter(|line| !line.starts_with('{')).collect();
        assert_eq!(names, ["backups"], "{damage}");
        // On a pipe the record says that it failed, so whoever reads does not finish.
        let (mut reader, writer) = std::io::pipe().unwrap();
        let pipe = PipeId::of(&reader).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vb-get"));
        command.env_clear().env("VB_RUN_DIR", place.run_dir()).current_dir(place.work()).arg(&manifest.id);
        let mut child = command.stdout(writer).stderr(Stdio::null()).spawn().unwrap();
        drop(command);
        std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(6));
        let record = take(&place.run_dir(), pipe).unwrap();
        assert!(record.is_none_or(|record| matches!(record.state, State::Failed { .. })), "{damage}");
    }
}

#[test]
fn a_newest_that_cannot_be_read_is_not_skipped() {
    let place = place();
    place.shell("echo '{' > backups/w/w_20261121_020000_metadata.json").run().unwrap().succeeded().unwrap();
    let run = place.shell("vb-get --latest").run().unwrap().exited(6).unwrap();
    assert!(run.stderr_text().contains("w_20261121_020000_metadata.json"), "{run}");
    place.shell("vb-get w_20261121_010000").run().unwrap().succeeded().unwrap();
}

#[test]
fn a_newest_of_which_objects_are_missing_is_passed_over_aloud() {
    let place = place();
    place.shell(": > backups/w/w_20261121_020000.jsonl").run().unwrap().succeeded().unwrap();
    for line in ["vb-get --latest --dry-run", "vb-get --at 2026-11-21 --dry-run"] {
        let run = place.shell(line).run().unwrap().succeeded().unwrap();
        assert_eq!(run.event("vb-get", "done").unwrap()["id"], "w_20261121_010000", "{line}");
        let words = "w_20261121_020000 is incomplete: w/w_20261121_020000.jsonl has 0 bytes instead of ";
        assert!(run.stderr_text().contains(words), "{line}: {run}");
    }
    place.shell("vb-get w_20261121_020000").run().unwrap().exited(6).unwrap();
    place.shell("rm backups/w/*.jsonl; vb-get --latest").run().unwrap().exited(6).unwrap();
}

#[test]
fn a_newest_that_was_found_damaged_is_passed_over_aloud() {
    let place = place();
    let fact = |words: &str| format!("echo '{{}}' >backups/w/w_20261121_020000_{words}.json");
    place.shell(&fact("damaged_2_20261121_030000")).run().unwrap().succeeded().unwrap();
    let run = place.shell("vb-get --latest --dry-run").run().unwrap().succeeded().unwrap();
    assert_eq!(run.event("vb-get", "done").unwrap()["id"], "w_20261121_010000");
    let words = "w_20261121_020000 was found damaged; w_20261121_010000 is taken";
    assert!(run.stderr_text().contains(words), "{run}");
    // By its ID it is given all the same, and found sound since it is the newest again.
    place.shell("vb-get w_20261121_020000 -o copy").run().unwrap().succeeded().unwrap();
    place.shell(&fact("verified_2_20261121_040000")).run().unwrap().succeeded().unwrap();
    let run = place.shell("vb-get --latest --dry-run").run().unwrap().succeeded().unwrap();
    assert_eq!(run.event("vb-get", "done").unwrap()["id"], "w_20261121_020000");
}

#[test]
fn a_day_and_a_minute_are_all_of_them() {
    let place = place();
    for (at, hour) in [("2026-11-21", 2), ("2026-11-21T01:00", 1), ("2026-11-21T01:59", 1), ("2026-11-21 02:00", 2)] {
        let run = place.shell(&format!("vb-get --at '{at}' --dry-run")).run().unwrap().succeeded().unwrap();
        assert_eq!(run.event("vb-get", "done").unwrap()["id"], format!("w_20261121_{hour:02}0000"), "{at}");
    }
    place.shell("vb-get --at 2026-11-19 --dry-run").run().unwrap().exited(4).unwrap();
}

#[test]
fn a_dry_run_names_it_and_reads_nothing() {
    let place = place();
    let run = place.shell("vb-get --latest --dry-run").run().unwrap().succeeded().unwrap();
    assert!(run.stdout.is_empty());
    assert_eq!(run.event("vb-get", "done").unwrap()["id"], "w_20261121_020000");
}

#[test]
fn a_reader_that_leaves_is_a_quiet_failure() {
    let place = place();
    large(&place);
    let run = place.shell("{ vb-get --latest; echo $? >code; } | head -c 1000 >/dev/null; cat code").run().unwrap();
    assert_eq!((run.stdout_text(), run.stderr_text()), ("1\n", ""));
}
