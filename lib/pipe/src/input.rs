//! The reading end: counts and hashes what comes, and at its end demands the proof that it is whole.

use crate::digest::Digest;
use crate::record::{self, PipeId, State};
use crate::run_folder;
use crate::session::Session;
use std::fs::{File, Metadata};
use std::io::{IsTerminal, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use vb_core::label::Label;
use vb_core::{Error, Result};

/// A pipe's own buffer is 64 KiB; a larger one saves half of the switches between two stages.
pub(crate) const PIPE_BYTES: usize = 1 << 20;

/// Standard input or a file, read once.
#[derive(Debug)]
pub struct Input {
    file: File,
    digest: Digest,
    pipe: Option<PipeId>,
    run_folder: PathBuf,
    /// What it was when it was opened, if it is a regular file.
    opened: Option<Metadata>,
    /// Whether its end was seen.
    ended: bool,
    name: String,
    /// What it was opened by, if not already open.
    path: Option<PathBuf>,
}

/// Where the bytes came from, once they have all been read.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// A command of ours that proved its end.
    Sealed(Box<Label>),
    /// Nobody announced: the stream's own format must prove it.
    Silent,
    /// A regular file, whose length is no question.
    File,
}

/// The end of an input.
#[derive(Debug)]
pub struct End {
    /// Count and SHA-256 of everything that was read.
    pub digest: Digest,
    /// Who vouches for it.
    pub origin: Origin,
}

impl Input {
    /// Standard input, or for another path than `-` that file.
    ///
    /// # Errors
    /// If it is a terminal, or cannot be opened.
    pub fn open(session: &Session, path: Option<&Path>) -> Result<Self> {
        let path = path.filter(|path| *path != Path::new("-"));
        let (file, name) = match path {
            Some(path) => {
                let opened =
                    File::open(path).map_err(|cause| Error::io(format!("opening {}", path.display()), cause))?;
                (opened, path.display().to_string())
            }
            None => (standard_input()?, "standard input".to_owned()),
        };
        let mut input = Self::of_file(session, file, name)?;
        input.path = path.map(Path::to_owned);
        Ok(input)
    }

    /// What is already open, such as the output of a program that this process has started.
    ///
    /// # Errors
    /// If it is a folder, or the run folder cannot be opened.
    pub fn of_file(session: &Session, file: File, name: String) -> Result<Self> {
        let pipe = PipeId::of(&file);
        if pipe.is_some() {
            let _smaller_is_slower_only = rustix::pipe::fcntl_setpipe_size(&file, PIPE_BYTES);
        }
        let metadata = file.metadata().map_err(|cause| Error::io(format!("reading {name}"), cause))?;
        if metadata.is_dir() {
            return Err(Error::usage(format!("{name} is a folder")));
        }
        let run_folder = run_folder::open(session.environment())?;
        let opened = Some(metadata).filter(Metadata::is_file);
        Ok(Self { file, digest: Digest::default(), pipe, run_folder, opened, ended: false, name, path: None })
    }

    /// Whether it is this file, under whatever name.
    #[must_use]
    pub fn is_file(&self, path: &Path) -> bool {
        let same = |there: Metadata| {
            self.opened.as_ref().is_some_and(|here| (here.dev(), here.ino()) == (there.dev(), there.ino()))
        };
        std::fs::metadata(path).is_ok_and(same)
    }

    /// What it is to people: `standard input`, or the file's path.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path that was given.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Its length, where that is known before the end.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.opened.as_ref().and_then(|_| self.file.metadata().ok()).map(|metadata| metadata.len())
    }

    /// Of a regular file, its first and its last bytes, at most so many of each, wherever it is read.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn ends(&self, first: usize, last: usize) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        let Some(length) = self.length() else { return Ok(None) };
        let read = |most: usize, from_end: bool| {
            let count = most.min(usize::try_from(length).unwrap_or(usize::MAX));
            let mut bytes = vec![0; count];
            let start = if from_end { length - count as u64 } else { 0 };
            self.file.read_exact_at(&mut bytes, start).map(|()| bytes)
        };
        let ends = read(first, false).and_then(|first| Ok((first, read(last, true)?)));
        match ends {
            // Shorter than it was a moment ago: at its end that is told.
            Err(cause) if cause.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            ends => ends.map(Some).map_err(|cause| Error::io(format!("reading {}", self.name), cause)),
        }
    }

    /// The bytes read so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.digest.bytes()
    }

    /// Count and SHA-256 of what was read so far.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What the stage before says that it writes, if it is one of ours. To be asked after the first read, not earlier.
    ///
    /// # Errors
    /// If there is a record that cannot be read.
    pub fn announced(&self) -> Result<Option<Label>> {
        let Some(pipe) = self.pipe else { return Ok(None) };
        Ok(match record::peek(&self.run_folder, pipe)?.map(|record| record.state) {
            Some(State::Open { label, .. }) => label.map(|label| *label),
            Some(State::Sealed { label, .. }) => Some(*label),
            Some(State::Failed { .. }) | None => None,
        })
    }

    /// How many bytes there will be: the length of a file, else what the writer said when it began.
    ///
    /// # Errors
    /// If there is a record that cannot be read.
    pub fn expected(&self) -> Result<Option<u64>> {
        let Some(pipe) = self.pipe else { return Ok(self.length()) };
        Ok(match record::peek(&self.run_folder, pipe)?.map(|record| record.state) {
            Some(State::Open { estimate_bytes, .. }) => estimate_bytes,
            Some(State::Sealed { size_bytes, .. }) => Some(size_bytes),
            Some(State::Failed { .. }) | None => None,
        })
    }

    /// To be called at end of file, before anything is made final: demands the proof of whoever wrote.
    ///
    /// # Errors
    /// An integrity error if the stage before died, failed, or sealed something else than what arrived.
    pub fn finish(mut self) -> Result<End> {
        let digest = std::mem::take(&mut self.digest);
        let taken = match self.pipe.take() {
            Some(pipe) => record::take(&self.run_folder, pipe)?,
            None => None,
        };
        let origin = match (taken, &self.opened) {
            (None, Some(opened)) => {
                self.unchanged(opened, &digest)?;
                Origin::File
            }
            (None, None) => Origin::Silent,
            (Some(record), _) => Origin::Sealed(check(record, &digest)?),
        };
        Ok(End { digest, origin })
    }
}

impl Input {
    /// Whether what was read is the file from its beginning to its end, as it was when it was opened. Those of `/proc` have no length;
    /// and whoever stops before the end has another reason.
    fn unchanged(&self, was: &Metadata, digest: &Digest) -> Result<()> {
        let now = self.file.metadata().map_err(|cause| Error::io(format!("reading {}", self.name), cause))?;
        let read = digest.bytes();
        let is_as_it_was = (was.len(), was.modified().ok()) == (now.len(), now.modified().ok());
        if !self.ended || (is_as_it_was && (read == now.len() || now.len() == 0)) {
            return Ok(());
        }
        let message =
            format!("{} changed while it was read: {read} bytes came of {} that it has", self.name, now.len());
        Err(Error::integrity(message)
            .with_hint("Nothing was kept; read it from its beginning, when nobody writes to it."))
    }
}

/// The label of a sealed stream, if the seal is about the bytes that arrived.
fn check(record: record::Record, digest: &Digest) -> Result<Box<Label>> {
    let writer = format!("{} (process {})", record.command, record.pid);
    match record.state {
        State::Sealed { size_bytes, sha256, label } => {
            if (size_bytes, sha256) == (digest.bytes(), digest.sha256()) {
                return Ok(label);
            }
            let message = format!("{writer} sealed {size_bytes} bytes, but {} other bytes arrived", digest.bytes());
            Err(Error::integrity(message).with_hint("Let each pipe carry the output of one command only."))
        }
        State::Failed { failed } => {
            let message = failed.get("message").and_then(serde_json::Value::as_str).unwrap_or("it does not say why");
            Err(Error::integrity(format!("{writer} failed: {message}")))
        }
        State::Open { .. } => Err(Error::integrity(format!("{writer} died after {} bytes", digest.bytes()))
            .with_hint("Nothing was kept; find out why it was killed (memory, a time limit), then run it again.")),
    }
}

fn standard_input() -> Result<File> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(Error::usage("standard input is a terminal").with_hint("Pipe the data in, or name a file."));
    }
    // A handle of its own, without the standard library's buffer and lock.
    let handle = rustix::io::fcntl_dupfd_cloexec(&stdin, 3);
    Ok(File::from(handle.map_err(|cause| Error::io("reading standard input", cause.into()))?))
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.ended |= count == 0 && !buffer.is_empty();
        self.digest.update(&buffer[..count]);
        Ok(count)
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // We failed before the end. Nobody else will take the record.
        if let Some(pipe) = self.pipe {
            let _nothing_to_do_about_it = record::take(&self.run_folder, pipe);
        }
    }
}
