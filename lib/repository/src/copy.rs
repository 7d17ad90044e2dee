//! A backup from one store in another: the same id, the same objects, the identical manifest. Which backups, in which
//! order, is a pure function; copying one is here too.

use crate::chunk::Chunk;
use crate::deposit::Deposited;
use crate::fetch::fetch_objects;
use crate::object::ObjectUpload;
use crate::{Guarded, OpenStore, annotation};
use std::collections::{HashMap, HashSet};
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
