//! What a store has, in little memory: every backup as a [`Row`], with the later facts about it.
//!
//! The listing decides what exists. What a manifest says comes from the cache where the listing shows the very object
//! that was cached, and from the store otherwise, by many readers at once.

use crate::cache::{Cache, Stamp};
use crate::listing::{self, is_manifest};
use crate::row::{Row, Shared};
use crate::shown::{Data, Facts};
use crate::whole::{self, Named, Sizes};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use vb_core::fact::{Fact, Health, Level};
use vb_core::retention::Backup;
use vb_core::time::{self, Instant};
use vb_core::{Error, Result, naming};
use vb_store::Store;

/// A backup and what is known of it since.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What its manifest says. Boxed, since lists of entries grow by doubling and are made into others.
    pub row: Box<Row>,
    /// The facts beside it, in the order of their names.
    pub facts: Box<[Fact]>,
    /// Which of its objects is not there or has another length, in words; none if all that the manifest names is there.
    pub incomplete: Option<Box<str>>,
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
        let row = *entry.row;
        Self {
            size_bytes: row.size_bytes(),
            id: row.id.into(),
            set: row.set,
            source: row.source,
            schema_sha256: row.schema_sha256,
            position: row.position,
            kind: row.kind,
            base: row.base.map(String::from),
            created_at: row.created_at,
            since: row.since,
            until: row.until,
            tags: row.tags.to_vec(),
            level,
            damaged,
            incomplete: entry.incomplete.map(String::from),
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
    /// What people should know of clocks that were wrong.
    pub warnings: Vec<String>,
    /// When the newest object was stored, by the store's clock.
    pub newest_at: Option<Instant>,
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
    /// What the listing showed of its data, until it is known what it should show.
    sizes: Sizes,
    /// What it did not show as the manifest names it.
    unseen: Vec<Named>,
    storage_class: Option<Arc<str>>,
}

/// What it says, or the id of the backup whose it is. Of one that has gone since, or cannot be read, there is nothing.
enum Content {
    Known(Box<Row>),
    Unread(Box<str>),
    Nothing,
}

impl Listed {
    fn new(content: Content, stamp: Stamp, data: &mut Data) -> Result<Self> {
        let mut one =
            Self { content, stamp, facts: Vec::new(), sizes: Vec::new(), unseen: Vec::new(), storage_class: None };
        (one.sizes, one.storage_class) = data.take(one.id());
        one.compare()?;
        Ok(one)
    }

    /// Once its manifest is known: what of it the listing did not show.
    fn compare(&mut self) -> Result<()> {
        if let Content::Known(row) = &self.content {
            self.unseen = whole::unseen(row, &std::mem::take(&mut self.sizes))?;
        }
        Ok(())
    }

    fn id(&self) -> Option<&str> {
        match &self.content {
            Content::Known(row) => Some(&row.id),
            Content::Unread(id) => Some(id),
            Content::Nothing => None,
        }
    }

    /// Whose it is, if it is to be read.
    fn take_unread(&mut self) -> Option<Box<str>> {
        match std::mem::replace(&mut self.content, Content::Nothing) {
            Content::Unread(id) => Some(id),
            content => {
                self.content = content;
                None
            }
        }
    }

    fn learn(&mut self, row: Row) -> Result<()> {
        self.content = Content::Known(Box::new(row));
        self.compare()
    }

    fn row(&self) -> Option<&Row> {
        match &self.content {
            Content::Known(row) => Some(row),
            Content::Unread(_) | Content::Nothing => None,
        }
    }
}

/// Lists one set or all of them. `cache` is used and brought up to date.
///
/// # Errors
/// Those of the store's listing; and if the store cannot be reached while manifests are read.
pub fn catalogue(store: &dyn Store, set: Option<&str>, cache: &Cache, now: Instant) -> Result<Catalogue> {
    let mut cached = cache.open(set);
    let (mut listed, mut facts) = (Vec::<Listed>::new(), Facts::new(now));
    let (mut data, mut newest_at) = (Data::default(), None);
    store.list(&listing::prefix(set), &mut |object| {
        newest_at = newest_at.max(Some(object.modified_at));
        if naming::looks_like_manifest(&object.key) {
            let stamp = Stamp::of(&object);
            let id = || naming::id_of_manifest(&object.key).filter(|_| is_manifest(&object.key));
            // What is cached was looked at before.
            let known = cached.find(&object.key, stamp).map(|row| Content::Known(Box::new(row)));
            let Some(content) = known.or_else(|| id().map(|id| Content::Unread(id.into()))) else { return Ok(()) };
            listed.push(Listed::new(content, stamp, &mut data)?);
        } else if object.key.as_str().ends_with(".json")
            && let Some((id, fact)) = Fact::parse(&object.key)
        {
            let last = listed.last_mut().filter(|last| last.id() == Some(id)).map(|last| &mut last.facts);
            facts.add(last, &object, id, fact);
        } else if let Some(id) = listing::id_of(&object.key) {
            data.add(id, &object);
        }
        Ok(())
    })?;
    // A fact whose name comes before the manifest's own, as "damaged" does.
    let waiting = if facts.none_is_early() { 0 } else { listed.len() };
    for one in &mut listed[..waiting] {
        let early = one.id().map(|id| facts.take_early(id));
        one.facts.extend(early.unwrap_or_default());
    }
    let (outdated, shared) = cached.finish();
    let mut catalogue = finish(store, set, cache, Listing { listed, shared, outdated })?;
    catalogue.newest_at = newest_at;
    catalogue.warnings = facts.warning().into_iter().chain(ahead(&catalogue.entries, now)).collect();
    Ok(catalogue)
}

/// Backups that a wrong clock has dated.
fn ahead(entries: &[Entry], now: Instant) -> Option<String> {
    let count = entries.iter().rev().take_while(|entry| time::is_ahead(entry.row.created_at, now)).count();
    let last = entries.last().filter(|_| count > 0)?;
    let subject = if count == 1 { "1 backup is".to_owned() } else { format!("{count} backups are") };
    Some(format!("{subject} dated more than a day after now ({}): a clock was wrong there, or is here", last.row.id))
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
    let Listing { mut listed, mut shared, outdated } = listing;
    let unread = listed.iter_mut().enumerate().filter_map(|(place, one)| Some((place, one.take_unread()?)));
    let (places, ids): (Vec<usize>, Vec<Box<str>>) = unread.unzip();
    let unreadable = listing::read_each(
        store,
        &ids.iter().map(|id| &**id).collect::<Vec<_>>(),
        listing::read_brief,
        &mut |number, manifest| listed[places[number]].learn(shared.row(&manifest)),
    )?;
    if outdated || !ids.is_empty() {
        cache.replace(set, listed.iter().filter_map(|one| Some((one.stamp, one.row()?))));
    }
    let suspects = listed.iter().enumerate().filter(|(_, one)| !one.unseen.is_empty());
    let suspects: Vec<(usize, &[Named])> = suspects.map(|(place, one)| (place, one.unseen.as_slice())).collect();
    let mut flaws: HashMap<usize, String> = whole::flaws(store, &suspects)?.into_iter().collect();
    let entry = |(place, one): (usize, Listed)| match one.content {
        Content::Known(row) => Some(Entry {
            row,
            facts: one.facts.into(),
            incomplete: flaws.remove(&place).map(String::into_boxed_str),
            storage_class: one.storage_class,
        }),
        Content::Unread(_) | Content::Nothing => None,
    };
    let mut catalogue = Catalogue { read: ids.len(), unreadable, ..Catalogue::default() };
    catalogue.entries = listed.into_iter().enumerate().filter_map(entry).collect();
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
