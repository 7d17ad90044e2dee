#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod stats;
mod table;

use clap::Parser;
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::process::ExitCode;
use vb_core::environment::VB_SET;
use vb_core::label::Kind;
use vb_core::manifest::Manifest;
use vb_core::time::Instant;
use vb_core::{Error, ErrorKind, Result, chain, naming, time, watermark};
use vb_pipe::{Command, CommonArguments, Done, EXIT_CODES, Session};
use vb_repository::select::Wanted;
use vb_repository::{Listing, StoreArguments, list, words};

const EXAMPLES: &str = "\
Examples:
  vb-ls --store s3://backups/shop
  vb-ls --latest --kind full | jq -r 'select(.event == \"backup\").id'
  vb-ls --chain verification_20261121_031500
";

/// List the backups in a store, the newest last
#[derive(Debug, Parser)]
#[command(name = "vb-ls", version, after_help = format!("{EXAMPLES}\n{EXIT_CODES}"))]
struct Ls {
    #[command(flatten)]
    store: StoreArguments,

    /// Only this set; by default VB_SET, else all
    #[arg(long, value_name = "NAME")]
    set: Option<String>,

    /// Only full or only incremental backups
    #[arg(long, value_name = "KIND", value_parser = ["full", "incremental"])]
    kind: Option<String>,

    /// Only the newest N
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Only the newest of each set; none is exit code 4
    #[arg(long)]
    latest: bool,

    /// Only the newest of each set that shows the source at this time or earlier; none is exit code 4
    #[arg(long, value_name = "TIME")]
    at: Option<String>,

    /// What a restore of this backup applies, in that order: the full backup first
    #[arg(long, value_name = "ID", conflicts_with_all = ["set", "kind", "limit", "latest", "at", "stats"])]
    chain: Option<String>,

    /// Only counts and sizes of each set
    #[arg(long, conflicts_with_all = ["limit", "latest", "at"])]
    stats: bool,

    /// Only the ids, one a line, for shell scripts
    #[arg(long, conflicts_with = "stats")]
    ids: bool,

    #[command(flatten)]
    common: CommonArguments,
}

impl Command for Ls {
    const NAME: &'static str = "vb-ls";
    const READER_MAY_LEAVE: bool = true;

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn stdout_carries_data(&self) -> bool {
        self.ids
    }

    fn run(self, session: &Session) -> anyhow::Result<Done> {
        let now = session.now();
        let store = self.store.open(session)?;
        let set = self.set(session)?;
        let mut listing = list(&*store, set.as_deref())?;
        let wanted = self.wanted(now)?;
        let unreadable = warn_of_unreadable(session, &listing);
        if self.stats {
            listing.backups.retain(|manifest| wanted.matches(manifest));
            let stats = stats::of(&listing.backups);
            stats.iter().try_for_each(|set| session.event("set", &set.fields(now)))?;
            show(|| stats::table(&stats, now))?;
        } else {
            let chosen = self.choose(&listing, wanted, &store.describe())?;
            self.tell(session, &chosen, now)?;
            listing.backups = chosen.into_iter().cloned().collect();
        }
        if unreadable > 0 {
            return Err(Error::new(ErrorKind::Partial, format!("{unreadable} manifests could not be read"))
                .with_hint("The warnings name them; all other backups are listed.")
                .into());
        }
        Ok(done(session, &listing.backups, &store.describe())?)
    }
}

impl Ls {
    /// The set to list: of a chain it is in the id.
    fn set(&self, session: &Session) -> Result<Option<String>> {
        if let Some(id) = &self.chain {
            let (set, _) = naming::parse_id(id).ok_or_else(|| Error::usage(format!("{id:?} is no backup's id")))?;
            return Ok(Some(set.to_owned()));
        }
        let set = self.set.as_deref().or(session.environment().get(VB_SET));
        set.map(|set| naming::check_set(set).map(|()| set.to_owned())).transpose()
    }

    fn wanted(&self, now: Instant) -> Result<Wanted> {
        let at = self.at.as_deref().map(|at| watermark::parse_when(at, now)).transpose()?;
        let kind = self.kind.as_deref().map(|kind| if kind == "full" { Kind::Full } else { Kind::Incremental });
        Ok(Wanted { kind, at })
    }

    /// What the options leave, in the order in which it is shown.
    fn choose<'all>(&self, listing: &'all Listing, wanted: Wanted, place: &str) -> Result<Vec<&'all Manifest>> {
        if let Some(id) = &self.chain {
            return chain::resolve(&listing.backups, id);
        }
        let mut chosen: Vec<&Manifest> = listing.backups.iter().filter(|manifest| wanted.matches(manifest)).collect();
        if self.latest || self.at.is_some() {
            chosen = newest_of_each_set(&chosen);
            if chosen.is_empty() {
                return Err(Error::not_found(format!("no {} in {place}", wanted.words()))
                    .with_hint("Run vb-ls without options to see what is there."));
            }
        }
        let surplus = self.limit.map_or(0, |limit| chosen.len().saturating_sub(limit));
        Ok(chosen.split_off(surplus))
    }

    fn tell(&self, session: &Session, chosen: &[&Manifest], now: Instant) -> Result<()> {
        if self.ids {
            let ids: String = chosen.iter().map(|manifest| format!("{}\n", manifest.id)).collect();
            return table::print(&ids);
        }
        chosen.iter().try_for_each(|manifest| session.event("backup", &fields(manifest, now)))?;
        show(|| table::of(chosen, now))
    }
}

/// People see a table in the place of the status lines.
fn show(table: impl FnOnce() -> String) -> Result<()> {
    if std::io::stdout().is_terminal() { table::print(&table()) } else { Ok(()) }
}

fn done(session: &Session, backups: &[Manifest], place: &str) -> Result<Done> {
    let size_bytes: u64 = backups.iter().map(Manifest::size_bytes).sum();
    let count = backups.len();
    let fields = json!({ "store": place, "count": count, "size_bytes": size_bytes });
    session.done(&fields, format!("{count} backups, {} in {place}", words::bytes(size_bytes)))
}

fn newest_of_each_set<'all>(backups: &[&'all Manifest]) -> Vec<&'all Manifest> {
    let is_newest = |index: usize| !backups[index + 1..].iter().any(|later| later.set == backups[index].set);
    (0..backups.len()).filter(|index| is_newest(*index)).map(|index| backups[index]).collect()
}

fn warn_of_unreadable(session: &Session, listing: &Listing) -> usize {
    listing.unreadable.iter().for_each(|error| session.warn(&error.to_string()));
    listing.unreadable.len()
}

/// The manifest but for what only a program that reads it needs, and what follows from it.
fn fields(manifest: &Manifest, now: Instant) -> Value {
    json!({
        "id": manifest.id,
        "set": manifest.set,
        "kind": manifest.kind,
        "base": manifest.base,
        "created_at": time::seconds(manifest.created_at),
        "age_seconds": (now - manifest.created_at).num_seconds(),
        "since": manifest.since.map(time::exact),
        "until": manifest.until.map(time::exact),
        "continues": manifest.continues,
        "records": manifest.records,
        "size_bytes": manifest.size_bytes(),
        "objects": manifest.objects,
        "proof": manifest.proof,
        "source": manifest.source,
        "schema_sha256": manifest.schema_sha256,
    })
}

fn main() -> ExitCode {
    vb_pipe::main::<Ls>()
}
