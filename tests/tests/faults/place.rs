//! A disk that is full, a folder that cannot be written.

use vb_tests::chance::noise;
use vb_tests::command::Command;

use crate::{Case, PIPE, one_line, refused, write};

/// A line of sh within a file system of its own at `small`; afterwards it lists what is in there, and ends with the line's exit code.
fn within(case: &Case, mount: &str, line: &str) -> Command {
    let script = format!("{mount} && {{ {line}; code=$?; find small -type f; exit $code; }}");
    let script = script.replace('\'', r"'\''");
    case.line(&format!("mkdir -p small; exec unshare --map-root-user --mount sh -c '{script}'"))
}

const FULL: &str = "mount -t tmpfs -o size=2m none small";
const READ_ONLY: &str = "mount -t tmpfs -o ro none small";

#[test]
fn a_full_store() {
    let case = Case::on_disk().unwrap();
    case.backup().unwrap();
    let mark = std::fs::read(case.place.path("data/.last_backup")).unwrap();
    write(&case.place, "data.bin", &noise(5_000_000)).unwrap();
    for line in
        ["cat data.bin | vb-compress | vb-put --unproven --set noise", "vb-put --mark data/.last_backup data.bin"]
    {
        let run = within(&case, FULL, &format!("{line} --store file://./small")).run().unwrap().exited(1).unwrap();
        let failed = refused(&run, "vb-put", 1).unwrap();
        assert!(failed["message"].as_str().unwrap().contains("no space left on device"), "{failed}");
        assert!(!run.stdout_text().contains("small/"), "{}", run.stdout_text());
    }
    assert_eq!(std::fs::read(case.place.path("data/.last_backup")).unwrap(), mark);
    case.nothing_but_the_store_is_left(&["data.bin", "data/.last_backup"]).unwrap();
}

#[test]
fn a_full_disk_for_a_file() {
    let case = Case::on_disk().unwrap();
    write(&case.place, "data.bin", &noise(5_000_000)).unwrap();
    case.line("vb-put --set noise data.bin").run().unwrap().succeeded().unwrap();
    let stop = "code=$?; ls -A small; exit $code";
    for (command, line) in
        [("vb-compress", "vb-compress data.bin -o small/data.gz"), ("vb-get", "vb-get --latest -o small/data.bin")]
    {
        let run = within(&case, FULL, &format!("( {line}; {stop} )")).run().unwrap().exited(1).unwrap();
        refused(&run, command, 1).unwrap();
        let found = run.stdout_text().lines().find(|line| line.starts_with("data"));
        assert_eq!(found, None, "{run}");
    }
}

#[test]
fn no_room_to_keep_the_input_of_an_import() {
    let case = Case::on_disk().unwrap();
    let before = case.digest().unwrap();
    case.line("vb-export -o table.parquet").run().unwrap().succeeded().unwrap();
    let line = "dd if=/dev/zero of=small/ballast bs=64k count=31 2>/dev/null; \
        cat table.parquet | TMPDIR=$PWD/small vb-import --mode replace; code=$?; rm small/ballast; (exit $code)";
    let run = within(&case, FULL, line).run().unwrap().exited(1).unwrap();
    refused(&run, "vb-import", 1).unwrap();
    assert!(!run.stdout_text().contains("small/"), "{}", run.stdout_text());
    assert_eq!(case.digest().unwrap(), before);
}

#[test]
fn a_read_only_store() {
    let case = Case::on_disk().unwrap();
    let line = format!("{PIPE} --store file://./small");
    let run = within(&case, READ_ONLY, &line).run().unwrap().exited(7).unwrap();
    refused(&run, "vb-put", 7).unwrap();
    assert!(!run.stdout_text().contains("small/"), "{}", run.stdout_text());
    case.nothing_is_left().unwrap();
}

#[test]
fn a_read_only_folder_for_a_file() {
    let case = Case::on_disk().unwrap();
    case.backup().unwrap();
    for (command, line) in [
        ("vb-export", "vb-export -o small/table.parquet"),
        ("vb-compress", "vb-compress /etc/passwd -o small/passwd.gz"),
        ("vb-get", "vb-get --latest -o small/table.parquet.gz"),
    ] {
        let run = within(&case, READ_ONLY, line).run().unwrap().exited(7).unwrap();
        refused(&run, command, 7).unwrap();
    }
    case.nothing_but_the_store_is_left(&["data/.last_backup"]).unwrap();
}

#[test]
fn a_mark_that_cannot_be_written() {
    let case = Case::on_disk().unwrap();
    let line = PIPE.replace("data/.last_backup", "small/mark");
    let run = within(&case, READ_ONLY, &line).run().unwrap().exited(1).unwrap();
    let failed = refused(&run, "vb-put", 1).unwrap();
    // It says that the backup is there, and it is.
    assert!(failed["message"].as_str().unwrap().contains("is stored"), "{failed}");
    assert_eq!(case.stock.keys().unwrap().len(), 2);
}

#[test]
fn a_run_folder_that_is_open_to_others() {
    let case = Case::on_disk().unwrap();
    let run = case.line(&format!("chmod 777 \"$VB_RUN_DIR\"; {PIPE}")).run().unwrap().exited(7).unwrap();
    one_line(&run, "vb-put", 7).unwrap();
    assert!(case.stock.keys().unwrap().is_empty());
}
