//! Large numbers: more parts than S3 allows an object, more keys than any server lists at once.

use super::{Named, Place, ensure, sample};
use crate::{Facts, unrecorded};
use std::sync::atomic::{AtomicUsize, Ordering};
use vb_core::{Error, Result};

pub(super) const CASES: &[Named] =
    &[("a stream of 10,001 parts", parts), ("a listing of 10,001 keys is in order", listing)];

const MANY: usize = 10_001;
const WRITERS: usize = 8;

/// Where a store's parts are no requests, as on a disk, they are not small.
const MOST_PART_BYTES: usize = 4096;

/// The parts of a store that sends each by itself must be tiny.
fn parts(place: &Place<'_>) -> Result<()> {
    let part_bytes = place.part_bytes().min(MOST_PART_BYTES);
    let (key, bytes) = (place.key("parts")?, sample((MANY - 1) * part_bytes + 1, 8));
    let mut upload = place.store.upload(&key, &Facts::new(), unrecorded())?;
    bytes.chunks(part_bytes).try_for_each(|part| upload.write(part))?;
    let stored = upload.commit()?;
    ensure!(stored.size_bytes == bytes.len() as u64, "stored says {} bytes", stored.size_bytes);
    ensure!(place.store.read(&key, 0..stored.size_bytes)? == bytes, "it reads otherwise");
    Ok(())
}

fn listing(place: &Place<'_>) -> Result<()> {
    let next = AtomicUsize::new(0);
    let write = || -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= MANY {
                return Ok(());
            }
            // In an order that is not the listing's; 8 shares no divisor with 10,001.
            place.store.put_new(&place.key(&format!("{:05}", number * 8 % MANY))?, b"")?;
        }
    };
    let written: Result<Vec<()>> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(write)).collect();
        let ended = |_| Error::failure("a writer was broken off");
        writers.into_iter().map(|writer| writer.join().map_err(ended)?).collect()
    });
    written?;
    let expected: Vec<String> = (0..MANY).map(|number| format!("{}/{number:05}", place.folder)).collect();
    let listed = place.keys(&format!("{}/", place.folder))?;
    ensure!(listed.len() == MANY, "{} keys are listed", listed.len());
    ensure!(listed == expected, "they are not in order");
    Ok(())
}
