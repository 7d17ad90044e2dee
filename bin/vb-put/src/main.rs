#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod archive;
mod archive_names;
mod command_words;
mod conclusion;
mod fleet;
mod lifecycle;
mod member;
mod naming;
mod price;
mod producer;
mod report;
mod stream;
mod subject;

use clap::Parser;
use conclusion::Insistence;
use fleet::Fleet;
use naming::Given;
use serde_json::json;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use stream::{Ended, Stream};
use subject::Subject;
use vb_core::Error;
use vb_core::environment::VB_SET;
use vb_core::manifest::Manifest;
use vb_core::mark::Mark;
use vb_pipe::{Command, CommonArguments, Done, EXIT_CODES, Session, write_atomically};
use vb_repository::{OpenStore, Place, StoresArguments, annotation, guard};

/// How often to wait for the next second where an id is taken.
const MOST_SECONDS: usize = 5;

const EXAMPLES: &str = "\
Examples:
  vb-export --since @data/.last_backup | vb-compress | vb-put --mark data/.last_backup
  vb-put --store s3://backups/shop --set shop -- pg_dump -Fc shop
  vb-put --store file:///srv/backups --store s3://backups --quorum 1 report.parquet
  vb-put --set maps maps/ legend.json
  vb-put --store s3://backups --lifecycle
";

/// Store one stream, file, archive of files or command's output as one committed backup
#[derive(Debug, Parser)]
#[command(name = "vb-put", version, after_help = format!("{EXAMPLES}\n{EXIT_CODES}"))]
struct Put {
    /// The file to store, or several files and folders to store as one tar archive; - is standard input
    #[arg(value_name = "FILE", conflicts_with = "command")]
    files: Vec<PathBuf>,

    /// A program whose output is stored if it exits with 0
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,

    #[command(flatten)]
    stores: StoresArguments,

    /// How many of the stores must have the backup; by default all of them
    #[arg(long, value_name = "N")]
    quorum: Option<usize>,

    /// The set that the backup belongs to; by default VB_SET, else what the stream says it is, else the file's name
    #[arg(long, value_name = "NAME")]
    set: Option<String>,

    /// After the backup is stored, write its watermark to this file, for vb-export --since @FILE
    #[arg(long, value_name = "FILE")]
    mark: Option<PathBuf>,

    /// Call it this, for vb-prune --keep-tag; may be given several times
    #[arg(long, value_name = "TAG[,TAG…]", value_delimiter = ',', value_parser = clap::builder::NonEmptyStringValueParser::new())]
    tag: Vec<String>,

    /// Store a stream although nothing proves that it is whole
    #[arg(long)]
    unproven: bool,

    /// Store it although there is nothing in it, or nothing new
    #[arg(long)]
    allow_empty: bool,

    /// Store nothing, but install rules in the store: a cooler class after 30 days, no upload open for more than a day
    #[arg(long, conflicts_with_all = ["files", "command", "mark", "unproven", "allow_empty", "set", "quorum"])]
    lifecycle: bool,

    #[command(flatten)]
    common: CommonArguments,
}

impl Command for Put {
    const NAME: &'static str = "vb-put";

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn stdout_carries_data(&self) -> bool {
        false
    }

    fn run(mut self, session: &Session) -> anyhow::Result<Done> {
        let targets = self.stores.open(session)?;
        if self.lifecycle {
            return Ok(lifecycle::install(session, &targets, self.common.dry_run)?);
        }
        let set = self.set.as_deref().or(session.environment().get(VB_SET));
        set.map_or(Ok(()), vb_core::naming::check_set)?;
        if let Some(mark) = self.mark.as_deref().filter(|mark| mark.is_dir()) {
            return Err(Error::usage(format!("the mark {} is a folder", mark.display())).into());
        }
        let subject = Subject::new(std::mem::take(&mut self.files), std::mem::take(&mut self.command));
        let given = subject.given(set);
        if self.common.dry_run {
            return Ok(self.describe(session, targets, &subject, &given)?);
        }
        Ok(self.store(session, targets, &subject, &given)?)
    }
}

impl Put {
    /// Where it would go, as far as that is known before the input is read.
    fn describe(
        &self,
        session: &Session,
        targets: Vec<OpenStore>,
        subject: &Subject,
        given: &Given,
    ) -> vb_core::Result<Done> {
        let mut fleet = Fleet::new(session, targets, self.quorum)?;
        let stores = fleet.names();
        let mut name = given.name(&naming::Seen::of_file(subject.path())?);
        if matches!(subject, Subject::Files(_)) {
            "tar".clone_into(&mut name.extension);
        }
        // The set of a pipe is in the label of whoever writes to it.
        let known = given.set.is_some() || *subject != Subject::Stream;
        let place = if known { Some(free_place(session, &mut fleet, &name.set, &name.extension)?) } else { None };
        let keys = place.as_ref().map(|place| Ok((place.object_key(0)?, place.manifest_key()?))).transpose()?;
        let fields = json!({
            "dry_run": true,
            "stored": false,
            "store": stores.first(),
            "stores": stores,
            "set": known.then_some(&name.set),
            "id": place.as_ref().map(|place| &place.id),
            "key": keys.as_ref().map(|(key, _)| key),
            "manifest_key": keys.as_ref().map(|(_, key)| key),
        });
        let what = place.map_or_else(|| "a backup named by the stream's label".to_owned(), |place| place.id);
        session.done(&fields, format!("would store {what} in {}", stores.join(", ")))
    }

    fn store(
        &self,
        session: &Session,
        targets: Vec<OpenStore>,
        subject: &Subject,
        given: &Given,
    ) -> vb_core::Result<Done> {
        let Some(first) = targets.first().cloned() else { return Err(Error::usage("there is no store")) };
        let mut fleet = Fleet::new(session, targets, self.quorum)?;
        let stores = fleet.names();
        let of_file = naming::Seen::of_file(subject.path())?;
        let (input, producer) = subject.open(session, &first)?;
        let progress = session.progress_of("stored", input.length());
        let mut stream = Stream::open(input, producer, progress)?;
        let seen = stream.seen(of_file)?;
        let name = given.name(&seen);
        if let Some(promised) = &seen.promised {
            fleet.demand_base(&name.set, promised)?;
        }
        let place = free_place(session, &mut fleet, &name.set, &name.extension)?;
        fleet.describe(annotation::metadata(&name.set, seen.promised.as_ref()));
        while let Some(chunk) = stream.next_but_last()? {
            fleet.write(&place, &chunk)?;
        }
        let Ended { end, last, files } = stream.finish()?;
        let size_bytes = end.size_bytes;
        let insistence = Insistence { unproven: self.unproven, allow_empty: self.allow_empty };
        let (proof, label) = conclusion::prove(end, insistence)?;
        let mut label = name.settle(label, &seen, |words| session.warn(words))?;
        label.tags.extend(self.tag.iter().cloned());
        label.records = label.records.or(files);
        if label.is_nothing_new() && !self.allow_empty {
            drop(fleet);
            return report::nothing_new(session, &stores, &label, size_bytes);
        }
        if seen.promised.as_ref().is_none_or(|promised| promised.base != label.base) {
            fleet.demand_base(&label.set, &label)?;
        }
        fleet.write(&place, &last)?;
        fleet.complete(&place)?;
        // It may have gone during an upload of hours.
        fleet.demand_base(&label.set, &label)?;
        self.commit(session, fleet, |objects| Manifest::new(&place.id, place.created_at, label.clone(), objects, proof))
    }

    fn commit(
        &self,
        session: &Session,
        fleet: Fleet,
        manifest: impl Fn(Vec<vb_core::manifest::Object>) -> Manifest,
    ) -> vb_core::Result<Done> {
        let quorum = fleet.quorum();
        let verdicts = fleet.commit(manifest);
        report::verdicts(session, &verdicts)?;
        let stored: Vec<&Manifest> =
            verdicts.all.iter().filter_map(|verdict| Some(&verdict.result.as_ref().ok()?.0)).collect();
        match stored.first() {
            Some(manifest) if stored.len() >= quorum => self.write_mark(session, manifest)?,
            _ => return Err(report::too_few(verdicts)),
        }
        report::done(session, &verdicts)
    }

    fn write_mark(&self, session: &Session, manifest: &Manifest) -> vb_core::Result<()> {
        let Some(path) = &self.mark else { return Ok(()) };
        let Some(mark) = Mark::of(manifest) else {
            session.warn(&format!(
                "{} was left as it was: no incremental export can continue this stream",
                path.display()
            ));
            return Ok(());
        };
        write_atomically(path, mark.to_line()?.as_bytes()).map_err(|cause| {
            Error::failure(format!("the backup {} is stored, but its mark is not: {cause}", manifest.id)).with_hint(
                "The next incremental overlaps with this one, which loses nothing; make the mark's folder writable.",
            )
        })
    }
}

/// The place that begins now; if another backup began in this second in any of the stores, the next one.
fn free_place(session: &Session, fleet: &mut Fleet, set: &str, extension: &str) -> vb_core::Result<Place> {
    for _ in 0..MOST_SECONDS {
        let place = Place::new(set, extension, session.now());
        if fleet.is_free(&place)? {
            return Ok(place);
        }
        session.explain(&format!("{} exists already; waiting for the next second", place.id));
        let second = place.id;
        while vb_core::naming::id(set, session.now()) == second {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Err(Error::conflict(format!("every second of the last {MOST_SECONDS} has a backup of {set} already"))
        .with_hint("Something stores backups without a pause; stop it."))
}

fn main() -> ExitCode {
    guard::serve().unwrap_or_else(vb_pipe::main::<Put>)
}

#[cfg(test)]
mod tests;
