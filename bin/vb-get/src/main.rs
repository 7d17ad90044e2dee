#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod archive;

use archive::Archive;
use clap::Parser;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use vb_core::environment::VB_SET;
use vb_core::label::Kind;
use vb_core::manifest::Manifest;
use vb_core::{Error, Result, time, watermark};
use vb_pipe::{Command, CommonArguments, Done, EXIT_CODES, Output, Session};
use vb_repository::listing::Stored;
use vb_repository::select::{self, Wanted};
use vb_repository::{StoreArguments, fetch, words};
use vb_store::Store;

const EXAMPLES: &str = "\
Examples:
  vb-get verification_20261121_031500 | vb-compress -d | vb-import --mode upsert
  vb-get --latest --kind full -o full.parquet.gz
  vb-get --at 2026-11-20 --set verification | gunzip | head -c 4
  vb-get --chain verification_20261121_031500 | vb-import
  vb-get --latest --chain -o everything.tar
";

/// Read one backup, or all that a restore of it needs, verified
#[derive(Debug, Parser)]
#[command(name = "vb-get", version, after_help = format!("{EXAMPLES}\n{EXIT_CODES}"))]
struct Get {
    /// The backup's id, as vb-ls shows it
    #[arg(value_name = "ID", required_unless_present_any = ["latest", "at"], conflicts_with_all = ["latest", "at", "kind"])]
    id: Option<String>,

    /// The newest backup of the set that is all there
    #[arg(long)]
    latest: bool,

    /// The newest backup that shows the source at this time or earlier; a day, or a time without seconds, is all of it
    #[arg(long, value_name = "TIME")]
    at: Option<String>,

    /// Only a full or only an incremental backup
    #[arg(long, value_name = "KIND", value_parser = ["full", "incremental"])]
    kind: Option<String>,

    /// The backup and all that it stands on, as one tar archive that vb-import restores
    #[arg(long)]
    chain: bool,

    #[command(flatten)]
    store: StoreArguments,

    /// The set to look in; by default VB_SET, else the only one that there is
    #[arg(long, value_name = "NAME")]
    set: Option<String>,

    /// Write to this file, which appears when it is complete and verified; - is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    common: CommonArguments,
}

impl Command for Get {
    const NAME: &'static str = "vb-get";
    const WRITES_DATA: bool = true;

    fn common(&self) -> &CommonArguments {
        &self.common
    }

    fn stdout_carries_data(&self) -> bool {
        self.path().is_none()
    }

    fn run(self, session: &Session) -> anyhow::Result<Done> {
        let wanted = self.wanted(session)?;
        let store = self.store.open(session)?;
        let manifest = self.find(session, &*store, wanted)?;
        if self.chain {
            return Ok(self.run_chain(session, &*store, &select::chain(&*store, &manifest)?)?);
        }
        if self.common.dry_run {
            let sentence = format!("would read {} from {}", manifest.id, store.describe());
            return Ok(session.done(&fields(&*store, &manifest, true), sentence)?);
        }
        let mut output = Output::open(session, self.path())?;
        let label = manifest.label();
        output.estimate(manifest.size_bytes())?;
        output.promise(&label)?;
        let progress = session.progress_of("read", Some(manifest.size_bytes()));
        let not_written = |cause| self.not_written(cause);
        fetch::fetch_into(&*store, &manifest, &mut output, &mut |bytes| progress.add(bytes), &not_written)?;
        drop(progress);
        let size = words::bytes(manifest.size_bytes());
        let sentence =
            format!("read {} ({}, {size}) from {}, verified", manifest.id, manifest.kind.name(), store.describe());
        let done = session.done(&fields(&*store, &manifest, false), sentence)?;
        output.seal(label, &done)?;
        Ok(done)
    }
}

impl Get {
    /// Writes the archive. Every object is verified, and the links are proven, before it is sealed.
    fn run_chain(&self, session: &Session, store: &dyn Store, chain: &[Stored]) -> Result<Done> {
        let newest = archive::newest(chain)?;
        let (place, count, size_bytes) = (store.describe(), chain.len(), archive::size_bytes(chain));
        let mut fields = fields(store, newest, self.common.dry_run);
        fields["chain"] = archive::ids(chain).into();
        fields["size_bytes"] = size_bytes.into();
        fields["objects"] = chain.iter().map(|stored| stored.manifest.objects.len()).sum::<usize>().into();
        let whole = format!("{} and what it stands on ({count} backups, {})", newest.id, words::bytes(size_bytes));
        if self.common.dry_run {
            return session.done(&fields, format!("would read {whole} from {place}"));
        }
        let mut output = Output::open(session, self.path())?;
        let label = archive::label(chain).ok_or_else(|| Error::failure("a chain without backups"))?;
        output.promise(&label)?;
        let progress = session.progress_of("read", Some(size_bytes));
        let mut archive = Archive::new(chain, &mut output)?;
        fetch::fetch_objects(store, chain.iter().flat_map(|stored| &stored.manifest.objects), &mut |chunk| {
            progress.add(chunk.len() as u64);
            archive.write(chunk).map_err(|cause| self.not_written(cause))
        })?;
        archive.finish().map_err(|cause| self.not_written(cause))?;
        drop(progress);
        let done = session.done(&fields, format!("read {whole} from {place}, verified"))?;
        output.seal(label, &done)?;
        Ok(done)
    }

    fn not_written(&self, cause: std::io::Error) -> Error {
        Error::io(format!("writing {}", self.target()), cause)
    }

    fn path(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| *path != Path::new("-"))
    }

    fn target(&self) -> String {
        self.path().map_or_else(|| "standard output".to_owned(), |path| path.display().to_string())
    }

    fn wanted(&self, session: &Session) -> Result<Wanted> {
        let at = self.at.as_deref().map(|at| watermark::parse_at(at, session.now())).transpose()?;
        let kind = self.kind.as_deref().map(|kind| if kind == "full" { Kind::Full } else { Kind::Incremental });
        Ok(Wanted { kind, at })
    }

    fn find(&self, session: &Session, store: &dyn Store, wanted: Wanted) -> Result<Manifest> {
        if let Some(id) = &self.id {
            return select::by_id(store, id);
        }
        let set = match self.set.as_deref().or(session.environment().get(VB_SET)) {
            Some(set) => {
                vb_core::naming::check_set(set)?;
                set.to_owned()
            }
            None => select::only_set(store)?,
        };
        select::newest(store, &set, wanted, session.now(), &mut |words| session.warn(words))
    }
}

fn fields(store: &dyn Store, manifest: &Manifest, dry_run: bool) -> serde_json::Value {
    let mut fields = json!({
        "id": manifest.id,
        "set": manifest.set,
        "kind": manifest.kind,
        "base": manifest.base,
        "created_at": time::seconds(manifest.created_at),
        "since": manifest.since.map(time::exact),
        "until": manifest.until.map(time::exact),
        "records": manifest.records,
        "size_bytes": manifest.size_bytes(),
        "objects": manifest.objects.len(),
        "sha256": manifest.objects.first().map(|object| &object.sha256),
        "proof": manifest.proof,
        "store": store.describe(),
    });
    if let Some(fields) = fields.as_object_mut().filter(|_| dry_run) {
        fields.insert("dry_run".to_owned(), true.into());
    }
    fields
}

fn main() -> ExitCode {
    vb_pipe::main::<Get>()
}
