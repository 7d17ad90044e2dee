//! The command line, and what it asks for.

use crate::mark::MarkArguments;
use std::path::PathBuf;
use vb_core::assertion::Assertion;
use vb_core::environment::VB_SET;
use vb_core::label::Kind;
use vb_core::location::Location;
use vb_core::time::{self, Instant};
use vb_core::{Error, Result, naming, watermark};
use vb_pipe::{CommonArguments, EXIT_CODES, Session};
use vb_repository::Row;

const EXAMPLES: &str = "\
Examples:
  vb-ls --store s3://backups/shop
  vb-ls --latest --kind full | jq -r 'select(.event == \"backup\").id'
  vb-ls --chain verification_20261121_031500
  vb-ls --store s3://backups --store file:///srv/backups     which store lacks what
  vb-ls --assert 'age<26h && level>=2 && count>=7' || alarm  a switch for cron and monitoring
  vb-ls --cost
  vb-ls --mark data/.last_backup                             after the file was lost, or the store was changed behind its back
";

/// List the backups in a store, the newest last
#[derive(Debug, clap::Parser)]
#[command(name = "vb-ls", version, after_help = format!("{EXAMPLES}\n{EXIT_CODES}"))]
#[allow(clippy::struct_excessive_bools)] // one each option
pub(crate) struct Arguments {
    /// Where the backups are: file:///folder or s3://bucket/prefix; several show which store lacks what
    ///
    /// Without it VB_STORE (several with blanks between), else CLOUD_PROVIDER and its variables, else file://./backups.
    #[arg(long, value_name = "URL")]
    store: Vec<String>,

    /// Only the stores on this machine's disks
    #[arg(long, conflicts_with = "cloud")]
    local: bool,

    /// Only the stores elsewhere
    #[arg(long)]
    cloud: bool,

    /// Only this set; by default VB_SET, else all
    #[arg(long, value_name = "NAME")]
    set: Option<String>,

    /// Only full or only incremental backups
    #[arg(long, value_name = "KIND", value_parser = ["full", "incremental"])]
    kind: Option<String>,

    /// Only those made at this time or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Only those made before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// Only the newest N
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,

    /// Only the newest of each set that is all there; none is exit code 4
    #[arg(long)]
    pub(crate) latest: bool,

    /// Only the newest of each set that shows the source at this time or earlier; none is exit code 4
    ///
    /// A day, or a time without seconds, is all of it: 2026-11-21 is the end of that day.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,

    /// What a restore of this backup applies, in that order: the full backup first
    #[arg(long, value_name = "ID", conflicts_with_all = ["set", "kind", "since", "until", "limit", "latest", "at", "stats", "cost", "assertion"])]
    pub(crate) chain: Option<String>,

    /// Only counts, sizes and growth of each set
    #[arg(long, conflicts_with_all = ["limit", "latest", "at"])]
    pub(crate) stats: bool,

    /// What each backup and set costs a month, a year under the retention of BACKUP_RETENTION_*, and a restore
    #[arg(long, conflicts_with_all = ["limit", "latest", "at", "stats", "ids"])]
    pub(crate) cost: bool,

    /// The storage class to reckon with; by default what the store says of each backup, else VB_STORAGE_CLASS or the provider's default
    #[arg(long, value_name = "NAME", requires = "cost")]
    pub(crate) class: Option<String>,

    /// A file of prices instead of the built-in ones; by default VB_PRICES
    #[arg(long, value_name = "FILE", requires = "cost")]
    pub(crate) prices: Option<PathBuf>,

    /// Exit with 1 and the reason unless this holds for each set, such as 'age<26h && level>=2 && count>=7'
    ///
    /// age, level, bytes, records and growth (in per cent of the median before it) are those of the newest backup, count
    /// is the set's. < <= > >= == != && || and parentheses; ages as 26h or 7d, sizes as 10GB.
    #[arg(long = "assert", value_name = "CONDITION", conflicts_with_all = ["limit", "latest", "at", "stats", "cost", "ids"])]
    assertion: Option<String>,

    #[command(flatten)]
    pub(crate) marking: MarkArguments,

    /// Only the ids, one a line, for shell scripts
    #[arg(long, conflicts_with = "stats")]
    pub(crate) ids: bool,

    /// Status lines on a terminal too, instead of the table
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

/// What a backup must be to be listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    kind: Option<Kind>,
    since: Option<Instant>,
    until: Option<Instant>,
    /// It shows the source as it was at this time or earlier.
    pub(crate) at: Option<Instant>,
}

impl Arguments {
    /// The set to list: of a chain it is in the id.
    pub(crate) fn set(&self, session: &Session) -> Result<Option<String>> {
        if let Some(id) = &self.chain {
            let (set, _) = naming::parse_id(id).ok_or_else(|| Error::usage(format!("{id:?} is no backup's id")))?;
            return Ok(Some(set.to_owned()));
        }
        let set = self.set.as_deref().or(session.environment().get(VB_SET));
        if let (None, Some(path)) = (set, &self.marking.mark) {
            return crate::mark::set_of(path);
        }
        set.map(|set| naming::check_set(set).map(|()| set.to_owned())).transpose()
    }

    pub(crate) fn wanted(&self, now: Instant) -> Result<Wanted> {
        let time = |text: &Option<String>| text.as_deref().map(|text| watermark::parse_when(text, now)).transpose();
        let kind = self.kind.as_deref().map(|kind| if kind == "full" { Kind::Full } else { Kind::Incremental });
        let at = self.at.as_deref().map(|at| watermark::parse_at(at, now)).transpose()?;
        Ok(Wanted { kind, since: time(&self.since)?, until: time(&self.until)?, at })
    }

    pub(crate) fn assertion(&self) -> Result<Option<Assertion>> {
        self.assertion.as_deref().map(Assertion::parse).transpose()
    }

    /// The stores to look into.
    pub(crate) fn locations(&self, session: &Session) -> Result<Vec<Location>> {
        let all = if self.store.is_empty() {
            Location::all_from_environment(session.environment())?
        } else {
            self.store.iter().map(|url| Location::parse(url)).collect::<Result<_>>()?
        };
        let is_local = |location: &Location| location.scheme == "file";
        let mut chosen: Vec<Location> = Vec::new();
        for location in all {
            let fits = if is_local(&location) { !self.cloud } else { !self.local };
            if fits && !chosen.contains(&location) {
                chosen.push(location);
            }
        }
        if chosen.is_empty() {
            let sort = if self.local { "on this machine" } else { "elsewhere" };
            return Err(Error::usage(format!("none of the stores is {sort}"))
                .with_hint("Leave out --local and --cloud, or name another --store."));
        }
        Ok(chosen)
    }
}

impl Wanted {
    /// Whether it is.
    pub(crate) fn matches(&self, row: &Row) -> bool {
        let shows = row.until.unwrap_or(row.created_at);
        self.kind.is_none_or(|kind| row.kind == kind)
            && self.since.is_none_or(|since| row.created_at >= since)
            && self.until.is_none_or(|until| row.created_at < until)
            && self.at.is_none_or(|at| shows <= at)
    }

    /// The words of the search, for a message.
    pub(crate) fn words(&self) -> String {
        let kind = self.kind.map(|kind| format!("{} ", kind.name())).unwrap_or_default();
        let at = self.at.map(|at| format!(" as of {}", time::seconds(at))).unwrap_or_default();
        format!("{kind}backup{at}")
    }
}
