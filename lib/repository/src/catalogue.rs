//! What a store has, in little memory: every backup as a [`Row`], with the later facts about it.
//!
//! The listing decides what exists. What a manifest says comes from the cache where the listing shows the very object
//! that was cached, and from the store otherwise, by many readers at once.

use crate::cache::{Cache, Stamp};
use crate::listing::{self, is_manifest};
use crate::row::{Row, Shared};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use vb_core::fact::{Fact, Health, Level};
use vb_core::key::Key;
use vb_core::retention::{Backup, origin};
use vb_core::time::Instant;
use vb_core::{Error, ErrorKind, Result, naming};
use vb_store::{ObjectInfo, Store};

/// A backup and what is known of it since.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What its manifest says.
    pub row: Row,
    /// The facts beside it, in the order of their names.
    pub facts: Box<[Fact]>,
    /// The storage class of its data, by the provider's own name; several with a comma between. None where the store has none.
    pub storage_class: Option<Arc<str>>,
}

impl Entry {
    /// What the facts say together.
    #[must_use]
    pub fn health(&self) -> Health {
        Health::of(&self.facts)
    }

    /// When it was last checked up to this level or a higher one, well or badly.
    #[must_use]
    pub fn checked_at(&self, least: Level) -> Option<Instant> {
        let times = self.facts.iter().filter_map(|fact| match fact {
            Fact::Verified(level, at) | Fact::Damaged(level, at) if *level >= least => Some(*at),
            _ => None,
        });
        times.max()
    }
}

/// What retention judges of it.
impl From<Entry> for Backup {
    fn from(entry: Entry) -> Self {
        let Health { level, damaged, pinned } = entry.health();
        let row = entry.row;
        Self {
            size_bytes: row.size_bytes(),
            id: row.id.into(),
            set: row.set.as_ref().to_owned(),
            origin: origin(&row.source),
            kind: row.kind,
            base: row.base.map(String::from),
            created_at: row.created_at,
            since: row.since,
            until: row.until,
            tags: row.tags.to_vec(),
            level,
            damaged,
            pinned,
        }
    }
}

/// A store, or one set of it, at one time.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// The backups, the oldest first.
    pub entries: Vec<Entry>,
    /// Manifests that could not be read, each with the reason.
    pub unreadable: Vec<Error>,
    /// How many manifests were read from the store, and not from the cache.
    pub read: usize,
}

impl Catalogue {
    /// The keys that manifests name outside their own backup's name, as nothing of ours writes them.
    #[must_use]
    pub fn strangers(&self) -> HashSet<String> {
        let rows = self.entries.iter().map(|entry| &entry.row);
        let objects = rows.flat_map(|row| row.objects.iter());
        objects.filter_map(|object| object.ending.strip_prefix('/')).map(str::to_owned).collect()
    }
}

/// A manifest that the listing shows.
struct Listed {
    content: Content,
    stamp: Stamp,
    facts: Vec<Fact>,
    storage_class: Option<Arc<str>>,
}

/// What it says, or where it is to be read.
enum Content {
    Known(Row),
    Unread(Key),
}

impl Listed {
    fn id(&self) -> Option<&str> {
        match &self.content {
            Content::Known(row) => Some(&row.id),
            Content::Unread(key) => naming::id_of_manifest(key),
        }
    }

    fn unread(&self) -> Option<&Key> {
        match &self.content {
            Content::Known(_) => None,
            Content::Unread(key) => Some(key),
        }
    }

    fn row(&self) -> Option<&Row> {
        match &self.content {
            Content::Known(row) => Some(row),
            Content::Unread(_) => None,
        }
    }
}

/// The storage class of the data that the listing showed last: its keys come right before that of its manifest.
#[derive(Default)]
struct Classes {
    id: String,
    class: Option<Arc<str>>,
    /// What many backups share is held once.
    known: HashSet<Arc<str>>,
}

impl Classes {
    fn add(&mut self, id: &str, class: &str) {
        if self.id != id {
            id.clone_into(&mut self.id);
            self.class = None;
        }
        let all = match &self.class {
            Some(known) if known.split(", ").any(|one| one == class) => return,
            Some(known) => format!("{known}, {class}"),
            None => class.to_owned(),
        };
        let shared = self.known.get(all.as_str()).cloned();
        let shared = shared.unwrap_or_else(|| Arc::from(all));
        self.known.insert(shared.clone());
        self.class = Some(shared);
    }

    fn take(&mut self, id: Option<&str>) -> Option<Arc<str>> {
        self.class.take().filter(|_| id == Some(self.id.as_str()))
    }
}

/// Lists one set or all of them. `cache` is used and brought up to date.
///
/// # Errors
/// Those of the store's listing; and if the store cannot be reached while manifests are read.
pub fn catalogue(store: &dyn Store, set: Option<&str>, cache: &Cache) -> Result<Catalogue> {
    let mut shared = Shared::default();
    let mut cached = cache.open(set);
    let (mut listed, mut facts) = (Vec::<Listed>::new(), BTreeMap::<String, Vec<Fact>>::new());
    let mut classes = Classes::default();
    store.list(&listing::prefix(set), &mut |object| {
        if naming::looks_like_manifest(&object.key) {
            let stamp = Stamp::of(&object);
            let row = cached.find(&object.key, stamp, &mut shared);
            let content = match row {
                // What is cached was looked at before.
                Some(row) => Content::Known(row),
                None if is_manifest(&object.key) => Content::Unread(object.key),
                None => return Ok(()),
            };
            let mut one = Listed { content, stamp, facts: Vec::new(), storage_class: None };
            one.storage_class = classes.take(one.id());
            listed.push(one);
        } else if object.key.as_str().ends_with(".json")
            && let Some((id, fact)) = Fact::parse(&object.key)
        {
            add_fact(&mut listed, &mut facts, &object, id, fact);
        } else if let Some(class) = &object.storage_class
            && let Some(id) = listing::id_of(&object.key)
        {
            classes.add(id, class);
        }
        Ok(())
    })?;
    // A fact whose name comes before the manifest's own, as "damaged" does.
    let waiting = if facts.is_empty() { 0 } else { listed.len() };
    for one in &mut listed[..waiting] {
        let early = one.id().and_then(|id| facts.remove(id));
        one.facts.extend(early.unwrap_or_default());
    }
    let outdated = cached.finds_outdated(&mut shared);
    finish(store, set, cache, Listing { listed, shared, outdated })
}

/// Beside the manifest that came just before it, else put by.
fn add_fact(listed: &mut [Listed], early: &mut BTreeMap<String, Vec<Fact>>, object: &ObjectInfo, id: &str, fact: Fact) {
    // A copy of our names in somebody else's folder says nothing.
    if listing::id_of(&object.key) != Some(id) {
        return;
    }
    match listed.last_mut() {
        Some(last) if last.id() == Some(id) => last.facts.push(fact),
        _ => early.entry(id.to_owned()).or_default().push(fact),
    }
}

/// What the listing and the cache have told.
struct Listing {
    listed: Vec<Listed>,
    shared: Shared,
    /// Whether the cache holds manifests that are gone or have changed.
    outdated: bool,
}

/// Reads what the cache did not have.
fn finish(store: &dyn Store, set: Option<&str>, cache: &Cache, listing: Listing) -> Result<Catalogue> {
    let Listing { mut listed, shared, outdated } = listing;
    let unread: Vec<usize> = (0..listed.len()).filter(|index| listed[*index].row().is_none()).collect();
    let keys: Vec<&Key> = listed.iter().filter_map(Listed::unread).collect();
    let shared = Mutex::new(shared);
    let results = listing::read_each(store, &keys, &|manifest| {
        shared.lock().unwrap_or_else(PoisonError::into_inner).row(&manifest)
    });
    let mut catalogue = Catalogue { read: unread.len(), ..Catalogue::default() };
    for (place, result) in results {
        match result {
            Ok(row) => listed[unread[place]].content = Content::Known(row),
            // Removed since the listing.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
            Err(error) => catalogue.unreadable.push(error),
        }
    }
    if outdated || !unread.is_empty() {
        cache.replace(set, listed.iter().filter_map(|one| Some((one.stamp, one.row()?))));
    }
    let entry = |one: Listed| match one.content {
        Content::Known(row) => Some(Entry { row, facts: one.facts.into(), storage_class: one.storage_class }),
        Content::Unread(_) => None,
    };
    catalogue.entries = listed.into_iter().filter_map(entry).collect();
    catalogue.entries.sort_unstable_by(|left, right| {
        (left.row.created_at, &left.row.id).cmp(&(right.row.created_at, &right.row.id))
    });
    Ok(catalogue)
}

/// Those to check first: never checked up to the level that they shall reach, then the longest ago; among equals the newest backup first.
pub fn sort_by_need(entries: &mut [&Entry], level: impl Fn(&Entry) -> Level) {
    entries.sort_by(|left, right| {
        let need = |entry: &Entry| entry.checked_at(level(entry));
        need(left).cmp(&need(right)).then(right.row.created_at.cmp(&left.row.created_at))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_belongs_to_the_backup_whose_data_came_last() {
        let mut classes = Classes::default();
        classes.add("a", "GLACIER");
        assert_eq!(classes.take(Some("b")), None);
        classes.add("c", "STANDARD");
        classes.add("c", "STANDARD");
        classes.add("c", "STANDARD_IA");
        assert_eq!(classes.take(Some("c")).as_deref(), Some("STANDARD, STANDARD_IA"));
        assert_eq!(classes.take(Some("c")), None);
    }
}
