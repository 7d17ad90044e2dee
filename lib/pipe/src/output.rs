//! The writing end: announces itself on a pipe, counts and hashes what goes, and seals it at the end.

use crate::digest::Digest;
use crate::input::PIPE_BYTES;
use crate::progress::Progress;
use crate::record::{Announcement, PipeId};
use crate::run_folder;
use crate::session::{Done, Session};
use crate::staged_file::StagedFile;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::Path;
use vb_core::label::Label;
use vb_core::{Error, Result};

/// Standard output or a file. Without [`Output::seal`] it never counts as whole.
#[derive(Debug)]
pub struct Output {
    sink: Sink,
    digest: Digest,
    session: Session,
}

#[derive(Debug)]
enum Sink {
    /// A pipe, a terminal, a device.
    Stream(File),
    /// A regular file that appears when it is complete.
    Staged(StagedFile),
}

impl Output {
    /// Standard output, or for another path than `-` that file.
    ///
    /// # Errors
    /// If it is a terminal, or cannot be written.
    pub fn open(session: &Session, path: Option<&Path>) -> Result<Self> {
        let sink = match path.filter(|path| *path != Path::new("-")) {
            Some(path) if is_stream(path) => {
                let opened = OpenOptions::new().write(true).open(path);
                Sink::Stream(opened.map_err(|cause| Error::io(format!("writing {}", path.display()), cause))?)
            }
            Some(path) => Sink::Staged(StagedFile::create(path)?),
            None => Sink::Stream(standard_output()?),
        };
        if let Sink::Stream(file) = &sink
            && let Some(pipe) = PipeId::of(file)
        {
            let _smaller_is_slower_only = rustix::pipe::fcntl_setpipe_size(file, PIPE_BYTES);
            let folder = run_folder::open(session.environment())?;
            session.announce(Announcement::open(&folder, pipe, session.command())?);
        }
        Ok(Self { sink, digest: Digest::default(), session: session.clone() })
    }

    /// Tells the next stage about how many bytes there will be. To be called before the first byte.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn estimate(&self, bytes: u64) -> Result<()> {
        self.session.estimate(bytes)
    }

    /// Tells the next stage what it is going to be. To be called before the first byte.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn promise(&self, label: &Label) -> Result<()> {
        self.session.promise(label)
    }

    /// Count and SHA-256 of what was written so far.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Everything was written: the file gets its name, or the pipe its seal, with the label and this stage's `done` line.
    ///
    /// # Errors
    /// If the file or the record cannot be written; then the output does not count.
    pub fn seal(self, label: Label, done: &Done) -> Result<()> {
        match self.sink {
            Sink::Staged(file) => file.persist(),
            Sink::Stream(mut file) => {
                file.flush().map_err(|cause| Error::io("writing standard output", cause))?;
                match self.session.take_announcement() {
                    Some(announcement) => announcement.seal(&self.digest, label.through(done.line())),
                    None => Ok(()),
                }
            }
        }
    }
}

/// A pipe or a device is written as it is; only a regular file can be staged.
fn is_stream(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

fn standard_output() -> Result<File> {
    let stdout = std::io::stdout();
    if stdout.is_terminal() {
        return Err(Error::usage("standard output is a terminal").with_hint("Pipe the data on, or give -o FILE."));
    }
    let handle = rustix::io::fcntl_dupfd_cloexec(&stdout, 3);
    Ok(File::from(handle.map_err(|cause| Error::io("writing standard output", cause.into()))?))
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = match &mut self.sink {
            Sink::Stream(file) => file.write(bytes)?,
            Sink::Staged(file) => file.write(bytes)?,
        };
        self.digest.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.sink {
            Sink::Stream(file) => file.flush(),
            Sink::Staged(file) => file.flush(),
        }
    }
}

/// A writer whose bytes show in the progress.
#[derive(Debug)]
pub struct Counted<'run, W> {
    inner: W,
    progress: &'run Progress,
}

impl<'run, W> Counted<'run, W> {
    /// Counts what goes to `inner`.
    pub fn new(inner: W, progress: &'run Progress) -> Self {
        Self { inner, progress }
    }
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.progress.add(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}
