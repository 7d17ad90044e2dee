//! What is stored and what is refused, by where it comes from and by its format.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::{done, file, files};
use vb_tests::chance::noise;
use vb_tests::place::Place;

/// What the lines below work with: three members of a few hundred kilobytes and their archives.
fn place() -> Place {
    let place = Place::new().unwrap();
    file(&place, "data", &noise(1_500_000));
    let line = "tar cf data.tar data && gzip -kc data >data.gz && printf '{\"a\":1}\\n' >data.jsonl && : >empty";
    place.shell(line).run().unwrap().succeeded().unwrap();
    place
}

#[test]
fn each_origin_has_its_proof() {
    let place = place();
    for (line, proof, set, ending) in [
        ("cat data.tar | vb-put", "format", "backup", ".tar"),
        ("cat data.gz | vb-put --set w", "format", "w", ".gz"),
        ("cat data.jsonl | vb-put --set w --unproven", "unproven", "w", ""),
        ("vb-put < data.jsonl", "file", "backup", ""),
        ("vb-put data.jsonl", "file", "data", ".jsonl"),
        ("VB_SET=mine vb-put data.gz", "file", "mine", ".gz"),
        ("vb-put --allow-empty empty", "file", "empty", ""),
        ("vb-put --allow-empty --unproven < /dev/null", "unproven", "backup", ""),
        ("cat data.tar | vb-put -", "format", "backup", ".tar"),
    ] {
        let run = place.shell(line).run().unwrap().succeeded().unwrap();
        let done = done(&run);
        assert_eq!((done["proof"].as_str(), done["set"].as_str()), (Some(proof), Some(set)), "{line}");
        let key = done["key"].as_str().unwrap();
        let id = done["id"].as_str().unwrap();
        assert_eq!(key, format!("{set}/{id}{ending}"), "{line}");
        let stored = files(&place.path("backups"));
        assert!(stored.contains(&key.to_owned()) && stored.contains(&format!("{set}/{id}_metadata.json")), "{line}");
    }
}

#[test]
fn what_is_not_proven_is_refused_and_leaves_nothing() {
    let place = place();
    for (line, words) in [
        ("cat data.jsonl | vb-put", "nothing proves that standard input is whole"),
        ("cat data | vb-put", "nothing proves"),
        ("cat empty | vb-put", "standard input is empty"),
        ("cat empty | vb-put --unproven", "standard input is empty"),
        ("vb-put empty", "empty is empty"),
        ("head -c 1000000 data.tar | vb-put", "not whole: it begins as tar"),
        ("head -c 1000000 data.tar | vb-put --unproven", "not whole"),
        ("head -c 1400000 data.gz | vb-put", "truncated gzip stream"),
        ("head -c 1400000 data.gz >cut.gz; vb-put cut.gz", "cut.gz is not whole"),
        ("head -c 600 data.tar >cut.tar; vb-put --unproven --allow-empty cut.tar", "cut.tar is not whole"),
    ] {
        let run = place.shell(line).run().unwrap().exited(6).unwrap();
        let failed = run.event("vb-put", "failed").unwrap();
        assert!(failed["message"].as_str().unwrap().contains(words), "{line}: {failed}");
        assert!(failed["hint"].is_string(), "{line}");
        assert_eq!(files(&place.path("backups")), [""; 0], "{line}");
    }
}

#[test]
fn what_is_cut_off_inside_of_a_compression_is_refused() {
    let place = place();
    place.shell("head -c 1000000 data.tar >cut.tar; gzip -c cut.tar >cut.gz").run().unwrap().succeeded().unwrap();
    for line in [
        "cat cut.gz | vb-put",
        "vb-put cut.gz",
        "vb-put -- cat cut.gz",
        "zstd -qc cut.tar | vb-put",
        "tar c data | head -c 1048576 | gzip -1 | vb-put",
        "vb-compress data.tar | head -c 1000000 | gzip | vb-put",
    ] {
        let run = place.shell(line).run().unwrap().exited(6).unwrap();
        let failed = run.event("vb-put", "failed").unwrap();
        assert!(failed["message"].as_str().unwrap().contains("is not whole: inside of the "), "{line}: {failed}");
        assert!(failed["hint"].as_str().unwrap().contains("--unproven"), "{line}: {failed}");
        assert_eq!(files(&place.path("backups")), [""; 0], "{line}");
    }
    for line in ["cat cut.gz | vb-put --unproven", "vb-put --unproven cut.gz"] {
        let run = place.shell(line).run().unwrap().succeeded().unwrap();
        assert_eq!(done(&run)["proof"], "unproven", "{line}");
    }
    for line in ["gzip -c data.tar | vb-put", "zstd -qc data.tar | vb-put", "zstd -qc data.jsonl | vb-put"] {
        let run = place.shell(line).run().unwrap().succeeded().unwrap();
        assert_eq!(done(&run)["proof"], "format", "{line}");
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_is_refused() {
    let place = place();
    let sizes = "for size in 1 2 13 14 511 512 513 1024 65535 65536 1048575 1048576 1048577 1500000; do
        head -c $size data.gz | vb-put --unproven --set w; echo $?; head -c $size data.tar | vb-put --set w; echo $?; done";
    let run = place.shell(sizes).run().unwrap();
    let codes: Vec<&str> = run.stdout_text().lines().filter(|line| !line.starts_with('{')).collect();
    // One byte is no gzip yet, so `--unproven` stores it.
    assert_eq!((codes[0], &codes[1..]), ("0", &["6"; 27][..]), "{run}");
    assert_eq!(files(&place.path("backups")).len(), 2);
}

#[test]
fn a_dry_run_says_where_and_does_nothing() {
    let place = place();
    let run = place.shell("vb-put --dry-run data.gz").run().unwrap().succeeded().unwrap();
    assert_eq!((&done(&run)["set"], &done(&run)["stored"]), (&"data".into(), &false.into()));
    assert!(done(&run)["key"].as_str().unwrap().ends_with(".gz"));
    let run = place.shell("cat data | vb-put --dry-run").run().unwrap().succeeded().unwrap();
    assert_eq!(done(&run)["id"], serde_json::Value::Null);
    assert!(!place.path("backups").exists());
}

#[test]
fn mistakes_on_the_command_line_say_what_to_do() {
    let place = place();
    for (line, code, words) in [
        ("vb-put --set a/b data", 2, "cannot be part of an object's name"),
        ("vb-put --store ftp://host data", 2, "ftp:// is not known"),
        ("vb-put --mark . data", 2, "is a folder"),
        ("vb-put nothing", 4, "opening nothing: no such file"),
        ("vb-put data ./data", 2, "would be in the same place"),
        ("vb-put data -- cat data", 2, "cannot be used with"),
        ("vb-put --quorum 2 data", 2, "the number of stores is 1"),
        ("vb-put --nonsense", 2, "--nonsense"),
        ("VB_STORE=file://./data vb-put data.gz", 2, "is a file or a symbolic link"),
    ] {
        let run = place.shell(line).run().unwrap().exited(code).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(run.stderr_text().contains(words), "{line}: {run}");
    }
    assert!(!place.path("backups").exists());
}
