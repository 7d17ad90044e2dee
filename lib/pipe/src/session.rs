//! One run of one command: its environment, its clock, its status lines, and the announcement of its output.

use crate::arguments::{CommonArguments, ProgressChoice};
use crate::progress::Progress;
use crate::record::Announcement;
use crate::speech;
use crate::status::StatusLines;
use serde_json::{Map, Value};
use std::sync::{Arc, Mutex, PoisonError};
use vb_core::environment::Environment;
use vb_core::time::{self, Instant};
use vb_core::{Error, Result};

/// Shared by the command, its threads and the signal thread.
#[derive(Debug, Clone)]
pub struct Session(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    command: &'static str,
    environment: Environment,
    started: std::time::Instant,
    status: StatusLines,
    progress: ProgressChoice,
    verbose: bool,
    announcement: Mutex<Option<Announcement>>,
    ended: Mutex<bool>,
}

/// What a command has to say when it is done.
#[derive(Debug, Clone)]
pub struct Done {
    /// The fields of the `done` line, without those that every line has.
    line: Map<String, Value>,
    /// One sentence for a terminal, without the command's name.
    sentence: String,
}

impl Done {
    /// The whole `done` line, for the label.
    #[must_use]
    pub fn line(&self) -> Value {
        Value::Object(self.line.clone())
    }
}

impl Session {
    /// Opens the run of a command.
    pub(crate) fn open(
        command: &'static str,
        environment: Environment,
        common: &CommonArguments,
        stdout_carries_data: bool,
    ) -> Result<Self> {
        Ok(Self(Arc::new(Shared {
            command,
            environment,
            started: std::time::Instant::now(),
            status: StatusLines::open(common.status.as_deref(), stdout_carries_data)?,
            progress: common.progress,
            verbose: common.verbose,
            announcement: Mutex::new(None),
            ended: Mutex::new(false),
        })))
    }

    /// The command's name.
    #[must_use]
    pub fn command(&self) -> &'static str {
        self.0.command
    }

    /// What the command may read of the environment and of `.env`.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.0.environment
    }

    /// The time, which pure functions want to be given.
    #[must_use]
    pub fn now(&self) -> Instant {
        chrono::Utc::now()
    }

    /// Writes a status line of this event.
    ///
    /// # Errors
    /// If standard output or the status file takes no more.
    pub fn event(&self, event: &str, fields: &impl serde::Serialize) -> Result<()> {
        self.0.status.write(&self.line(event, fields)?)
    }

    /// Many status lines that are rendered already, each ended by a line feed: for listings of a hundred thousand.
    ///
    /// # Errors
    /// If standard output or the status file takes no more.
    pub fn lines(&self, lines: &str) -> Result<()> {
        self.0.status.write_text(lines)
    }

    /// A line for people who asked for more.
    pub fn explain(&self, words: &str) {
        if self.0.verbose {
            speech::line(self.0.command, words);
        }
    }

    /// Something that people should know although the run goes on: a line for them, and a status line.
    pub fn warn(&self, words: &str) {
        speech::line(self.0.command, &format!("warning: {words}"));
        let fields = serde_json::json!({ "message": words });
        if self.0.status.is_file() || !self.0.status.wants_sentences() {
            let _best_effort = self.event("warning", &fields);
        }
    }

    /// A line for a person at a terminal, in the place of a status line.
    pub fn tell(&self, words: &str) {
        if self.0.status.wants_sentences() {
            speech::line(self.0.command, words);
        }
    }

    /// Shows from now on how many bytes have passed, as `--progress` wants it.
    #[must_use]
    pub fn progress(&self, verb: &'static str) -> Progress {
        let how = self.0.progress;
        let terminal = how == ProgressChoice::Auto && speech::people_watch();
        match how {
            ProgressChoice::Json => Progress::start(self.clone(), verb, false),
            _ if terminal => Progress::start(self.clone(), verb, true),
            _ => Progress::silent(),
        }
    }

    /// The end of a successful run: the fields of its `done` line, and a sentence for a terminal.
    ///
    /// # Errors
    /// If the fields are not a JSON object.
    pub fn done(&self, fields: &impl serde::Serialize, sentence: impl Into<String>) -> Result<Done> {
        let mut line = self.line("done", fields)?;
        line.insert("duration_seconds".to_owned(), self.duration_seconds().into());
        Ok(Done { line, sentence: sentence.into() })
    }

    /// Keeps the announcement of this process's output, so that a failure or a signal can mark it as failed.
    pub(crate) fn announce(&self, announcement: Announcement) {
        *self.announcement() = Some(announcement);
    }

    /// Tells the next stage what our output is going to be. To be called before its first byte.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn promise(&self, label: &vb_core::label::Label) -> Result<()> {
        match self.announcement().as_mut() {
            Some(announcement) => announcement.promise(label.clone()),
            None => Ok(()),
        }
    }

    /// Takes the announcement back, to seal it.
    pub(crate) fn take_announcement(&self) -> Option<Announcement> {
        self.announcement().take()
    }

    /// Prints the `done` line, or its sentence on a terminal.
    pub(crate) fn finish(&self, done: &Done) -> Result<()> {
        if std::mem::replace(&mut *self.ended(), true) {
            return Ok(());
        }
        self.tell(&done.sentence);
        self.0.status.write(&done.line)
    }

    /// Prints the `failed` line, and passes the failure on to whoever reads our output. Only the first end counts.
    pub(crate) fn fail(&self, error: &Error, quietly: bool) {
        if std::mem::replace(&mut *self.ended(), true) {
            return;
        }
        let line = self.failed_line(error);
        if let Some(announcement) = self.take_announcement() {
            announcement.fail(&line, quietly);
        }
        if !quietly {
            speech::error(self.0.command, error);
        }
        if !quietly || self.0.status.is_file() {
            let _best_effort = self.0.status.write(&line);
        }
    }

    fn failed_line(&self, error: &Error) -> Map<String, Value> {
        let mut fields = serde_json::json!({
            "error": error.kind().name(),
            "exit_code": error.kind().exit_code(),
            "message": error.to_string(),
            "hint": error.hint(),
            "duration_seconds": self.duration_seconds(),
        });
        if error.hint().is_none()
            && let Some(fields) = fields.as_object_mut()
        {
            fields.remove("hint");
        }
        self.line("failed", &fields).unwrap_or_default()
    }

    fn line(&self, event: &str, fields: &impl serde::Serialize) -> Result<Map<String, Value>> {
        let mut line = Map::new();
        line.insert("command".to_owned(), self.0.command.into());
        line.insert("event".to_owned(), event.into());
        line.insert("at".to_owned(), time::seconds(self.now()).into());
        match serde_json::to_value(fields) {
            Ok(Value::Object(fields)) => line.extend(fields),
            _ => return Err(Error::failure(format!("the status line {event} has no fields"))),
        }
        Ok(line)
    }

    /// Seconds since the start, to the millisecond.
    fn duration_seconds(&self) -> f64 {
        (self.0.started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
    }

    fn announcement(&self) -> std::sync::MutexGuard<'_, Option<Announcement>> {
        self.0.announcement.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self) -> std::sync::MutexGuard<'_, bool> {
        self.0.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
