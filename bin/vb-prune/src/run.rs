//! Carrying a decision out: what goes is removed one by one, and whatever fails stops nothing else.

use crate::again::Again;
use crate::inventory::Known;
use crate::meanwhile::Meanwhile;
use crate::words::count;
use serde::Serialize;
use serde_json::json;
use std::collections::HashSet;
use std::fmt::{self, Display};
use std::sync::Arc;
use vb_core::retention::{Backup, Reason, Verdict};
use vb_core::{Error, ErrorKind, Result, time};
use vb_pipe::{Done, Session, cleanup};
use vb_repository::removal::{self, Found, Removal};
use vb_repository::words;
use vb_store::Store;

/// What was done, or in a dry run would be.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    kept: usize,
    removed: usize,
    pub(crate) swept: usize,
    freed_bytes: u64,
    /// What the store refused, and why.
    failed: Vec<String>,
}

/// The status line of a backup that stays.
#[derive(Serialize)]
struct Kept<'all, Why> {
    id: &'all str,
    reasons: &'all [Why],
    created_at: String,
    size_bytes: u64,
    dry_run: bool,
}

impl<'all, Why> Kept<'all, Why> {
    fn of(backup: &'all Backup, reasons: &'all [Why], dry_run: bool) -> Self {
        let (created_at, size_bytes) = (time::seconds(backup.created_at), backup.size_bytes);
        Self { id: &backup.id, reasons, created_at, size_bytes, dry_run }
    }
}

/// One run: decisions are made, now they are carried out.
pub(crate) struct Run<'run> {
    pub(crate) session: &'run Session,
    pub(crate) store: &'run Arc<dyn Store>,
    pub(crate) dry_run: bool,
    pub(crate) totals: Totals,
}

impl<'run> Run<'run> {
    pub(crate) fn new(session: &'run Session, store: &'run Arc<dyn Store>, dry_run: bool) -> Self {
        Self { session, store, dry_run, totals: Totals::default() }
    }

    /// Tells what stays, removes what goes, sweeps what unfinished runs have left.
    pub(crate) fn carry_out(mut self, known: &Known, verdicts: &[Verdict], set: Option<&str>) -> Result<Done> {
        let Again { mut found, pins, others, newest_at } = Again::list(&**self.store, known, verdicts, set)?;
        let keys = pins.iter().chain(others.iter().map(|object| &object.key));
        let mut meanwhile = Meanwhile::new(&**self.store, &known.backups, keys)?;
        self.report_kept(verdicts)?;
        let mut going: Vec<&Verdict> = verdicts.iter().filter(|verdict| !verdict.keeps).collect();
        removal::sort(&mut going, |verdict| verdict.backup);
        self.remove(&going, &mut found, &mut meanwhile)?;
        self.sweep(&others, set, newest_at)?;
        self.conclude()
    }

    /// A status line and a sentence for each backup that stays.
    fn report_kept(&mut self, verdicts: &[Verdict]) -> Result<()> {
        let stays = || verdicts.iter().filter(|verdict| verdict.keeps);
        self.totals.kept = stays().count();
        self.session.events("keep", stays().map(|verdict| Kept::of(verdict.backup, &verdict.reasons, self.dry_run)))?;
        for Verdict { backup, reasons, .. } in stays() {
            self.session.tell(format_args!("keep {} ({})", backup.id, sentence(reasons)));
        }
        Ok(())
    }

    /// What stands on a backup goes before it; if that fails, the backup stays, so that no chain is broken.
    fn remove<'all>(
        &mut self,
        going: &[&Verdict<'all>],
        found: &mut Found<'all>,
        meanwhile: &mut Meanwhile,
    ) -> Result<()> {
        let mut still_needed: HashSet<&str> = HashSet::new();
        for Verdict { backup, reasons, .. } in going.iter().copied() {
            let (id, removal) = (backup.id.as_str(), found.take(backup)?);
            let result = if still_needed.contains(id) {
                Err(Error::failure(format!("removing {id}: a backup that stands on it is still there")))
            } else {
                match self.remove_one(&removal, meanwhile) {
                    Ok(Some(reason)) => {
                        self.report_stays(backup, &reason)?;
                        meanwhile.stays(backup);
                        continue;
                    }
                    result => result.map(drop),
                }
            };
            if result.is_err() {
                still_needed.extend(backup.base.as_deref());
            }
            let size_bytes = removal.size_bytes;
            if self.record(result, size_bytes) {
                self.totals.removed += 1;
                let fields = json!({ "id": id, "reasons": reasons, "size_bytes": size_bytes, "dry_run": self.dry_run });
                self.session.event("remove", &fields)?;
                let verb = if self.dry_run { "would remove" } else { "removed" };
                let size = words::bytes(size_bytes);
                self.session.tell(format_args!("{verb} {id}, {size} ({})", sentence(reasons)));
            }
        }
        Ok(())
    }

    /// Tells why it stays after all, if it does.
    fn remove_one(&self, removal: &Removal<'_>, meanwhile: &mut Meanwhile) -> Result<Option<String>> {
        if self.dry_run {
            return Ok(None);
        }
        if let Some(reason) = meanwhile.keeps(removal.backup, self.session.now())? {
            return Ok(Some(format!("{reason}, since the listing")));
        }
        // A signal must not come between the manifest and its being put back.
        let _uninterrupted = cleanup::uninterrupted();
        removal::remove(&**self.store, removal)?;
        Ok(None)
    }

    fn report_stays(&mut self, backup: &Backup, reason: &str) -> Result<()> {
        self.totals.kept += 1;
        self.session.event("keep", &Kept::of(backup, &[reason], self.dry_run))?;
        self.session.tell(format_args!("keep {} ({reason})", backup.id));
        Ok(())
    }

    /// Counts a step; one that failed is a warning and stops no other.
    pub(crate) fn record(&mut self, result: Result<()>, freed_bytes: u64) -> bool {
        match result {
            Ok(()) => {
                self.totals.freed_bytes += freed_bytes;
                true
            }
            Err(error) => {
                self.session.warn(&error.to_string());
                self.totals.failed.push(error.to_string());
                false
            }
        }
    }

    fn conclude(self) -> Result<Done> {
        let Totals { kept, removed, swept, freed_bytes, failed } = self.totals;
        let done = format!("{} and {}", count(removed, "backup"), count(swept, "leftover"));
        if let Some(first) = failed.first() {
            let were = if removed + swept == 1 { "was" } else { "were" };
            let deletions = count(failed.len(), "deletion");
            let reason = if failed.len() == 1 { first.clone() } else { format!("the first: {first}") };
            return Err(Error::new(
                ErrorKind::Partial,
                format!("{deletions} failed ({reason}); {done} {were} removed"),
            )
            .with_hint("What failed is still there; run it again when the store allows it, and it goes on."));
        }
        let fields = json!({
            "store": self.store.describe(),
            "kept": kept,
            "removed": removed,
            "swept": swept,
            "freed_bytes": freed_bytes,
            "dry_run": self.dry_run,
        });
        let verb = if self.dry_run { "would remove" } else { "removed" };
        let (freed, place) = (words::bytes(freed_bytes), self.store.describe());
        self.session.done(&fields, format!("kept {kept}, {verb} {done} ({freed}) in {place}"))
    }
}

/// With commas between them.
fn sentence(reasons: &[Reason]) -> impl Display {
    fmt::from_fn(|to| {
        reasons.iter().enumerate().try_for_each(|(number, reason)| {
            let comma = if number > 0 { ", " } else { "" };
            write!(to, "{comma}{reason}")
        })
    })
}
