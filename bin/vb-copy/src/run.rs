//! One run: what was planned is carried out, backup by backup; one that fails stops no other that does not stand on it.

use serde_json::json;
use std::collections::{HashMap, HashSet};
use vb_core::fact::Fact;
use vb_core::manifest::Manifest;
use vb_core::{Error, ErrorKind, Result};
use vb_pipe::{Done, Progress, Session};
use vb_repository::{Listing, OpenStore, copy, listing, whole, words};
use vb_store::Store;

/// A pin is empty or a few words.
const MOST_PIN_BYTES: u64 = 1 << 20;

/// What was done, or in a dry run would be.
#[derive(Debug, Default)]
struct Totals {
    copied: usize,
    present: usize,
    pins: usize,
    size_bytes: u64,
}

pub(crate) struct Run<'run> {
    session: &'run Session,
    from: &'run dyn Store,
    to: &'run OpenStore,
    dry_run: bool,
    progress: Progress,
    totals: Totals,
    /// Each failure with its backup's id.
    failed: Vec<(String, Error)>,
}

impl<'run> Run<'run> {
    pub(crate) fn new(
        session: &'run Session,
        from: &'run dyn Store,
        to: &'run OpenStore,
        dry_run: bool,
        plan: &[&Manifest],
    ) -> Self {
        let size_bytes = plan.iter().map(|manifest| manifest.size_bytes()).sum();
        let progress = session.progress_of("copied", Some(size_bytes));
        Self { session, from, to, dry_run, progress, totals: Totals::default(), failed: Vec::new() }
    }

    /// What both stores have must be the same; what cannot be read is a failure of its own.
    pub(crate) fn compare(&mut self, here: &Listing, there: &Listing) -> Result<()> {
        let theirs = by_id(there);
        for manifest in &here.backups {
            match theirs.get(manifest.id.as_str()) {
                Some(their) if *their == manifest => self.totals.present += 1,
                Some(_) => {
                    let place = self.to.store.describe();
                    let error = Error::conflict(format!("{place} has another backup {}", manifest.id));
                    self.fail(&manifest.id, error)?;
                }
                None => {}
            }
        }
        for error in &here.unreadable {
            self.session.warn(&error.to_string());
            self.failed.push((String::new(), Error::new(error.kind(), error.to_string())));
        }
        Ok(())
    }

    /// A base comes before what stands on it; if it does not come, neither does that.
    pub(crate) fn copy(&mut self, plan: &[&Manifest], here: &Listing, there: &Listing) -> Result<()> {
        let (mut lost, mut copied): (HashSet<&str>, HashSet<&str>) = (HashSet::new(), HashSet::new());
        let (ours, theirs) = (by_id(here), by_id(there));
        for manifest in plan {
            let result = match manifest.base.as_deref().filter(|base| lost.contains(base)) {
                Some(base) => Err(Error::failure(format!("copying {}: its base {base} was not copied", manifest.id))),
                None => self
                    .check_base(manifest, &ours, &theirs, &copied, there)
                    .and_then(|()| if self.dry_run { Ok(()) } else { self.copy_one(manifest) }),
            };
            match result {
                Ok(()) => {
                    copied.insert(&manifest.id);
                    self.report(manifest)?;
                }
                Err(error) => {
                    lost.insert(&manifest.id);
                    let gone = error.kind() == ErrorKind::Unavailable;
                    self.fail(&manifest.id, error)?;
                    if gone {
                        self.session.warn("a store is gone, so the rest was not tried");
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// An increment comes only where its very base is, all of it.
    fn check_base(
        &self,
        manifest: &Manifest,
        ours: &HashMap<&str, &Manifest>,
        theirs: &HashMap<&str, &Manifest>,
        copied: &HashSet<&str>,
        there: &Listing,
    ) -> Result<()> {
        let base = manifest.base.as_deref().unwrap_or_default();
        let refused = |why: &str| {
            let step = format!("copying {} to {}: its base {base} {why}", manifest.id, self.to.store.describe());
            Error::integrity(step).with_hint(
                "vb-verify says which backups are whole; restore an earlier one, and make a full backup now.",
            )
        };
        copy::base_is_the_same(manifest, ours, theirs, copied).map_err(refused)?;
        let present = theirs.get(base).filter(|_| !copied.contains(base));
        let flaw = present.map(|base| whole::flaw_of(&*self.to.store, base, &there.objects)).transpose()?.flatten();
        flaw.map_or(Ok(()), |flaw| Err(refused(&format!("is incomplete there: {flaw}"))))
    }

    fn copy_one(&self, manifest: &Manifest) -> Result<()> {
        copy::copy(self.session, self.from, self.to, manifest, &mut |bytes| self.progress.add(bytes))
    }

    fn report(&mut self, manifest: &Manifest) -> Result<()> {
        self.totals.copied += 1;
        self.totals.size_bytes += manifest.size_bytes();
        let fields = json!({
            "id": manifest.id,
            "set": manifest.set,
            "kind": manifest.kind,
            "base": manifest.base,
            "records": manifest.records,
            "size_bytes": manifest.size_bytes(),
            "objects": manifest.objects.len(),
            "dry_run": self.dry_run,
        });
        self.session.event("copy", &fields)?;
        let verb = if self.dry_run { "would copy" } else { "copied" };
        self.session.tell(format_args!("{verb} {} ({})", manifest.id, words::bytes(manifest.size_bytes())));
        Ok(())
    }

    fn fail(&mut self, id: &str, error: Error) -> Result<()> {
        let kind = error.kind();
        let fields = json!({
            "id": id,
            "error": kind.name(),
            "exit_code": kind.exit_code(),
            "message": error.to_string(),
        });
        self.session.event("failed", &fields)?;
        self.session.tell(&error);
        self.failed.push((id.to_owned(), error));
        Ok(())
    }

    /// Pins of backups that are in both stores now. A verification is not copied: it speaks of the other store's bytes.
    pub(crate) fn copy_pins(
        &mut self,
        here: &Listing,
        there: &Listing,
        plan: &[&Manifest],
        ids: Option<&[String]>,
    ) -> Result<()> {
        let theirs: HashSet<&str> = there.objects.iter().map(|object| object.key.as_str()).collect();
        let planned: HashSet<&str> = plan.iter().map(|manifest| manifest.id.as_str()).collect();
        let failed: HashSet<String> = self.failed.iter().map(|(id, _)| id.clone()).collect();
        let wanted = |id: &str| planned.contains(id) || ids.is_none_or(|ids| ids.iter().any(|other| other == id));
        for object in &here.objects {
            let pinned = match (listing::id_of(&object.key), Fact::parse(&object.key)) {
                (Some(id), Some((_, Fact::Pinned))) if !theirs.contains(object.key.as_str()) => id,
                _ => continue,
            };
            let is_backup = here.backups.iter().any(|manifest| manifest.id == pinned);
            if !is_backup || !wanted(pinned) || failed.contains(pinned) {
                continue;
            }
            let copied = match self.dry_run {
                true => Ok(()),
                false => self
                    .from
                    .read_small(&object.key, MOST_PIN_BYTES)
                    .and_then(|bytes| self.to.store.put_new(&object.key, &bytes).map(|_| ())),
            };
            match copied {
                Err(error) if error.kind() != ErrorKind::Conflict => self.fail(pinned, error)?,
                _ => self.totals.pins += 1,
            }
        }
        Ok(())
    }

    pub(crate) fn conclude(self) -> Result<Done> {
        let Totals { copied, present, pins, size_bytes } = self.totals;
        let (from, to) = (self.from.describe(), self.to.store.describe());
        let failed = self.failed.len();
        let fields = json!({
            "from": from,
            "to": to,
            "copied": copied,
            "present": present,
            "pins": pins,
            "failed": failed,
            "size_bytes": size_bytes,
            "dry_run": self.dry_run,
        });
        let verb = if self.dry_run { "would copy" } else { "copied" };
        let size = words::bytes(size_bytes);
        let backups = if copied == 1 { "backup" } else { "backups" };
        let done = self.session.done(&fields, format!("{verb} {copied} {backups} ({size}) from {from} to {to}"))?;
        let Some((_, first)) = self.failed.into_iter().next() else { return Ok(done) };
        if copied + present == 0 {
            return Err(first);
        }
        let message = format!("{failed} could not be copied; the first: {first}");
        Ok(done.but(Error::new(ErrorKind::Partial, message).with_hint("Run it again; it goes on where it stopped.")))
    }
}

fn by_id(listing: &Listing) -> HashMap<&str, &Manifest> {
    listing.backups.iter().map(|manifest| (manifest.id.as_str(), manifest)).collect()
}
