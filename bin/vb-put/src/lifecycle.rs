//! `--lifecycle`: rules that the store itself carries out, installed once.

use serde_json::json;
use vb_core::Result;
use vb_pipe::{Done, Session};
use vb_repository::{OpenStore, annotation};

/// Installs the rules in every store, or in a dry run says which.
///
/// # Errors
/// A usage error for a store that has no rules; those of the store.
pub(crate) fn install(session: &Session, targets: &[OpenStore], dry_run: bool) -> Result<Done> {
    let mut stores = Vec::new();
    for target in targets {
        let rules = annotation::lifecycle(vb_stores::cooler_class(&target.location.scheme));
        if !dry_run {
            target.store.install_lifecycle(&rules)?;
        }
        let (class, days) = rules.transition.unzip();
        stores.push(json!({
            "store": target.store.describe(),
            "storage_class": class,
            "after_days": days,
            "abort_uploads_after_days": rules.abort_uploads_after_days,
        }));
    }
    let names: Vec<String> = targets.iter().map(|target| target.store.describe()).collect();
    let verb = if dry_run { "would install" } else { "installed" };
    let sentence = format!("{verb} the rules for old data and stale uploads in {}", names.join(", "));
    session.done(&json!({ "stored": false, "lifecycle": stores, "dry_run": dry_run }), sentence)
}
