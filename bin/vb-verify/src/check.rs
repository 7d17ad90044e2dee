//! One backup, as far as is wanted: each level includes those below it.

use crate::decode::{Decoded, decode};
use crate::restore::Restorer;
use std::io::{Read, Write};
use vb_core::fact::Level;
use vb_core::manifest::Manifest;
use vb_core::{Error, Result, naming};
use vb_pipe::Progress;
use vb_repository::fetch;
use vb_repository::verification::{Compared, compare};
use vb_store::Store;

/// What one verification found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// How far the backup is proven.
    pub(crate) level: Level,
    /// What comparing its objects took.
    pub(crate) compared: Compared,
    /// What decoding showed.
    pub(crate) decoded: Option<Decoded>,
}

/// Where a verification stopped.
#[derive(Debug)]
pub(crate) struct Stopped {
    /// At which level.
    pub(crate) level: Level,
    /// `Integrity` for damage; anything else is no verdict.
    pub(crate) error: Error,
}

/// Verifies one backup, whose chain is given, itself last.
///
/// # Errors
/// Where it stopped, and why.
pub(crate) fn check(
    store: &dyn Store,
    chain: &[Manifest],
    wanted: Level,
    restorer: &Restorer,
    progress: &Progress,
) -> std::result::Result<Found, Stopped> {
    let mut found = Found::default();
    let Some(manifest) = chain.last() else { return Ok(found) };
    let at = |level: Level| move |error: Error| Stopped { level, error };
    if wanted >= Level::Decoded {
        let decoded = decoded(store, manifest, progress).map_err(at(Level::Decoded))?;
        found = Found { level: Level::Decoded, decoded: Some(decoded), ..found };
        found.compared.read_bytes = manifest.size_bytes();
    } else if wanted >= Level::Stored {
        let compared = compare(store, manifest, &mut |bytes| progress.add(bytes)).map_err(at(Level::Stored))?;
        found = Found { level: Level::Stored, compared, ..found };
    }
    if wanted >= Level::Restored {
        found.level = restorer.restore(chain).map_err(at(Level::Restored))?;
    }
    Ok(found)
}

/// Reads all objects once: the digests are compared while the bytes are decoded on another thread.
fn decoded(store: &dyn Store, manifest: &Manifest, progress: &Progress) -> Result<Decoded> {
    let extension = manifest.objects.first().and_then(|object| naming::extension_of(&manifest.id, &object.key));
    let extension = extension.unwrap_or_default();
    let (mut output, mut input) = std::io::pipe().map_err(|cause| Error::io("making a pipe", cause))?;
    let (fetched, decoded) = std::thread::scope(|scope| {
        let decoder = scope.spawn(move || {
            let found = decode(&mut output, extension);
            // The digests are compared to the end, whatever the content is.
            let _rest = std::io::copy(&mut output.by_ref(), &mut std::io::sink());
            found
        });
        let fetched = fetch::fetch(store, manifest, &mut |bytes| {
            progress.add(bytes.len() as u64);
            input.write_all(bytes).map_err(|cause| Error::io("decoding", cause))
        });
        drop(input);
        (fetched, decoder.join())
    });
    fetched?;
    let decoded = decoded.map_err(|_| Error::failure("a decoding thread ended early"))??;
    match (manifest.records, decoded.records) {
        (Some(expected), Some(found)) if expected != found => Err(Error::integrity(format!(
            "decoding {}: its manifest says {expected} records, {found} are in it",
            manifest.id
        ))),
        _ => Ok(decoded),
    }
}
