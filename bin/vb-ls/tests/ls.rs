//! What is listed, in which order, and how the command ends.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

#[path = "../../vb-get/tests/common/mod.rs"]
mod common;

use common::{Backup, at, full, incremental};
use vb_tests::command::Run;
use vb_tests::place::Place;

/// Two chains of `w`, and one backup of `v` between them.
fn place() -> Place {
    let place = Place::new().unwrap();
    let folder = place.work();
    full(&folder, at(1, 0));
    incremental(&folder, at(2, 0), at(1, 0));
    incremental(&folder, at(3, 0), at(2, 0));
    Backup { set: "v", at: at(4, 0), base: None, data: vec![7; 5000] }.store(&folder);
    full(&folder, at(5, 0));
    place
}

fn ids(run: &Run) -> Vec<String> {
    let lines = run.status_lines().unwrap();
    let backups = lines.iter().filter(|line| line["event"] == "backup");
    backups.map(|line| line["id"].as_str().unwrap().replace("_000000", "").replace("202611", "")).collect()
}

#[test]
fn options_choose_and_the_newest_is_last() {
    let place = place();
    for (line, expected) in [
        ("vb-ls", &["w_01", "w_02", "w_03", "v_04", "w_05"][..]),
        ("vb-ls --set w --limit 2", &["w_03", "w_05"]),
        ("vb-ls --limit 0", &[]),
        ("VB_SET=v vb-ls", &["v_04"]),
        ("vb-ls --kind incremental", &["w_02", "w_03"]),
        ("vb-ls --latest", &["v_04", "w_05"]),
        ("vb-ls --latest --kind incremental", &["w_03"]),
        ("vb-ls --at '2026-11-04 12:00:00'", &["w_03", "v_04"]),
        ("vb-ls --chain w_20261103_000000", &["w_01", "w_02", "w_03"]),
        ("vb-ls --chain w_20261105_000000", &["w_05"]),
        ("vb-ls --store file://./elsewhere", &[]),
    ] {
        let run = place.shell(line).run().unwrap().succeeded().unwrap();
        assert_eq!(ids(&run), expected, "{line}");
        assert_eq!(run.event("vb-ls", "done").unwrap()["count"], expected.len(), "{line}");
    }
}

#[test]
fn a_line_holds_what_scripts_need() {
    let place = place();
    let run = place.shell("vb-ls --set v").run().unwrap().succeeded().unwrap();
    let line = run.event("vb-ls", "backup").unwrap();
    assert_eq!((&line["size_bytes"], &line["records"], &line["kind"]), (&5000.into(), &3.into(), &"full".into()));
    assert_eq!(line["objects"][0]["key"], "v/v_20261104_000000.jsonl");
    assert_eq!(line["created_at"], "2026-11-04T00:00:00Z");
    assert!(line["age_seconds"].is_i64());
}

#[test]
fn statistics_of_each_set() {
    let place = place();
    let run = place.shell("vb-ls --stats").run().unwrap().succeeded().unwrap();
    let lines = run.status_lines().unwrap();
    assert_eq!((&lines[0]["set"], &lines[0]["count"], &lines[0]["size_bytes"]), (&"v".into(), &1.into(), &5000.into()));
    assert_eq!((&lines[1]["full"], &lines[1]["incremental"]), (&2.into(), &2.into()));
    assert_eq!(
        (&lines[1]["oldest_at"], &lines[1]["newest_at"]),
        (&"2026-11-01T00:00:00Z".into(), &"2026-11-05T00:00:00Z".into())
    );
}

#[test]
fn what_is_not_there_is_not_found_and_a_hole_is_damage() {
    let place = place();
    for (line, code) in [
        ("vb-ls --latest --set x", 4),
        ("vb-ls --at 2026-10-01", 4),
        ("vb-ls --chain w_20261109_000000", 4),
        ("vb-ls --chain nonsense", 2),
        ("vb-ls --stats --limit 3", 2),
        ("rm backups/w/w_20261102_000000_metadata.json; vb-ls --chain w_20261103_000000", 6),
    ] {
        place.shell(line).run().unwrap().exited(code).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn litter_is_no_backup_and_a_broken_manifest_is_a_warning() {
    let place = place();
    place
        .shell("rm backups/v/v_20261104_000000_metadata.json; echo '{' >backups/w/w_20261105_000000_metadata.json")
        .run()
        .unwrap();
    let run = place.shell("vb-ls").run().unwrap().exited(3).unwrap();
    assert_eq!(ids(&run), ["w_01", "w_02", "w_03"]);
    let warning = run.event("vb-ls", "warning").unwrap();
    assert!(warning["message"].as_str().unwrap().contains("w_20261105_000000_metadata.json"), "{warning}");
    assert_eq!(run.event("vb-ls", "failed").unwrap()["error"], "partial");
}

#[test]
fn a_reader_may_leave() {
    let place = place();
    // Enough lines to fill the pipe that nobody reads.
    for hour in 1..24 {
        for day in 6..15 {
            full(&place.work(), at(day, hour));
        }
    }
    let run = place.shell("{ vb-ls; echo $? >code; } | head -n 1; cat code").run().unwrap().succeeded().unwrap();
    assert!(run.stdout_text().ends_with("}\n0\n"), "{}", run.stdout_text());
    assert_eq!(run.stderr_text(), "");
}

#[test]
fn a_person_sees_a_table() {
    let place = place();
    let line = "script --quiet --return --command 'vb-ls --set v' /dev/null </dev/null";
    let run = place.shell(line).run().unwrap().succeeded().unwrap();
    let text = run.stdout_text().replace('\r', "");
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with("BACKUP             KIND  RECORDS    SIZE"), "{text}");
    assert!(lines.next().unwrap().starts_with("v_20261104_000000  full        3  5.0 kB"), "{text}");
    assert!(text.contains("vb-ls: 1 backups, 5.0 kB in ") && !text.contains('{'), "{text}");
}

#[test]
fn what_is_not_all_there_is_no_newest_and_counts_for_nothing() {
    let place = place();
    place.shell("rm backups/w/w_20261105_000000.jsonl").run().unwrap().succeeded().unwrap();
    let all = place.shell("vb-ls --set w").run().unwrap().succeeded().unwrap();
    let lines = all.status_lines().unwrap();
    assert_eq!(lines[3]["incomplete"], "w/w_20261105_000000.jsonl is not there");
    assert_eq!((&lines[2]["incomplete"], &lines[4]["incomplete"]), (&serde_json::Value::Null, &1.into()));
    let latest = place.shell("vb-ls --set w --latest").run().unwrap().succeeded().unwrap();
    assert_eq!(ids(&latest), ["w_03"]);
    assert!(latest.stderr_text().contains("w_20261105_000000 is incomplete"), "{latest}");
    place.shell("vb-ls --set w --assert 'count==3 && age>1s'").run().unwrap().succeeded().unwrap();
    let run = place.shell("vb-ls --set w --assert 'count==4'").run().unwrap().exited(1).unwrap();
    assert!(run.stderr_text().contains("count is 3"), "{run}");
    place.shell("rm backups/w/*.jsonl").run().unwrap().succeeded().unwrap();
    place.shell("vb-ls --set w --latest").run().unwrap().exited(6).unwrap();
    let run = place.shell("vb-ls --assert 'count>0'").run().unwrap().exited(1).unwrap();
    assert!(run.stderr_text().contains("w: none of its 4 backups counts"), "{run}");
}

#[test]
fn what_was_found_damaged_is_no_newest() {
    let place = place();
    let damage = "echo '{}' >backups/w/w_20261105_000000_damaged_2_20261106_000000.json";
    place.shell(damage).run().unwrap().succeeded().unwrap();
    let latest = place.shell("vb-ls --set w --latest").run().unwrap().succeeded().unwrap();
    assert_eq!(ids(&latest), ["w_03"]);
    assert!(latest.stderr_text().contains("w_20261105_000000 was found damaged; w_20261103_000000"), "{latest}");
    // Another store has a sound copy.
    place.shell("cp -r backups copy && rm copy/w/*_damaged_*").run().unwrap().succeeded().unwrap();
    let both = "vb-ls --set w --latest --store file://./backups --store file://./copy";
    assert_eq!(ids(&place.shell(both).run().unwrap().succeeded().unwrap()), ["w_05"]);
    // Unless it is not all there: then the damaged one is all that there is, in whichever order.
    place.shell("rm copy/w/w_20261105_000000.jsonl").run().unwrap().succeeded().unwrap();
    for stores in ["--store file://./backups --store file://./copy", "--store file://./copy --store file://./backups"] {
        let run = place.shell(&format!("vb-ls --set w --latest {stores}")).run().unwrap().succeeded().unwrap();
        assert_eq!(ids(&run), ["w_03"], "{stores}");
    }
}

#[test]
fn a_backup_from_the_future_is_the_newest_only_where_there_is_no_other() {
    let place = place();
    let far = "2999-01-01T00:00:00Z".parse().unwrap();
    full(&place.work(), far);
    Backup { set: "x", at: far, base: None, data: b"x".to_vec() }.store(&place.work());
    let run = place.shell("vb-ls --latest").run().unwrap().succeeded().unwrap();
    assert_eq!(ids(&run), ["v_04", "w_05", "x_29990101"]);
    assert!(
        run.stderr_text().contains("w_29990101_000000 is dated more than a day after now; w_20261105_000000"),
        "{run}"
    );
    assert!(run.stderr_text().contains("2 backups are dated more than a day after now"), "{run}");
    let run = place.shell("vb-ls --set w --assert 'count==4'").run().unwrap().succeeded().unwrap();
    assert_eq!(run.event("vb-ls", "assertion").unwrap()["id"], "w_20261105_000000");
    place.shell("vb-ls --set x --assert 'count==1'").run().unwrap().exited(1).unwrap();
}

#[test]
fn a_file_that_holds_no_mark_is_written_anew() {
    let place = place();
    for (content, why) in [("", "it was empty"), ("{\"until\":", "it held no mark"), ("\\377", "it held no mark")] {
        let line = format!("printf '{content}' >mark; vb-ls --set w --mark mark");
        let run = place.shell(&line).run().unwrap().succeeded().unwrap();
        assert!(run.stderr_text().contains(&format!("was written anew for w_20261105_000000: {why}")), "{run}");
        let mark = std::fs::read_to_string(place.path("mark")).unwrap();
        assert!(mark.contains("\"id\":\"w_20261105_000000\""), "{mark}");
    }
    let run = place.shell("printf '' >mark; vb-ls --set x --mark mark; ls").run().unwrap().succeeded().unwrap();
    assert!(run.stderr_text().contains("was removed: it was empty, and"), "{run}");
    assert!(!place.path("mark").exists());
    // What a restore needs is not all there.
    place.shell("rm backups/w/w_20261105_000000.jsonl backups/w/w_20261101_000000.jsonl").run().unwrap();
    let run = place.shell("vb-ls --set w --mark mark").run().unwrap().succeeded().unwrap();
    assert_eq!(run.event("vb-ls", "done").unwrap()["id"], serde_json::Value::Null, "{run}");
}

#[test]
fn a_status_that_cannot_be_written_is_a_failure_and_says_no_more() {
    let place = place();
    let run = place.shell("vb-ls >/dev/full").run().unwrap().exited(1).unwrap();
    assert!(run.stderr_text().contains("writing a status line: "), "{run}");
    assert!(
        run.stderr_text().contains("hint: Only the telling failed") && !run.stderr_text().contains("nothing was"),
        "{run}"
    );
}
