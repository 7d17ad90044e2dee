//! A chain as one archive: what is in it, in which order, and that nothing of it counts where something is missing.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::{Backup, at, full, incremental};
use std::fs;
use vb_core::manifest::Manifest;
use vb_pipe::record::{PipeId, State, take};
use vb_tests::place::Place;

/// Two chains; the second one has two increments, the last of them of several ranges.
fn place() -> (Place, Vec<Manifest>) {
    let place = Place::new().unwrap();
    let folder = place.work();
    full(&folder, at(20, 1));
    incremental(&folder, at(20, 2), at(20, 1));
    let large = Backup { set: "w", at: at(21, 3), base: Some(at(21, 2)), data: vec![7; 9_000_001] };
    let chain = vec![full(&folder, at(21, 1)), incremental(&folder, at(21, 2), at(21, 1)), large.store(&folder)];
    (place, chain)
}

#[test]
fn the_archive_unpacked_is_a_store() {
    let (place, chain) = place();
    for (line, count) in [
        ("vb-get --chain w_20261121_030000", 3),
        ("vb-get --latest --chain", 3),
        ("vb-get --at '2026-11-21 02:00:00' --chain", 2),
        ("vb-get --latest --kind full --chain", 1),
    ] {
        let unpack = format!("rm -rf other; mkdir other; {line} | tar -x -C other; cd other && find w -type f | sort");
        let run = place.shell(&unpack).run().unwrap().succeeded().unwrap();
        let ids = chain[..count].iter().map(|manifest| &manifest.id);
        let names: Vec<String> =
            ids.flat_map(|id| [format!("w/{id}.jsonl"), format!("w/{id}_metadata.json")]).collect();
        assert_eq!(run.stdout_text().lines().collect::<Vec<_>>(), names, "{line}");
        for name in &names {
            let stored = fs::read(place.path("backups").join(name)).unwrap();
            assert!(fs::read(place.path("other").join(name)).unwrap() == stored, "{name}");
        }
        let done = run.event("vb-get", "done").unwrap();
        assert_eq!(done["chain"].as_array().unwrap().len(), count);
        assert_eq!((&done["id"], &done["objects"]), (&chain[count - 1].id.as_str().into(), &count.into()));
    }
    let order = place.shell("vb-get --latest --chain | tar -t").run().unwrap().succeeded().unwrap();
    let first: Vec<&str> = order.stdout_text().lines().take(3).collect();
    assert_eq!(
        first,
        ["w/w_20261121_010000_metadata.json", "w/w_20261121_010000.jsonl", "w/w_20261121_020000_metadata.json"]
    );
}

#[test]
fn the_label_is_that_of_all_of_it() {
    let (place, chain) = place();
    let (reader, writer) = std::io::pipe().unwrap();
    let pipe = PipeId::of(&reader).unwrap();
    let drain = std::thread::spawn(move || std::io::copy(&mut { reader }, &mut std::io::sink()).unwrap());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vb-get"));
    command.env_clear().env("VB_RUN_DIR", place.run_dir()).current_dir(place.work()).args(["--latest", "--chain"]);
    let status = command.stdout(writer).stderr(std::process::Stdio::null()).status().unwrap();
    drop(command);
    let bytes = drain.join().unwrap();
    assert!(status.success());
    let State::Sealed { size_bytes, label, .. } = take(&place.run_dir(), pipe).unwrap().unwrap().state else {
        panic!("not sealed")
    };
    assert_eq!(size_bytes, bytes);
    assert_eq!((label.extension.as_str(), label.set.as_str(), label.kind.name()), ("tar", "w", "full"));
    assert_eq!((label.records, label.until, label.continues), (Some(9), chain[2].until, false));
    assert_eq!((label.base.as_ref(), label.since), (None, None));
}

#[test]
fn a_hole_is_told_before_anything_is_written() {
    let (place, chain) = place();
    let second = &chain[1].id;
    let line = format!("rm backups/w/{second}_metadata.json; vb-get --latest --chain -o out; code=$?; ls; exit $code");
    let run = place.shell(&line).run().unwrap().exited(6).unwrap();
    assert!(run.stderr_text().contains("hole") && run.stderr_text().contains(second), "{run}");
    let names: Vec<&str> = run.stdout_text().lines().filter(|line| !line.starts_with('{')).collect();
    assert_eq!(names, ["backups"]);
    place.shell("vb-get --latest -o out").run().unwrap().succeeded().unwrap();
}

#[test]
fn what_broke_off_has_no_end() {
    for place_of_damage in 0..3 {
        let (place, chain) = place();
        let key = chain[place_of_damage].objects[0].key.as_str();
        let damage = format!("printf X | dd of=backups/{key} bs=1 seek=4 conv=notrunc 2>/dev/null");
        let line = format!("{damage}; vb-get --latest --chain | cat >out; tail -c 512 out | tr -d '\\0' | wc -c");
        let run = place.shell(&line).run().unwrap().succeeded().unwrap();
        assert!(run.event("vb-get", "failed").unwrap()["message"].as_str().unwrap().contains(key), "{run}");
        // An archive that is whole ends in zeros.
        assert_ne!(run.stdout_text().trim(), "0", "{key}");
    }
}

#[test]
fn a_dry_run_names_the_chain() {
    let (place, chain) = place();
    let run = place.shell("vb-get --latest --chain --dry-run").run().unwrap().succeeded().unwrap();
    let ids: Vec<&str> = chain.iter().map(|manifest| manifest.id.as_str()).collect();
    assert_eq!(run.event("vb-get", "done").unwrap()["chain"], serde_json::json!(ids));
    assert!(run.stdout.is_empty());
}
