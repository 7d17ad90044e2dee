//! One request by `curl`, for fixtures and checks that must not use our own code.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The answer's body; `content` is what `@-` stands for.
///
/// # Errors
/// When the server cannot be reached or refuses; with its words, but without the command line, which holds secrets.
pub(super) fn run(arguments: &[&str], content: Option<&[u8]>) -> Result<Vec<u8>> {
    let mut curl = Command::new("curl");
    curl.args(["--fail-with-body", "--silent", "--show-error", "--max-time", "60", "--noproxy", "*"]).args(arguments);
    let mut child = curl
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting curl\nhint: Run scripts/setup test, which installs what is missing.")?;
    if let (Some(mut stdin), Some(content)) = (child.stdin.take(), content) {
        stdin.write_all(content).context("sending the content to curl")?;
    }
    let output = child.wait_with_output().context("waiting for curl")?;
    let (error, body) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    ensure!(output.status.success(), "{} {body}", error.trim());
    Ok(output.stdout)
}
