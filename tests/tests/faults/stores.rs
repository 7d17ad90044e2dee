//! A store that is not there, or does not let us in.

use anyhow::{Result, ensure};
use std::collections::BTreeSet;

use vb_tests::leftovers::Stock;
use vb_tests::place::Place;
use vb_tests::servers::S3Server;

use crate::{Case, PIPE, refused};

/// All four commands that have a store, each as its own line.
const COMMANDS: [(&str, &str); 4] = [
    ("vb-put", PIPE),
    ("vb-get", "vb-get verification_20261121_031500 -o object.gz"),
    ("vb-ls", "vb-ls"),
    ("vb-prune", "vb-prune --keep-last 1"),
];

fn each_refuses(case: &Case, variable: (&str, &str), code: i32) -> Result<()> {
    for (command, line) in COMMANDS {
        let run = case.line(line).env(variable.0, variable.1).run()?.exited(code)?;
        refused(&run, command, code.into())?;
    }
    case.nothing_is_left()?;
    Ok(())
}

#[test]
fn no_such_bucket() {
    each_refuses(&Case::on_s3().unwrap(), ("S3_BUCKET_NAME", "no-such-bucket-anywhere"), 4).unwrap();
}

#[test]
fn no_server() {
    each_refuses(&Case::on_s3().unwrap(), ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"), 8).unwrap();
}

#[test]
fn a_wrong_key() {
    each_refuses(&Case::on_s3().unwrap(), ("AWS_SECRET_ACCESS_KEY", "not-this-one"), 7).unwrap();
}

#[test]
fn a_key_that_may_only_read() {
    let case = Case::on_s3().unwrap();
    let backup = case.backup().unwrap();
    let mark = std::fs::read(case.place.path("data/.last_backup")).unwrap();
    let Stock::S3(bucket) = &case.stock else { panic!("not on S3") };
    let before = case.stock.keys().unwrap();

    let full = PIPE.replace("--since @data/.last_backup", "");
    let run = case.line(&full).envs(bucket.reader_variables()).run().unwrap().exited(7).unwrap();
    let failed = refused(&run, "vb-put", 7).unwrap();
    assert!(!failed.to_string().contains("secret"), "{failed}");
    assert_eq!(std::fs::read(case.place.path("data/.last_backup")).unwrap(), mark);
    assert_eq!(case.stock.keys().unwrap(), before);

    let line = format!("vb-get {} | vb-compress -d >/dev/null", backup.id);
    case.line(&line).envs(bucket.reader_variables()).run().unwrap().succeeded().unwrap();
    case.nothing_but_the_store_is_left(&["data/.last_backup"]).unwrap();
}

#[test]
fn a_read_only_key_cannot_prune() {
    let case = Case::on_s3().unwrap();
    let first = case.backup().unwrap();
    let full = PIPE.replace("--since @data/.last_backup", "");
    case.line(&full).run().unwrap().succeeded().unwrap();
    let before: BTreeSet<String> = case.stock.keys().unwrap();
    assert!(before.contains(&first.key) && before.len() == 4, "{before:?}");
    let Stock::S3(bucket) = &case.stock else { panic!("not on S3") };
    let prune = case.line("vb-prune --keep-last 1").envs(bucket.reader_variables()).run().unwrap().exited(3).unwrap();
    refused(&prune, "vb-prune", 3).unwrap();
    assert_eq!(case.stock.keys().unwrap(), before);
}

/// In a bucket with versions a server would hide a locked object behind a marker, and call that deleted.
fn a_locked_backup_stays_whole(server: &S3Server) -> Result<()> {
    let case = Case::new(Place::new()?, Stock::S3(server.create_locking_bucket("locked")?))?;
    let full = PIPE.replace("--since @data/.last_backup", "");
    case.line(&full).env("VB_LOCK_DAYS", "3").run()?.succeeded()?;
    case.line(&full).run()?.succeeded()?;
    let before: BTreeSet<String> = case.stock.keys()?;
    ensure!(before.len() == 4, "{before:?}");
    let prune = case.line("vb-prune --keep-last 1").run()?.exited(3)?;
    let failed = refused(&prune, "vb-prune", 3)?;
    ensure!(failed.to_string().contains("locked until"), "{failed}");
    ensure!(case.stock.keys()? == before, "{:?}", case.stock.keys()?);
    Ok(())
}

#[test]
fn a_locked_backup_stays_whole_on_seaweedfs() {
    a_locked_backup_stays_whole(S3Server::seaweedfs().unwrap()).unwrap();
}

#[test]
fn a_locked_backup_stays_whole_on_moto() {
    a_locked_backup_stays_whole(S3Server::moto().unwrap()).unwrap();
}
