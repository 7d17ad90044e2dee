//! Removing backups: what belongs to each, and in which order they go. Deleting itself is one small function.

use crate::listing::{self, Listing, id_of};
use std::collections::{HashMap, HashSet};
use vb_core::key::Key;
use vb_core::manifest::Manifest;
use vb_core::{ErrorKind, Result, naming};
use vb_store::Store;

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
    going.sort_by_key(|manifest| std::cmp::Reverse((depth(manifest, &by_id), manifest.created_at)));
    going.into_iter().map(|manifest| removal(listing, manifest, &kept)).collect()
}

/// How many backups that go stand below this one. A circle, which cannot be, ends the count.
fn depth(manifest: &Manifest, by_id: &HashMap<&str, &Manifest>) -> usize {
    let base = |manifest: &&Manifest| by_id.get(manifest.base.as_deref()?).copied();
    std::iter::successors(Some(manifest), base).take(by_id.len() + 1).count()
}

fn removal(listing: &Listing, manifest: &Manifest, kept: &HashSet<&Key>) -> Result<Removal> {
    let key = naming::manifest_key(&manifest.set, &manifest.id)?;
    let own = |key: &Key| id_of(key) == Some(&manifest.id) && !kept.contains(key);
    let found = listing.objects.iter().filter(|object| own(&object.key));
    let size_bytes = found.clone().map(|object| object.size_bytes).sum();
    let objects = found.map(|object| object.key.clone()).filter(|other| *other != key).collect();
    Ok(Removal { id: manifest.id.clone(), base: manifest.base.clone(), manifest: key, objects, size_bytes })
}

/// Deletes a backup: its manifest first, so that from the first moment on it is no backup any more.
///
/// # Errors
/// Those of the store. What is left without its manifest is swept later.
pub fn remove(store: &dyn Store, removal: &Removal) -> Result<()> {
    store.delete(&removal.manifest)?;
    removal.objects.iter().try_for_each(|key| store.delete(key))
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
