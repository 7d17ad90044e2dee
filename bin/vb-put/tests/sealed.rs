//! A pipe from a command of ours: the label names and describes, the seal proves.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::{BASE, BASE_DATA, Upstream, base, ended, files, guard_of, incremental, label, spawn};
use serde_json::Value;
use std::path::Path;
use vb_core::label::Label;
use vb_core::manifest::Manifest;
use vb_core::watermark::Mark;
use vb_tests::chance::noise;
use vb_tests::place::Place;

/// What upstream does with its pipe.
type Writer = fn(Upstream);

fn put(place: &Place, arguments: &[&str], write: impl FnOnce(Upstream)) -> (i32, String) {
    let (upstream, stdin) = Upstream::new(place);
    let child = spawn(place, arguments, stdin);
    write(upstream);
    ended(child)
}

fn sealed(label: Label, bytes: &[u8]) -> impl FnOnce(Upstream) {
    move |mut upstream| {
        upstream.promise(&label);
        upstream.write(bytes);
        upstream.seal(label);
    }
}

/// Puts the manifest of the increments' base into the store.
fn with_base() -> Place {
    let place = Place::new().unwrap();
    std::fs::create_dir_all(place.path("backups/weather")).unwrap();
    std::fs::write(place.path("backups").join(BASE), base(BASE_DATA)).unwrap();
    std::fs::write(place.path("backups").join(BASE_DATA), "x").unwrap();
    place
}

/// But for the base's.
fn only_manifest(place: &Place) -> Manifest {
    let folder = place.path("backups");
    let names = files(&folder);
    let name = names.iter().find(|name| name.ends_with("_metadata.json") && *name != BASE).unwrap();
    Manifest::parse(&std::fs::read(folder.join(name)).unwrap(), name).unwrap()
}

fn last_line(said: &str) -> Value {
    serde_json::from_str(said.lines().rfind(|line| line.starts_with('{')).unwrap()).unwrap()
}

#[test]
fn the_label_becomes_the_manifest_and_the_mark() {
    let place = with_base();
    // More than one piece, and a format that proves nothing by itself.
    let data = noise(3_000_000);
    let (code, said) = put(&place, &["--mark", "state/mark"], sealed(incremental(7), &data));
    assert_eq!(code, 0, "{said}");
    let manifest = only_manifest(&place);
    assert_eq!((manifest.set.as_str(), manifest.records, manifest.continues), ("weather", Some(7), true));
    assert_eq!(manifest.base.as_deref(), Some("weather_20261120_031500"));
    assert_eq!(manifest.objects[0].key.as_str(), format!("weather/{}.jsonl", manifest.id));
    let stored = std::fs::read(place.path("backups").join(manifest.objects[0].key.as_str())).unwrap();
    assert!(stored == data);
    let done = last_line(&said);
    assert_eq!((&done["proof"], &done["kind"]), (&"sealed".into(), &"incremental".into()));
    assert_eq!(done["sha256"], manifest.objects[0].sha256.as_str());
    let mark = Mark::parse(&std::fs::read_to_string(place.path("state/mark")).unwrap(), "mark").unwrap();
    assert_eq!((Some(mark.until), mark.id.as_deref()), (incremental(7).until, Some(manifest.id.as_str())));
    assert_eq!(files(&place.run_dir()), [""; 0], "records are taken");
}

#[test]
fn a_base_that_goes_during_the_upload_is_missed() {
    let place = with_base();
    let folder = place.path("backups");
    let (mut upstream, stdin) = Upstream::new(&place);
    let child = spawn(&place, &["--mark", "mark"], stdin);
    upstream.promise(&incremental(7));
    upstream.write(&noise(3_000_000));
    guard_of(&child); // it comes with the upload
    std::fs::remove_file(folder.join(BASE)).unwrap();
    upstream.seal(incremental(7));
    let (code, said) = ended(child);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("weather_20261120_031500, on which it stands, is not in"), "{said}");
    assert_eq!(files(&folder), [BASE_DATA]);
    assert!(!place.path("mark").exists());
}

#[test]
fn a_full_export_without_rows_is_a_backup() {
    let place = Place::new().unwrap();
    assert_eq!(put(&place, &[], sealed(label(0), b"")).0, 0);
    assert_eq!(only_manifest(&place).objects[0].size_bytes, 0);
}

#[test]
fn nothing_new_is_not_stored_and_leaves_the_mark() {
    let place = with_base();
    std::fs::write(place.path("mark"), "2026-11-20T03:15:00Z\n").unwrap();
    for bytes in [&b"just a footer"[..], &noise(2_500_000)] {
        let (code, said) = put(&place, &["--mark", "mark"], sealed(incremental(0), bytes));
        assert_eq!(code, 0, "{said}");
        let done = last_line(&said);
        assert_eq!((&done["stored"], &done["since"]), (&false.into(), &"2026-11-20T03:15:00Z".into()));
        assert_eq!(files(&place.path("backups")), [BASE_DATA, BASE]);
        assert_eq!(std::fs::read_to_string(place.path("mark")).unwrap(), "2026-11-20T03:15:00Z\n");
    }
    assert_eq!(put(&place, &["--allow-empty"], sealed(incremental(0), b"footer")).0, 0);
    assert_eq!(files(&place.path("backups")).len(), 4);
}

#[test]
fn whoever_does_not_seal_is_not_stored() {
    let place = Place::new().unwrap();
    let died: Writer = |mut upstream| {
        upstream.promise(&label(3));
        upstream.write(&noise(2_200_000));
    };
    let died_early: Writer = drop;
    let other_bytes: Writer = |mut upstream| {
        upstream.promise(&label(3));
        upstream.write(b"counted");
        std::io::Write::write_all(&mut upstream.pipe, b"not counted").unwrap();
        upstream.seal(label(3));
    };
    let other_name: Writer = |mut upstream| {
        upstream.promise(&label(3));
        upstream.write(&noise(3_000_000));
        upstream.seal(Label { extension: "csv".to_owned(), ..label(3) });
    };
    let cases =
        [(died, "died after"), (died_early, "died after 0"), (other_bytes, "sealed 7 bytes"), (other_name, "csv")];
    for (write, words) in cases {
        let (code, said) = put(&place, &["--unproven", "--mark", "mark"], write);
        assert_eq!(code, 6, "{words}: {said}");
        assert!(said.contains(words), "{said}");
        assert_eq!(files(&place.path("backups")), [""; 0], "{words}");
        assert!(!place.path("mark").exists());
    }
}

#[test]
fn a_label_that_was_not_announced_comes_too_late_for_the_name() {
    let place = Place::new().unwrap();
    // So long that its end has not come when its name is needed.
    let late: Writer = |mut upstream| {
        upstream.write(&noise(2_500_000));
        upstream.seal(label(3));
    };
    let (code, said) = put(&place, &[], late);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("--set weather"), "{said}");
    assert_eq!((only_manifest(&place).set.as_str(), only_manifest(&place).records), ("backup", Some(3)));
}

#[test]
fn a_mark_is_written_only_for_what_can_be_continued() {
    let place = Place::new().unwrap();
    let query = Label { continues: false, ..label(3) };
    let (code, said) = put(&place, &["--mark", "mark"], sealed(query, b"x"));
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("\"warning\"") && !place.path("mark").exists(), "{said}");
}

#[test]
fn a_mark_that_cannot_be_written_is_a_failure_after_the_backup() {
    let place = Place::new().unwrap();
    std::fs::write(place.path("file"), "").unwrap();
    let (code, said) = put(&place, &["--mark", "file/mark"], sealed(label(3), b"x"));
    assert_eq!(code, 1, "{said}");
    let failed = last_line(&said);
    let id = only_manifest(&place).id;
    assert!(failed["message"].as_str().unwrap().contains(&format!("the backup {id} is stored")), "{failed}");
    assert!(Path::new(&place.path("file")).is_file());
}
