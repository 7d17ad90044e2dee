//! SIGTERM to each command in the middle of its work.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Child;
use std::thread;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use vb_tests::chance::noise;
use vb_tests::command::Run;
use vb_tests::leftovers::until;

use crate::{Case, one_line, write};

/// Terminates it, and sees that it says so.
fn terminated(child: Child, command: &str) -> Result<()> {
    kill_process(Pid::from_child(&child), Signal::TERM)?;
    let run = Run::from(child.wait_with_output()?).exited(143)?;
    let failed = one_line(&run, command, 143)?;
    anyhow::ensure!(failed["error"] == "signal", "{failed}");
    Ok(())
}

/// Waits until it has begun to write. Nobody reads more, so that it cannot end.
fn has_begun(child: &mut Child) -> Result<()> {
    let stdout = child.stdout.as_mut().context("its output is no pipe")?;
    stdout.read_exact(&mut [0; 4]).context("waiting for the first bytes")
}

/// Asked by a session of its own: within a transaction the server shows the same state again and again.
fn it_waits_for_the_lock(case: &Case) -> Result<()> {
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    let mut client = case.database.client()?;
    until("a session that waits", || Ok((client.query_one(waiting, &[])?.get::<_, i64>(0) > 0).then_some(())))
}

#[test]
fn to_an_export() {
    let case = Case::on_disk().unwrap();
    case.database.client().unwrap().batch_execute("SELECT fill_verification_scores(200000)").unwrap();
    let mut child = case.command("vb-export").unwrap().spawn().unwrap();
    has_begun(&mut child).unwrap();
    terminated(child, "vb-export").unwrap();
    case.nothing_is_left().unwrap();
}

#[test]
fn to_an_export_into_a_file() {
    let case = Case::on_disk().unwrap();
    // Locked, so that it has to wait.
    let mut client = case.database.client().unwrap();
    let mut transaction = client.transaction().unwrap();
    transaction.batch_execute("LOCK TABLE verification_scores").unwrap();
    let child = case.command("vb-export").unwrap().args(["-o", "table.parquet"]).spawn().unwrap();
    it_waits_for_the_lock(&case).unwrap();
    terminated(child, "vb-export").unwrap();
    case.nothing_is_left().unwrap();
}

#[test]
fn to_a_compression() {
    let case = Case::on_disk().unwrap();
    let mut child = case.command("vb-compress").unwrap().spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may end before it has read all of it.
    let writer = thread::spawn(move || stdin.write_all(&noise(9_000_000)).map(|()| stdin));
    has_begun(&mut child).unwrap();
    terminated(child, "vb-compress").unwrap();
    drop(writer.join().unwrap());
    case.nothing_is_left().unwrap();
}

#[test]
fn to_an_upload() {
    let case = Case::on_s3().unwrap();
    let arguments = ["--set", "noise", "--unproven", "--mark", "mark"];
    let mut child = case.command("vb-put").unwrap().args(arguments).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&noise(20_000_000)).unwrap();
    until("the open upload", || Ok((case.stock.open_uploads()? == 1).then_some(()))).unwrap();
    terminated(child, "vb-put").unwrap();
    drop(stdin);
    case.nothing_is_left().unwrap();
}

#[test]
fn to_a_download() {
    let case = Case::on_s3().unwrap();
    write(&case.place, "data", &noise(9_000_000)).unwrap();
    case.line("vb-put --set noise data && rm data").run().unwrap().succeeded().unwrap();
    let mut child = case.command("vb-get").unwrap().arg("--latest").spawn().unwrap();
    has_begun(&mut child).unwrap();
    terminated(child, "vb-get").unwrap();
    case.nothing_but_the_store_is_left(&[]).unwrap();
}

#[test]
fn to_an_import() {
    let case = Case::on_disk().unwrap();
    let before = case.digest().unwrap();
    case.line("vb-export -o table.parquet").run().unwrap().succeeded().unwrap();
    let mut client = case.database.client().unwrap();
    // The restore cannot delete this row before we are through with it, and so waits in the middle of its transaction.
    let mut transaction = client.transaction().unwrap();
    transaction.batch_execute("SELECT FROM verification_scores WHERE id = 1 FOR UPDATE").unwrap();
    let child = case.command("vb-import").unwrap().args(["--mode", "replace", "table.parquet"]).spawn().unwrap();
    it_waits_for_the_lock(&case).unwrap();
    terminated(child, "vb-import").unwrap();
    transaction.rollback().unwrap();
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' \
        AND pid <> pg_backend_pid()";
    until("the end of its session", || Ok((client.query_one(others, &[])?.get::<_, i64>(0) == 0).then_some(())))
        .unwrap();
    assert_eq!(case.digest().unwrap(), before);
    case.nothing_but_the_store_is_left(&["table.parquet"]).unwrap();
}

#[test]
fn to_a_listing_and_a_pruning() {
    let case = Case::on_s3().unwrap();
    for (command, arguments) in [("vb-ls", &[][..]), ("vb-prune", &["--keep-last", "1"][..])] {
        // A server that takes the request and never answers it.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let child = case.command(command).unwrap().args(arguments).env("AWS_ENDPOINT_URL", url).spawn().unwrap();
        let (mut connection, _) = silent.accept().unwrap();
        connection.read_exact(&mut [0; 4]).unwrap();
        terminated(child, command).unwrap();
        case.nothing_is_left().unwrap();
    }
}
