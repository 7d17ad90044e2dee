//! Which backups a store has: the manifests, read in parallel and in order.

use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use vb_core::key::Key;
use vb_core::manifest::{Brief, Manifest};
use vb_core::{Error, ErrorKind, Result, naming};
use vb_store::{ObjectInfo, Store};

/// Manifests are small, so reading them is waiting: many at once.
const THREADS: usize = 32;

/// So many of their answers come at a time.
const HANDED_OVER: usize = 16;

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
    let manifests = objects.iter().map(|object| &object.key).filter(|key| is_manifest(key));
    let ids: Vec<&str> = manifests.filter_map(naming::id_of_manifest).collect();
    let mut listing = Listing::default();
    listing.read(store, &ids)?;
    Ok(Listing { objects, ..listing })
}

impl Listing {
    /// Adds the backups of these ids.
    fn read(&mut self, store: &dyn Store, ids: &[&str]) -> Result<()> {
        self.unreadable.extend(read_each(store, ids, read, &mut |_, manifest| {
            self.backups.push(manifest);
            Ok(())
        })?);
        self.backups.sort_by(|left, right| (left.created_at, &left.id).cmp(&(right.created_at, &right.id)));
        Ok(())
    }
}

/// Adds these backups to a listing that has not looked at their sets; those that are not there are left out.
///
/// # Errors
/// If the store cannot be reached. Manifests that cannot be read are added to those.
pub fn add(store: &dyn Store, listing: &mut Listing, ids: &[String]) -> Result<()> {
    listing.read(store, &ids.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Every object of one set or of all.
///
/// # Errors
/// Those of the store.
pub fn objects(store: &dyn Store, set: Option<&str>) -> Result<Vec<ObjectInfo>> {
    let mut objects = Vec::new();
    store.list(&prefix(set), &mut |object| {
        objects.push(object);
        Ok(())
    })?;
    Ok(objects)
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
    Ok(read_stored(store, key)?.manifest)
}

/// The same without its stages.
///
/// # Errors
/// As for [`read`].
pub fn read_brief(store: &dyn Store, key: &Key) -> Result<Brief> {
    parse(&store.read_small(key, MOST_MANIFEST_BYTES)?, key)
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
    Ok(Stored { manifest: parse(&bytes, key)?, bytes })
}

fn parse<Stages: DeserializeOwned + Default>(bytes: &[u8], key: &Key) -> Result<Manifest<Stages>> {
    let manifest = Manifest::<Stages>::parse_as(bytes, key.as_str())?;
    let own = naming::parse_id(&manifest.id).is_some_and(|(set, _)| set == manifest.set);
    if !own || naming::manifest_key(&manifest.set, &manifest.id)? != *key {
        return Err(Error::integrity(format!("reading the manifest {key}: it is about {}", manifest.id))
            .with_hint("Move it back to where it belongs, or delete it if it is a copy."));
    }
    Ok(manifest)
}

/// What becomes of an answer, and of which of the things that were asked for.
type Keep<'run, T> = dyn FnMut(usize, T) -> Result<()> + 'run;

/// Reads the manifests of these backups at once and hands over each, with its place among them, in no order. What is not there, or no
/// more, is left out. Returns what cannot be read.
///
/// # Errors
/// If the store cannot be reached; those of `keep`.
pub(crate) fn read_each<T: Send>(
    store: &dyn Store,
    ids: &[&str],
    read: fn(&dyn Store, &Key) -> Result<T>,
    keep: &mut Keep<'_, T>,
) -> Result<Vec<Error>> {
    let mut unreadable = Vec::new();
    let ask = |place: usize| match naming::parse_id(ids[place]) {
        Some((set, _)) => read(store, &naming::manifest_key(set, ids[place])?),
        None => Err(Error::not_found(format!("{} is no backup's id", ids[place]))),
    };
    let ask = |place: usize| match ask(place) {
        Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
        answer => Ok(answer),
    };
    in_parallel(ids.len(), &ask, &mut |place, answer| {
        match answer {
            Ok(manifest) => keep(place, manifest)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => unreadable.push(error),
        }
        Ok(())
    })?;
    Ok(unreadable)
}

/// Asks for each of so many things at once and hands over the answers, in no order. None of them waits long, and what is kept of
/// them is made on the caller's own thread, in the memory that it has: a hundred thousand of them take no more than that.
///
/// # Errors
/// The first; it ends the asking.
pub(crate) fn in_parallel<T: Send>(
    count: usize,
    ask: &(dyn Fn(usize) -> Result<T> + Sync),
    keep: &mut Keep<'_, T>,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let (sender, answers) = mpsc::sync_channel(THREADS);
    let work = |sender: mpsc::SyncSender<Vec<(usize, Result<T>)>>| {
        let places = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|place| *place < count);
        let mut gathered = Vec::with_capacity(HANDED_OVER);
        for place in std::iter::from_fn(places) {
            let answer = ask(place);
            let is_last = answer.is_err();
            gathered.push((place, answer));
            if is_last {
                next.store(count, Ordering::Relaxed);
            }
            // One by one they would cost more to hand over than a manifest on a disk costs to read. An error waits for nothing.
            if is_last || gathered.len() == HANDED_OVER {
                let gone = sender.send(std::mem::replace(&mut gathered, Vec::with_capacity(HANDED_OVER))).is_err();
                if gone || is_last {
                    return;
                }
            }
        }
        let _gone = sender.send(gathered);
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS.min(count) {
            let (work, sender) = (&work, sender.clone());
            scope.spawn(move || work(sender));
        }
        drop(sender);
        // Where it ends with an error, the receiver goes, and with it whoever still asks.
        let result = answers.into_iter().flatten().try_for_each(|(place, answer)| keep(place, answer?));
        if result.is_err() {
            next.store(count, Ordering::Relaxed);
        }
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_kept_and_the_first_error_ends_the_asking() {
        let mut kept = vec![false; 1000];
        in_parallel(1000, &|place| Ok(place), &mut |place, answer| {
            kept[place] = answer == place;
            Ok(())
        })
        .unwrap();
        assert!(kept.into_iter().all(|kept| kept));
        let asked = AtomicUsize::new(0);
        let ask = |place: usize| match asked.fetch_add(1, Ordering::Relaxed) {
            7 => Err(Error::unavailable("gone")),
            _ => Ok(place),
        };
        assert_eq!(in_parallel(100_000, &ask, &mut |_, _| Ok(())).unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(asked.into_inner() < 10_000, "the others were asked all the same");
        assert!(in_parallel(100, &|place| Ok(place), &mut |_, _| Err(Error::failure("full"))).is_err());
    }
}
