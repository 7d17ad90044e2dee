//! Which backups are verified, and in which order: pure, so that a run that was cut short goes on where it stopped.

use std::collections::{HashMap, HashSet};
use vb_core::fact::Level;
use vb_core::{Error, Result};
use vb_repository::catalogue::sort_by_need;
use vb_repository::{Entry, Row};

use crate::arguments::Arguments;
use crate::restore::Way;

/// The chosen ones in the order of their turn.
///
/// # Errors
/// `NotFound` for an id that is not there, and if there is nothing at all.
pub(crate) fn choose<'all>(arguments: &Arguments, entries: &'all [Entry], place: &str) -> Result<Vec<&'all Entry>> {
    let by_id: HashMap<&str, &Entry> = entries.iter().map(|entry| (&*entry.row.id, entry)).collect();
    let mut chosen: Vec<&Entry> = Vec::new();
    if !arguments.ids.is_empty() {
        for id in &arguments.ids {
            let found = by_id.get(id.as_str()).copied().ok_or_else(|| {
                Error::not_found(format!("no backup {id} in {place}")).with_hint("vb-ls shows what is there.")
            })?;
            chosen.push(found);
        }
    } else if arguments.latest {
        let mut seen = HashSet::new();
        chosen.extend(entries.iter().rev().filter(|entry| seen.insert(&*entry.row.set)));
    } else {
        chosen.extend(entries);
        sort_by_need(&mut chosen, |entry| arguments.level.min(highest(&entry.row)));
        chosen.truncate(arguments.sample_of(entries.len()));
    }
    if chosen.is_empty() {
        return Err(Error::not_found(format!("no backup in {place}"))
            .with_hint("Check --store (or VB_STORE, CLOUD_PROVIDER) and --set; vb-ls shows what is there."));
    }
    if arguments.chain {
        chosen = with_bases(&chosen, &by_id);
    }
    Ok(chosen)
}

/// How far it can be verified: what nothing here restores, until it is decoded.
pub(crate) fn highest(row: &Row) -> Level {
    let ending = row.objects.first().map_or("", |object| &*object.ending);
    match Way::of(ending.trim_start_matches('.'), &row.source.source_type) {
        Some(_) => Level::Identical,
        None => Level::Decoded,
    }
}

/// Each behind what it stands on, and nothing twice.
fn with_bases<'all>(chosen: &[&'all Entry], by_id: &HashMap<&str, &'all Entry>) -> Vec<&'all Entry> {
    let (mut all, mut seen) = (Vec::new(), HashSet::new());
    for entry in chosen {
        let chain: Vec<&Entry> = links(entry, by_id).collect();
        all.extend(chain.into_iter().rev().filter(|link| seen.insert(&*link.row.id)));
    }
    all
}

/// A backup, what it stands on, and so on; ends where a link is missing.
pub(crate) fn links<'all>(entry: &'all Entry, by_id: &HashMap<&str, &'all Entry>) -> impl Iterator<Item = &'all Entry> {
    let base = |entry: &&'all Entry| by_id.get(entry.row.base.as_deref()?).copied();
    std::iter::successors(Some(entry), base).take(by_id.len() + 1)
}
