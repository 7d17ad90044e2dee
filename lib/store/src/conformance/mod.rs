//! What every store must do, as checks that run against any of them: a provider's own test only says how to connect.

mod large;
mod listing;
mod objects;
mod uploads;

use crate::Store;
use std::time::{Duration, Instant};
use vb_core::key::Key;
use vb_core::{Error, ErrorKind, Result};

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(vb_core::Error::failure(format!($($message)+)));
        }
    };
}
use ensure;

/// One obligation of the contract.
pub struct Case {
    /// What must hold.
    pub name: &'static str,
    check: fn(&Place<'_>) -> Result<()>,
}

/// Every obligation.
#[must_use]
pub fn cases() -> Vec<Case> {
    [objects::CASES, uploads::CASES, listing::CASES]
        .concat()
        .into_iter()
        .map(|(name, check)| Case { name, check })
        .collect()
}

type Named = (&'static str, fn(&Place<'_>) -> Result<()>);

/// What takes its time: parts and keys by the ten thousand. Nothing is cleared after these.
#[must_use]
pub fn large_cases() -> Vec<Case> {
    large::CASES.iter().map(|(name, check)| Case { name, check: *check }).collect()
}

impl Case {
    /// Checks it alone, below a folder that must be new.
    ///
    /// # Errors
    /// What was seen instead.
    pub fn check(&self, store: &dyn Store, folder: &str) -> Result<()> {
        (self.check)(&Place { store, folder: folder.to_owned() })
    }
}

/// Runs every case below `folder`, which must be new, and names all that fail. `each` hears of each case and its time.
///
/// The store's parts should be small and its listings paged by at most ten keys, else the run is slow and proves less.
///
/// # Errors
/// One that names every broken obligation with what was seen, a line each.
pub fn run(store: &dyn Store, folder: &str, each: &mut dyn FnMut(&str, Duration)) -> Result<()> {
    let mut broken = Vec::new();
    for (number, case) in cases().iter().enumerate() {
        let begun = Instant::now();
        let place = Place { store, folder: format!("{folder}/{number:02}") };
        if let Err(error) = (case.check)(&place).and_then(|()| place.clear()) {
            broken.push(format!("  {}: {error}", case.name));
        }
        each(case.name, begun.elapsed());
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(Error::failure(format!("{} breaks the contract:\n{}", store.describe(), broken.join("\n"))))
}

/// A store, and a folder in it that one case has to itself.
struct Place<'store> {
    store: &'store dyn Store,
    folder: String,
}

impl Place<'_> {
    fn key(&self, name: &str) -> Result<Key> {
        Key::parse(&format!("{}/{name}", self.folder))
    }

    fn part_bytes(&self) -> usize {
        usize::try_from(self.store.limits().part_bytes).unwrap_or(usize::MAX)
    }

    fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        self.store.list(prefix, &mut |found| {
            keys.push(found.key.as_str().to_owned());
            Ok(())
        })?;
        Ok(keys)
    }

    /// Neither an object nor an upload under way.
    fn must_be_empty(&self) -> Result<()> {
        let prefix = format!("{}/", self.folder);
        let (keys, uploads) = (self.keys(&prefix)?, self.store.open_uploads(&prefix)?);
        ensure!(keys.is_empty(), "objects are left: {keys:?}");
        ensure!(uploads.is_empty(), "uploads are left: {uploads:?}");
        Ok(())
    }

    /// The object must consist of these bytes, by every way of asking.
    fn must_hold(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        let Some(found) = self.store.head(key)? else { return Err(Error::failure(format!("{key} is not there"))) };
        ensure!(found.size_bytes == bytes.len() as u64, "head of {key} says {} bytes", found.size_bytes);
        let crc32 = crc32fast::hash(bytes);
        ensure!(found.crc32.is_none_or(|found| found == crc32), "head of {key} has another CRC-32");
        for range in vb_core::parts::ranges(found.size_bytes, self.store.limits().part_bytes) {
            let read = self.store.read(key, range.clone())?;
            let expected = usize::try_from(range.start).ok().and_then(|start| bytes.get(start..start + read.len()));
            ensure!(expected == Some(&read[..]), "bytes {range:?} of {key} differ");
        }
        Ok(())
    }

    fn clear(&self) -> Result<()> {
        let prefix = format!("{}/", self.folder);
        for key in self.keys(&prefix)? {
            self.store.delete(&Key::parse(&key)?)?;
        }
        for upload in self.store.open_uploads(&prefix)? {
            self.store.abort_upload(&upload)?;
        }
        Ok(())
    }
}

/// The result must be an error of this kind, in one line.
fn must_fail<T>(result: Result<T>, kind: ErrorKind, what: &str) -> Result<()> {
    match result {
        Ok(_) => Err(Error::failure(format!("{what} succeeded"))),
        Err(error) if error.kind() != kind => {
            Err(Error::failure(format!("{what} is {}, not {}: {error}", error.kind().name(), kind.name())))
        }
        Err(error) if error.to_string().contains('\n') => {
            Err(Error::failure(format!("{what} has more lines: {error}")))
        }
        Err(_) => Ok(()),
    }
}

/// Bytes without a pattern that a wrong offset could hit by chance; the same for the same seed.
fn sample(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
