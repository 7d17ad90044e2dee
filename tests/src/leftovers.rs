//! What a run may leave behind: processes, files, and what lies in the store. Looked at without any command of ours.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::place::Place;

pub use crate::stock::Stock;

/// How long anything that must come about by itself may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until there is something to see.
///
/// # Errors
/// Those of `look`, or that nothing came within a minute.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() > end {
            bail!("{what} did not come within {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until no process lives that was started in this place, such as the guard of an upload whose command was killed.
///
/// # Errors
/// When one still lives after a minute.
pub fn wait_for_processes(place: &Place) -> Result<()> {
    until("the end of all processes", || Ok(processes(place)?.is_empty().then_some(())))
}

/// The processes of a place, known by their `VB_RUN_DIR`.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn processes(place: &Place) -> Result<Vec<u32>> {
    let mark = [b"VB_RUN_DIR=", place.run_dir().as_os_str().as_encoded_bytes(), b"\0"].concat();
    let numbers = fs::read_dir("/proc").context("reading /proc")?.flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // a process that ends meanwhile, or whose end nobody has asked for yet, has no environment to read
    let here = |number: &u32| {
        let environment = fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
        environment.windows(mark.len()).any(|window| window == mark)
    };
    Ok(numbers.filter(here).collect())
}

/// Every file below a folder, by its path in there, sorted; none if there is no such folder.
///
/// # Errors
/// When a folder cannot be read.
pub fn files(folder: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut folders: Vec<PathBuf> = folder.is_dir().then(|| folder.to_owned()).into_iter().collect();
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).with_context(|| format!("reading {}", next.display()))? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder)?.display().to_string());
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_place() {
        let (place, other) = (Place::new().unwrap(), Place::new().unwrap());
        let mut child = place.shell("exec sleep 60").spawn().unwrap();
        let found = until("the process", || Ok(processes(&place)?.first().copied())).unwrap();
        assert_eq!(found, child.id());
        assert_eq!(processes(&other).unwrap(), [0; 0]);
        child.kill().unwrap();
        wait_for_processes(&place).unwrap();
        child.wait().unwrap();
    }
}
