//! Where status lines go: standard output, or standard error where output carries data, or a file.

use crate::speech;
use serde_json::{Map, Value};
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Mutex;
use vb_core::{Error, Result};

/// The place of the status lines.
#[derive(Debug)]
pub(crate) enum StatusLines {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file that grows.
    File(Mutex<File>),
    /// A person watches: sentences instead.
    Nowhere,
}

impl StatusLines {
    /// Chooses the place.
    pub(crate) fn open(file: Option<&Path>, stdout_carries_data: bool) -> Result<Self> {
        if let Some(path) = file {
            let opened = OpenOptions::new().create(true).append(true).open(path);
            let file =
                opened.map_err(|cause| Error::io(format!("opening the status file {}", path.display()), cause))?;
            return Ok(Self::File(Mutex::new(file)));
        }
        Ok(match stdout_carries_data {
            true if speech::people_watch() => Self::Nowhere,
            true => Self::Stderr,
            false if std::io::stdout().is_terminal() => Self::Nowhere,
            false => Self::Stdout,
        })
    }

    /// Whether a person sees no status lines and wants a sentence.
    pub(crate) fn wants_sentences(&self) -> bool {
        matches!(self, Self::Nowhere) || speech::people_watch()
    }

    /// Whether the lines go where only programs look.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Writes one line.
    pub(crate) fn write(&self, fields: &Map<String, Value>) -> Result<()> {
        let mut line = Value::Object(fields.clone()).to_string();
        line.push('\n');
        self.write_text(&line)
    }

    /// Writes whole lines.
    pub(crate) fn write_text(&self, line: &str) -> Result<()> {
        let wrote = match self {
            Self::Nowhere => Ok(()),
            Self::Stderr => {
                speech::status_on_stderr(line);
                Ok(())
            }
            Self::Stdout => speech::status_on_stdout(line),
            Self::File(file) => {
                file.lock().unwrap_or_else(std::sync::PoisonError::into_inner).write_all(line.as_bytes())
            }
        };
        // The work may be done by then, whatever became of its telling.
        let told = "Only the telling failed: vb-ls shows what is stored; give standard output another place, or --status FILE.";
        wrote.map_err(|cause| Error::io("writing a status line", cause).with_hint(told))
    }
}
