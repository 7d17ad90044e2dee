//! The seal beside the pipe, in every shell and over every kind of pipe: a whole run is stored, and one whose writer was killed in the
//! middle is refused, even where the user does without proof.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Child;

use anyhow::{Context, Result, ensure};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use vb_tests::chance::noise;
use vb_tests::command::Run;
use vb_tests::leftovers::{files, processes, until, wait_for_processes};
use vb_tests::place::Place;
use vb_tests::servers::{Database, Postgres};
use vb_tests::weather;

const PIPE: &str = "WRITER | PUT";
const FIFO: &str = "mkfifo fifo; WRITER >fifo & PUT <fifo";
/// The reader's end is no child that the shell waits for, so that its exit code goes through a file.
const SUBSTITUTED_READER: &str =
    "WRITER > >( PUT; echo $? >code ); until [ -s code ]; do sleep 0.01; done; code=$(cat code); rm code; exit $code";
const SUBSTITUTED_WRITER: &str = "PUT < <(WRITER)";

/// More than all buffers of a pipeline hold.
const MORE_THAN_BUFFERS: usize = 12_000_000;

fn database() -> Result<Database> {
    let database = Postgres::shared()?.create_database("shells")?;
    weather::create(&database, 3000)?;
    Ok(database)
}

/// A whole run is stored, with this proof.
fn whole(shell: &str, line: &str, proof: &str) -> Result<()> {
    let (place, database) = (Place::new()?, database()?);
    let line = line.replace("WRITER", "vb-export").replace("PUT", "vb-put --set words");
    let run = place.shell_of(shell, &line).env("DATABASE_URL", database.url()).run()?.succeeded()?;
    let done = run.event("vb-put", "done")?;
    ensure!(done["proof"] == proof && done["stored"] == true, "{shell}: {done}");
    ensure!(proof != "sealed" || done["records"] == 3000, "{shell}: {done}");
    ensure!(files(&place.path("backups"))?.len() == 2);
    Ok(())
}

/// The writer has written a good part and waits for more when it is killed.
fn killed(shell: &str, line: &str) -> Result<()> {
    let place = Place::new()?;
    place.shell("mkfifo feed").run()?.succeeded()?;
    let line = line.replace("WRITER", "vb-compress feed").replace("PUT", "vb-put --set words --unproven");
    let child = place.shell_of(shell, &line).spawn()?;
    let mut feed = until("the reader of the feed", || Ok(open(&place)))?;
    fcntl_setfl(&feed, OFlags::empty())?;
    feed.write_all(&noise(MORE_THAN_BUFFERS)).context("feeding the writer")?;
    kill_process(process_of(&place, "vb-compress")?, Signal::KILL)?;
    let run = end_of(child)?.exited(6).with_context(|| format!("{shell}: {line}"))?;
    ensure!(run.event("vb-put", "failed")?["error"] == "integrity", "{run}");
    wait_for_processes(&place)?;
    let left = files(&place.path("backups"))?;
    ensure!(left.is_empty(), "{shell}: {line}: left {left:?}");
    Ok(())
}

/// Only where somebody reads: otherwise it would wait for ever.
fn open(place: &Place) -> Option<File> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).ok()?;
    OpenOptions::new().write(true).custom_flags(nonblocking).open(place.path("feed")).ok()
}

fn process_of(place: &Place, command: &str) -> Result<Pid> {
    let name = |process: &u32| std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    let found: Vec<u32> = processes(place)?.into_iter().filter(|process| name(process).trim() == command).collect();
    ensure!(found.len() == 1, "processes of {command}: {found:?}");
    Pid::from_raw(i32::try_from(found[0])?).context("no process")
}

fn end_of(mut child: Child) -> Result<Run> {
    until("the end of the shell", || Ok(child.try_wait()?))?;
    Ok(Run::from(child.wait_with_output()?))
}

fn holds(shell: &str, lines: &[&str]) -> Result<()> {
    for line in lines {
        whole(shell, line, "sealed")?;
        killed(shell, line)?;
    }
    // Somebody else stands between: what is in the stream must do.
    for between in ["cat", "pv -q"] {
        let line = PIPE.replace('|', &format!("| {between} |"));
        whole(shell, &line, "format")?;
        killed(shell, &line)?;
    }
    Ok(())
}

#[test]
fn in_dash() {
    holds("dash", &[PIPE, FIFO]).unwrap();
}

#[test]
fn in_sh() {
    holds("sh", &[PIPE, FIFO]).unwrap();
}

#[test]
fn in_bash() {
    holds("bash", &[PIPE, FIFO, SUBSTITUTED_READER, SUBSTITUTED_WRITER]).unwrap();
}

#[test]
fn in_zsh() {
    holds("zsh", &[PIPE, FIFO, SUBSTITUTED_READER, SUBSTITUTED_WRITER]).unwrap();
}

#[test]
fn in_mksh() {
    holds("mksh", &[PIPE, FIFO]).unwrap();
}

#[test]
fn in_fish() {
    holds("fish", &[PIPE]).unwrap();
}

/// It joins the stages of a pipeline by sockets, so that the seal in the stream must do.
#[test]
fn in_ksh93() {
    whole("ksh93", PIPE, "format").unwrap();
    killed("ksh93", PIPE).unwrap();
}

#[test]
fn two_writers_are_refused_in_every_shell() {
    for shell in ["dash", "bash", "zsh", "mksh"] {
        let place = Place::new().unwrap();
        std::fs::write(place.path("a"), "one").unwrap();
        std::fs::write(place.path("b"), "two").unwrap();
        for line in ["{ vb-compress a; vb-compress b; } | vb-put", "{ vb-compress a && cat b; } | vb-put --unproven"] {
            let run = place.shell_of(shell, line).run().unwrap().exited(6).unwrap();
            run.event("vb-put", "failed").unwrap();
            assert!(files(&place.path("backups")).unwrap().is_empty(), "{shell}: {line}");
        }
    }
}
