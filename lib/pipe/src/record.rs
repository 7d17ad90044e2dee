//! The seal beside the pipe: a record, named after the pipe, in which the writer says how it ended.
//!
//! Both ends of a pipe have the same device and inode. The writer leaves `open` before its first byte, and replaces it
//! by `sealed` (count, SHA-256, label) or `failed` before it closes the pipe. The reader, at end of file, takes the
//! record. So `open` at end of file means that the writer died. Records are small files, replaced by rename.

use crate::digest::Digest;
use rustix::fd::AsFd;
use rustix::fs::FileType;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use vb_core::label::Label;
use vb_core::{Error, Result};

/// How long the record of a FIFO waits for its reader once its writer has ended.
const FIFO_RECORD_AGE: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// What names a pipe on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PipeId {
    device: u64,
    inode: u64,
}

impl PipeId {
    /// The pipe behind a descriptor, or none if there is something else.
    pub fn of(descriptor: impl AsFd) -> Option<Self> {
        let stat = rustix::fs::fstat(descriptor).ok()?;
        let is_pipe = FileType::from_raw_mode(stat.st_mode) == FileType::Fifo;
        is_pipe.then_some(Self { device: stat.st_dev, inode: stat.st_ino })
    }

    fn path(self, folder: &Path) -> PathBuf {
        folder.join(format!("pipe-{}-{}", self.device, self.inode))
    }
}

/// How the writer of a pipe stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// It writes, or it died.
    Open {
        /// What it is about to write, so that the reader can name it before it has arrived.
        #[serde(default)]
        label: Option<Box<Label>>,
        /// How many bytes it thinks that there will be: for progress, never for a proof.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        estimate_bytes: Option<u64>,
    },
    /// It wrote everything.
    Sealed {
        /// The bytes it wrote.
        size_bytes: u64,
        /// Their SHA-256.
        sha256: String,
        /// What they are.
        label: Box<Label>,
    },
    /// It failed, and says so in its own `failed` line.
    Failed {
        /// That line.
        failed: Map<String, Value>,
    },
}

/// A record: who writes, and how it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The writer's name.
    pub command: String,
    /// The writer's process.
    pub pid: u32,
    /// The boot of the machine: the numbers of pipes begin anew with each.
    boot: String,
    /// How it stands.
    #[serde(flatten)]
    pub state: State,
}

/// The writer's side of a record.
#[derive(Debug)]
pub struct Announcement {
    path: PathBuf,
    record: Record,
}

impl Announcement {
    /// Says that this process writes to the pipe from now on.
    ///
    /// # Errors
    /// If the record cannot be written; then nothing downstream could trust us.
    pub fn open(folder: &Path, pipe: PipeId, command: &str) -> Result<Self> {
        sweep(folder);
        let state = State::Open { label: None, estimate_bytes: None };
        let record = Record { command: command.to_owned(), pid: std::process::id(), boot: boot(), state };
        let announcement = Self { path: pipe.path(folder), record };
        announcement.write()?;
        Ok(announcement)
    }

    /// Says what is going to be written. To be called before the first byte.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn promise(&mut self, label: Label) -> Result<()> {
        self.record.state = State::Open { label: Some(Box::new(label)), estimate_bytes: self.estimate_bytes() };
        self.write()
    }

    /// Says about how many bytes there will be. To be called before the first one.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn estimate(&mut self, bytes: u64) -> Result<()> {
        if let State::Open { estimate_bytes, .. } = &mut self.record.state {
            *estimate_bytes = Some(bytes);
        }
        self.write()
    }

    fn estimate_bytes(&self) -> Option<u64> {
        match self.record.state {
            State::Open { estimate_bytes, .. } => estimate_bytes,
            State::Sealed { .. } | State::Failed { .. } => None,
        }
    }

    /// Says that everything was written.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn seal(mut self, digest: &Digest, label: Label) -> Result<()> {
        self.record.state =
            State::Sealed { size_bytes: digest.bytes(), sha256: digest.sha256(), label: Box::new(label) };
        self.write()
    }

    /// Says that the writer failed. Where the reader has gone (`quietly`, or it took the record because it failed first)
    /// nobody would take the record any more, so none is left.
    pub(crate) fn fail(mut self, failed: &Map<String, Value>, quietly: bool) {
        if quietly || !self.path.exists() {
            let _gone_already = std::fs::remove_file(&self.path);
            return;
        }
        self.record.state = State::Failed { failed: failed.clone() };
        // If even this fails the record stays `open`, which the reader refuses as well.
        let _open_is_refused_too = self.write();
    }

    fn write(&self) -> Result<()> {
        let step = || format!("announcing the output in {}", self.path.display());
        let text = serde_json::to_vec(&self.record).map_err(|cause| Error::failure(format!("{}: {cause}", step())))?;
        let temporary = self.path.with_extension(format!("{}.tmp", self.record.pid));
        let wrote = std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, &self.path));
        wrote.map_err(|cause| {
            let _may_not_exist = std::fs::remove_file(&temporary);
            Error::io(step(), cause)
        })
    }
}

/// Takes the record of a pipe: reads it and removes it. None if no command of ours wrote to the pipe.
///
/// # Errors
/// If there is a record that cannot be read.
pub fn take(folder: &Path, pipe: PipeId) -> Result<Option<Record>> {
    let record = peek(folder, pipe)?;
    let _none_or_taken_once = std::fs::remove_file(pipe.path(folder));
    Ok(record)
}

/// Reads the record of a pipe and leaves it. None if no command of ours writes to the pipe.
///
/// # Errors
/// If there is a record that cannot be read.
pub fn peek(folder: &Path, pipe: PipeId) -> Result<Option<Record>> {
    let path = pipe.path(folder);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(Error::io(format!("reading the seal {}", path.display()), cause)),
    };
    let record: Record = serde_json::from_slice(&text)
        .map_err(|cause| Error::integrity(format!("reading the seal {}: {cause}", path.display())))?;
    Ok((record.boot == boot()).then_some(record))
}

/// Removes the records of pipes whose writer has ended and which nobody holds any more: their reader was killed.
fn sweep(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let stale: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| is_orphan(path)).collect();
    if stale.is_empty() {
        return;
    }
    let (held, nameless) = (held_pipes(), nameless_device());
    for path in stale {
        let inode = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.rsplit('-').next());
        let is_held = inode.is_some_and(|inode| held.iter().any(|held| held == inode));
        if !is_held && !may_be_held_by_name(&path, nameless) {
            let _another_was_faster = std::fs::remove_file(path);
        }
    }
}

/// Whether it is about a FIFO with a name, which `/proc` does not show as a pipe: its record may wait for a day.
fn may_be_held_by_name(path: &Path, nameless: Option<u64>) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let device = name.strip_prefix("pipe-").and_then(|name| name.split('-').next()).and_then(|text| text.parse().ok());
    let age = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok().and_then(|at| at.elapsed().ok());
    device != nameless && !name.ends_with(".tmp") && age.is_none_or(|age| age < FIFO_RECORD_AGE)
}

/// The device on which this machine has its pipes without a name.
fn nameless_device() -> Option<u64> {
    std::io::pipe().ok().and_then(|(reader, _)| PipeId::of(&reader)).map(|pipe| pipe.device)
}

fn is_orphan(path: &Path) -> bool {
    let record = std::fs::read(path).ok().and_then(|text| serde_json::from_slice::<Record>(&text).ok());
    let lives = |process: &str| Path::new("/proc").join(process).exists();
    match record {
        Some(record) => record.boot != boot() || !lives(&record.pid.to_string()),
        // Its writer was killed while it wrote this, which is not yet a record: `pipe-<dev>-<ino>.<pid>.tmp`.
        None => draft_writer(path).is_some_and(|process| !lives(process)),
    }
}

fn draft_writer(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?.strip_suffix(".tmp")?;
    Some(name.rsplit_once('.')?.1).filter(|process| process.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The inodes of all pipes that processes of this user hold open.
fn held_pipes() -> Vec<String> {
    let numbers =
        |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten().filter(numbers);
    let descriptors =
        processes.filter_map(|process| std::fs::read_dir(process.path().join("fd")).ok()).flatten().flatten();
    let targets = descriptors.filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok());
    targets.filter_map(|target| Some(target.to_str()?.strip_prefix("pipe:[")?.strip_suffix(']')?.to_owned())).collect()
}

fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label() -> Label {
        Label::of_stream("table", "public.w", "w", "parquet")
    }

    #[test]
    fn a_seal_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let pipe = PipeId::of(&writer).unwrap();
        assert_eq!(PipeId::of(&reader), Some(pipe));
        let mut digest = Digest::default();
        digest.update(b"abc");
        let announcement = Announcement::open(folder.path(), pipe, "vb-export").unwrap();
        announcement.seal(&digest, label()).unwrap();
        let record = take(folder.path(), pipe).unwrap().unwrap();
        assert!(matches!(record.state, State::Sealed { size_bytes: 3, .. }));
        assert_eq!(take(folder.path(), pipe).unwrap(), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_failure_is_not_told_to_a_reader_that_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (_reader, writer) = std::io::pipe().unwrap();
        let pipe = PipeId::of(&writer).unwrap();
        Announcement::open(folder.path(), pipe, "vb-get").unwrap().fail(&Map::new(), false);
        assert!(matches!(take(folder.path(), pipe).unwrap().unwrap().state, State::Failed { .. }));
        let announcement = Announcement::open(folder.path(), pipe, "vb-get").unwrap();
        take(folder.path(), pipe).unwrap();
        announcement.fail(&Map::new(), false);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn records_that_nobody_will_take_are_swept() {
        let folder = tempfile::tempdir().unwrap();
        let orphan = Record {
            command: "vb-export".to_owned(),
            pid: u32::MAX,
            boot: boot(),
            state: State::Open { label: None, estimate_bytes: None },
        };
        let (_reader, writer) = std::io::pipe().unwrap();
        let pipe = PipeId::of(&writer).unwrap();
        let gone = PipeId { inode: u64::from(u32::MAX), ..pipe };
        let fifo = PipeId { device: pipe.device + 1, ..gone };
        for pipe in [gone, fifo] {
            std::fs::write(pipe.path(folder.path()), serde_json::to_vec(&orphan).unwrap()).unwrap();
        }
        std::fs::write(folder.path().join("pipe-1-2.4294967295.tmp"), "{\"comm").unwrap();
        std::fs::write(folder.path().join("of another program"), "{\"comm").unwrap();
        // The writer of this one has ended too, but its reader still holds the pipe.
        std::fs::write(pipe.path(folder.path()), serde_json::to_vec(&orphan).unwrap()).unwrap();
        sweep(folder.path());
        let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path()).collect();
        left.sort();
        let mut kept = [folder.path().join("of another program"), pipe.path(folder.path()), fifo.path(folder.path())];
        kept.sort();
        assert_eq!(left, kept);
    }
}
