//! What is stored: a stream, a file, several files as one archive, or what a command writes.

use crate::archive::Archiving;
use crate::archive_names;
use crate::command_words;
use crate::naming::{Given, Made};
use crate::producer::{Program, Running, name_of};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use vb_core::Result;
use vb_pipe::{Input, Session};
use vb_repository::{Guarded, OpenStore};

/// What the command line names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Standard input.
    Stream,
    /// One file, as it is.
    File(PathBuf),
    /// Files and folders, as an archive.
    Files(Vec<PathBuf>),
    /// The output of a program.
    Command(Vec<OsString>),
}

impl Subject {
    /// From the arguments before and after `--`.
    pub(crate) fn new(files: Vec<PathBuf>, command: Vec<OsString>) -> Self {
        match files.as_slice() {
            _ if !command.is_empty() => Self::Command(command),
            [] => Self::Stream,
            [only] if only == Path::new("-") => Self::Stream,
            [only] if !only.is_dir() => Self::File(only.clone()),
            _ => Self::Files(files),
        }
    }

    /// The file, if it is stored as it is.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Stream | Self::Files(_) | Self::Command(_) => None,
        }
    }

    /// What its name can be made from, with the set that the user wants.
    pub(crate) fn given(&self, set: Option<&str>) -> Given {
        let made = match self {
            Self::Files(paths) => Some(Made {
                set: archive_names::suggested_set(paths),
                source_type: "files",
                source: archive_names::words(paths),
                command_digest: None,
            }),
            Self::Command(words) => Some(Made {
                set: name_of(words),
                source_type: "command",
                source: name_of(words),
                command_digest: Some(command_words::digest(words)),
            }),
            Self::Stream | Self::File(_) => None,
        };
        Given { set: set.map(str::to_owned), file: self.path().map(Path::to_owned), made }
    }

    /// Opens it, and starts what writes it.
    ///
    /// # Errors
    /// If it cannot be opened or started.
    pub(crate) fn open(&self, session: &Session, target: &OpenStore) -> Result<(Input, Option<Running>)> {
        match self {
            Self::Stream => Ok((Input::open(session, None)?, None)),
            Self::File(path) => Ok((Input::open(session, Some(path))?, None)),
            Self::Files(paths) => {
                let (archiving, output) = Archiving::start(session, paths)?;
                let input = Input::of_file(session, output, archive_names::words(paths))?;
                Ok((input, Some(Running::Archive(archiving))))
            }
            Self::Command(words) => {
                let guarded = Guarded::start(session, &target.location, &target.environment);
                let (program, output) = Program::start(words, guarded)?;
                let input = Input::of_file(session, output, format!("the output of {}", name_of(words)))?;
                Ok((input, Some(Running::Program(program))))
            }
        }
    }
}
