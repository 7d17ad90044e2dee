#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod arguments;
mod check;
mod chosen;
mod decode;
mod restore;
mod scratch;

use arguments::Arguments;
use check::{Found, Stopped};
use restore::Restorer;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;
use std::sync::Arc;
use vb_core::environment::VB_SET;
use vb_core::fact::{Fact, Level};
use vb_core::manifest::Manifest;
use vb_core::{Error, ErrorKind, Result, chain, naming};
use vb_pipe::{Command, CommonArguments, Done, Session};
use vb_repository::select;
use vb_repository::verification::record;
use vb_repository::{Cache, Entry, catalogue, words};
use vb_store::Store;

impl Command for Arguments {
    const NAME: &'static str = "vb-verify";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn stdout_carries_data(&self) -> bool {
        false
    }

    fn run(self, session: &Session) -> anyhow::Result<Done> {
        self.refuse_secrets()?;
        let location = self.store.location(session.environment())?;
        let store = self.store.open(session)?;
        let set = self.set_to_list(session)?;
        let cache = Cache::of(&location.to_string(), session.environment());
        let found = catalogue(&*store, set.as_deref(), &cache, session.now())?;
        found.warnings.iter().for_each(|words| session.warn(words));
        found.unreadable.iter().for_each(|error| session.warn(&error.to_string()));
        let unreadable = found.unreadable.len();
        for id in self.ids.iter().filter(|id| !found.entries.iter().any(|entry| *entry.row.id == **id)) {
            // Says whether it is not there or cannot be read.
            select::by_id(&*store, id)?;
        }
        let restorer = Restorer::new(location.to_string(), self.scratch.clone(), session);
        let chosen = chosen::choose(&self, &found.entries, &store.describe())?;
        let by_id = found.entries.iter().map(|entry| (&*entry.row.id, entry)).collect();
        let mut run = Run {
            arguments: &self,
            session,
            store,
            restorer,
            by_id,
            reached: BTreeMap::new(),
            damaged: Vec::new(),
            counts: Counts { unreadable, ..Counts::default() },
        };
        for entry in &chosen {
            if self.common.dry_run {
                run.say(entry)?;
            } else if run.is_time_up() {
                break;
            } else {
                run.verify(entry)?;
            }
        }
        Ok(run.conclude(chosen.len())?)
    }
}

impl Arguments {
    /// Of ids it is the set in them, if it is one.
    fn set_to_list(&self, session: &Session) -> Result<Option<String>> {
        let mut sets = Vec::new();
        for id in &self.ids {
            let (set, _) = naming::parse_id(id).ok_or_else(|| {
                Error::usage(format!("{id:?} is no backup's id"))
                    .with_hint("vb-ls shows the ids, such as verification_20261121_031500.")
            })?;
            sets.push(set.to_owned());
        }
        sets.dedup();
        if !sets.is_empty() {
            return Ok(if sets.len() == 1 { sets.pop() } else { None });
        }
        let set = self.set.as_deref().or(session.environment().get(VB_SET));
        set.map(|set| naming::check_set(set).map(|()| set.to_owned())).transpose()
    }
}

/// One run over the chosen backups.
struct Run<'run> {
    arguments: &'run Arguments,
    session: &'run Session,
    store: Arc<dyn Store>,
    restorer: Restorer,
    by_id: HashMap<&'run str, &'run Entry>,
    /// Levels that this run has reached.
    reached: BTreeMap<&'run str, Level>,
    damaged: Vec<String>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    verified: usize,
    /// How many of them did not reach the level that was asked for.
    below: usize,
    /// Manifests that are no manifests any more.
    unreadable: usize,
    size_bytes: u64,
    began: Option<std::time::Instant>,
}

impl<'run> Run<'run> {
    /// At least one backup is checked, so that a budget of nothing still gets on.
    fn is_time_up(&mut self) -> bool {
        let began = *self.counts.began.get_or_insert_with(std::time::Instant::now);
        let spent = || chrono::TimeDelta::from_std(began.elapsed()).unwrap_or(chrono::TimeDelta::MAX);
        self.counts.verified + self.damaged.len() > 0 && self.arguments.budget.is_some_and(|budget| spent() >= budget)
    }

    fn say(&mut self, entry: &Entry) -> Result<()> {
        let level = self.asked_of(entry);
        let fields =
            json!({ "id": entry.row.id, "level": level, "size_bytes": entry.row.size_bytes(), "dry_run": true });
        self.counts.size_bytes += entry.row.size_bytes();
        self.session.tell(format_args!("would verify {} up to level {}", entry.row.id, level.number()));
        self.session.event("verification", &fields)
    }

    fn verify(&mut self, entry: &'run Entry) -> Result<()> {
        let id: &'run str = &entry.row.id;
        let manifests = self.manifests(entry)?;
        let bases = self.bases(entry);
        let whole = chain::resolve(&manifests, id).map(|chain| chain.into_iter().cloned().collect::<Vec<_>>());
        let own: Vec<Manifest> = manifests.first().cloned().into_iter().collect();
        // Without its bases an incremental restores nothing, however well its own rows go in.
        let asked = self.asked_of(entry);
        let (links, wanted) = match &whole {
            Ok(whole) if asked >= Level::Restored => (whole, asked),
            _ => (&own, asked.min(Level::Decoded)),
        };
        let started = std::time::Instant::now();
        let progress = self.session.progress("verified");
        let outcome = check::check(&*self.store, links, wanted, &self.restorer, &progress);
        drop(progress);
        let seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        let chain = whole.as_ref().err().map_or_else(|| "whole".to_owned(), ToString::to_string);
        let context = json!({ "duration_seconds": seconds, "bases": bases, "chain": chain });
        match outcome {
            Ok(found) => self.good(entry, &own, &found, &context)?,
            Err(Stopped { level, error }) if error.kind() == ErrorKind::Integrity => {
                self.bad(entry, &own, level, &error, &context)?;
            }
            Err(Stopped { error, .. }) => return Err(error),
        }
        if let Err(hole) = whole
            && !self.damaged.iter().any(|damaged| damaged == id)
        {
            self.damaged.push(id.to_owned());
            self.session.warn(&format!("{id} cannot be restored: {hole}"));
        }
        Ok(())
    }

    /// The level that is asked for, or what its form allows; of one that is named, no less than what is asked for.
    fn asked_of(&self, entry: &Entry) -> Level {
        let is_named = self.arguments.ids.iter().any(|id| **id == *entry.row.id);
        if is_named { self.arguments.level } else { self.arguments.level.min(chosen::highest(&entry.row)) }
    }

    /// The manifests of a backup and of what it stands on, itself first, as the store has them now.
    fn manifests(&self, entry: &Entry) -> Result<Vec<Manifest>> {
        let own = std::iter::once(select::by_id(&*self.store, &entry.row.id));
        let bases = chosen::links(entry, &self.by_id).skip(1).map(|link| link.row.manifest());
        own.chain(bases).collect()
    }

    /// What it stands on, with the levels that are known.
    fn bases(&self, entry: &'run Entry) -> Vec<Value> {
        let links = chosen::links(entry, &self.by_id).skip(1);
        let level = |link: &Entry| self.reached.get(&*link.row.id).copied().unwrap_or_else(|| link.health().level);
        links.map(|link| json!({ "id": link.row.id, "level": level(link) })).collect()
    }

    fn good(&mut self, entry: &'run Entry, own: &[Manifest], found: &Found, context: &Value) -> Result<()> {
        let mut fields = json!({
            "id": entry.row.id,
            "set": entry.row.set,
            "level": found.level,
            "damaged": false,
            "size_bytes": entry.row.size_bytes(),
            "checked_by_server": found.compared.by_server,
            "read_bytes": found.compared.read_bytes,
            "forms": found.decoded.as_ref().map(|decoded| &decoded.forms),
            "records": found.decoded.as_ref().and_then(|decoded| decoded.records),
        });
        extend(&mut fields, context);
        self.note(own, Fact::Verified(found.level, self.session.now()), &fields)?;
        self.reached.insert(&entry.row.id, found.level);
        self.counts.verified += 1;
        self.counts.below += usize::from(found.level < self.arguments.level);
        self.counts.size_bytes += entry.row.size_bytes();
        self.session.tell(format_args!("{} is good up to level {}", entry.row.id, found.level.number()));
        self.session.event("verification", &fields)
    }

    fn bad(
        &mut self,
        entry: &'run Entry,
        own: &[Manifest],
        level: Level,
        error: &Error,
        context: &Value,
    ) -> Result<()> {
        let mut fields = json!({
            "id": entry.row.id,
            "set": entry.row.set,
            "level": Level::Listed,
            "damaged": true,
            "failed_level": level,
            "message": error.to_string(),
            "size_bytes": entry.row.size_bytes(),
        });
        extend(&mut fields, context);
        self.note(own, Fact::Damaged(level, self.session.now()), &fields)?;
        self.reached.insert(&entry.row.id, Level::Listed);
        self.damaged.push(entry.row.id.to_string());
        self.session.warn(&format!("{} is damaged: {error}", entry.row.id));
        self.session.event("verification", &fields)
    }

    /// Level 0 is what the listing says already.
    fn note(&self, own: &[Manifest], fact: Fact, details: &Value) -> Result<()> {
        let Some(manifest) = own.first().filter(|_| !self.arguments.no_record) else { return Ok(()) };
        if matches!(fact, Fact::Verified(Level::Listed, _)) {
            return Ok(());
        }
        record(&*self.store, manifest, fact, details).map(drop)
    }

    fn conclude(self, chosen: usize) -> Result<Done> {
        let Counts { verified, below, unreadable, size_bytes, .. } = self.counts;
        let place = self.store.describe();
        if !self.damaged.is_empty() {
            let (count, ids) = (self.damaged.len(), self.damaged.join(", "));
            let are = if count == 1 { "backup is" } else { "backups are" };
            return Err(Error::integrity(format!("{count} {are} damaged: {ids}"))
                .with_hint("Make a full backup now, and look at what vb-ls says of the others."));
        }
        if unreadable > 0 {
            return Err(Error::integrity(format!("{unreadable} manifests cannot be read"))
                .with_hint("The warnings name them; their backups cannot be used. All others are good."));
        }
        let dry_run = self.arguments.common.dry_run;
        let left = chosen.saturating_sub(verified);
        let mut fields = json!({ "store": place, "count": verified, "left": left, "level": self.arguments.level, "below": below, "size_bytes": size_bytes });
        if dry_run {
            fields["dry_run"] = true.into();
            return self.session.done(&fields, format!("would verify {chosen} backups, {}", words::bytes(size_bytes)));
        }
        let lower = if below > 0 {
            format!(" ({below} of them below level {})", self.arguments.level.number())
        } else {
            String::new()
        };
        let rest = if left > 0 { format!(", {left} left for the next run") } else { String::new() };
        self.session.done(&fields, format!("{verified} backups are good{lower}, {}{rest}", words::bytes(size_bytes)))
    }
}

fn extend(fields: &mut Value, more: &Value) {
    if let (Some(fields), Some(more)) = (fields.as_object_mut(), more.as_object()) {
        fields.extend(more.clone());
    }
}

fn main() -> ExitCode {
    vb_pipe::main::<Arguments>()
}
