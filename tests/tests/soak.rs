//! The two pipes with one stage killed by `kill -9` at a random moment, again and again: a backup or nothing, the restored table or the
//! old one, and no trace of what was not finished. `VB_SOAK_ROUNDS` says how often (6 unless set; `make chaos`: 200), `VB_SOAK_SEED`
//! repeats a run that failed.

#[path = "soak/backup.rs"]
mod backup;
#[path = "soak/restore.rs"]
mod restore;

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Result, ensure};
use vb_tests::leftovers::{Stock, files, until};
use vb_tests::place::Place;
use vb_tests::servers::{Database, S3Server};
use vb_tests::weather;

const ROWS: i64 = 60_000;

/// Rows that no compression makes small, so that an upload has several parts: about 27 MB.
fn fill(database: &Database) -> Result<()> {
    weather::create(database, ROWS)?;
    let noise = "ALTER TABLE verification_scores ADD COLUMN noise bytea; \
        CREATE FUNCTION noise() RETURNS bytea LANGUAGE sql VOLATILE AS \
        $$ SELECT decode(string_agg(md5(random()::text), ''), 'hex') FROM generate_series(1, 28) $$; \
        ALTER TABLE verification_scores DISABLE TRIGGER USER; \
        UPDATE verification_scores SET noise = noise(); \
        ALTER TABLE verification_scores ENABLE TRIGGER USER";
    Ok(database.client()?.batch_execute(noise)?)
}

/// One after the other: the moment of the kill is drawn from the time that its stage of an undisturbed run took.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn s3(label: &str) -> Result<Stock> {
    Ok(Stock::S3(S3Server::seaweedfs()?.create_bucket(label)?))
}

/// Records of pipes that nobody will take are swept by the next command that writes into a pipe.
fn the_records_are_swept(place: &Place) -> Result<()> {
    until("the sweep of all records", || {
        place.shell("vb-compress /dev/null | vb-compress -d >/dev/null").run()?.succeeded()?;
        Ok(files(&place.run_dir())?.is_empty().then_some(()))
    })
}

/// Neither the commands' home nor their folder for temporary files holds anything.
fn no_temporary_files(place: &Place) -> Result<()> {
    for name in ["home", "tmp"] {
        let found = files(&place.path("..").join(name))?;
        ensure!(found.is_empty(), "left in {name}: {found:?}");
    }
    Ok(())
}

#[test]
fn backups_to_a_disk() {
    let _alone = alone();
    let place = Place::new().unwrap();
    let stock = Stock::on_disk(&place);
    backup::soak("backup to a disk", place, stock).unwrap();
}

#[test]
fn backups_to_seaweedfs() {
    let _alone = alone();
    backup::soak("backup to SeaweedFS", Place::new().unwrap(), s3("soak-backup").unwrap()).unwrap();
}

#[test]
fn restores_from_a_disk() {
    let _alone = alone();
    let place = Place::new().unwrap();
    let stock = Stock::on_disk(&place);
    restore::soak("restore from a disk", place, stock).unwrap();
}

#[test]
fn restores_from_seaweedfs() {
    let _alone = alone();
    restore::soak("restore from SeaweedFS", Place::new().unwrap(), s3("soak-restore").unwrap()).unwrap();
}
