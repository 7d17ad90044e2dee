//! For when the answer to a write was lost: when to look for what it has made, and whether an object is the one that we sent.

use crate::{Store, Stored};
use std::time::Duration;
use vb_core::Result;
use vb_core::key::Key;
use vb_core::parts::ranges;

/// When to look for what a server may still be making for a client that is gone: an upload whose beginning was not answered, an object
/// whose commit was not. fake-gcs-server forgets the upload first and shows the object some hundred milliseconds later.
pub const LOOKS: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(3)];

/// The object under this key if it has this length and CRC-32, else `None`. Reads it whole where the store keeps no
/// checksum. The bytes are what counts: whether another writer stored the same ones makes no difference to a reader.
///
/// # Errors
/// Those of [`Store::head`] and [`Store::read`].
pub fn find_own(store: &(impl Store + ?Sized), key: &Key, sent: Stored) -> Result<Option<Stored>> {
    let Some(found) = store.head(key)? else { return Ok(None) };
    if found.size_bytes != sent.size_bytes {
        return Ok(None);
    }
    let crc32 = match found.crc32 {
        Some(crc32) => crc32,
        None => read_crc32(store, key, sent.size_bytes)?,
    };
    Ok((crc32 == sent.crc32).then_some(sent))
}

fn read_crc32(store: &(impl Store + ?Sized), key: &Key, size_bytes: u64) -> Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    for range in ranges(size_bytes, store.limits().part_bytes) {
        hasher.update(&store.read(key, range)?);
    }
    Ok(hasher.finalize())
}
