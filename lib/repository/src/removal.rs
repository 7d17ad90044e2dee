//! Removing backups: what belongs to each, and in which order they go. Deleting itself is one small function.

use crate::listing::{self, Listing, id_of};
use std::collections::{HashMap, HashSet};
use vb_core::key::Key;
use vb_core::manifest::Manifest;
use vb_core::{Error, ErrorKind, Result, naming};
use vb_store::{ObjectInfo, Store};

/// As much as a listing reads.
const MOST_MANIFEST_BYTES: u64 = 32 << 20;

/// A backup that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Its id.
    pub id: String,
    /// The backup that it stands on.
    pub base: Option<String>,
    /// Its manifest, which goes first.
    pub manifest: Key,
    /// Everything else of its id.
    pub objects: Vec<Key>,
    /// What that frees, the manifest included.
    pub size_bytes: u64,
}

/// The removals of these ids, in order: what stands on a backup goes before it, so that no step leaves a broken chain.
///
/// # Errors
/// If an id makes no key.
pub fn plan(listing: &Listing, ids: &HashSet<&str>) -> Result<Vec<Removal>> {
    let kept = listing.backups.iter().filter(|manifest| !ids.contains(manifest.id.as_str()));
    let kept: HashSet<&Key> = kept.flat_map(|manifest| &manifest.objects).map(|object| &object.key).collect();
    let mut going: Vec<&Manifest> =
        listing.backups.iter().filter(|manifest| ids.contains(manifest.id.as_str())).collect();
    let by_id: HashMap<&str, &Manifest> = going.iter().map(|manifest| (manifest.id.as_str(), *manifest)).collect();
    going.sort_by_cached_key(|manifest| std::cmp::Reverse((depth(manifest, &by_id), manifest.created_at)));
    let mut found: HashMap<&str, Vec<&ObjectInfo>> = HashMap::new();
    for object in listing.objects.iter().filter(|object| !kept.contains(&object.key)) {
        if let Some(id) = id_of(&object.key).filter(|id| ids.contains(id)) {
            found.entry(id).or_default().push(object);
        }
    }
    let none = Vec::new();
    going.into_iter().map(|manifest| removal(manifest, found.get(manifest.id.as_str()).unwrap_or(&none))).collect()
}

/// How many backups that go stand below this one. A circle, which cannot be, ends the count.
fn depth(manifest: &Manifest, by_id: &HashMap<&str, &Manifest>) -> usize {
    let base = |manifest: &&Manifest| by_id.get(manifest.base.as_deref()?).copied();
    std::iter::successors(Some(manifest), base).take(by_id.len() + 1).count()
}

/// The data before the facts about it, in the manifest's order.
fn removal(manifest: &Manifest, found: &[&ObjectInfo]) -> Result<Removal> {
    let key = naming::manifest_key(&manifest.set, &manifest.id)?;
    let size_bytes = found.iter().map(|object| object.size_bytes).sum();
    let place = |key: &Key| manifest.objects.iter().position(|object| object.key == *key);
    let mut objects: Vec<Key> = found.iter().map(|object| object.key.clone()).filter(|other| *other != key).collect();
    objects.sort_by_cached_key(|key| place(key).unwrap_or(usize::MAX));
    Ok(Removal { id: manifest.id.clone(), base: manifest.base.clone(), manifest: key, objects, size_bytes })
}

/// Deletes a backup: its manifest first, so that from the first moment on it is no backup any more. Where the store then
/// refuses to delete the data, as a locked object's, the manifest is put back: the backup stays whole.
///
/// # Errors
/// Those of the store; the message says what has become of the backup. What is left without its manifest is swept later.
pub fn remove(store: &dyn Store, removal: &Removal) -> Result<()> {
    let manifest = store.read_small(&removal.manifest, MOST_MANIFEST_BYTES)?;
    store.delete(&removal.manifest)?;
    for (count, key) in removal.objects.iter().enumerate() {
        let Err(error) = store.delete(key) else { continue };
        // After `Unavailable` nobody knows whether the object is still there, and the next run's sweep will see.
        let is_whole = count == 0 && error.kind() != ErrorKind::Unavailable && is_there(store, removal);
        return Err(if is_whole { put_back(store, removal, &manifest, error) } else { error });
    }
    Ok(())
}

fn is_there(store: &dyn Store, removal: &Removal) -> bool {
    removal.objects.iter().all(|key| matches!(store.head(key), Ok(Some(_))))
}

fn put_back(store: &dyn Store, removal: &Removal, manifest: &[u8], error: Error) -> Error {
    let id = &removal.id;
    match store.put_new(&removal.manifest, manifest) {
        Ok(_) => error.during(format!("removing {id}, which stays as it was")),
        Err(cause) => error
            .during(format!("removing {id}, whose manifest could not be put back ({cause})"))
            .with_hint("Its data is still there and is swept after a day; copy it if you need it."),
    }
}

/// Deletes an object that a run has stored in vain. If a manifest names it by now, another run has made it part of a
/// backup (a copy of the same backup finds it and takes it over), and it stays.
///
/// # Errors
/// Those of the store.
pub fn delete_unnamed(store: &dyn Store, key: &Key) -> Result<()> {
    let named = match id_of(key).and_then(|id| naming::parse_id(id).map(|(set, _)| naming::manifest_key(set, id))) {
        Some(manifest_key) => match listing::read(store, &manifest_key?) {
            Ok(manifest) => manifest.objects.iter().any(|object| object.key == *key),
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        },
        None => false,
    };
    if named { Ok(()) } else { store.delete(key) }
}

#[cfg(test)]
#[path = "removal_tests.rs"]
mod tests;
