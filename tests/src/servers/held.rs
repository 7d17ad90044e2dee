//! A server script in its `--hold` mode: started, read until ready, stopped by closing its standard input.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail};

/// Environment variables, by name, that reach a server.
pub type Variables = BTreeMap<String, String>;

/// A running server; it ends when this value is dropped or the process ends.
#[derive(Debug)]
pub struct Held {
    script: Child,
    variables: Variables,
}

/// A server that starts on first use; one that did not start says so to each that asks for it.
pub(super) type Shared<T> = OnceLock<Result<T, String>>;

/// The server in this place, started if it is not there yet.
pub(super) fn shared<T>(place: &'static Shared<T>, start: impl FnOnce() -> Result<T>) -> Result<&'static T> {
    place.get_or_init(|| start().map_err(|error| format!("{error:#}"))).as_ref().map_err(|error| anyhow!("{error}"))
}

impl Held {
    /// Starts `tests/servers/NAME` and waits until it is ready.
    ///
    /// # Errors
    /// What the script said, when it could not be started or ended before it was ready.
    pub fn start(name: &str) -> Result<Self> {
        Self::start_with(name, &[])
    }

    /// The same with variables for the script.
    ///
    /// # Errors
    /// As [`Held::start`].
    pub fn start_with(name: &str, variables: &[(&str, &str)]) -> Result<Self> {
        Self::start_by(name, Command::new(Self::script(name)).arg("--hold").envs(variables.iter().copied()))
    }

    /// The same by a command that becomes the script at last.
    ///
    /// # Errors
    /// As [`Held::start`].
    pub fn start_by(name: &str, command: &mut Command) -> Result<Self> {
        let program = Path::new(command.get_program()).display().to_string();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut script = command.spawn().with_context(|| format!("starting {program}"))?;
        let lines = script.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines);
        let mut variables = Variables::new();
        for line in lines {
            let line = line.with_context(|| format!("reading from {name}"))?;
            match line.split_once('=') {
                Some((variable, value)) => drop(variables.insert(variable.into(), value.into())),
                None if line == "ready" => return Ok(Self { script, variables }),
                None => bail!("{name} said {line:?} where NAME=value was expected"),
            }
        }
        let mut message = String::new();
        if let Some(mut stderr) = script.stderr.take() {
            stderr.read_to_string(&mut message).with_context(|| format!("reading the errors of {name}"))?;
        }
        script.wait().with_context(|| format!("waiting for {name}"))?;
        bail!("the server {name} did not start\n{}", message.trim_end())
    }

    /// Where the script of this name lies.
    #[must_use]
    pub fn script(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("servers").join(name)
    }

    /// The variables that reach the server.
    #[must_use]
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The same with some changed, or more.
    #[must_use]
    pub fn variables_with(&self, changes: &[(&str, &str)]) -> Variables {
        let mut variables = self.variables.clone();
        variables.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        variables
    }

    /// One of these variables.
    ///
    /// # Errors
    /// When the script does not set it.
    pub fn variable(&self, name: &str) -> Result<&str> {
        self.variables.get(name).map(String::as_str).with_context(|| format!("the server script sets no {name}"))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        let _status = self.script.wait(); // nothing can be done about a script that cannot be waited for
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_ends_with_its_holder() {
        let held = Held::start("postgres").unwrap();
        let folder = held.variable("VB_TEST_PG_SOCKET").unwrap().to_owned();
        assert!(Path::new(&folder).is_dir());
        drop(held);
        assert!(!Path::new(&folder).exists(), "{folder} is still there");
    }

    #[test]
    fn a_server_that_is_not_there_is_an_error() {
        let message = format!("{:#}", Held::start("no-such-server").unwrap_err());
        assert!(message.starts_with("starting ") && message.contains("servers/no-such-server"), "{message}");
    }
}
