//! One run of one command: its environment, its clock, its status lines, and the announcement of its output.

use crate::arguments::{CommonArguments, ProgressChoice};
use crate::progress::Progress;
use crate::record::{Announcement, PipeId};
use crate::run_folder;
use crate::speech;
use crate::status::StatusLines;
use serde_json::{Map, Value};
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Whether another command reads our data.
    feeds_a_pipe: bool,
    verbose: bool,
    announcement: Mutex<Option<Announcement>>,
    /// Whether the next stage has heard of us.
    announced: AtomicBool,
    ended: Mutex<bool>,
}

/// What a command has to say when it is done.
#[derive(Debug, Clone)]
pub struct Done {
    /// The fields of the `done` line, without those that every line has.
    line: Map<String, Value>,
    /// One sentence for a terminal, without the command's name.
    sentence: String,
    /// Why it is not all that was wanted.
    shortfall: Option<Arc<Error>>,
}

impl Done {
    /// The run did what counts, but not all that was wanted: the same line, with the error's fields and its exit code.
    #[must_use]
    pub fn but(mut self, error: Error) -> Self {
        self.line.extend(error_fields(&error));
        self.shortfall = Some(Arc::new(error));
        self
    }

    /// 0, or that of the shortfall.
    pub(crate) fn exit_code(&self) -> u8 {
        self.shortfall.as_ref().map_or(0, |error| error.kind().exit_code())
    }

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
            feeds_a_pipe: stdout_carries_data && PipeId::of(std::io::stdout()).is_some(),
            verbose: common.verbose,
            announcement: Mutex::new(None),
            announced: AtomicBool::new(false),
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
    pub(crate) fn lines(&self, lines: &str) -> Result<()> {
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
    pub fn tell(&self, words: impl std::fmt::Display) {
        if self.0.status.wants_sentences() {
            speech::line(self.0.command, &words.to_string());
        }
    }

    /// Shows from now on how many bytes have passed, as `--progress` wants it.
    #[must_use]
    pub fn progress(&self, verb: &'static str) -> Progress {
        self.progress_of(verb, None)
    }

    /// The same where it is known how many bytes there will be.
    ///
    /// Of a pipeline on a terminal only the last command shows a bar: several would draw over each other.
    #[must_use]
    pub fn progress_of(&self, verb: &'static str, length: Option<u64>) -> Progress {
        match self.0.progress {
            ProgressChoice::Json => Progress::lines(self.clone(), length),
            ProgressChoice::Auto if speech::people_watch() && !self.0.feeds_a_pipe => {
                Progress::bar(self.0.command, verb, length)
            }
            ProgressChoice::Auto | ProgressChoice::Never => Progress::silent(),
        }
    }

    /// The end of a successful run: the fields of its `done` line, and a sentence for a terminal.
    ///
    /// # Errors
    /// If the fields are not a JSON object.
    pub fn done(&self, fields: &impl serde::Serialize, sentence: impl Into<String>) -> Result<Done> {
        let mut line = self.line("done", fields)?;
        line.insert("duration_seconds".to_owned(), self.duration_seconds().into());
        Ok(Done { line, sentence: sentence.into(), shortfall: None })
    }

    /// Keeps the announcement of this process's output, so that a failure or a signal can mark it as failed.
    pub(crate) fn announce(&self, announcement: Announcement) {
        self.0.announced.store(true, Ordering::Relaxed);
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

    /// Says in the record of the output about how many bytes there will be, so that the next stage can show what is left.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn estimate(&self, bytes: u64) -> Result<()> {
        match self.announcement().as_mut() {
            Some(announcement) => announcement.estimate(bytes),
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
        done.shortfall.iter().for_each(|error| speech::error(self.0.command, error));
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
        } else if self.0.feeds_a_pipe && !quietly && !self.0.announced.load(Ordering::Relaxed) {
            self.refuse(error);
        }
        if !quietly {
            speech::error(self.0.command, error);
        }
        if !quietly || self.0.status.is_file() {
            let _best_effort = self.0.status.write(&line);
        }
    }

    /// Tells the next stage that it gets nothing from us, and why.
    pub(crate) fn refuse(&self, error: &Error) {
        let _nothing_came_all_the_same = refuse(self.0.command, &self.0.environment, error);
    }

    fn failed_line(&self, error: &Error) -> Map<String, Value> {
        let mut fields = error_fields(error);
        fields.insert("duration_seconds".to_owned(), self.duration_seconds().into());
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

/// Tells the next stage that it gets nothing from this command, and why.
///
/// # Errors
/// If the record cannot be written; then nothing came, and nothing proves it.
pub(crate) fn refuse(command: &str, environment: &Environment, error: &Error) -> Result<()> {
    let Some(pipe) = PipeId::of(std::io::stdout()) else { return Ok(()) };
    Announcement::open(&run_folder::open(environment)?, pipe, command)?.fail(&error_fields(error), false);
    Ok(())
}

fn error_fields(error: &Error) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("error".to_owned(), error.kind().name().into());
    fields.insert("exit_code".to_owned(), error.kind().exit_code().into());
    fields.insert("message".to_owned(), error.to_string().into());
    if let Some(hint) = error.hint() {
        fields.insert("hint".to_owned(), hint.into());
    }
    fields
}
