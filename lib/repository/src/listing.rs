//! Which backups a store has: the manifests, read in parallel and in order.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use vb_core::key::Key;
use vb_core::manifest::Manifest;
use vb_core::time::Instant;
use vb_core::{Error, ErrorKind, Result, naming};
use vb_store::{ObjectInfo, Store};

/// Manifests are small, so reading them is waiting: many at once.
const THREADS: usize = 32;

/// Ten thousand objects with their digests fit into a tenth of this.
pub(crate) const MOST_MANIFEST_BYTES: u64 = 32 << 20;

/// A store, or one set of it, at one time.
#[derive(Debug, Default)]
pub struct Listing {
    /// The backups, the oldest first.
    pub backups: Vec<Manifest>,
    /// Manifests that could not be read, each with the reason. Decisions about the rest must not be made without them.
    pub unreadable: Vec<Error>,
    /// Every object, in the order of keys.
    pub objects: Vec<ObjectInfo>,
}

/// Lists one set or all of them.
///
/// # Errors
/// Those of the store's listing; and if the store cannot be reached while the manifests are read.
pub fn list(store: &dyn Store, set: Option<&str>) -> Result<Listing> {
    let objects = objects(store, set)?;
    let keys: Vec<&Key> = objects.iter().map(|object| &object.key).filter(|key| is_manifest(key)).collect();
    let mut listing = Listing::default();
    listing.read(store, &keys)?;
    Ok(Listing { objects, ..listing })
}

impl Listing {
    /// Adds the backups of these manifests. What has been removed since they were named is left out.
    fn read(&mut self, store: &dyn Store, keys: &[&Key]) -> Result<()> {
        for (_, result) in read_each(store, keys, &|manifest| manifest) {
            match result {
                Ok(manifest) => self.backups.push(manifest),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
                Err(error) => self.unreadable.push(error),
            }
        }
        self.backups.sort_by(|left, right| (left.created_at, &left.id).cmp(&(right.created_at, &right.id)));
        Ok(())
    }
}

/// Adds these backups to a listing that has not looked at their sets; those that are not there are left out.
///
/// # Errors
/// If the store cannot be reached. Manifests that cannot be read are added to those.
pub fn add(store: &dyn Store, listing: &mut Listing, ids: &[String]) -> Result<()> {
    let keys: Vec<Key> = ids
        .iter()
        .filter_map(|id| naming::parse_id(id).map(|(set, _)| naming::manifest_key(set, id)))
        .collect::<Result<_>>()?;
    listing.read(store, &keys.iter().collect::<Vec<_>>())
}

/// Every object of one set or of all.
///
/// # Errors
/// Those of the store.
pub fn objects(store: &dyn Store, set: Option<&str>) -> Result<Vec<ObjectInfo>> {
    Ok(seen(store, set, &|_| true)?.objects)
}

/// Those of one set or of all whose ids are wanted; [`id_of`] says what an id is, and objects without one are left out.
///
/// # Errors
/// Those of the store.
pub fn objects_with(store: &dyn Store, set: Option<&str>, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<ObjectInfo>> {
    Ok(seen(store, set, &|object| id_of(&object.key).is_some_and(wanted))?.objects)
}

/// What a listing showed.
#[derive(Debug, Default)]
pub struct Seen {
    /// The objects that were wanted, in the order of keys.
    pub objects: Vec<ObjectInfo>,
    /// When the newest of all was stored, by the store's clock.
    pub newest_at: Option<Instant>,
}

/// The objects of one set or of all that are wanted, and how late it is in the store at least.
///
/// # Errors
/// Those of the store.
pub fn seen(store: &dyn Store, set: Option<&str>, wanted: &dyn Fn(&ObjectInfo) -> bool) -> Result<Seen> {
    let mut seen = Seen::default();
    store.list(&prefix(set), &mut |object| {
        seen.newest_at = seen.newest_at.max(Some(object.modified_at));
        if wanted(&object) {
            seen.objects.push(object);
        }
        Ok(())
    })?;
    Ok(seen)
}

/// What the keys of a set begin with.
#[must_use]
pub fn prefix(set: Option<&str>) -> String {
    set.map(|set| format!("{set}/")).unwrap_or_default()
}

/// The id of the backup to which an object belongs, finished or not, or none for an object of somebody else: the folder
/// must be the set, so that a store within this one's prefix is left alone.
#[must_use]
pub fn id_of(key: &Key) -> Option<&str> {
    let id = naming::id_of_object(key)?;
    let (set, _) = naming::parse_id(id)?;
    let folder = key.as_str().strip_suffix(key.file_name())?.strip_suffix('/')?;
    (folder == set).then_some(id)
}

/// Whether this is the key of a manifest.
#[must_use]
pub fn is_manifest(key: &Key) -> bool {
    naming::id_of_manifest(key).is_some_and(|id| id_of(key) == Some(id))
}

/// Reads one manifest and checks that it is the one of its key.
///
/// # Errors
/// `NotFound` if there is none, `Integrity` if it is another's or none at all, and those of the store.
pub fn read(store: &dyn Store, key: &Key) -> Result<Manifest> {
    read_stored(store, key).map(|stored| stored.manifest)
}

/// A manifest, and the bytes that the store has of it.
#[derive(Debug, Clone)]
pub struct Stored {
    /// What it says.
    pub manifest: Manifest,
    /// As it was written, fields of newer versions included.
    pub bytes: Vec<u8>,
}

/// The same with the stored bytes.
///
/// # Errors
/// As for [`read`].
pub fn read_stored(store: &dyn Store, key: &Key) -> Result<Stored> {
    let bytes = store.read_small(key, MOST_MANIFEST_BYTES)?;
    let manifest = Manifest::parse(&bytes, key.as_str())?;
    let own = naming::parse_id(&manifest.id).is_some_and(|(set, _)| set == manifest.set);
    if !own || naming::manifest_key(&manifest.set, &manifest.id)? != *key {
        return Err(Error::integrity(format!("reading the manifest {key}: it is about {}", manifest.id))
            .with_hint("Move it back to where it belongs, or delete it if it is a copy."));
    }
    Ok(Stored { manifest, bytes })
}

/// Reads manifests at once, each made into what the caller keeps of it; with its place among the keys, in no order. Ends
/// early if the store cannot be reached.
pub(crate) fn read_each<T: Send>(
    store: &dyn Store,
    keys: &[&Key],
    keep: &(dyn Fn(Manifest) -> T + Sync),
) -> Vec<(usize, Result<T>)> {
    in_parallel(keys.len(), &|place| read(store, keys[place]).map(keep))
}

/// Asks for each of so many things at once; with its place, in no order. Ends early if the store cannot be reached.
pub(crate) fn in_parallel<T: Send>(count: usize, ask: &(dyn Fn(usize) -> Result<T> + Sync)) -> Vec<(usize, Result<T>)> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(count)));
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            if place >= count {
                return;
            }
            let result = ask(place);
            let hopeless = result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((place, result));
            if hopeless {
                next.store(count, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS.min(count) {
            scope.spawn(work);
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}
