//! `pg_dump -Fc -Z0`, passed on as it comes. Its archive does not show where it ends, so its exit status is the proof.

use super::{DumpRequest, major};
use crate::pg_dump::PgDump;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStderr, ExitStatus, Stdio};
use vb_core::label::Label;
use vb_core::{Error, Result, ending};
use vb_postgres::catalog;
use vb_postgres::connection::{Parameters, connect_narrowed};

/// What is passed on at once.
const BLOCK_BYTES: usize = 256 << 10;
/// What is kept of what it says.
const MOST_LINES: usize = 1000;

/// An archive that is about to be made.
pub struct Archive {
    /// What it is.
    pub label: Label,
    /// The program that makes it, such as `pg_dump 15.18`.
    pub made_by: String,
    program: PgDump,
    parameters: Parameters,
    lock_wait_milliseconds: u128,
}

impl Archive {
    /// Asks the server what it is, and finds a `pg_dump` that reads it.
    ///
    /// # Errors
    /// If the server cannot be reached, or there is no such program.
    pub fn open(request: &DumpRequest, parameters: &Parameters) -> Result<Self> {
        let (mut client, parameters) = connect_narrowed(parameters)?;
        let server = catalog::server(&mut client)?;
        let program = PgDump::find(request.pg_dump.as_deref(), major(&server)).map_err(Error::not_found)?;
        Ok(Self {
            label: request.label(&server, "dump"),
            made_by: program.version().to_owned(),
            program,
            parameters,
            lock_wait_milliseconds: request.lock_wait.as_millis(),
        })
    }

    /// Runs it into `output`. Returns its warnings.
    ///
    /// # Errors
    /// What it said, if it ends with anything but 0; an output that takes no more.
    pub fn run(self, mut output: impl Write) -> Result<Vec<String>> {
        let mut command = self.program.command(&self.parameters);
        command.args(["--format=custom", "--compress=0"]);
        command.arg(format!("--lock-wait-timeout={}", self.lock_wait_milliseconds));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|cause| Error::io("starting pg_dump", cause))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let listen = move || stderr.map(listen).unwrap_or_default();
        let listening = std::thread::Builder::new().name("pg_dump".to_owned()).spawn(listen);
        let passed = stdout.map_or(Ok(()), |mut stdout| pass(&mut stdout, &mut output));
        if passed.is_err() {
            // It would wait for a reader that does not come.
            let _ended_already = child.kill();
        }
        let status = child.wait().map_err(|cause| Error::io("waiting for pg_dump", cause))?;
        let said = listening.ok().and_then(|thread| thread.join().ok()).unwrap_or_default();
        passed?;
        judge(&self.made_by, status, &said)?;
        Ok(said)
    }
}

fn pass(stdout: &mut impl Read, output: &mut impl Write) -> Result<()> {
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        match stdout.read(&mut block) {
            Ok(0) => return output.flush().map_err(|cause| Error::io("writing the output", cause)),
            Ok(count) => output.write_all(&block[..count]).map_err(|cause| Error::io("writing the output", cause))?,
            Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(Error::io("reading what pg_dump writes", cause)),
        }
    }
}

/// Reads to the end, so that it never waits for us; the first lines are kept.
fn listen(stderr: ChildStderr) -> Vec<String> {
    let mut lines = BufReader::new(stderr).split(b'\n').map_while(std::result::Result::ok);
    let kept =
        lines.by_ref().take(MOST_LINES).map(|line| String::from_utf8_lossy(&line).trim_end().to_owned()).collect();
    lines.for_each(drop);
    kept
}

/// What it said stands behind how it ended.
fn judge(program: &str, status: ExitStatus, said: &[String]) -> Result<()> {
    let Some(how) = ending::failure(status) else { return Ok(()) };
    let words = said.iter().find(|line| line.contains("error")).or(said.last());
    let words = words.map(|line| format!(": {line}")).unwrap_or_default();
    Err(Error::integrity(format!("dumping the database: {program} {how}{words}"))
        .with_hint("What it had written by then is no backup. Run it again when its cause is mended."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn only_a_zero_is_success() {
        assert!(judge("pg_dump 15.18", ExitStatus::from_raw(0), &[]).is_ok());
        let said = ["pg_dump: warning: a".to_owned(), "pg_dump: error: b".to_owned(), "pg_dump: detail: c".to_owned()];
        let error = judge("pg_dump 15.18", ExitStatus::from_raw(1 << 8), &said).unwrap_err().to_string();
        assert_eq!(error, "dumping the database: pg_dump 15.18 exited with status 1: pg_dump: error: b");
        assert!(judge("x", ExitStatus::from_raw(9), &[]).unwrap_err().to_string().contains("signal 9"));
    }
}
