//! What a run may leave behind: processes, files, and what lies in the store. Looked at without any command of ours.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::servers::Bucket;

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

/// A store as a test sees it: without the commands that are tested.
#[derive(Debug)]
pub enum Stock {
    /// The folder `backups` of a place.
    Disk(PathBuf),
    /// A bucket.
    S3(Bucket),
}

impl Stock {
    /// The folder `backups` of this place.
    #[must_use]
    pub fn on_disk(place: &Place) -> Self {
        Self::Disk(place.path("backups"))
    }

    /// What leads a command here: nothing more than what a user would set.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        const NAMES: [&str; 5] =
            ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "S3_BUCKET_NAME"];
        match self {
            Self::Disk(_) => vec![("VB_STORE".to_owned(), "file://./backups".to_owned())],
            Self::S3(bucket) => {
                let set = bucket.variables().iter().filter(|(name, _)| NAMES.contains(&name.as_str()));
                let provider = ("CLOUD_PROVIDER".to_owned(), "aws".to_owned());
                set.map(|(name, value)| (name.clone(), value.clone())).chain([provider]).collect()
            }
        }
    }

    /// The keys of all objects; on a disk every file, temporary ones too.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn keys(&self) -> Result<BTreeSet<String>> {
        match self {
            Self::Disk(folder) => files(folder),
            Self::S3(bucket) => Ok(bucket.keys("")?.into_iter().collect()),
        }
    }

    /// How many uploads are begun and neither finished nor aborted; a disk knows none.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub fn open_uploads(&self) -> Result<usize> {
        match self {
            Self::Disk(_) => Ok(0),
            Self::S3(bucket) => bucket.open_uploads(),
        }
    }

    /// An object's bytes.
    ///
    /// # Errors
    /// When it is not there.
    pub fn get(&self, key: &str) -> Result<Vec<u8>> {
        match self {
            Self::Disk(folder) => fs::read(folder.join(key)).with_context(|| format!("reading {key}")),
            Self::S3(bucket) => bucket.get(key),
        }
    }

    /// Replaces an object.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn put(&self, key: &str, content: &[u8]) -> Result<()> {
        match self {
            Self::Disk(folder) => fs::write(folder.join(key), content).with_context(|| format!("writing {key}")),
            Self::S3(bucket) => bucket.put(key, content),
        }
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn delete(&self, key: &str) -> Result<()> {
        match self {
            Self::Disk(folder) => fs::remove_file(folder.join(key)).with_context(|| format!("deleting {key}")),
            Self::S3(bucket) => bucket.delete(key),
        }
    }
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
