//! Faults between a command and its store: every row on every store that speaks over a network. After each: the exit code of the table, a
//! warning for each further try, no backup that does not verify, no open upload, no temporary file.

#[path = "stores/cell.rs"]
mod cell;
#[path = "stores/rows.rs"]
mod rows;
#[path = "stores/sessions.rs"]
mod sessions;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use rows::{Column, ROWS};

/// So many cells at once: most of the time they wait.
const AT_ONCE: usize = 4;

/// Runs `work` for each number below `count`, and tells all that failed.
fn all(count: usize, work: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    if let Err(error) = work(number)
                        && let Ok(mut failed) = failed.lock()
                    {
                        failed.push(format!("{error:#}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_default();
    ensure!(failed.is_empty(), "{} of {count} cells:\n{}", failed.len(), failed.join("\n\n"));
    Ok(())
}

fn column(column: Column) -> Result<()> {
    all(ROWS.len(), |number| cell::run(column, &ROWS[number]))
}

#[test]
fn seaweedfs() {
    column(Column::SeaweedFs).unwrap();
}

#[test]
fn azurite() {
    column(Column::Azurite).unwrap();
}

#[test]
fn fake_gcs_server() {
    column(Column::FakeGcs).unwrap();
}

#[test]
fn gcp_storage_emulator() {
    column(Column::GcpEmulator).unwrap();
}

#[test]
fn openssh() {
    all(sessions::ROWS.len(), |number| sessions::run(&sessions::ROWS[number])).unwrap();
}

#[test]
fn a_cell_can_fail() {
    let row = rows::Row { name: "nothing happens", fault: rows::Broken::Http(rows::Moment::Part, None), ..ROWS[0] };
    let error = cell::run(Column::SeaweedFs, &row).unwrap_err();
    assert!(format!("{error:#}").contains("exit code 8 was expected"), "{error:#}");
}
