//! What writes the stream where that is our own doing: a foreign program, or the archive of files. Its good end is the
//! proof that the stream is whole; until then everything that it has written may be cut off.

use crate::archive::Archiving;
use crate::conclusion::Producer;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use vb_core::{Error, Result, ending};
use vb_pipe::cleanup::{self, Undo};
use vb_repository::journal::Entry;
use vb_repository::{Guarded, process};

/// A producer at work.
pub(crate) enum Running {
    Program(Program),
    Archive(Archiving),
}

/// A producer that ended well.
pub(crate) struct Written {
    pub(crate) producer: Producer,
    /// How many files there are in it.
    pub(crate) files: Option<u64>,
}

impl Running {
    /// Waits for its end; to be called at the end of what it wrote.
    ///
    /// # Errors
    /// Why the stream is not whole.
    pub(crate) fn finish(self) -> Result<Written> {
        match self {
            Self::Program(program) => program.finish().map(|()| Written { producer: Producer::Command, files: None }),
            Self::Archive(archive) => {
                archive.finish().map(|files| Written { producer: Producer::Files, files: Some(files) })
            }
        }
    }
}

/// A program and all that it starts: a process group that ends with us, whatever ends us.
pub(crate) struct Program {
    name: String,
    child: Child,
    // Dropped in this order: the group is ended, and then its guard may go.
    undo: Option<Undo>,
    entry: Entry,
    guarded: Guarded,
}

/// What a program is called to people: never its arguments, which may hold secrets.
pub(crate) fn name_of(command: &[OsString]) -> String {
    let program = command.first().map(Path::new).and_then(Path::file_name);
    program.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

impl Program {
    /// Starts it; its standard error is ours, its standard output comes back.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start(command: &[OsString], guarded: Guarded) -> Result<(Self, File)> {
        let name = name_of(command);
        let step = format!("starting {name}");
        let mut words = command.iter();
        let program = words.next().ok_or_else(|| Error::usage("there is no command after --"))?;
        let child = Command::new(program).args(words).process_group(0).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|cause| Error::io(&step, cause))?;
        let leader = child.id();
        let entry = guarded.journal.process(leader);
        let journal = Arc::clone(&guarded.journal);
        let undo = Some(cleanup::on_failure(move || {
            process::end_group(leader);
            journal.settle(entry);
        }));
        let output = child.stdout.take().ok_or_else(|| Error::failure(format!("{step}: it has no output")))?;
        Ok((Self { name, child, undo, entry, guarded }, File::from(OwnedFd::from(output))))
    }

    fn finish(mut self) -> Result<()> {
        // As long as nobody has asked for its end, its number is nobody else's: a signal now ends the right one.
        process::wait_without_reaping(self.child.id());
        if let Some(undo) = self.undo.take() {
            undo.disarm();
        }
        let status = self.child.wait().map_err(|cause| Error::io(format!("waiting for {}", self.name), cause))?;
        self.guarded.journal.settle(self.entry);
        judge(&self.name, status)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(undo) = self.undo.take() {
            drop(undo);
            let _ended_by_now = self.child.wait();
        }
    }
}

/// An output is whole only if its program ended well.
fn judge(name: &str, status: ExitStatus) -> Result<()> {
    let Some(how) = ending::failure(status) else { return Ok(()) };
    Err(Error::integrity(format!("{name} {how}, so what it wrote is not whole"))
        .with_hint("Nothing was stored; its own words stand above. Run it again when its cause is mended."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a_name_without_folders_and_arguments() {
        let command = ["/usr/bin/pg_dump", "--password=x"].map(OsString::from);
        assert_eq!(name_of(&command), "pg_dump");
        assert_eq!(name_of(&[]), "");
    }

    #[test]
    fn only_a_zero_is_success() {
        assert!(judge("x", ExitStatus::from_raw(0)).is_ok());
        assert!(judge("x", ExitStatus::from_raw(3 << 8)).unwrap_err().to_string().contains("status 3"));
        assert!(judge("x", ExitStatus::from_raw(9)).unwrap_err().to_string().contains("signal 9"));
    }
}
