#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod again;
mod inventory;
mod meanwhile;
mod pin;
mod plan_file;
mod policy;
mod preset;
mod run;
mod sweep;
mod words;

use clap::Parser;
use inventory::Known;
use plan_file::{Basis, PlanFile};
use policy::KeepArguments;
use run::Run;
use rustix::fs::FileType;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use vb_core::environment::VB_SET;
use vb_core::retention::{self, Backup, Verdict};
use vb_core::{Error, Result, naming};
use vb_pipe::{Command, CommonArguments, Done, EXIT_CODES, Session};
use vb_repository::StoreArguments;
use vb_store::Store;

const EXAMPLES: &str = "\
Examples:
  vb-prune --keep-daily 30 --dry-run
  vb-prune --preset gfs --require-level 2 --max-delete 50
  vb-prune --older-than 30d --keep-at-least 5
  vb-ls --store s3://backups | vb-prune --plan --keep-last 3 --keep-monthly 24 > plan.json
  vb-prune --store s3://backups --apply plan.json
  vb-prune --pin verification_20261121_031500
";

/// Remove the backups that the retention policy no longer wants, and what unfinished runs have left
///
/// Only a good backup uses up a rule. A backup on which a kept one stands is kept, and so is the newest good one of each set.
#[derive(Debug, Parser)]
#[command(name = "vb-prune", version, after_help = format!("{EXAMPLES}\n{EXIT_CODES}"))]
struct Prune {
    #[command(flatten)]
    keep: KeepArguments,

    #[command(flatten)]
    store: StoreArguments,

    /// Only this set, all of the store in view; by default VB_SET, else each set by itself
    #[arg(long, value_name = "NAME")]
    set: Option<String>,

    /// Print what would be done, and why, as a JSON document, and do nothing
    ///
    /// Without --store the listing is what vb-ls prints into a pipe or file on standard input.
    #[arg(long, group = "mode")]
    plan: bool,

    /// Carry out this plan if the listing is still the one that it was made from; - is standard input
    #[arg(long, value_name = "PLAN", group = "mode", conflicts_with_all = ["KeepArguments", "set"])]
    apply: Option<PathBuf>,

    /// Keep these backups and all that they stand on, whatever the policy, until they are unpinned
    #[arg(long, value_name = "ID", num_args = 1.., group = "mode", conflicts_with_all = ["KeepArguments", "set"])]
    pin: Vec<String>,

    /// Leave these backups to the policy again
    #[arg(long, value_name = "ID", num_args = 1.., group = "mode", conflicts_with_all = ["KeepArguments", "set"])]
    unpin: Vec<String>,

    /// Remove nothing if more than N backups would go
    #[arg(long, value_name = "N")]
    max_delete: Option<usize>,

    #[command(flatten)]
    common: CommonArguments,
}

impl Command for Prune {
    const NAME: &'static str = "vb-prune";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn stdout_carries_data(&self) -> bool {
        self.plan
    }

    fn run(self, session: &Session) -> anyhow::Result<Done> {
        let done = match &self.apply {
            Some(path) => self.apply(session, path),
            None if !self.pin.is_empty() => {
                pin::pin(session, &*self.store.open(session)?, &self.pin, self.common.dry_run)
            }
            None if !self.unpin.is_empty() => {
                pin::unpin(session, &*self.store.open(session)?, &self.unpin, self.common.dry_run)
            }
            None if self.plan => self.plan(session),
            None => self.prune(session),
        };
        Ok(done?)
    }
}

impl Prune {
    fn prune(&self, session: &Session) -> Result<Done> {
        let set = self.chosen_set(session)?;
        let policy = self.keep.policy(session.environment(), set)?;
        let store = self.store.open(session)?;
        let known = self.known(session, &*store)?;
        let verdicts = retention::plan(&known.backups, &policy, session.now())?;
        self.refuse_too_many(&verdicts)?;
        Run::new(session, &store, self.common.dry_run).carry_out(&known, &verdicts, set)
    }

    fn plan(&self, session: &Session) -> Result<Done> {
        let set = self.chosen_set(session)?;
        let policy = self.keep.policy(session.environment(), set)?;
        let backups = self.backups(session)?;
        let now = session.now();
        let (basis, verdicts) = std::thread::scope(|scope| {
            let hashed = scope.spawn(|| Basis::of(&backups, set));
            let verdicts = retention::plan(&backups, &policy, now);
            (
                hashed.join().unwrap_or_else(|_| Err(Error::failure("hashing the listing: the thread ended early"))),
                verdicts,
            )
        });
        let (verdicts, basis) = (verdicts?, basis?);
        self.refuse_too_many(&verdicts)?;
        plan_file::write(std::io::stdout().lock(), &basis, &policy, now, &verdicts)?;
        let (stays, goes): (Vec<&Verdict>, Vec<&Verdict>) = verdicts.iter().partition(|verdict| verdict.keeps);
        let freed_bytes: u64 = goes.iter().map(|verdict| verdict.backup.size_bytes).sum();
        let fields = json!({
            "listing_sha256": basis.sha256,
            "kept": stays.len(),
            "removed": goes.len(),
            "freed_bytes": freed_bytes,
            "dry_run": true,
        });
        let going = words::count(goes.len(), "backup");
        let freed = vb_repository::words::bytes(freed_bytes);
        session.done(&fields, format!("the plan keeps {} and would remove {going} ({freed})", stays.len()))
    }

    fn apply(&self, session: &Session, path: &Path) -> Result<Done> {
        let plan = PlanFile::read(path)?;
        let set = plan.listing.set.as_deref();
        set.map_or(Ok(()), naming::check_set)?;
        let store = self.store.open(session)?;
        let known = self.known(session, &*store)?;
        plan.check_listing(&Basis::of(&known.backups, set)?)?;
        let policy = retention::Policy { set: set.map(str::to_owned), ..plan.policy.clone() };
        let verdicts = retention::plan(&known.backups, &policy, plan.planned_at)?;
        plan.check_removals(&verdicts)?;
        self.refuse_too_many(&verdicts)?;
        Run::new(session, &store, self.common.dry_run).carry_out(&known, &verdicts, set)
    }

    /// Of the store, or as `vb-ls` tells them on standard input.
    fn backups(&self, session: &Session) -> Result<Vec<Backup>> {
        if self.store.store.is_none() && somebody_pipes() {
            return inventory::of_lines(std::io::stdin().lock());
        }
        Ok(self.known(session, &*self.store.open(session)?)?.backups)
    }

    fn known(&self, session: &Session, store: &dyn Store) -> Result<Known> {
        Known::take(session, store, &self.store.location(session.environment())?)
    }

    fn chosen_set<'all>(&'all self, session: &'all Session) -> Result<Option<&'all str>> {
        let set = self.set.as_deref().or(session.environment().get(VB_SET));
        set.map_or(Ok(()), naming::check_set)?;
        Ok(set)
    }

    fn refuse_too_many(&self, verdicts: &[Verdict]) -> Result<()> {
        let going = verdicts.iter().filter(|verdict| !verdict.keeps).count();
        match self.max_delete.filter(|most| going > *most) {
            None => Ok(()),
            Some(most) => {
                let going = words::count(going, "backup");
                Err(Error::failure(format!("{going} would go, and --max-delete allows {most}; nothing was removed"))
                    .with_hint("Look at the reasons with --plan; if they are right, raise --max-delete."))
            }
        }
    }
}

/// Whether standard input is something that `vb-ls` may have written: not a terminal, not `/dev/null`, not closed.
fn somebody_pipes() -> bool {
    let status = rustix::fs::fstat(rustix::stdio::stdin());
    let what = status.map(|status| FileType::from_raw_mode(status.st_mode));
    what.is_ok_and(|what| matches!(what, FileType::Fifo | FileType::RegularFile | FileType::Socket))
}

fn main() -> ExitCode {
    vb_pipe::main::<Prune>()
}
