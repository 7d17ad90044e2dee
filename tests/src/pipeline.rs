//! A pipeline whose every stage is a child of the test, so that any one can be killed and the end of each is seen.

use std::fs::File;
use std::io::{Read, Seek};
use std::mem;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::command::Command;
use crate::secrets::{self, Secret};

/// Running stages, joined by pipes. Those that still run when it is dropped are killed.
#[derive(Debug)]
pub struct Pipeline {
    begun: Instant,
    secrets: Vec<Secret>,
    stages: Vec<Stage>,
}

#[derive(Debug)]
struct Stage {
    name: String,
    child: Child,
    said: File,
}

/// A stage that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The command.
    pub name: String,
    /// As a shell gives it: 128 + n when signal n ended it.
    pub exit_code: i32,
    /// When, from the start of the pipeline on; never before the stage in front of it.
    pub after: Duration,
    /// All that it wrote to standard error, and the last stage to standard output too.
    pub said: String,
}

impl Pipeline {
    /// Starts these commands, the output of each being the input of the next; the first reads nothing.
    ///
    /// # Errors
    /// When one of them cannot be started.
    pub fn start(commands: Vec<Command>) -> Result<Self> {
        let mut pipeline = Self { begun: Instant::now(), secrets: Vec::new(), stages: Vec::new() };
        let mut stdin = Stdio::null();
        let last = commands.len().saturating_sub(1);
        for (number, mut command) in commands.into_iter().enumerate() {
            // without a name, so that it is not taken for something that a command has left behind
            let said = tempfile::tempfile().context("making a file for what a stage says")?;
            let (next, stdout) = if number < last {
                let (reader, writer) = std::io::pipe().context("making a pipe")?;
                (reader.into(), writer.into())
            } else {
                (Stdio::null(), said.try_clone()?.into())
            };
            pipeline.secrets.extend_from_slice(command.secrets());
            let child = command.spawn_between(mem::replace(&mut stdin, next), stdout, said.try_clone()?.into())?;
            pipeline.stages.push(Stage { name: command.name().to_owned(), child, said });
        }
        Ok(pipeline)
    }

    /// Sends a signal to one stage; nothing happens if it has ended already.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn signal(&self, stage: usize, signal: Signal) -> Result<()> {
        let stage = &self.stages[stage];
        // nobody has waited for it yet, so that the number still is this child's
        kill_process(Pid::from_child(&stage.child), signal).with_context(|| format!("signalling {}", stage.name))
    }

    /// Waits for the end of all stages.
    ///
    /// # Errors
    /// When they are not finished after `deadline`; then they are killed. When one shows a secret that any of them was given.
    pub fn finish(mut self, deadline: Duration) -> Result<Vec<Ended>> {
        let end = Instant::now() + deadline;
        let mut ended = Vec::new();
        for stage in &mut self.stages {
            let status = loop {
                if let Some(status) = stage.child.try_wait().with_context(|| format!("waiting for {}", stage.name))? {
                    break status;
                }
                ensure!(Instant::now() < end, "{} is not finished after {deadline:?}", stage.name);
                std::thread::sleep(Duration::from_millis(2));
            };
            let after = self.begun.elapsed();
            let mut said = String::new();
            stage.said.rewind().and_then(|()| stage.said.read_to_string(&mut said)).context("reading what it said")?;
            secrets::must_not_show(&self.secrets, &stage.name, said.as_bytes())?;
            let exit_code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
            ended.push(Ended { name: stage.name.clone(), exit_code, after, said });
        }
        Ok(ended)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        for stage in &mut self.stages {
            // both fail only for a child that has ended
            let _ended = stage.child.kill();
            let _ended = stage.child.wait();
        }
    }
}

impl Ended {
    /// Its status lines.
    ///
    /// # Errors
    /// When one of them is not JSON.
    pub fn status_lines(&self) -> Result<Vec<Value>> {
        let lines = self.said.lines().filter(|line| line.starts_with('{'));
        lines.map(|line| serde_json::from_str(line).with_context(|| format!("reading {line:?}"))).collect()
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: exit code {}\n{}", self.name, self.exit_code, self.said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;

    #[test]
    fn each_stage_has_its_own_end() {
        let place = Place::new().unwrap();
        let stages = ["echo content; echo words >&2", "cat; exit 3", "cat; exit 4"];
        let pipeline = Pipeline::start(stages.map(|line| place.shell(line)).into()).unwrap();
        let ended = pipeline.finish(Duration::from_secs(30)).unwrap();
        assert_eq!(ended.iter().map(|stage| stage.exit_code).collect::<Vec<_>>(), [0, 3, 4]);
        assert_eq!([&ended[0].said, &ended[1].said, &ended[2].said], ["words\n", "", "content\n"]);
    }

    #[test]
    fn a_stage_that_is_killed_ends_its_pipe() {
        let place = Place::new().unwrap();
        let pipeline = Pipeline::start(["exec sleep 60", "cat"].map(|line| place.shell(line)).into()).unwrap();
        pipeline.signal(0, Signal::KILL).unwrap();
        let ended = pipeline.finish(Duration::from_secs(30)).unwrap();
        assert_eq!((ended[0].exit_code, ended[1].exit_code), (137, 0));
    }
}
