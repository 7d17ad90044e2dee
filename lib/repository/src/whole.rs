//! Whether what a manifest names is there, as far as a listing shows it: the objects, and how long they are.
//!
//! A listing is not of one moment, and may show the manifest of a backup that was made meanwhile without its objects. So what
//! it does not show is asked for before it counts as missing.

use crate::listing::in_parallel;
use crate::row::{Row, RowObject};
use std::collections::HashSet;
use std::sync::Arc;
use vb_core::Result;
use vb_core::key::Key;
use vb_core::manifest::{Manifest, Object};
use vb_store::{ObjectInfo, Store};

/// What a listing shows of the data of one backup: each ending of a key behind `<set>/<id>`, and the length.
pub(crate) type Sizes = Vec<(Arc<str>, u64)>;

/// An object as a manifest names it.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) key: Key,
    pub(crate) size_bytes: u64,
}

/// What a backup names and a listing did not show so.
///
/// # Errors
/// None in practice: the keys come from a manifest.
pub(crate) fn unseen(row: &Row, sizes: &[(Arc<str>, u64)]) -> Result<Vec<Named>> {
    let shown: HashSet<(&str, u64)> = sizes.iter().map(|(ending, size_bytes)| (&**ending, *size_bytes)).collect();
    let is_shown = |object: &&RowObject| shown.contains(&(&*object.ending, object.size_bytes));
    let named = |object: &RowObject| Ok(Named { key: Key::parse(&row.key_of(object))?, size_bytes: object.size_bytes });
    row.objects.iter().filter(|object| !is_shown(object)).map(named).collect()
}

/// Which of the named objects is not there or has another length, in words; none if all are as they should be.
///
/// # Errors
/// Those of the store.
pub(crate) fn flaw(store: &dyn Store, suspects: &[Named]) -> Result<Option<String>> {
    for Named { key, size_bytes } in suspects {
        match store.head(key)? {
            Some(found) if found.size_bytes == *size_bytes => {}
            Some(found) => return Ok(Some(format!("{key} has {} bytes instead of {size_bytes}", found.size_bytes))),
            None => return Ok(Some(format!("{key} is not there"))),
        }
    }
    Ok(None)
}

/// Which object of a backup is not there or has another length, in words. `objects` are what a listing showed, in the order of
/// keys; what is not among them is asked for.
///
/// # Errors
/// Those of the store.
pub fn flaw_of(store: &dyn Store, manifest: &Manifest, objects: &[ObjectInfo]) -> Result<Option<String>> {
    let is_shown = |object: &&Object| {
        let place = objects.binary_search_by(|shown| shown.key.cmp(&object.key));
        place.is_ok_and(|place| objects[place].size_bytes == object.size_bytes)
    };
    let unseen = manifest.objects.iter().filter(|object| !is_shown(object));
    let unseen: Vec<Named> =
        unseen.map(|object| Named { key: object.key.clone(), size_bytes: object.size_bytes }).collect();
    flaw(store, &unseen)
}

/// The same for many backups at once, each with its place.
///
/// # Errors
/// Those of the store.
pub(crate) fn flaws(store: &dyn Store, suspects: &[(usize, &[Named])]) -> Result<Vec<(usize, String)>> {
    let mut flaws = Vec::new();
    in_parallel(suspects.len(), &|number| flaw(store, suspects[number].1), &mut |number, flaw| {
        flaws.extend(flaw.map(|words| (suspects[number].0, words)));
        Ok(())
    })?;
    Ok(flaws)
}
