//! What one or several stores have: each backup once, and which stores have it.

use std::collections::HashMap;
use std::sync::Arc;
use vb_core::environment::Environment;
use vb_core::fact::{Health, Level};
use vb_core::location::Location;
use vb_core::{Error, Result};
use vb_pipe::Session;
use vb_repository::{Cache, Entry, StoreArguments, catalogue};

/// More stores than this nobody has.
const MOST_STORES: usize = 64;

/// A backup, in one or several stores.
#[derive(Debug)]
pub(crate) struct Backup {
    /// As the first store has it.
    pub(crate) entry: Entry,
    /// A bit for each store that has it, in their order.
    holders: u64,
    /// A bit for each store that has another one of this id.
    differing: u64,
    /// The best of what the stores' facts say.
    pub(crate) level: Level,
    /// Which of its objects is not as it should be, in words, if no store has all of them.
    pub(crate) incomplete: Option<Box<str>>,
    /// Whether it was found damaged in every store that has all of it.
    pub(crate) damaged: bool,
}

/// The stores and what they have.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// The URLs.
    pub(crate) stores: Vec<Arc<str>>,
    /// Their schemes.
    pub(crate) schemes: Vec<String>,
    /// The oldest first.
    pub(crate) backups: Vec<Backup>,
    /// How many manifests could not be read.
    pub(crate) unreadable: usize,
}

impl Inventory {
    /// Lists all these stores.
    pub(crate) fn take(session: &Session, locations: &[Location], set: Option<&str>) -> Result<Self> {
        if locations.len() > MOST_STORES {
            return Err(Error::usage(format!("{} stores are too many, at most {MOST_STORES}", locations.len())));
        }
        let mut inventory = Self::default();
        for location in locations {
            inventory.add(session, location, session.environment(), set)?;
        }
        if locations.len() > 1 {
            let place = |backup: &Backup| (backup.entry.row.created_at, backup.entry.row.id.clone());
            inventory.backups.sort_by_cached_key(place);
        }
        Ok(inventory)
    }

    fn add(
        &mut self,
        session: &Session,
        location: &Location,
        environment: &Environment,
        set: Option<&str>,
    ) -> Result<()> {
        let store = StoreArguments { store: Some(location.to_string()) }.open(session)?;
        let found = catalogue(&*store, set, &Cache::of(&location.to_string(), environment), session.now())?;
        found.warnings.iter().for_each(|words| session.warn(&format!("{words} ({location})")));
        session.explain(&format!("{location}: {} backups, {} manifests read", found.entries.len(), found.read));
        found.unreadable.iter().for_each(|error| session.warn(&format!("{error} ({location})")));
        self.unreadable += found.unreadable.len();
        let bit = 1 << self.stores.len();
        self.stores.push(location.to_string().into());
        self.schemes.push(location.scheme.clone());
        if self.stores.len() == 1 {
            self.backups = found.entries.into_iter().map(|entry| Backup::new(entry, bit)).collect();
            return Ok(());
        }
        let known: HashMap<Box<str>, usize> =
            self.backups.iter().enumerate().map(|(place, backup)| (backup.entry.row.id.clone(), place)).collect();
        for entry in found.entries {
            match known.get(&entry.row.id) {
                Some(place) => self.backups[*place].also(&entry, bit),
                None => self.backups.push(Backup::new(entry, bit)),
            }
        }
        Ok(())
    }

    /// The stores whose bits are set.
    fn named(&self, bits: u64) -> Vec<&str> {
        let has = |place: &usize| bits >> place & 1 == 1;
        (0..self.stores.len()).filter(has).map(|place| &*self.stores[place]).collect()
    }

    /// The stores that have a backup.
    pub(crate) fn holders(&self, backup: &Backup) -> Vec<&str> {
        self.named(backup.holders)
    }

    /// Those that lack it.
    pub(crate) fn lacking(&self, backup: &Backup) -> Vec<&str> {
        self.named(!(backup.holders | backup.differing))
    }

    /// Those that have other bytes under its id.
    pub(crate) fn differing(&self, backup: &Backup) -> Vec<&str> {
        self.named(backup.differing)
    }

    /// Whether every store has it.
    pub(crate) fn is_everywhere(&self, backup: &Backup) -> bool {
        backup.holders.count_ones() as usize == self.stores.len()
    }

    /// All of them, for a sentence.
    pub(crate) fn place(&self) -> String {
        self.stores.join(" and ")
    }
}

impl Backup {
    /// A store that lacks an object of it lacks it.
    fn new(entry: Entry, bit: u64) -> Self {
        let incomplete = entry.incomplete.clone();
        let holders = if incomplete.is_some() { 0 } else { bit };
        let Health { level, damaged, .. } = entry.health();
        Self { level, entry, holders, differing: 0, incomplete, damaged }
    }

    /// Why no restore should be made of it, if so: in words that begin with its id.
    pub(crate) fn flaw(&self) -> Option<String> {
        let id = &self.entry.row.id;
        match &self.incomplete {
            Some(what) => Some(format!("{id} is incomplete: {what}")),
            None => self.damaged.then(|| format!("{id} was found damaged")),
        }
    }

    fn also(&mut self, other: &Entry, bit: u64) {
        let (ours, theirs) = (self.entry.row.objects.iter(), other.row.objects.iter());
        if ours.map(|object| object.digests.sha256()).eq(theirs.map(|object| object.digests.sha256())) {
            if other.incomplete.is_none() {
                let theirs = other.health().damaged;
                self.damaged = if self.incomplete.is_some() { theirs } else { self.damaged && theirs };
                self.holders |= bit;
                self.incomplete = None;
            }
            self.level = self.level.max(other.health().level);
        } else {
            self.differing |= bit;
        }
    }
}
