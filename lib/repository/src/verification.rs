//! Whether the stored objects of a backup are what its manifest says, and the record of what a verification found.

use crate::fetch::{DAMAGED, fetch};
use serde_json::Value;
use vb_core::fact::Fact;
use vb_core::key::Key;
use vb_core::manifest::{Manifest, Object};
use vb_core::{Error, ErrorKind, Result};
use vb_store::Store;

/// What a comparison of the stored objects cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compared {
    /// Objects whose checksum the server itself keeps, and told.
    pub by_server: usize,
    /// Bytes that were read and hashed because the server keeps none.
    pub read_bytes: u64,
}

/// Compares size and checksum of every object: with the checksum that the server keeps where it has one, else by reading
/// it. `passed` hears of the bytes that are read.
///
/// # Errors
/// `Integrity` if an object is missing or another; those of the store.
pub fn compare(store: &dyn Store, manifest: &Manifest, passed: &mut dyn FnMut(u64)) -> Result<Compared> {
    let mut to_read = Manifest { objects: Vec::new(), ..manifest.clone() };
    for object in &manifest.objects {
        if !told_by_server(store, object)? {
            to_read.objects.push(object.clone());
        }
    }
    let by_server = manifest.objects.len() - to_read.objects.len();
    fetch(store, &to_read, &mut |bytes| {
        passed(bytes.len() as u64);
        Ok(())
    })?;
    Ok(Compared { by_server, read_bytes: to_read.size_bytes() })
}

/// Whether the server's own checksum of the object is the manifest's; `false` if either has none.
fn told_by_server(store: &dyn Store, object: &Object) -> Result<bool> {
    let Some(found) = store.head(&object.key)? else { return Ok(false) };
    let (Some(found_crc32), Some(crc32)) = (found.crc32, &object.crc32) else { return Ok(false) };
    let found_crc32 = format!("{found_crc32:08x}");
    if (found.size_bytes, &found_crc32) != (object.size_bytes, crc32) {
        let message = format!(
            "{}: the server has {} bytes with the CRC-32 {found_crc32} instead of {} with {crc32}",
            object.key, found.size_bytes, object.size_bytes
        );
        return Err(Error::integrity(message).with_hint(DAMAGED));
    }
    Ok(true)
}

/// Puts a fact beside a backup's manifest. The name tells the fact; `details` are for people.
///
/// # Errors
/// Those of the store. That the same fact is there already is none.
pub fn record(store: &dyn Store, manifest: &Manifest, fact: Fact, details: &Value) -> Result<Key> {
    let key = fact.key(&manifest.set, &manifest.id)?;
    match store.put_new(&key, format!("{details}\n").as_bytes()) {
        Err(error) if error.kind() != ErrorKind::Conflict => Err(error.during("recording the verification")),
        Ok(_) | Err(_) => Ok(key),
    }
}
