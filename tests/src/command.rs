//! Runs a command to its end, with a deadline, and keeps all that it said.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{self, Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::secrets::{self, Secret};

/// A command that is not yet run; [`crate::place::Place`] makes it.
#[derive(Debug)]
pub struct Command {
    inner: process::Command,
    name: String,
    stdin: Vec<u8>,
    deadline: Duration,
    secrets: Vec<Secret>,
}

impl Command {
    /// A command with an empty environment.
    pub(crate) fn new(program: impl Into<OsString>) -> Self {
        let program = program.into();
        let mut inner = process::Command::new(&program);
        inner.env_clear().process_group(0);
        Self {
            inner,
            name: program.to_string_lossy().into_owned(),
            stdin: Vec::new(),
            deadline: Duration::from_secs(120),
            secrets: Vec::new(),
        }
    }

    pub(crate) fn folder(mut self, folder: PathBuf) -> Self {
        self.inner.current_dir(folder);
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.inner.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.inner.args(arguments);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let text = |text: &OsStr| text.to_string_lossy().into_owned();
        self.secrets.extend(secrets::of(&text(name.as_ref()), &text(value.as_ref())));
        self.inner.env(name, value);
        self
    }

    /// Sets variables, such as those of a server.
    #[must_use]
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(self, variables: impl IntoIterator<Item = (N, V)>) -> Self {
        variables.into_iter().fold(self, |command, (name, value)| command.env(name, value))
    }

    /// What the command reads; nothing unless set.
    #[must_use]
    pub fn stdin(mut self, content: impl Into<Vec<u8>>) -> Self {
        self.stdin = content.into();
        self
    }

    /// How long it may take; two minutes unless set.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Starts the command and leaves it running, for tests that send it signals. Its three streams are pipes of the test's, and it leads
    /// a process group of its own.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&mut self) -> Result<Child> {
        self.inner.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.inner.spawn().with_context(|| format!("starting {}", self.name))
    }

    /// Starts the command as a stage of a [`Pipeline`](crate::pipeline::Pipeline), with these streams.
    pub(crate) fn spawn_between(&mut self, stdin: Stdio, stdout: Stdio, stderr: Stdio) -> Result<Child> {
        self.inner.stdin(stdin).stdout(stdout).stderr(stderr);
        self.inner.spawn().with_context(|| format!("starting {}", self.name))
    }

    /// The program, without its folder.
    pub(crate) fn name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }

    /// What it must not show, however it is run.
    pub(crate) fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// Runs it to its end. Any exit status is a result, not an error.
    ///
    /// # Errors
    /// When it cannot be started, or passes its deadline: then it is killed, with all that it started. When it shows a secret that it
    /// was given.
    pub fn run(mut self) -> Result<Run> {
        let mut child = self.spawn()?;
        let (stdin, content) = (child.stdin.take(), std::mem::take(&mut self.stdin));
        // a command may end without having read all: a broken pipe is its right
        let writer = thread::spawn(move || stdin.map(|mut pipe| pipe.write_all(&content)));
        let (stdout, stderr) = (child.stdout.take().map(read), child.stderr.take().map(read));
        let status = wait(&mut child, self.deadline);
        if status.is_err() {
            kill_process_group(Pid::from_child(&child), Signal::KILL)
                .with_context(|| format!("killing {}", self.name))?;
            child.wait().with_context(|| format!("waiting for {}", self.name))?;
        }
        drop(writer.join());
        let (stdout, stderr) = (collect(stdout)?, collect(stderr)?);
        let folder = self.inner.get_current_dir().map(PathBuf::from).unwrap_or_default();
        for said in [&stdout, &stderr] {
            secrets::must_not_show(&self.secrets, &self.name, said)?;
            secrets::must_not_keep(&self.secrets, &folder, said)?;
        }
        match status {
            Ok(status) => Ok(Run { status, stdout, stderr }),
            Err(error) => Err(error.context(format!("{} said {}", self.name, String::from_utf8_lossy(&stderr)))),
        }
    }
}

type Reader = thread::JoinHandle<io::Result<Vec<u8>>>;

fn read(mut pipe: impl Read + Send + 'static) -> Reader {
    thread::spawn(move || {
        let mut content = Vec::new();
        pipe.read_to_end(&mut content).map(|_| content)
    })
}

fn collect(reader: Option<Reader>) -> Result<Vec<u8>> {
    let Some(reader) = reader else { bail!("the command's output is not a pipe") };
    let Ok(content) = reader.join() else { bail!("reading the command's output was broken off") };
    content.context("reading the command's output")
}

fn wait(child: &mut Child, deadline: Duration) -> Result<ExitStatus> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(status) = child.try_wait().context("waiting for the command")? {
            return Ok(status);
        }
        ensure!(Instant::now() < end, "not finished after {deadline:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Run {
    status: ExitStatus,
    /// All that it wrote to standard output.
    pub stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Run {
    /// The exit code as a shell gives it: 128 + n when signal n ended the command.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// Standard output as text; empty when it is not UTF-8.
    #[must_use]
    pub fn stdout_text(&self) -> &str {
        str::from_utf8(&self.stdout).unwrap_or_default()
    }

    /// Standard error as text; empty when it is not UTF-8.
    #[must_use]
    pub fn stderr_text(&self) -> &str {
        str::from_utf8(&self.stderr).unwrap_or_default()
    }

    /// The status lines: those that begin with `{`, from standard error (a pipeline's stages mix there), then standard output.
    /// A file for `--status` is the test's own to read.
    ///
    /// # Errors
    /// When such a line is not JSON.
    pub fn status_lines(&self) -> Result<Vec<Value>> {
        let lines = self.stderr_text().lines().chain(self.stdout_text().lines());
        let parse =
            |line: &str| serde_json::from_str(line).with_context(|| format!("reading the status line {line:?}"));
        lines.filter(|line| line.starts_with('{')).map(parse).collect()
    }

    /// The last status line of `command` with this event, such as `done`.
    ///
    /// # Errors
    /// When there is none; the message holds all that the command said.
    pub fn event(&self, command: &str, event: &str) -> Result<Value> {
        let matches = |line: &Value| line["command"] == command && line["event"] == event;
        self.status_lines()?.into_iter().rfind(matches).with_context(|| format!("{command} said no {event}: {self}"))
    }

    /// The run itself, if it exited with 0.
    ///
    /// # Errors
    /// When it did not; the message holds all that the command said.
    pub fn succeeded(self) -> Result<Self> {
        self.exited(0)
    }

    /// The run itself, if it exited with `code`.
    ///
    /// # Errors
    /// When it did not; the message holds all that the command said.
    pub fn exited(self, code: i32) -> Result<Self> {
        ensure!(self.exit_code() == code, "exit code {code} was expected: {self}");
        Ok(self)
    }
}

impl From<process::Output> for Run {
    fn from(output: process::Output) -> Self {
        Self { status: output.status, stdout: output.stdout, stderr: output.stderr }
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (bytes, stderr) = (self.stdout.len(), String::from_utf8_lossy(&self.stderr));
        write!(formatter, "exit code {}, {bytes} bytes of output, errors:\n{stderr}", self.exit_code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;

    fn shell(line: &str) -> Command {
        // the place may go at once: these lines need no folder
        let place = Place::new().unwrap();
        Command::new("sh")
            .arg("-c")
            .arg(line)
            .folder(std::env::temp_dir())
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", place.work())
    }

    #[test]
    fn streams_and_exit_code_are_kept() {
        let run = shell("cat; echo words >&2; exit 6").stdin("content").run().unwrap();
        assert_eq!((run.stdout_text(), run.stderr_text(), run.exit_code()), ("content", "words\n", 6));
        assert!(run.succeeded().unwrap_err().to_string().contains("words"));
    }

    #[test]
    fn a_signal_is_told_as_a_shell_tells_it() {
        assert_eq!(shell("kill -TERM $$").run().unwrap().exit_code(), 143);
    }

    #[test]
    fn input_that_is_not_read_is_no_error() {
        assert_eq!(shell("exit 0").stdin(vec![0; 1 << 20]).run().unwrap().exit_code(), 0);
    }

    #[test]
    fn what_passes_its_deadline_is_killed_with_all_that_it_started() {
        let start = Instant::now();
        let error =
            shell("echo begun >&2; sleep 60 | sleep 60").deadline(Duration::from_millis(300)).run().unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(30));
        assert!(format!("{error:#}").contains("begun") && format!("{error:#}").contains("not finished"), "{error:#}");
    }

    #[test]
    fn status_lines_are_told_from_words() {
        let line = r#"echo 'vb-put: hello' >&2; echo '{"command":"vb-put","event":"failed"}' >&2
            echo '{"command":"vb-put","event":"done","size_bytes":7}'"#;
        let run = shell(line).run().unwrap();
        assert_eq!(run.status_lines().unwrap().len(), 2);
        assert_eq!(run.event("vb-put", "done").unwrap()["size_bytes"], 7);
        assert!(run.event("vb-get", "done").unwrap_err().to_string().contains("vb-put: hello"));
        assert!(shell("echo '{broken'").run().unwrap().status_lines().is_err());
    }
}
