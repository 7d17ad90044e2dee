//! The store commands on a file server: a backup there and back, and what is left of one that does not get there.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::Child;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use vb_tests::chance::noise;
use vb_tests::command::Command;
use vb_tests::leftovers::{files, until, wait_for_processes};
use vb_tests::place::Place;
use vb_tests::servers::{SftpFolder, SftpServer};

fn begin(label: &str) -> Result<(Place, SftpFolder)> {
    Ok((Place::new()?, SftpServer::shared()?.folder(label)?))
}

/// A `vb-put` in the middle of a stream that does not end.
fn putting(place: &Place, folder: &SftpFolder) -> Result<Child> {
    let command = place.command("vb-put")?.args(["--unproven", "--set", "w"]).envs(folder.variables());
    let mut child = { command }.spawn()?;
    let mut stdin = child.stdin.take().context("vb-put has no input")?;
    // Its end comes with the reader's.
    thread::spawn(move || while stdin.write_all(&[7; 1 << 16]).is_ok() {});
    Ok(child)
}

/// The temporary file, once data flows into it: from then on the command knows it, not only its guard.
fn temporary(folder: &SftpFolder) -> Result<String> {
    until("the upload", || {
        let name = files(folder.path())?.into_iter().next();
        Ok(name.filter(|name| fs::metadata(folder.path().join(name)).is_ok_and(|found| found.len() > 0)))
    })
}

fn kill(child: &mut Child, signal: Signal) -> Result<()> {
    kill_process(Pid::from_child(child), signal)?;
    child.wait()?;
    Ok(())
}

fn shell(place: &Place, folder: &SftpFolder, line: &str) -> Command {
    place.shell(line).envs(folder.variables())
}

#[test]
fn a_backup_goes_there_and_back() {
    let (place, folder) = begin("whole").unwrap();
    for length in [0, 1, 20_000_000] {
        let data = noise(length);
        fs::write(place.path("data"), &data).unwrap();
        shell(&place, &folder, "vb-put --allow-empty --set w data").run().unwrap().succeeded().unwrap();
        let back = shell(&place, &folder, "vb-get --latest").run().unwrap().succeeded().unwrap();
        assert!(back.stdout == data, "{length} bytes came back otherwise: {back}");
    }
    let listed = shell(&place, &folder, "vb-ls").run().unwrap().succeeded().unwrap();
    assert_eq!(listed.event("vb-ls", "done").unwrap()["count"], 3);
    shell(&place, &folder, "vb-prune --keep-last 1").run().unwrap().succeeded().unwrap();
    let left = files(folder.path()).unwrap();
    assert_eq!(left.len(), 2, "{left:?}");
    wait_for_processes(&place).unwrap();
}

#[test]
fn the_pipe_of_the_readme_works_here() {
    let (place, folder) = begin("piped").unwrap();
    let line = "seq 1000000 | vb-compress | vb-put --unproven --set w && vb-get --latest | vb-compress -d | cksum";
    let run = shell(&place, &folder, line).run().unwrap().succeeded().unwrap();
    let expected = place.shell("seq 1000000 | cksum").run().unwrap();
    assert_eq!(run.stdout_text().lines().last(), expected.stdout_text().lines().last(), "{run}");
}

#[test]
fn a_kill_leaves_no_temporary_file() {
    let (place, folder) = begin("killed").unwrap();
    let mut child = putting(&place, &folder).unwrap();
    let temporary = temporary(&folder).unwrap();
    assert!(temporary.starts_with("w/.vb-") && temporary.ends_with(".tmp"), "{temporary}");
    kill(&mut child, Signal::KILL).unwrap();
    wait_for_processes(&place).unwrap();
    assert_eq!(files(folder.path()).unwrap(), BTreeSet::new());
}

#[test]
fn a_kill_at_any_moment_leaves_nothing() {
    let (place, folder) = begin("any-moment").unwrap();
    for step in 0..20 {
        let mut child = putting(&place, &folder).unwrap();
        // From before the login until data flows.
        thread::sleep(Duration::from_millis(step * 20));
        kill(&mut child, Signal::KILL).unwrap();
    }
    wait_for_processes(&place).unwrap();
    assert_eq!(files(folder.path()).unwrap(), BTreeSet::new());
}

#[test]
fn a_signal_leaves_nothing() {
    let (place, folder) = begin("ended").unwrap();
    for signal in [Signal::TERM, Signal::INT] {
        let mut child = putting(&place, &folder).unwrap();
        temporary(&folder).unwrap();
        // To the whole group, as a terminal does.
        rustix::process::kill_process_group(Pid::from_child(&child), signal).unwrap();
        child.wait().unwrap();
        assert_eq!(files(folder.path()).unwrap(), BTreeSet::new());
    }
    wait_for_processes(&place).unwrap();
}

#[test]
fn refusals_say_what_to_do() {
    let (place, folder) = begin("refused").unwrap();
    fs::write(place.path("data"), "x").unwrap();
    fs::write(place.path("nobody"), "").unwrap();
    let cases = [
        (7, "VB_SSH_KNOWN_HOSTS", "nobody", "host key is not known"),
        (8, "VB_STORE", "sftp://127.0.0.1:9/x", "Connection refused"),
        (2, "VB_STORE", "sftp://127.0.0.1", "names no folder"),
        (2, "VB_STORAGE_CLASS", "STANDARD_IA", "has no storage classes"),
        (2, "VB_SSH_KEY", "no-such-key", "no such file"),
    ];
    for (code, name, value, words) in cases {
        let run = shell(&place, &folder, "vb-put --set w data").env(name, value).run().unwrap().exited(code).unwrap();
        let failed = run.event("vb-put", "failed").unwrap();
        assert!(failed["message"].as_str().unwrap().contains(words), "{failed}");
        assert!(failed["hint"].is_string(), "{failed}");
    }
    assert_eq!(files(folder.path()).unwrap(), BTreeSet::new());
}
