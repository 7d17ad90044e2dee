#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod conclusion;
mod naming;
mod stream;
mod upload;

use clap::Parser;
use conclusion::Insistence;
use naming::Given;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use stream::Stream;
use upload::LazyUpload;
use vb_core::environment::VB_SET;
use vb_core::label::Label;
use vb_core::manifest::{Manifest, Object, Proof};
use vb_core::watermark::Mark;
use vb_core::{Error, ErrorKind};
use vb_pipe::{Command, CommonArguments, Done, EXIT_CODES, Input, Session, write_atomically};
use vb_repository::{Committed, Deposited, Place, StoreArguments, guard, words};
use vb_store::Store;

/// The only argument of this program when it runs as the guard of another run's upload.
const GUARD_ARGUMENT: &str = "--as-the-guard-of-an-upload";

/// How often to wait for the next second where an id is taken.
const MOST_SECONDS: usize = 5;

const EXAMPLES: &str = "\
Examples:
  vb-export --since @data/.last_backup | vb-compress | vb-put --mark data/.last_backup
  pg_dump -Ft shop | vb-put --store s3://backups/shop --set shop
  vb-put --store file:///srv/backups report.parquet
";

/// Store one stream or file as one committed backup
#[derive(Debug, Parser)]
#[command(name = "vb-put", version, after_help = format!("{EXAMPLES}\n{EXIT_CODES}"))]
struct Put {
    /// The file to store; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,

    #[command(flatten)]
    store: StoreArguments,

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

    fn run(self, session: &Session) -> anyhow::Result<Done> {
        let set = self.set.as_deref().or(session.environment().get(VB_SET));
        set.map_or(Ok(()), vb_core::naming::check_set)?;
        if let Some(mark) = self.mark.as_deref().filter(|mark| mark.is_dir()) {
            return Err(Error::usage(format!("the mark {} is a folder", mark.display())).into());
        }
        let given = Given { set: set.map(str::to_owned), file: self.path().map(Path::to_owned) };
        if self.common.dry_run {
            return Ok(self.describe(session, &given)?);
        }
        Ok(self.store(session, &given)?)
    }
}

impl Put {
    fn path(&self) -> Option<&Path> {
        Some(self.file.as_path()).filter(|path| *path != Path::new("-"))
    }

    /// Where it would go, as far as that is known before the input is read.
    fn describe(&self, session: &Session, given: &Given) -> vb_core::Result<Done> {
        let store = self.store.open(session)?;
        let name = given.name(&naming::Seen::of_file(self.path())?);
        // The set of a pipe is in the label of whoever writes to it.
        let known = given.set.is_some() || self.path().is_some();
        let place = if known { Some(free_place(session, &*store, &name.set, &name.extension)?) } else { None };
        let keys = place.as_ref().map(|place| Ok((place.object_key(0)?, place.manifest_key()?))).transpose()?;
        let fields = json!({
            "dry_run": true,
            "stored": false,
            "store": store.describe(),
            "set": known.then_some(&name.set),
            "id": place.as_ref().map(|place| &place.id),
            "key": keys.as_ref().map(|(key, _)| key),
            "manifest_key": keys.as_ref().map(|(_, key)| key),
        });
        let what = place.map_or_else(|| "a backup named by the stream's label".to_owned(), |place| place.id);
        session.done(&fields, format!("would store {what} in {}", store.describe()))
    }

    fn store(&self, session: &Session, given: &Given) -> vb_core::Result<Done> {
        let store = self.store.open(session)?;
        let file_label = naming::Seen::of_file(self.path())?;
        let mut stream = Stream::open(Input::open(session, self.path())?, session.progress("stored"))?;
        let seen = stream.seen(file_label)?;
        let name = given.name(&seen);
        let place = free_place(session, &*store, &name.set, &name.extension)?;
        let location = self.store.location(session.environment())?;
        let mut upload = LazyUpload::new(session, &store, location, place.clone());
        while let Some(chunk) = stream.next_but_last()? {
            upload.deposit()?.write(&chunk)?;
        }
        let (end, last) = stream.finish()?;
        let size_bytes = end.size_bytes;
        let insistence = Insistence { unproven: self.unproven, allow_empty: self.allow_empty };
        let (proof, label) = conclusion::prove(end, insistence)?;
        let mut label = name.settle(label, &seen, |words| session.warn(words))?;
        label.tags.extend(self.tag.iter().cloned());
        if label.is_nothing_new() && !self.allow_empty {
            drop(upload);
            return nothing_new(session, &*store, &label, size_bytes);
        }
        upload.deposit()?.write(&last)?;
        let deposited = upload.complete()?;
        self.commit(session, &*store, &place, deposited, label, proof)
    }

    fn commit(
        &self,
        session: &Session,
        store: &dyn Store,
        place: &Place,
        deposited: Deposited,
        label: Label,
        proof: Proof,
    ) -> vb_core::Result<Done> {
        let manifest = Manifest::new(&place.id, place.created_at, label, deposited.objects(), proof);
        let committed = deposited.commit(&manifest).map_err(|error| match error.kind() {
            ErrorKind::Conflict => error.with_hint("Another run took the same second; run it again."),
            _ => error,
        })?;
        self.write_mark(session, &manifest)?;
        done(session, store, &manifest, &committed)
    }

    fn write_mark(&self, session: &Session, manifest: &Manifest) -> vb_core::Result<()> {
        let Some(path) = &self.mark else { return Ok(()) };
        let Some(until) = manifest.until.filter(|_| manifest.continues) else {
            session.warn(&format!(
                "{} was left as it was: no incremental export can continue this stream",
                path.display()
            ));
            return Ok(());
        };
        let mark = Mark {
            until,
            id: Some(manifest.id.clone()),
            source: Some(manifest.source.name.clone()),
            system_identifier: manifest.source.system_identifier.clone(),
            schema_sha256: manifest.schema_sha256.clone(),
        };
        write_atomically(path, mark.to_line().as_bytes()).map_err(|cause| {
            Error::failure(format!("the backup {} is stored, but its mark is not: {cause}", manifest.id)).with_hint(
                "The next incremental overlaps with this one, which loses nothing; make the mark's folder writable.",
            )
        })
    }
}

/// The place that begins now; if another backup began in this second, the next one.
fn free_place(session: &Session, store: &dyn Store, set: &str, extension: &str) -> vb_core::Result<Place> {
    for _ in 0..MOST_SECONDS {
        let place = Place::new(set, extension, session.now());
        if place.is_free(store)? {
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

fn nothing_new(session: &Session, store: &dyn Store, label: &Label, size_bytes: u64) -> vb_core::Result<Done> {
    let since = label.since.map(vb_core::time::exact);
    let fields = json!({
        "stored": false,
        "reason": "nothing new",
        "store": store.describe(),
        "set": label.set,
        "kind": label.kind,
        "base": label.base,
        "since": since,
        "records": label.records,
        "size_bytes": size_bytes,
    });
    let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
    session.done(&fields, format!("nothing new{since}; nothing was stored (--allow-empty stores it all the same)"))
}

fn done(session: &Session, store: &dyn Store, manifest: &Manifest, committed: &Committed) -> vb_core::Result<Done> {
    let first: Option<&Object> = manifest.objects.first();
    let fields = json!({
        "stored": true,
        "id": manifest.id,
        "set": manifest.set,
        "kind": manifest.kind,
        "base": manifest.base,
        "since": manifest.since.map(vb_core::time::exact),
        "until": manifest.until.map(vb_core::time::exact),
        "records": manifest.records,
        "size_bytes": manifest.size_bytes(),
        "objects": manifest.objects.len(),
        "sha256": first.map(|object| &object.sha256),
        "proof": manifest.proof,
        "store": store.describe(),
        "key": first.map(|object| &object.key),
        "manifest_key": committed.manifest_key,
    });
    let records = manifest.records.map(|records| format!("{records} records, ")).unwrap_or_default();
    let size = words::bytes(manifest.size_bytes());
    let kind = manifest.kind.name();
    session.done(&fields, format!("stored {} ({kind}, {records}{size}) in {}", manifest.id, store.describe()))
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == GUARD_ARGUMENT) {
        let open = |location: &_, environment: &_| vb_stores::open(location, environment, vb_store::no_warning());
        let result = guard::run(std::io::stdin().lock(), open);
        return if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    vb_pipe::main::<Put>()
}

#[cfg(test)]
mod tests;
