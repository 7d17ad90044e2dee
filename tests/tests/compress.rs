//! What vb-compress promises to those who use other gzips: theirs are read, ours is read by them, and a cut shows in both.

use anyhow::{Context, Result, ensure};
use std::fs;
use vb_tests::place::Place;

/// A few members' worth of something that compresses.
fn make_data(place: &Place) -> Result<()> {
    let text: String = (0..400_000_u64).map(|number| format!("{number} {}\n", number * 7919 % 1000)).collect();
    fs::write(place.path("data"), text).context("making data")
}

fn refused_with(place: &Place, line: &str, code: i32, words: &str) -> Result<()> {
    let run = place.shell(line).run()?.exited(code)?;
    ensure!(run.stderr_text().contains(words), "{line}\n{run}");
    Ok(())
}

#[test]
fn gunzip_reads_ours_and_we_read_gzips() {
    let place = Place::new().unwrap();
    make_data(&place).unwrap();
    for line in [
        "cat data | vb-compress | gunzip | cmp - data",
        "vb-compress data -o ours.gz && gzip -t ours.gz && vb-compress -d ours.gz | cmp - data",
        "vb-compress -l 12 -p 1 data | vb-compress -d -p 3 | cmp - data",
        "gzip -c data | vb-compress -d | cmp - data",
        "(gzip -c data; gzip -1 -c data) | vb-compress -d >twice && cat data data | cmp - twice",
        "python3 -c \"import gzip; gzip.open('python.gz', 'wb').write(open('data', 'rb').read())\" && vb-compress -d python.gz | cmp - data",
        ": | vb-compress | gunzip | cmp - /dev/null",
    ] {
        place.shell(line).run().unwrap().succeeded().unwrap();
    }
}

#[test]
fn a_cut_is_refused_by_us_and_by_gunzip() {
    let place = Place::new().unwrap();
    make_data(&place).unwrap();
    place.shell("vb-compress data -o ours.gz; gzip -c data >theirs.gz").run().unwrap().succeeded().unwrap();
    refused_with(&place, "head -c 100000 ours.gz | vb-compress -d >/dev/null", 6, "truncated").unwrap();
    refused_with(&place, "head -c 100000 theirs.gz | vb-compress -d >/dev/null", 6, "unexpected end of file").unwrap();
    refused_with(&place, "head -c 100000 ours.gz >cut.gz; vb-compress -d cut.gz -o out", 6, "truncated").unwrap();
    assert!(!place.path("out").exists());
    refused_with(&place, "cat ours.gz ours.gz | vb-compress -d >/dev/null", 6, "gzip stream").unwrap();
    refused_with(&place, "vb-compress -d data >/dev/null", 2, "not a gzip stream").unwrap();
}

#[test]
fn a_stage_that_died_leaves_nothing_that_looks_whole() {
    let place = Place::new().unwrap();
    make_data(&place).unwrap();
    // The writer has compressed what there is and waits for more when it is killed.
    let line = "mkfifo pipe; ( (cat data; sleep 3) | vb-compress & writer=$!; sleep 1; kill -9 $writer ) >pipe & \
        vb-compress -l 1 <pipe >packed; code=$?; gzip -t packed && echo gzip believes it; exit $code";
    let run = place.shell(line).run().unwrap().exited(6).unwrap();
    assert!(run.stderr_text().contains("died after"), "{run}");
    assert!(!run.stdout_text().contains("believes"), "{run}");
}

#[test]
fn a_file_is_not_its_own_output() {
    let place = Place::new().unwrap();
    make_data(&place).unwrap();
    let line = "cp data x; ln -s x link; ln x same";
    place.shell(line).run().unwrap().succeeded().unwrap();
    for line in ["vb-compress x -o x", "vb-compress -o link x", "vb-compress <x -o same", "vb-compress -d x -o ./x"] {
        refused_with(&place, line, 2, "is the input and the output").unwrap();
    }
    place.shell("cmp data x && cmp data same && ls | wc -l | grep -qx 4").run().unwrap().succeeded().unwrap();
}

#[test]
fn a_file_names_its_backup() {
    let place = Place::new().unwrap();
    make_data(&place).unwrap();
    for (line, set, ending) in [
        ("cp data weather.csv; vb-compress weather.csv | vb-put", "weather", ".csv.gz"),
        ("vb-compress weather.csv -o other.csv.gz; vb-put other.csv.gz", "other", ".csv.gz"),
        ("vb-compress <data >day.jsonl.gz; vb-put day.jsonl.gz", "day", ".jsonl.gz"),
        ("cat data | vb-compress | vb-put --unproven", "backup", ".gz"),
        ("vb-compress -d other.csv.gz | vb-put", "weather", ".csv"),
        ("cat other.csv.gz | vb-compress -d | vb-put", "backup", ""),
    ] {
        let run = place.shell(line).run().unwrap().succeeded().unwrap();
        let done = run.event("vb-put", "done").unwrap();
        let key = format!("{set}/{}{ending}", done["id"].as_str().unwrap());
        assert_eq!(done["key"], key, "{line}: {run}");
    }
}

#[test]
fn what_is_cut_off_inside_is_not_passed_on() {
    let place = Place::new().unwrap();
    make_data(&place).unwrap();
    place.shell("tar cf data.tar data; head -c 1000000 data.tar >cut.tar").run().unwrap().succeeded().unwrap();
    for line in
        ["vb-compress cut.tar >out", "cat cut.tar | gzip | vb-compress -d >out", "gzip -c cut.tar | vb-compress >out"]
    {
        refused_with(&place, line, 6, "begins as tar, but it is cut off").unwrap();
    }
}
