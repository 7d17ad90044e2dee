//! Levels 3 and 4: the real pipe, `vb-get --chain | vb-import`, into a database of its own that is dropped afterwards; for tar,
//! `vb-get | vb-compress -d | tar -x` into a folder that goes. Whatever a restore on the worst day would meet is met here.

use crate::scratch::Scratch;
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command, Stdio};
use vb_core::fact::Level;
use vb_core::manifest::Manifest;
use vb_core::{Error, ErrorKind, Result, naming};
use vb_pipe::Session;

/// How the children find the store, and where they restore.
#[derive(Debug)]
pub(crate) struct Restorer {
    store: String,
    scratch_url: Option<String>,
    session: Session,
}

/// How a backup of some form is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// As tables, into a database.
    Tables,
    /// As a whole database, whose roles are the source's own and may not be here.
    Database,
    /// As files, into a folder.
    Files,
}

impl Way {
    /// That of a backup whose first object ends so; none if nothing here restores it.
    pub(crate) fn of(extension: &str, source_type: &str) -> Option<Self> {
        match extension.trim_end_matches(".gz").trim_end_matches(".zst") {
            "parquet" => Some(Self::Tables),
            "tar" | "dump" if source_type == "database" => Some(Self::Database),
            "tar" => Some(Self::Files),
            _ => None,
        }
    }
}

/// A stage of the pipe.
struct Stage {
    name: &'static str,
    child: Child,
    /// What it says on standard error; the last one's status lines too.
    said: File,
}

impl Restorer {
    pub(crate) fn new(store: String, scratch_url: Option<String>, session: &Session) -> Self {
        Self { store, scratch_url, session: session.clone() }
    }

    /// Restores a chain, the full backup first; the level that the last one reaches.
    ///
    /// # Errors
    /// `Integrity` if a stage finds damage; others if the restore could not be tried.
    pub(crate) fn restore(&self, chain: &[Manifest]) -> Result<Level> {
        let Some(last) = chain.last() else { return Ok(Level::Listed) };
        match Way::of(&extension(last), &last.source.source_type) {
            Some(Way::Tables) => self.restore_database(last, &["--chain"], &[]),
            Some(Way::Database) => self.restore_database(last, &["--chain"], &["--no-owner"]),
            Some(Way::Files) => chain.iter().try_for_each(|manifest| self.unpack(manifest)).map(|()| Level::Restored),
            None => Err(Error::usage(format!("restoring {}: {}", last.id, unknown(&extension(last))))
                .with_hint("Verify it up to level 2.")),
        }
    }

    /// The whole chain at once, as every restore does it.
    fn restore_database(&self, last: &Manifest, get: &[&str], import: &[&str]) -> Result<Level> {
        let scratch = Scratch::create(self.scratch_url.as_deref(), &self.session)?;
        let (more, mut import) = (import, program("vb-import"));
        import.args(more).envs(scratch.variables().iter().map(|(name, value)| (name, value)));
        let said = self.pipe(last, get, "vb-import", import)?;
        scratch.drop_now()?;
        Ok(if said["identical"] == Value::Bool(true) { Level::Identical } else { Level::Restored })
    }

    fn unpack(&self, manifest: &Manifest) -> Result<()> {
        let folder = tempfile::tempdir().map_err(|cause| Error::io("making a scratch folder", cause))?;
        let mut tar = Command::new("tar");
        tar.args(["-x", "-f", "-", "-C"]).arg(folder.path());
        self.pipe(manifest, &[], "tar", tar).map(drop)
    }

    /// Runs `vb-get | vb-compress -d | last`, or with `--chain` among the options `vb-get | last`; the `done` line of the last one,
    /// if it says such.
    fn pipe(&self, manifest: &Manifest, options: &[&str], name: &'static str, last: Command) -> Result<Value> {
        let mut get = program("vb-get");
        get.args([&manifest.id, "--store", &self.store]).args(options);
        let mut stages = Vec::new();
        let mut source = start(&mut stages, "vb-get", get, Stdio::null())?;
        if options.is_empty() && extension(manifest).ends_with(".gz") {
            let mut inflate = program("vb-compress");
            inflate.arg("-d");
            source = start(&mut stages, "vb-compress", inflate, source)?;
        }
        let output = start_last(&mut stages, name, last, source)?;
        finish(stages, output, &manifest.id)
    }
}

fn unknown(extension: &str) -> String {
    match extension {
        "" => "nothing here restores a backup without an extension".to_owned(),
        extension => format!("nothing here restores {extension:?}"),
    }
}

/// A command of ours, beside this one where it lies there.
fn program(name: &str) -> Command {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(name)).filter(|path| path.is_file());
    Command::new(beside.unwrap_or_else(|| name.into()))
}

fn start(stages: &mut Vec<Stage>, name: &'static str, mut command: Command, stdin: Stdio) -> Result<Stdio> {
    let failed = |cause| Error::io(format!("starting {name}"), cause);
    let said = tempfile::tempfile().map_err(failed)?;
    command.stdin(stdin).stdout(Stdio::piped()).stderr(said.try_clone().map_err(failed)?);
    let mut child = command.spawn().map_err(failed)?;
    let stdout = child.stdout.take();
    stages.push(Stage { name, child, said });
    stdout.map(Stdio::from).ok_or_else(|| Error::failure(format!("starting {name}: it has no output")))
}

fn start_last(stages: &mut Vec<Stage>, name: &'static str, mut command: Command, stdin: Stdio) -> Result<File> {
    let failed = |cause| Error::io(format!("starting {name}"), cause);
    let (said, output) = (tempfile::tempfile().map_err(failed)?, tempfile::tempfile().map_err(failed)?);
    command.stdin(stdin).stdout(output.try_clone().map_err(failed)?).stderr(said.try_clone().map_err(failed)?);
    let child = command.spawn().map_err(failed)?;
    // The command holds the pipe's other end for as long as it lives.
    drop(command);
    stages.push(Stage { name, child, said });
    Ok(output)
}

/// Waits for all of them. The first stage that failed is the cause, unless it only lost its reader.
fn finish(stages: Vec<Stage>, output: File, id: &str) -> Result<Value> {
    let mut failures = Vec::new();
    for mut stage in stages {
        let failed = |cause| Error::io(format!("waiting for {}", stage.name), cause);
        let status = stage.child.wait().map_err(failed)?;
        if !status.success() {
            let said = read(&mut stage.said);
            failures.push((stage.name, status.code().unwrap_or(-1), message(&said)));
        }
    }
    let cause = failures.iter().find(|(_, code, _)| *code == 6).or(failures.iter().find(|(.., said)| !said.is_empty()));
    if let Some((name, code, said)) = cause.or(failures.first()) {
        let kind = ErrorKind::ALL.into_iter().find(|kind| i32::from(kind.exit_code()) == *code);
        // Data that a server refuses is no good, whatever it calls it; only what was not tried is no verdict.
        let kind = match (kind, *name) {
            (Some(kind @ (ErrorKind::Integrity | ErrorKind::Denied | ErrorKind::Unavailable)), _) => kind,
            (_, "vb-get") => ErrorKind::Failure,
            _ => ErrorKind::Integrity,
        };
        let said = if said.is_empty() { format!("exit code {code}") } else { said.clone() };
        return Err(Error::new(kind, format!("restoring {id}: {name}: {said}")));
    }
    let mut output = output;
    let lines = read(&mut output);
    let done = lines.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok({ done }.find(|line| line["event"] == "done").unwrap_or(Value::Null))
}

fn read(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    if read.is_ok() { text } else { String::new() }
}

/// The words for people of a stage that failed, without its name.
fn message(said: &str) -> String {
    let line = said.lines().find(|line| !line.starts_with('{') && !line.is_empty()).unwrap_or_default();
    line.split_once(": ").filter(|(name, _)| name.starts_with("vb-")).map_or(line, |(_, words)| words).to_owned()
}

fn extension(manifest: &Manifest) -> String {
    let first = manifest.objects.first().and_then(|object| naming::extension_of(&manifest.id, &object.key));
    first.unwrap_or_default().to_owned()
}
