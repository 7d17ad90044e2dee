#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod arguments;
mod check;
mod inventory;
mod lines;
mod mark;
mod money;
mod newest;
mod policy;
mod stats;
mod table;

use arguments::{Arguments, Wanted};
use inventory::{Backup, Inventory};
use money::Tariff;
use serde_json::json;
use std::collections::HashMap;
use std::io::IsTerminal;
use std::process::ExitCode;
use vb_core::manifest::Manifest;
use vb_core::time::Instant;
use vb_core::{Error, ErrorKind, Result, chain, naming};
use vb_pipe::{Command, CommonArguments, Done, Session};
use vb_repository::{Entry, words};

impl Command for Arguments {
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
        let (set, wanted, assertion) = (self.set(session)?, self.wanted(now)?, self.assertion()?);
        let locations = self.locations(session)?;
        let mut inventory = Inventory::take(session, &locations, set.as_deref())?;
        if self.chain.as_ref().is_some_and(|id| leads_to_another_set(&inventory, id)) {
            inventory = Inventory::take(session, &locations, None)?;
        }
        if let Some(path) = &self.marking.mark {
            return Ok(mark::agree(&self, path, session, &inventory)?);
        }
        let chosen = self.choose(session, &inventory, wanted)?;
        if let Some(assertion) = assertion {
            check::all(session, &chosen, &assertion, now, set.as_deref(), &inventory.place())?;
        } else if self.stats {
            let stats = stats::of(&chosen);
            stats.iter().try_for_each(|set| session.event("set", &set.fields(now)))?;
            self.show(|| stats::table(&stats, now))?;
        } else {
            self.tell(session, &inventory, &chosen, now)?;
        }
        if inventory.unreadable > 0 {
            let message = format!("{} manifests could not be read", inventory.unreadable);
            return Err(Error::new(ErrorKind::Partial, message)
                .with_hint("The warnings name them; all other backups are listed.")
                .into());
        }
        Ok(done(session, &inventory, &chosen)?)
    }
}

impl Arguments {
    /// What the options leave, in the order in which it is shown.
    fn choose<'all>(&self, session: &Session, inventory: &'all Inventory, wanted: Wanted) -> Result<Vec<&'all Backup>> {
        if let Some(id) = &self.chain {
            return chain_of(inventory, id);
        }
        let mut chosen: Vec<&Backup> =
            inventory.backups.iter().filter(|backup| wanted.matches(&backup.entry.row)).collect();
        if self.latest || wanted.at.is_some() {
            let newest = newest::of_each_set(&chosen, session.now());
            newest.passed_over.iter().chain(&newest.broken).for_each(|words| session.warn(words));
            chosen = newest.chosen;
            if let Some(broken) = newest.broken.filter(|_| chosen.is_empty()) {
                return Err(Error::integrity(format!("{broken} ({})", inventory.place()))
                    .with_hint("Bring the objects back from another store, and make a full backup now."));
            }
            if chosen.is_empty() {
                return Err(Error::not_found(format!("no {} in {}", wanted.words(), inventory.place()))
                    .with_hint("Run vb-ls without options to see what is there."));
            }
        }
        let surplus = self.limit.map_or(0, |limit| chosen.len().saturating_sub(limit));
        Ok(chosen.split_off(surplus))
    }

    fn tell(&self, session: &Session, inventory: &Inventory, chosen: &[&Backup], now: Instant) -> Result<()> {
        if self.ids {
            let ids: String = chosen.iter().map(|backup| format!("{}\n", backup.entry.row.id)).collect();
            return table::print(&ids);
        }
        let tariff = if self.cost { Some(Tariff::of(self, session, inventory)?) } else { None };
        let month = |entry: &Entry| tariff.as_ref().and_then(|tariff| tariff.month(entry));
        if self.json || !std::io::stdout().is_terminal() {
            let lines = chosen.iter().map(|backup| lines::line(inventory, backup, now, month(&backup.entry)));
            let direct = self.json && std::io::stdout().is_terminal();
            if direct {
                session.render_events("backup", lines, &mut table::print)?;
            } else {
                session.events("backup", lines)?;
            }
        }
        match &tariff {
            Some(tariff) => {
                let text = money::tell(session, tariff, chosen, now)?;
                self.show(|| text)
            }
            None => self.show(|| table::of(inventory, chosen, now)),
        }
    }

    /// People see a table in the place of the status lines.
    fn show(&self, table: impl FnOnce() -> String) -> Result<()> {
        if std::io::stdout().is_terminal() && !self.json { table::print(&table()) } else { Ok(()) }
    }
}

fn done(session: &Session, inventory: &Inventory, chosen: &[&Backup]) -> Result<Done> {
    let size_bytes: u64 = chosen.iter().map(|backup| backup.entry.row.size_bytes()).sum();
    let count = chosen.len();
    let elsewhere = chosen.iter().filter(|backup| !inventory.is_everywhere(backup)).count();
    let incomplete = chosen.iter().filter(|backup| backup.incomplete.is_some()).count();
    let fields = json!({
        "store": inventory.stores.first(),
        "stores": inventory.stores,
        "count": count,
        "size_bytes": size_bytes,
        "not_everywhere": elsewhere,
        "incomplete": incomplete,
    });
    let lacking = match (incomplete, elsewhere) {
        (0, 0) => String::new(),
        (0, _) => format!(", {elsewhere} of them not everywhere"),
        _ => format!(", {incomplete} of them incomplete"),
    };
    session.done(&fields, format!("{count} backups, {} in {}{lacking}", words::bytes(size_bytes), inventory.place()))
}

/// Whether a backup stands, directly or further down, on one of a set that was not listed, as older versions made them.
fn leads_to_another_set(inventory: &Inventory, id: &str) -> bool {
    links(inventory, id).iter().any(|link| {
        let base = link.entry.row.base.as_deref().and_then(naming::parse_id);
        base.is_some_and(|(set, _)| *set != *link.entry.row.set)
    })
}

/// A backup and what it stands on, as far as that is listed.
fn links<'all>(inventory: &'all Inventory, id: &str) -> Vec<&'all Backup> {
    let by_id: HashMap<&str, &Backup> =
        inventory.backups.iter().map(|backup| (&*backup.entry.row.id, backup)).collect();
    let base = |backup: &&'all Backup| by_id.get(backup.entry.row.base.as_deref()?).copied();
    std::iter::successors(by_id.get(id).copied(), base).take(by_id.len() + 1).collect()
}

/// The links are followed before anything is judged, so that only the chain's own manifests are.
fn chain_of<'all>(inventory: &'all Inventory, id: &str) -> Result<Vec<&'all Backup>> {
    let links = links(inventory, id);
    let manifests: Vec<Manifest> = links.iter().map(|backup| backup.entry.row.manifest()).collect::<Result<_>>()?;
    let length = chain::resolve(&manifests, id)?.len();
    Ok(links.into_iter().take(length).rev().collect())
}

fn main() -> ExitCode {
    vb_pipe::main::<Arguments>()
}
