//! Pins: a pinned backup is kept by every policy, with all that it stands on.

use serde_json::json;
use vb_core::fact::Fact;
use vb_core::{ErrorKind, Result, time};
use vb_pipe::{Done, Session};
use vb_repository::select;
use vb_store::Store;

/// Pins these backups.
pub(crate) fn pin(session: &Session, store: &dyn Store, ids: &[String], dry_run: bool) -> Result<Done> {
    each(session, store, ids, dry_run, "pinned", |manifest| {
        let key = Fact::Pinned.key(&manifest.set, &manifest.id)?;
        if dry_run {
            return Ok(store.head(&key)?.is_none());
        }
        let content = json!({ "id": manifest.id, "pinned_at": time::seconds(session.now()) });
        match store.put_new(&key, format!("{content}\n").as_bytes()) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
            Err(error) => Err(error.during(format!("pinning {}", manifest.id))),
        }
    })
}

/// Takes their pins away.
pub(crate) fn unpin(session: &Session, store: &dyn Store, ids: &[String], dry_run: bool) -> Result<Done> {
    each(session, store, ids, dry_run, "unpinned", |manifest| {
        let key = Fact::Pinned.key(&manifest.set, &manifest.id)?;
        let was_pinned = store.head(&key)?.is_some();
        if was_pinned && !dry_run {
            store.delete(&key).map_err(|error| error.during(format!("unpinning {}", manifest.id)))?;
        }
        Ok(was_pinned)
    })
}

/// `change` tells whether it changed anything.
fn each(
    session: &Session,
    store: &dyn Store,
    ids: &[String],
    dry_run: bool,
    event: &str,
    change: impl Fn(&vb_core::manifest::Manifest) -> Result<bool>,
) -> Result<Done> {
    let mut changed = 0;
    for id in ids {
        let manifest = select::by_id(store, id)?;
        let changes = change(&manifest)?;
        changed += usize::from(changes);
        session.event(event, &json!({ "id": id, "changed": changes, "dry_run": dry_run }))?;
        session.tell(format_args!("{id} {}", if changes { event.to_owned() } else { format!("was {event} already") }));
    }
    let fields = json!({ "store": store.describe(), event: ids.len(), "changed": changed, "dry_run": dry_run });
    let verb = if dry_run { format!("would have {event}") } else { event.to_owned() };
    session.done(&fields, format!("{verb} {}", crate::words::count(changed, "backup")))
}
