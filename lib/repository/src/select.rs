//! Which backup is meant: by its id, or the newest of a set, of a kind, of a time.

use crate::listing::{self, Stored};
use crate::{shown, whole};
use vb_core::fact::{Fact, Health};
use vb_core::key::Key;
use vb_core::label::Kind;
use vb_core::manifest::Manifest;
use vb_core::time::{self, Instant};
use vb_core::{Error, ErrorKind, Result, naming};
use vb_store::{ObjectInfo, Store};

/// What a backup must be to be meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Full or incremental.
    pub kind: Option<Kind>,
    /// It shows the source as it was at this time or earlier.
    pub at: Option<Instant>,
}

impl Wanted {
    /// Whether it is.
    #[must_use]
    pub fn matches(&self, manifest: &Manifest) -> bool {
        let shows = manifest.until.unwrap_or(manifest.created_at);
        self.kind.is_none_or(|kind| manifest.kind == kind) && self.at.is_none_or(|at| shows <= at)
    }

    /// The words of the search, for a message.
    #[must_use]
    pub fn words(&self) -> String {
        let kind = self.kind.map(|kind| format!("{} ", kind.name())).unwrap_or_default();
        let at = self.at.map(|at| format!(" as of {}", vb_core::time::seconds(at))).unwrap_or_default();
        format!("{kind}backup{at}")
    }
}

/// The backup of this id, found without a listing.
///
/// # Errors
/// A usage error if it is no id; `NotFound` if there is no such backup; those of [`listing::read`].
pub fn by_id(store: &dyn Store, id: &str) -> Result<Manifest> {
    let (set, _) = naming::parse_id(id).ok_or_else(|| {
        Error::usage(format!("{id:?} is no backup's id"))
            .with_hint("vb-ls shows the ids, such as verification_20261121_031500.")
    })?;
    let key = naming::manifest_key(set, id)?;
    listing::read(store, &key).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::not_found(format!("no backup {id} in {}", store.describe()))
            .with_hint("vb-ls shows what is there; an object without a manifest is no backup.")
            .with_source(error),
        _ => error,
    })
}

/// A backup and all that it stands on, the full one first, each with its stored bytes.
///
/// # Errors
/// An integrity error if the chain has a hole; those of [`listing::read`].
pub fn chain(store: &dyn Store, newest: &Manifest) -> Result<Vec<Stored>> {
    let mut links = Vec::new();
    let mut next = Some(newest.id.clone());
    while let Some(id) = next.filter(|id| !links.iter().any(|link: &Stored| link.manifest.id == *id)) {
        let Some((set, _)) = naming::parse_id(&id) else { break };
        match listing::read_stored(store, &naming::manifest_key(set, &id)?) {
            Ok(link) => links.push(link),
            // Told below, as the hole that it is.
            Err(error) if error.kind() == ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
        next = links.last().and_then(|link| link.manifest.base.clone());
    }
    let manifests: Vec<Manifest> = links.iter().map(|link| link.manifest.clone()).collect();
    let proven = vb_core::chain::resolve(&manifests, &newest.id)?.len();
    links.truncate(proven);
    links.reverse();
    Ok(links)
}

/// The newest backup of a set that is wanted. Reads the newest first and no more than needed. One of which objects are missing, or
/// that was found damaged, is passed over, and so is one that is dated more than a day after `now`, unless there is no other; `warn` hears of them.
///
/// # Errors
/// `NotFound` if there is none, `Integrity` if none is whole and sound. A manifest that cannot be read is an error: an older backup in its
/// place would be a silent loss.
pub fn newest(
    store: &dyn Store,
    set: &str,
    wanted: Wanted,
    now: Instant,
    warn: &mut dyn FnMut(&str),
) -> Result<Manifest> {
    let objects = listing::objects(store, Some(set))?;
    // Within a set the ids are in the order of time.
    let keys = objects.iter().rev().map(|object| &object.key).filter(|key| listing::is_manifest(key));
    let (ahead, usual): (Vec<&Key>, Vec<&Key>) = keys.partition(|key| is_dated_ahead(key, now));
    let mut broken = Vec::new();
    for key in usual.iter().chain(&ahead) {
        match listing::read(store, key) {
            Ok(manifest) if wanted.matches(&manifest) => match whole::flaw_of(store, &manifest, &objects)? {
                Some(flaw) => broken.push(format!("{} is incomplete: {flaw}", manifest.id)),
                None if is_damaged(&manifest, &objects, now) => {
                    broken.push(format!("{} was found damaged", manifest.id));
                }
                None => {
                    tell_passed_over(&manifest, &broken, &ahead, now, warn);
                    return Ok(manifest);
                }
            },
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error.with_hint("Name an older backup by its id if that one will do; vb-ls shows them."));
            }
            Ok(_) | Err(_) => {}
        }
    }
    match broken.first() {
        None => Err(Error::not_found(format!("no {} of {set} in {}", wanted.words(), store.describe()))
            .with_hint("vb-ls shows what is there.")),
        Some(first) => {
            let place = store.describe();
            Err(Error::integrity(format!("no {} of {set} in {place} is whole; {first}", wanted.words()))
                .with_hint("Bring the objects back from another store, and make a full backup now."))
        }
    }
}

/// Whether it was found damaged, as the facts beside it say.
fn is_damaged(manifest: &Manifest, objects: &[ObjectInfo], now: Instant) -> bool {
    let own = format!("{}/{}_", manifest.set, manifest.id);
    let first = objects.partition_point(|object| object.key.as_str() < own.as_str());
    let beside = objects[first..].iter().take_while(|object| object.key.as_str().starts_with(&own));
    let facts = beside.filter_map(|object| shown::believed(object, Fact::parse(&object.key)?.1, now));
    Health::of(&facts.collect::<Vec<_>>()).damaged
}

fn is_dated_ahead(manifest: &Key, now: Instant) -> bool {
    let dated = naming::id_of_manifest(manifest).and_then(naming::parse_id);
    dated.is_some_and(|(_, at)| time::is_ahead(at, now))
}

fn tell_passed_over(taken: &Manifest, broken: &[String], ahead: &[&Key], now: Instant, warn: &mut dyn FnMut(&str)) {
    broken.iter().for_each(|words| warn(&format!("{words}; {} is taken", taken.id)));
    if time::is_ahead(taken.created_at, now) {
        warn(&format!("{} is dated more than a day after now, and taken because there is no other", taken.id));
    } else if let Some(id) = ahead.first().and_then(|key| naming::id_of_manifest(key)) {
        warn(&format!("{id} is dated more than a day after now, so {} is taken", taken.id));
    }
}

/// The set to take when none was named: the only one that the store has.
///
/// # Errors
/// `NotFound` if there is none, a usage error that names them if there are several.
pub fn only_set(store: &dyn Store) -> Result<String> {
    let keys = listing::objects(store, None)?.into_iter().map(|object| object.key);
    let mut sets: Vec<String> = keys.filter(listing::is_manifest).filter_map(|key| set_of(&key)).collect();
    sets.dedup();
    match sets.as_slice() {
        [] => Err(Error::not_found(format!("no backup in {}", store.describe()))
            .with_hint("Check --store (or VB_STORE, CLOUD_PROVIDER); vb-put makes a backup.")),
        [only] => Ok(only.clone()),
        several => Err(Error::usage(format!("{} has several sets: {}", store.describe(), several.join(", ")))
            .with_hint("Name one with --set.")),
    }
}

fn set_of(key: &Key) -> Option<String> {
    Some(key.as_str().split_once('/')?.0.to_owned())
}
