//! What a listing shows beside manifests, on its way to the backup that it belongs to: data, and later facts.

use crate::listing;
use crate::whole::Sizes;
use chrono::SubsecRound;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use vb_core::fact::Fact;
use vb_core::key::Key;
use vb_core::time::{self, Instant};
use vb_store::ObjectInfo;

/// The data that the listing showed last: its keys come right before that of its manifest.
#[derive(Default)]
pub(crate) struct Data {
    id: String,
    sizes: Sizes,
    class: Option<Arc<str>>,
    /// What many backups share is held once.
    known: HashSet<Arc<str>>,
}

impl Data {
    pub(crate) fn add(&mut self, id: &str, object: &ObjectInfo) {
        if self.id != id {
            id.clone_into(&mut self.id);
            (self.sizes, self.class) = (Vec::new(), None);
        }
        if let Some((_, ending)) = object.key.as_str().rsplit_once(id) {
            let ending = self.shared(ending);
            self.sizes.push((ending, object.size_bytes));
        }
        let Some(class) = object.storage_class.as_deref() else { return };
        let all = match &self.class {
            Some(known) if known.split(", ").any(|one| one == class) => return,
            Some(known) => format!("{known}, {class}"),
            None => class.to_owned(),
        };
        self.class = Some(self.shared(&all));
    }

    fn shared(&mut self, text: &str) -> Arc<str> {
        let shared = self.known.get(text).cloned().unwrap_or_else(|| Arc::from(text));
        self.known.insert(shared.clone());
        shared
    }

    pub(crate) fn take(&mut self, id: Option<&str>) -> (Sizes, Option<Arc<str>>) {
        let (sizes, class) = (std::mem::take(&mut self.sizes), self.class.take());
        if id == Some(self.id.as_str()) { (sizes, class) } else { Default::default() }
    }
}

/// What to believe of a fact that this object tells. Facts are named to the second.
pub(crate) fn believed(object: &ObjectInfo, fact: Fact, now: Instant) -> Option<Fact> {
    fact.believed(object.modified_at.trunc_subsecs(0), now)
}

/// What is found of facts on the way.
#[derive(Default)]
pub(crate) struct Facts {
    now: Instant,
    /// Those that come before their manifest.
    early: BTreeMap<String, Vec<Fact>>,
    /// How many are dated in the future, and the first of them.
    ahead: usize,
    first: Option<Key>,
}

impl Facts {
    pub(crate) fn new(now: Instant) -> Self {
        Self { now, ..Self::default() }
    }

    /// To those of its backup, whose manifest came just before it, else put by.
    pub(crate) fn add(&mut self, last: Option<&mut Vec<Fact>>, object: &ObjectInfo, id: &str, fact: Fact) {
        // A copy of our names in somebody else's folder says nothing.
        if listing::id_of(&object.key) != Some(id) {
            return;
        }
        if fact.at().is_some_and(|at| time::is_ahead(at, self.now)) {
            self.ahead += 1;
            self.first.get_or_insert_with(|| object.key.clone());
        }
        let Some(fact) = believed(object, fact, self.now) else { return };
        match last {
            Some(facts) => facts.push(fact),
            None => self.early.entry(id.to_owned()).or_default().push(fact),
        }
    }

    pub(crate) fn none_is_early(&self) -> bool {
        self.early.is_empty()
    }

    pub(crate) fn take_early(&mut self, id: &str) -> Vec<Fact> {
        self.early.remove(id).unwrap_or_default()
    }

    pub(crate) fn warning(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        let subject = if self.ahead == 1 { "1 finding is".to_owned() } else { format!("{} findings are", self.ahead) };
        Some(format!("{subject} dated more than a day after now ({first}): what the store says of their age counts"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, size_bytes: u64, class: &str) -> ObjectInfo {
        let (key, storage_class) = (Key::parse(key).unwrap(), Some(class.to_owned()));
        ObjectInfo { key, size_bytes, modified_at: Instant::default(), crc32: None, storage_class }
    }

    #[test]
    fn data_belongs_to_the_backup_whose_keys_came_last() {
        let mut data = Data::default();
        data.add("a", &object("w/a.gz", 1, "GLACIER"));
        assert_eq!(data.take(Some("b")), (vec![], None));
        data.add("c", &object("w/c.gz", 1, "STANDARD"));
        data.add("c", &object("w/c.gz.2", 2, "STANDARD"));
        data.add("c", &object("w/c.gz.3", 3, "STANDARD_IA"));
        let (sizes, class) = data.take(Some("c"));
        assert_eq!(class.as_deref(), Some("STANDARD, STANDARD_IA"));
        assert_eq!(sizes, [(".gz".into(), 1), (".gz.2".into(), 2), (".gz.3".into(), 3)]);
        assert_eq!(data.take(Some("c")), (vec![], None));
    }
}
