//! A backup that is no longer what was stored.

use crate::{Backup, Case, refused};
use anyhow::Result;
use vb_tests::leftovers::files;

/// Damages the object of a backup, and sees that nothing of it is used: not as a file, and not in a table.
fn is_refused(case: &Case, backup: &Backup, what_it_says: &str) -> Result<()> {
    let before = case.digest()?;
    let run = case.command("vb-get")?.args([backup.id.as_str(), "-o", "object.gz"]).run()?;
    let failed = refused(&run.exited(6)?, "vb-get", 6)?;
    assert!(failed["message"].as_str().unwrap_or_default().contains(what_it_says), "{failed}");
    assert!(!case.place.path("object.gz").exists());

    let restore = format!("vb-get {} | vb-compress -d | vb-import --mode replace", backup.id);
    let run = case.line(&restore).run()?.exited(6)?;
    run.event("vb-import", "failed")?;
    assert_eq!(case.digest()?, before);
    // Nor does it go into a table that is not there yet.
    let run = case.line(&restore.replace("--mode replace", "--table anew")).run()?.exited(6)?;
    run.event("vb-import", "failed")?;
    let made = case.database.client()?.query_one("SELECT to_regclass('anew') IS NOT NULL", &[])?;
    assert!(!made.get::<_, bool>(0));
    case.nothing_but_the_store_is_left(&["data/.last_backup"])?;
    // Two stages that fail at the same instant may leave a record between them, until the next pipe sweeps.
    case.line("vb-compress /dev/null | vb-compress -d >/dev/null").run()?.succeeded()?;
    assert!(files(&case.place.run_dir())?.is_empty());
    Ok(())
}

fn flipped(case: &Case, at: impl Fn(usize) -> usize) -> Result<()> {
    let backup = case.backup()?;
    let mut object = case.stock.get(&backup.key)?;
    let place = at(object.len());
    object[place] ^= 1;
    case.stock.put(&backup.key, &object)?;
    is_refused(case, &backup, "SHA-256")
}

#[test]
fn one_bit_on_a_disk() {
    flipped(&Case::on_disk().unwrap(), |length| length / 2).unwrap();
}

#[test]
fn one_bit_on_s3() {
    flipped(&Case::on_s3().unwrap(), |length| length / 2).unwrap();
}

#[test]
fn one_bit_that_gzip_does_not_mind() {
    flipped(&Case::on_disk().unwrap(), |_| 4).unwrap(); // the time in the header of the first member
}

#[test]
fn truncated() {
    for case in [Case::on_disk().unwrap(), Case::on_s3().unwrap()] {
        let backup = case.backup().unwrap();
        let object = case.stock.get(&backup.key).unwrap();
        case.stock.put(&backup.key, &object[..object.len() / 2]).unwrap();
        is_refused(&case, &backup, "bytes instead of").unwrap();
    }
}

#[test]
fn a_manifest_without_its_object() {
    for case in [Case::on_disk().unwrap(), Case::on_s3().unwrap()] {
        let backup = case.backup().unwrap();
        case.stock.delete(&backup.key).unwrap();
        is_refused(&case, &backup, "it is not in").unwrap();
    }
}

#[test]
fn a_manifest_that_is_none() {
    let case = Case::on_disk().unwrap();
    let backup = case.backup().unwrap();
    let manifest = backup.key.replace(".parquet.gz", "_metadata.json");
    let text = case.stock.get(&manifest).unwrap();
    case.stock.put(&manifest, &text[..text.len() / 2]).unwrap();
    let run = case.command("vb-get").unwrap().args([backup.id.as_str(), "-o", "object.gz"]).run().unwrap();
    refused(&run.exited(6).unwrap(), "vb-get", 6).unwrap();
    let run = case.command("vb-ls").unwrap().run().unwrap().exited(3).unwrap();
    run.event("vb-ls", "warning").unwrap();
    refused(&run, "vb-ls", 3).unwrap();
    let run = case.command("vb-prune").unwrap().args(["--keep-last", "1"]).run().unwrap().exited(6).unwrap();
    refused(&run, "vb-prune", 6).unwrap();
    assert_eq!(case.stock.keys().unwrap().len(), 2);
}

#[test]
fn a_backup_that_is_not_there() {
    for case in [Case::on_disk().unwrap(), Case::on_s3().unwrap()] {
        case.backup().unwrap();
        let run = case.command("vb-get").unwrap().args(["verification_20200101_000000", "-o", "object.gz"]).run();
        refused(&run.unwrap().exited(4).unwrap(), "vb-get", 4).unwrap();
        assert!(!case.place.path("object.gz").exists());
    }
}
