#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod policy;
mod sweep;

use clap::Parser;
use policy::KeepArguments;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::process::ExitCode;
use std::sync::Arc;
use vb_core::environment::VB_SET;
use vb_core::manifest::Manifest;
use vb_core::retention::{self, Verdict};
use vb_core::{Error, ErrorKind, Result, naming, time};
use vb_pipe::{Command, CommonArguments, Done, EXIT_CODES, Session};
use vb_repository::removal::{self, Removal};
use vb_repository::{Listing, StoreArguments, list, words};
use vb_store::Store;

const EXAMPLES: &str = "\
Examples:
  vb-prune --keep-daily 30 --dry-run
  vb-prune --keep-last 3 --keep-daily 14 --keep-weekly 8 --keep-monthly 24
  vb-prune --set verification --keep-within 30d
";

/// Remove the backups that the retention policy no longer wants, and what unfinished runs have left
///
/// A backup on which a kept one stands is kept, and so is the newest of each set.
#[derive(Debug, Parser)]
#[command(name = "vb-prune", version, after_help = format!("{EXAMPLES}\n{EXIT_CODES}"))]
struct Prune {
    #[command(flatten)]
    keep: KeepArguments,

    #[command(flatten)]
    store: StoreArguments,

    /// Only this set; by default VB_SET, else each set by itself
    #[arg(long, value_name = "NAME")]
    set: Option<String>,

    #[command(flatten)]
    common: CommonArguments,
}

impl Command for Prune {
    const NAME: &'static str = "vb-prune";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn stdout_carries_data(&self) -> bool {
        false
    }

    fn run(self, session: &Session) -> anyhow::Result<Done> {
        let policy = self.keep.policy(session.environment())?;
        let set = self.set.as_deref().or(session.environment().get(VB_SET));
        set.map_or(Ok(()), naming::check_set)?;
        let store = self.store.open(session)?;
        let listing = list(&*store, set)?;
        refuse_holes(session, &listing)?;
        let verdicts = retention::plan(&listing.backups, &policy, session.now())?;
        let going: HashSet<&str> =
            verdicts.iter().filter(|verdict| !verdict.keeps()).map(|verdict| verdict.id.as_str()).collect();
        let plan = removal::plan(&listing, &going)?;
        let mut run = Run { session, store: &store, dry_run: self.common.dry_run, totals: Totals::default() };
        run.report_kept(&listing.backups, &verdicts)?;
        run.remove(&plan)?;
        run.sweep(&listing, set)?;
        Ok(run.conclude()?)
    }
}

/// A policy that does not see every backup must not decide about any.
fn refuse_holes(session: &Session, listing: &Listing) -> Result<()> {
    listing.unreadable.iter().for_each(|error| session.warn(&error.to_string()));
    if listing.unreadable.is_empty() {
        return Ok(());
    }
    let count = listing.unreadable.len();
    Err(Error::integrity(format!("{count} manifests could not be read, so nothing was removed"))
        .with_hint("Restore or delete what the warnings name, then run it again."))
}

/// What was done, or in a dry run would be.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    kept: usize,
    removed: usize,
    swept: usize,
    freed_bytes: u64,
    failed: usize,
}

/// One run: decisions are made, now they are carried out.
pub(crate) struct Run<'run> {
    session: &'run Session,
    store: &'run Arc<dyn Store>,
    dry_run: bool,
    totals: Totals,
}

impl Run<'_> {
    /// A status line and a sentence for each backup that stays.
    fn report_kept(&mut self, backups: &[Manifest], verdicts: &[Verdict]) -> Result<()> {
        let by_id: HashMap<&str, &Manifest> = backups.iter().map(|one| (one.id.as_str(), one)).collect();
        for verdict in verdicts.iter().filter(|verdict| verdict.keeps()) {
            self.totals.kept += 1;
            let manifest = by_id.get(verdict.id.as_str());
            let fields = json!({
                "id": verdict.id,
                "reasons": verdict.reasons,
                "created_at": manifest.map(|manifest| time::seconds(manifest.created_at)),
                "size_bytes": manifest.map(|manifest| manifest.size_bytes()),
                "dry_run": self.dry_run,
            });
            self.session.event("keep", &fields)?;
            self.session.tell(&format!("keep {} ({})", verdict.id, verdict.reasons.join(", ")));
        }
        Ok(())
    }

    /// What stands on a backup goes before it; if that fails, the backup stays, so that no chain is broken.
    fn remove(&mut self, plan: &[Removal]) -> Result<()> {
        let mut still_needed: HashSet<&str> = HashSet::new();
        for removal in plan {
            let needed = still_needed.contains(removal.id.as_str());
            let result = match needed {
                true => {
                    Err(Error::failure(format!("removing {}: a backup that stands on it is still there", removal.id)))
                }
                false if self.dry_run => Ok(()),
                false => removal::remove(&**self.store, removal),
            };
            if result.is_err() {
                still_needed.extend(removal.base.as_deref());
            }
            let done = self.record(result, removal.size_bytes);
            self.totals.removed += usize::from(done);
            if done {
                let fields = json!({
                    "id": removal.id,
                    "reasons": ["no rule keeps it"],
                    "size_bytes": removal.size_bytes,
                    "dry_run": self.dry_run,
                });
                self.session.event("remove", &fields)?;
                let verb = if self.dry_run { "would remove" } else { "removed" };
                self.session.tell(&format!("{verb} {} ({})", removal.id, words::bytes(removal.size_bytes)));
            }
        }
        Ok(())
    }

    /// Counts a step; one that failed is a warning and stops no other.
    fn record(&mut self, result: Result<()>, freed_bytes: u64) -> bool {
        match result {
            Ok(()) => {
                self.totals.freed_bytes += freed_bytes;
                true
            }
            Err(error) => {
                self.totals.failed += 1;
                self.session.warn(&error.to_string());
                false
            }
        }
    }

    fn conclude(self) -> Result<Done> {
        let Totals { kept, removed, swept, freed_bytes, failed } = self.totals;
        if failed > 0 {
            let message = format!("{failed} deletions failed; {removed} backups and {swept} leftovers were removed");
            return Err(Error::new(ErrorKind::Partial, message).with_hint("Run it again; it goes on where it stopped."));
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
        let freed = words::bytes(freed_bytes);
        let place = self.store.describe();
        self.session
            .done(&fields, format!("kept {kept}, {verb} {removed} backups and {swept} leftovers ({freed}) in {place}"))
    }
}

fn main() -> ExitCode {
    vb_pipe::main::<Prune>()
}
