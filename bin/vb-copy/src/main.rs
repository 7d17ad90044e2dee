#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod run;

use clap::Parser;
use run::Run;
use std::collections::HashSet;
use std::process::ExitCode;
use vb_core::environment::{Environment, VB_SET};
use vb_core::location::Location;
use vb_core::{Error, Result, naming};
use vb_pipe::{Command, CommonArguments, Done, EXIT_CODES, Session};
use vb_repository::{Listing, StoreArguments, WritingArguments, arguments, copy, guard, list, listing};
use vb_store::Store;

const EXAMPLES: &str = "\
Examples:
  vb-copy --from file:///srv/backups --to s3://backups/weather
  vb-copy --from s3://backups --to file:///mnt/usb --set verification --dry-run
  vb-copy --from s3://backups --to file://./here verification_20261121_031500
  OLD_AWS_PROFILE=before vb-copy --from s3://old --from-env OLD_ --to s3://new
";

/// Bring to one store the backups that another has
#[derive(Debug, Parser)]
#[command(name = "vb-copy", version, after_help = format!("{EXAMPLES}\n{EXIT_CODES}"))]
struct Copy {
    /// Only these backups, and what they stand on
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    /// The store that has the backups
    #[arg(long, value_name = "URL")]
    from: String,

    /// The store that gets what it lacks
    #[arg(long, value_name = "URL")]
    to: String,

    /// For the store of --from, variables that begin so go before those that do not: OLD_ takes OLD_AWS_PROFILE
    #[arg(long, value_name = "PREFIX")]
    from_env: Option<String>,

    /// The same for the store of --to
    #[arg(long, value_name = "PREFIX")]
    to_env: Option<String>,

    /// Only the backups of this set, and what they stand on; by default VB_SET, else every set
    #[arg(long, value_name = "NAME", conflicts_with = "ids")]
    set: Option<String>,

    #[command(flatten)]
    writing: WritingArguments,

    #[command(flatten)]
    common: CommonArguments,
}

impl Command for Copy {
    const NAME: &'static str = "vb-copy";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn stdout_carries_data(&self) -> bool {
        false
    }

    fn run(self, session: &Session) -> anyhow::Result<Done> {
        let set = self.set.as_deref().or(session.environment().get(VB_SET)).filter(|_| self.ids.is_empty());
        set.map_or(Ok(()), naming::check_set)?;
        let from = StoreArguments { store: Some(self.from.clone()) };
        let (source, target) = (from.location(session.environment())?, Location::parse(&self.to)?);
        // The same name may mean two places behind two endpoints.
        if source == target && self.from_env == self.to_env {
            return Err(Error::usage("--from and --to name the same store").into());
        }
        let (here, there) = (side(session, "--from-env", &self.from_env)?, side(session, "--to-env", &self.to_env)?);
        let from = arguments::open(session, &source, &here)?;
        let to = arguments::open_to_write(session, target, &there, &self.writing)?;
        let (mut here, mut there) = (list(&*from, set)?, list(&*to.store, set)?);
        self.refuse_unknown(&here, &*from)?;
        refuse_nothing(&here, &*from)?;
        let ids = match set {
            Some(_) => Some(here.backups.iter().map(|manifest| manifest.id.clone()).collect()),
            None => Some(self.ids.clone()).filter(|ids| !ids.is_empty()),
        };
        if set.is_some() {
            add_bases_of_other_sets(&*from, &mut here, &*to.store, &mut there)?;
        }
        let ids = ids.as_deref();
        let plan = copy::plan(&here.backups, &there.backups, ids);
        let mut run = Run::new(session, &*from, &to, self.common.dry_run, &plan);
        run.compare(&here, &there)?;
        run.copy(&plan, &here, &there)?;
        run.copy_pins(&here, &there, &plan, ids)?;
        Ok(run.conclude()?)
    }
}

impl Copy {
    fn refuse_unknown(&self, here: &Listing, from: &dyn Store) -> Result<()> {
        let unknown = self.ids.iter().find(|id| !here.backups.iter().any(|manifest| manifest.id == **id));
        match unknown {
            Some(id) => Err(Error::not_found(format!("no backup {id} in {}", from.describe()))
                .with_hint("vb-ls shows what is there.")),
            None => Ok(()),
        }
    }
}

/// A folder that is not mounted has nothing to copy, and no copy of it is one.
fn refuse_nothing(here: &Listing, from: &dyn Store) -> Result<()> {
    if !here.backups.is_empty() || !here.unreadable.is_empty() {
        return Ok(());
    }
    Err(Error::not_found(format!("no backup in {}", from.describe()))
        .with_hint("Check --from and --set; vb-ls shows what is there."))
}

/// Backups of older versions may stand on one of another set: that comes too.
fn add_bases_of_other_sets(from: &dyn Store, here: &mut Listing, to: &dyn Store, there: &mut Listing) -> Result<()> {
    let mut asked_for = HashSet::new();
    loop {
        let mut bases = copy::unlisted_bases(&here.backups);
        bases.retain(|base| asked_for.insert(base.clone()));
        if bases.is_empty() {
            return Ok(());
        }
        listing::add(from, here, &bases)?;
        listing::add(to, there, &bases)?;
    }
}

/// What a side's store reads its settings from.
fn side(session: &Session, flag: &str, prefix: &Option<String>) -> Result<Environment> {
    let Some(prefix) = prefix else { return Ok(session.environment().clone()) };
    session.environment().preferring(prefix).filter(|_| !prefix.is_empty()).ok_or_else(|| {
        Error::usage(format!("{flag} is {prefix:?}, but no variable begins so"))
            .with_hint(format!("Set the store's variables with it, such as {prefix}AWS_PROFILE."))
    })
}

fn main() -> ExitCode {
    guard::serve().unwrap_or_else(vb_pipe::main::<Copy>)
}
