//! What has happened since the listing that was judged: a backup that somebody has pinned meanwhile stays, and so does one on
//! which a new one stands.
//!
//! Before each removal the store is asked once more; what comes between that and the deletion is not seen. A pin is asked for by
//! its name. For what is new there is a listing, and on a disk that reads the whole folder, however little of it is wanted: before
//! each of many removals it would take far longer than they do. So what it shows counts for a moment, in proportion to what it costs.

use chrono::TimeDelta;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant as Clock};
use vb_core::fact::Fact;
use vb_core::key::Key;
use vb_core::retention::Backup;
use vb_core::time::Instant;
use vb_core::{ErrorKind, Result, naming};
use vb_repository::listing;
use vb_store::Store;

/// New backups are named by the time of their beginning, by the clock of whoever makes them.
const SLACK: TimeDelta = TimeDelta::hours(1);

/// For how many times as long as it took a listing counts, and for how long at most.
const WORTH: u32 = 10;
const MOMENT: Duration = Duration::from_secs(1);

/// What is known by now.
pub(crate) struct Meanwhile<'run> {
    store: &'run dyn Store,
    /// The backups that were judged.
    judged: HashSet<&'run str>,
    /// Those that have come since.
    new: HashSet<Key>,
    /// What must stay, each with why.
    needed: HashMap<String, String>,
    /// Until when the last listing of a set counts.
    fresh: HashMap<String, Clock>,
    /// For how many times as long as it took.
    worth: u32,
}

impl<'run> Meanwhile<'run> {
    /// From the listing that was judged, and what a later one shows beside it.
    ///
    /// # Errors
    /// If a new manifest cannot be read.
    pub(crate) fn new<'key>(
        store: &'run dyn Store,
        judged: &'run [Backup],
        later: impl Iterator<Item = &'key Key>,
    ) -> Result<Self> {
        let judged: HashSet<&str> = judged.iter().map(|backup| backup.id.as_str()).collect();
        let (new, needed, fresh) = (HashSet::new(), HashMap::new(), HashMap::new());
        let mut meanwhile = Self { store, judged, new, needed, fresh, worth: WORTH };
        for key in later {
            meanwhile.look_at(key)?;
        }
        Ok(meanwhile)
    }

    /// Why a backup must stay, if it must.
    ///
    /// # Errors
    /// Those of the store, and if a new manifest cannot be read.
    pub(crate) fn keeps(&mut self, backup: &Backup, now: Instant) -> Result<Option<&str>> {
        self.look_for_new(&backup.set, now)?;
        let pin = Fact::Pinned.key(&backup.set, &backup.id)?;
        if self.store.head(&pin)?.is_some() {
            self.look_at(&pin)?;
        }
        Ok(self.needed.get(&backup.id).map(String::as_str))
    }

    /// Lists what has come into a set, unless it was listed a moment ago.
    fn look_for_new(&mut self, set: &str, now: Instant) -> Result<()> {
        let begun = Clock::now();
        if self.fresh.get(set).is_some_and(|until| begun < *until) {
            return Ok(());
        }
        let mut keys = Vec::new();
        self.store.list(&begun_between(set, now - SLACK, now + SLACK), &mut |object| {
            keys.push(object.key);
            Ok(())
        })?;
        keys.iter().try_for_each(|key| self.look_at(key))?;
        let ended = Clock::now();
        self.fresh.insert(set.to_owned(), ended + MOMENT.min((ended - begun) * self.worth));
        Ok(())
    }

    /// A backup stays that was to go; so what it stands on stays too.
    pub(crate) fn stays(&mut self, backup: &Backup) {
        self.needs(backup.base.as_deref(), &backup.id);
    }

    fn needs(&mut self, base: Option<&str>, id: &str) {
        if let Some(base) = base {
            self.needed.entry(base.to_owned()).or_insert_with(|| format!("base of {id}"));
        }
    }

    fn look_at(&mut self, key: &Key) -> Result<()> {
        if let Some((id, Fact::Pinned)) = Fact::parse(key)
            && listing::id_of(key) == Some(id)
        {
            self.needed.insert(id.to_owned(), "pinned".to_owned());
        }
        let is_new = naming::id_of_manifest(key).is_some_and(|id| !self.judged.contains(id));
        if !is_new || !listing::is_manifest(key) || !self.new.insert(key.clone()) {
            return Ok(());
        }
        match listing::read(self.store, key) {
            Ok(manifest) => self.needs(manifest.base.as_deref(), &manifest.id),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// What all keys of backups of a set begin with that are named by a time between these two.
fn begun_between(set: &str, first: Instant, last: Instant) -> String {
    let (first, last) = (naming::id(set, first), naming::id(set, last));
    let same = first.chars().zip(last.chars()).take_while(|(one, other)| one == other);
    format!("{set}/{}", same.map(|(letter, _)| letter).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use vb_store::MemoryStore;

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    fn backup(id: &str, base: Option<&str>) -> Backup {
        let line = serde_json::json!({"id": id, "set": "w", "kind": "full", "base": base, "created_at": "2026-11-21T03:15:00Z"});
        serde_json::from_value(line).unwrap()
    }

    fn put(store: &MemoryStore, id: &str, base: &str) {
        let manifest = serde_json::json!({
            "format": 1, "id": id, "set": "w", "kind": "incremental", "base": base, "created_at": "2026-11-22T12:00:00Z",
            "source": {}, "objects": [{"key": format!("w/{id}"), "size_bytes": 1, "sha256": "", "md5": ""}], "proof": "sealed", "complete": true,
        });
        let key = naming::manifest_key("w", id).unwrap();
        store.put_new(&key, manifest.to_string().as_bytes()).unwrap();
    }

    #[test]
    fn a_pin_and_a_new_increment_keep_what_was_to_go_and_its_base() {
        let (store, now) = (MemoryStore::new(), at("2026-11-22T12:00:00Z"));
        let first = backup("w_20261101_000000", None);
        let second = backup("w_20261102_000000", Some("w_20261101_000000"));
        let third = backup("w_20261103_000000", None);
        let judged = [first.clone(), second.clone(), third.clone()];
        let mut meanwhile = Meanwhile::new(&store, &judged, [].iter()).unwrap();
        meanwhile.worth = 0;
        assert_eq!(meanwhile.keeps(&second, now).unwrap(), None);
        put(&store, "w_20261122_115500", &second.id);
        store.put_new(&Fact::Pinned.key("w", &third.id).unwrap(), b"{}").unwrap();
        assert_eq!(meanwhile.keeps(&second, now).unwrap(), Some("base of w_20261122_115500"));
        meanwhile.stays(&second);
        assert_eq!(meanwhile.keeps(&first, now).unwrap(), Some("base of w_20261102_000000"));
        assert_eq!(meanwhile.keeps(&third, now).unwrap(), Some("pinned"));
        let objects = listing::objects(&store, None).unwrap();
        let keys = objects.iter().map(|object| &object.key);
        assert_eq!(Meanwhile::new(&store, &judged, keys).unwrap().needed.len(), 2, "a later listing shows both");
    }

    #[test]
    fn only_what_is_new_is_listed() {
        let prefix = |first: &str, last: &str| begun_between("w", at(first), at(last));
        assert_eq!(prefix("2026-11-22T12:00:00Z", "2026-11-22T14:00:00Z"), "w/w_20261122_1");
        assert_eq!(prefix("2026-12-31T23:30:00Z", "2027-01-01T01:30:00Z"), "w/w_202");
    }
}
