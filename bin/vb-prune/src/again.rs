//! The store once more, after the decisions: what goes with each backup, and what belongs to nobody.

use crate::inventory::Known;
use std::collections::HashSet;
use vb_core::Result;
use vb_core::fact::Fact;
use vb_core::key::Key;
use vb_core::retention::Verdict;
use vb_core::time::Instant;
use vb_repository::listing;
use vb_repository::removal::Found;
use vb_store::{ObjectInfo, Store};

/// What a second listing shows. A hundred thousand backups that stay need no memory here. What belongs to a backup that was to go
/// is no leftover in this run, though its manifest be gone by now: the next one sweeps it.
pub(crate) struct Again<'all> {
    /// Of the backups that go.
    pub(crate) found: Found<'all>,
    /// Those of backups that were to go.
    pub(crate) pins: Vec<Key>,
    /// What bears the id of no backup that was judged: of one that came since, or of none.
    pub(crate) others: Vec<ObjectInfo>,
    /// When the newest object was stored, by the store's clock.
    pub(crate) newest_at: Option<Instant>,
}

impl<'all> Again<'all> {
    /// Lists one set or all of them.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn list(
        store: &dyn Store,
        known: &Known,
        verdicts: &[Verdict<'all>],
        set: Option<&str>,
    ) -> Result<Self> {
        let (stays, goes): (Vec<&Verdict>, Vec<&Verdict>) = verdicts.iter().partition(|verdict| verdict.keeps);
        let stays: HashSet<&str> = stays.iter().map(|verdict| verdict.backup.id.as_str()).collect();
        let found = Found::of(goes.iter().map(|verdict| verdict.backup));
        let mut again = Self { found, pins: Vec::new(), others: Vec::new(), newest_at: known.newest_at };
        store.list(&listing::prefix(set), &mut |object| {
            again.newest_at = again.newest_at.max(Some(object.modified_at));
            let is_strange = known.strangers.contains(object.key.as_str());
            if again.found.add(&object, is_strange) {
                again.pins.extend(matches!(Fact::parse(&object.key), Some((_, Fact::Pinned))).then_some(object.key));
            } else if !is_strange && listing::id_of(&object.key).is_some_and(|id| !stays.contains(id)) {
                again.others.push(object);
            }
            Ok(())
        })?;
        Ok(again)
    }
}
