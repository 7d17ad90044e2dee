//! Removing backups: what belongs to each, and in which order they go. Deleting itself is one small function.

use crate::listing::{self, id_of};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use vb_core::fact::Fact;
use vb_core::key::Key;
use vb_core::retention::Backup;
use vb_core::{Error, ErrorKind, Result, naming};
use vb_store::{ObjectInfo, Store};

/// As much as a listing reads.
const MOST_MANIFEST_BYTES: u64 = 32 << 20;

/// A backup that goes.
#[derive(Debug, Clone)]
pub struct Removal<'all> {
    /// The backup.
    pub backup: &'all Backup,
    /// Everything of its id but the manifest, which goes first.
    pub objects: Vec<Key>,
    /// What that frees, the manifest included.
    pub size_bytes: u64,
}

/// Puts what goes in order: what stands on a backup before it, so that no step leaves a broken chain.
pub fn sort<'all, T>(going: &mut [T], backup_of: impl Fn(&T) -> &'all Backup) {
    let by_id = going.iter().map(&backup_of).map(|backup| (backup.id.as_str(), backup)).collect();
    going.sort_by_cached_key(|one| Reverse((depth(backup_of(one), &by_id), backup_of(one).created_at)));
}

/// What a listing shows of backups that go, small enough for a hundred thousand.
#[derive(Debug)]
pub struct Found<'all> {
    /// What follows `<set>/<id>` in each key, and the length.
    by_id: HashMap<&'all str, Vec<(Arc<str>, u64)>>,
    /// What many keys end with is held once.
    endings: HashSet<Arc<str>>,
}

impl<'all> Found<'all> {
    /// Nothing yet of any of these.
    pub fn of(going: impl Iterator<Item = &'all Backup>) -> Self {
        let by_id = going.map(|backup| (backup.id.as_str(), Vec::new())).collect();
        Self { by_id, endings: HashSet::new() }
    }

    /// Takes an object that bears one of their ids, unless another manifest may name it; tells whether it does bear one.
    pub fn add(&mut self, object: &ObjectInfo, is_strange: bool) -> bool {
        let Some(id) = id_of(&object.key) else { return false };
        let Some(found) = self.by_id.get_mut(id) else { return false };
        if let Some(ending) = object.key.file_name().strip_prefix(id).filter(|_| !is_strange) {
            let shared = self.endings.get(ending).cloned().unwrap_or_else(|| Arc::from(ending));
            self.endings.insert(shared.clone());
            found.reserve_exact(1);
            found.push((shared, object.size_bytes));
        }
        true
    }

    /// All that goes with a backup, the data before the facts about it.
    ///
    /// # Errors
    /// None in practice: its id has come from a key.
    pub fn take(&mut self, backup: &'all Backup) -> Result<Removal<'all>> {
        let manifest = naming::manifest_key(&backup.set, &backup.id)?;
        let found = self.by_id.remove(backup.id.as_str()).unwrap_or_default();
        let size_bytes = found.iter().map(|(_, size_bytes)| size_bytes).sum();
        let key = |(ending, _): &(Arc<str>, u64)| Key::parse(&format!("{}/{}{ending}", backup.set, backup.id));
        let mut objects: Vec<Key> = found.iter().map(key).collect::<Result<_>>()?;
        objects.retain(|key| *key != manifest);
        objects.sort_by_key(|key| Fact::parse(key).is_some());
        Ok(Removal { backup, objects, size_bytes })
    }
}

/// How many backups that go stand below this one. A circle, which cannot be, ends the count.
fn depth(backup: &Backup, by_id: &HashMap<&str, &Backup>) -> usize {
    let base = |backup: &&Backup| by_id.get(backup.base.as_deref()?).copied();
    std::iter::successors(Some(backup), base).take(by_id.len() + 1).count()
}

/// Deletes a backup: its manifest first, so that from the first moment on it is no backup any more. Where the store then
/// refuses to delete the data, as a locked object's, the manifest is put back: the backup stays whole. Where a copy has put the
/// manifest back, since the data was still there, the data stays.
///
/// # Errors
/// Those of the store; the message says what has become of the backup. What is left without its manifest is swept later.
pub fn remove(store: &dyn Store, removal: &Removal<'_>) -> Result<()> {
    let manifest_key = naming::manifest_key(&removal.backup.set, &removal.backup.id)?;
    let manifest = store.read_small(&manifest_key, MOST_MANIFEST_BYTES)?;
    store.delete(&manifest_key)?;
    for (count, key) in removal.objects.iter().enumerate() {
        if store.head(&manifest_key)?.is_some() {
            let id = &removal.backup.id;
            return Err(Error::conflict(format!("removing {id}: a copy of it has come meanwhile, so it stays")));
        }
        let Err(error) = store.delete(key) else { continue };
        // After `Unavailable` nobody knows whether the object is still there, and the next run's sweep will see.
        let is_whole = count == 0 && error.kind() != ErrorKind::Unavailable && is_there(store, removal);
        return Err(if is_whole {
            put_back(store, &removal.backup.id, (&manifest_key, &manifest), error)
        } else {
            error
        });
    }
    Ok(())
}

fn is_there(store: &dyn Store, removal: &Removal<'_>) -> bool {
    removal.objects.iter().all(|key| matches!(store.head(key), Ok(Some(_))))
}

fn put_back(store: &dyn Store, id: &str, (key, manifest): (&Key, &[u8]), error: Error) -> Error {
    match store.put_new(key, manifest) {
        Ok(_) => error.during(format!("removing {id}, which stays as it was")),
        Err(cause) => error
            .during(format!("removing {id}, whose manifest could not be put back ({cause})"))
            .with_hint("Its data is still there and is swept after a day; copy it if you need it."),
    }
}

/// Deletes an object that a run has stored in vain. If a manifest names it by now, another run has made it part of a
/// backup (a copy of the same backup finds it and takes it over), and it stays. Tells whether it has gone.
///
/// # Errors
/// Those of the store.
pub fn delete_unnamed(store: &dyn Store, key: &Key) -> Result<bool> {
    let named = match id_of(key).and_then(|id| naming::parse_id(id).map(|(set, _)| naming::manifest_key(set, id))) {
        Some(manifest_key) => match listing::read(store, &manifest_key?) {
            Ok(manifest) => manifest.objects.iter().any(|object| object.key == *key),
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        },
        None => false,
    };
    if !named {
        store.delete(key)?;
    }
    Ok(!named)
}

#[cfg(test)]
#[path = "removal_tests.rs"]
mod tests;
