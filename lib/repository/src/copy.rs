//! A backup from one store in another: the same id, the same objects, the identical manifest. Which backups, in which
//! order, is a pure function; copying one is here too.

use crate::chunk::Chunk;
use crate::deposit::Deposited;
use crate::fetch::fetch_objects;
use crate::object::ObjectUpload;
use crate::{Guarded, OpenStore, annotation};
use std::collections::{BTreeSet, HashMap, HashSet};
use vb_core::manifest::{Manifest, Object};
use vb_core::{Error, ErrorKind, Result, naming};
use vb_pipe::{Session, cleanup};
use vb_store::Store;

/// Which backups to bring: those of `from` that `to` has not, if ids are given only these and what they stand on; a base
/// before what stands on it, otherwise the oldest first.
#[must_use]
pub fn plan<'from>(from: &'from [Manifest], to: &[Manifest], ids: Option<&[String]>) -> Vec<&'from Manifest> {
    let by_id: HashMap<&str, &Manifest> = from.iter().map(|manifest| (manifest.id.as_str(), manifest)).collect();
    let there: HashSet<&str> = to.iter().map(|manifest| manifest.id.as_str()).collect();
    let chain = |manifest: &'from Manifest| {
        let base = |manifest: &&'from Manifest| by_id.get(manifest.base.as_deref()?).copied();
        // A circle, which cannot be, ends.
        std::iter::successors(Some(manifest), base).take(from.len())
    };
    let wanted: HashSet<&str> = match ids {
        None => from.iter().map(|manifest| manifest.id.as_str()).collect(),
        Some(ids) => {
            let named = ids.iter().filter_map(|id| by_id.get(id.as_str()).copied());
            named.flat_map(chain).map(|manifest| manifest.id.as_str()).collect()
        }
    };
    let missing = |manifest: &&Manifest| wanted.contains(manifest.id.as_str()) && !there.contains(manifest.id.as_str());
    let mut plan: Vec<&Manifest> = from.iter().filter(missing).collect();
    plan.sort_by_key(|manifest| (chain(manifest).count(), manifest.created_at));
    plan
}

/// What the backups of a listing stand on and the listing does not have.
#[must_use]
pub fn unlisted_bases(backups: &[Manifest]) -> Vec<String> {
    let listed: HashSet<&str> = backups.iter().map(|manifest| manifest.id.as_str()).collect();
    let bases: BTreeSet<&str> = backups.iter().filter_map(|manifest| manifest.base.as_deref()).collect();
    bases.into_iter().filter(|base| !listed.contains(base)).map(str::to_owned).collect()
}

/// Whether the other store has, or by then will have, the very backup that this one stands on: under its id may be another one, with
/// which no restore of this one is right.
///
/// # Errors
/// Why not: a clause about the base.
pub fn base_is_the_same(
    manifest: &Manifest,
    from: &HashMap<&str, &Manifest>,
    to: &HashMap<&str, &Manifest>,
    copied: &HashSet<&str>,
) -> std::result::Result<(), &'static str> {
    let Some(base) = manifest.base.as_deref().filter(|base| !copied.contains(base)) else { return Ok(()) };
    match (from.get(base), to.get(base)) {
        (Some(here), Some(there)) if here == there => Ok(()),
        (Some(_), Some(_)) => Err("is another backup there"),
        (_, None) => Err("is not there"),
        (None, Some(_)) => Err("is not here any more, so that nothing shows that it is the one there"),
    }
}

/// Copies one backup; `passed` hears of the bytes. Everything is verified before the manifest is written: what came by
/// the manifest's digests, and what was sent by those that were computed on its way out.
///
/// # Errors
/// `Integrity` if the backup is damaged, `Conflict` if the other store has something else under its names, and those of
/// both stores. Nothing is left then.
pub fn copy(
    session: &Session,
    from: &dyn Store,
    to: &OpenStore,
    manifest: &Manifest,
    passed: &mut dyn FnMut(u64),
) -> Result<()> {
    let manifest_key = naming::manifest_key(&manifest.set, &manifest.id)?;
    let bytes = from.read_small(&manifest_key, crate::listing::MOST_MANIFEST_BYTES)?;
    if Manifest::parse(&bytes, manifest_key.as_str())? != *manifest {
        return Err(Error::conflict(format!("the manifest of {} has changed meanwhile", manifest.id)));
    }
    let guarded = Guarded::start(session, &to.location, &to.environment);
    let mut deposited = Deposited {
        store: to.store.clone(),
        journal: guarded.journal.clone(),
        manifest_key,
        complete: Vec::with_capacity(manifest.objects.len()),
    };
    let metadata = annotation::metadata(&manifest.set, Some(&manifest.label()));
    for object in &manifest.objects {
        if is_there(&*to.store, object)? {
            passed(object.size_bytes);
            continue;
        }
        refuse_too_large(&*to.store, object)?;
        let mut upload = ObjectUpload::begin(&to.store, &guarded.journal, &object.key, &metadata)?;
        fetch_objects(from, [object], &mut |chunk: &Chunk| {
            passed(chunk.len() as u64);
            upload.write(chunk)
        })?;
        let complete = upload.complete()?;
        if complete.object != *object {
            let message = format!("copying {}: other bytes were sent than the manifest names", object.key);
            return Err(Error::integrity(message));
        }
        deposited.complete.push(complete);
    }
    let section = cleanup::uninterrupted();
    deposited.commit_within(&section, &manifest.id, &bytes)?;
    annotation::tag(&*to.store, manifest, |words| session.warn(words));
    Ok(())
}

/// Whether an earlier run has brought this very object, which is found out by reading it.
fn is_there(store: &dyn Store, object: &Object) -> Result<bool> {
    if store.head(&object.key)?.is_none() {
        return Ok(false);
    }
    match fetch_objects(store, [object], &mut |_| Ok(())) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Integrity => {
            let place = store.describe();
            Err(Error::conflict(format!("copying {}: {place} has something else under this name", object.key))
                .with_hint("It belongs to no backup there; vb-prune sweeps it once it is a day old."))
        }
        Err(error) => Err(error),
    }
}

/// A manifest that is to stay as it is cannot name the object in two pieces.
fn refuse_too_large(store: &dyn Store, object: &Object) -> Result<()> {
    let largest = store.limits().largest_object_bytes();
    if object.size_bytes <= largest {
        return Ok(());
    }
    let message = format!("copying {}: {} takes no object of more than {largest} bytes", object.key, store.describe());
    Err(Error::failure(message).with_hint("Store it anew: vb-get there, and vb-put here."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vb_core::label::{Kind, Label};
    use vb_core::manifest::Proof;

    fn backup(hour: u32, base: Option<u32>, records: u64) -> Manifest {
        let id = |hour: u32| format!("w_20261121_{hour:02}0000");
        let mut label = Label::of_stream("table", "public.w", "w", "parquet");
        label.kind = if base.is_some() { Kind::Incremental } else { Kind::Full };
        (label.base, label.records) = (base.map(id), Some(records));
        Manifest::new(&id(hour), "2026-11-21T00:00:00Z".parse().unwrap(), label, Vec::new(), Proof::Sealed)
    }

    #[test]
    fn an_increment_follows_its_own_base_only() {
        let (full, other, next) = (backup(1, None, 7), backup(1, None, 8), backup(2, Some(1), 1));
        let of = |manifests: &[&'static Manifest]| -> HashMap<&'static str, &'static Manifest> {
            manifests.iter().map(|manifest| (manifest.id.as_str(), *manifest)).collect()
        };
        let keep = |manifest: &Manifest| -> &'static Manifest { Box::leak(Box::new(manifest.clone())) };
        let (full, other) = (keep(&full), keep(&other));
        let none = HashSet::new();
        let fits = |from: &[&'static Manifest], to: &[&'static Manifest], copied: &HashSet<&str>| {
            base_is_the_same(&next, &of(from), &of(to), copied)
        };
        assert_eq!(fits(&[full], &[full], &none), Ok(()));
        assert_eq!(fits(&[full], &[], &HashSet::from([full.id.as_str()])), Ok(()));
        assert_eq!(fits(&[full], &[other], &none), Err("is another backup there"));
        assert_eq!(fits(&[full], &[], &none), Err("is not there"));
        assert!(fits(&[], &[full], &none).unwrap_err().contains("is not here any more"));
        assert_eq!(unlisted_bases(std::slice::from_ref(&next)).first(), Some(&full.id));
        assert!(unlisted_bases(&[full.clone(), next.clone()]).is_empty());
    }
}
