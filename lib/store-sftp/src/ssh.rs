//! The `ssh` process that carries a session: how it is started, what it says, how it ends.

use crate::SftpConfig;
use rustix::process::{Pid, Signal, kill_process};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use vb_core::{Error, Result};

/// How much of what it says is kept: the beginning tells most.
const MOST_WORDS_BYTES: usize = 16 << 10;

/// How long its last words, and its end, may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// A running `ssh`. Dropped, it is ended.
pub(crate) struct Ssh {
    child: Child,
    words: Arc<Mutex<Vec<u8>>>,
    /// Disconnected when it has said all.
    said_all: Mutex<Receiver<()>>,
}

impl Ssh {
    /// Starts it; the stream is both its input and its output.
    pub(crate) fn start(config: &SftpConfig) -> Result<(Self, UnixStream)> {
        let step = format!("connecting to {}", config.host);
        let (ours, its) = UnixStream::pair().map_err(|cause| Error::io(&step, cause))?;
        let its_output: OwnedFd = its.try_clone().map_err(|cause| Error::io(&step, cause))?.into();
        let mut command = Command::new("ssh");
        command.args(arguments(config)).stdin(OwnedFd::from(its)).stdout(its_output).stderr(Stdio::piped());
        if let Some(agent) = &config.agent {
            command.env("SSH_AUTH_SOCK", agent);
        }
        // Out of the terminal's reach: Ctrl-C is for us, who still need it to remove what we began.
        command.process_group(0);
        let mut child = command.spawn().map_err(|cause| not_started(&step, cause))?;
        let words = Arc::new(Mutex::new(Vec::new()));
        let (sender, said_all) = channel();
        if let Some(stderr) = child.stderr.take() {
            let words = Arc::clone(&words);
            std::thread::spawn(move || {
                listen(stderr, &words);
                drop(sender);
            });
        }
        Ok((Self { child, words, said_all: Mutex::new(said_all) }, ours))
    }

    /// What it said until its end, if that is near.
    pub(crate) fn last_words(&self) -> String {
        let said_all = self.said_all.lock().unwrap_or_else(PoisonError::into_inner);
        let _ended_or_not = said_all.recv_timeout(PATIENCE);
        String::from_utf8_lossy(&self.words.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Drop for Ssh {
    /// Asked first, so that it ends its own children, such as a `ProxyCommand`.
    fn drop(&mut self) {
        let _gone_already = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let end = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > end {
                let _gone_already = self.child.kill();
                let _ended = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn listen(mut stderr: ChildStderr, words: &Mutex<Vec<u8>>) {
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = stderr.read(&mut piece) {
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST_WORDS_BYTES.saturating_sub(words.len());
        words.extend_from_slice(&piece[..length.min(room)]);
    }
}

fn not_started(step: &str, cause: std::io::Error) -> Error {
    if cause.kind() == std::io::ErrorKind::NotFound {
        return Error::failure(format!("{step}: there is no program ssh"))
            .with_hint("Install OpenSSH's client (on Debian: apt-get install openssh-client).");
    }
    Error::io(format!("{step}: starting ssh"), cause)
}

/// The command line. What stands here goes before the user's configuration, which decides the rest.
fn arguments(config: &SftpConfig) -> Vec<String> {
    let connect_seconds = config.time_limits.connect.as_secs().max(1);
    let alive_seconds = (config.time_limits.silence.as_secs() / 4).max(1);
    let mut arguments = config.ssh_options.clone();
    let mut set = |option: String| arguments.extend(["-o".to_owned(), option]);
    let fixed = [
        // Never a question, and never a host key that nobody has looked at.
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "NoHostAuthenticationForLocalhost=no",
        "VerifyHostKeyDNS=no",
        "UpdateHostKeys=no",
        // Another session's connection has other checks and other time limits.
        "ControlMaster=no",
        "ControlPath=none",
        "ClearAllForwardings=yes",
        "ForwardAgent=no",
        "PermitLocalCommand=no",
        "RemoteCommand=none",
        "LogLevel=ERROR",
        "ServerAliveCountMax=3",
    ];
    fixed.into_iter().for_each(|option| set(option.to_owned()));
    set(format!("ConnectTimeout={connect_seconds}"));
    set(format!("ServerAliveInterval={alive_seconds}"));
    if let Some(known_hosts) = &config.known_hosts {
        set(format!("UserKnownHostsFile={}", quoted(known_hosts)));
        set("GlobalKnownHostsFile=/dev/null".to_owned());
    }
    if let Some(key) = &config.key {
        set("IdentitiesOnly=yes".to_owned());
        set(format!("IdentityFile={}", quoted(key)));
    }
    if let Some(port) = config.port {
        arguments.extend(["-p".to_owned(), port.to_string()]);
    }
    if let Some(user) = &config.user {
        arguments.extend(["-l".to_owned(), user.clone()]);
    }
    arguments.extend(["-T", "-s", "--", &config.host, "sftp"].map(str::to_owned));
    arguments
}

/// A path as one word of `ssh`'s configuration.
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vb_core::environment::Environment;
    use vb_core::location::Location;

    fn line(url: &str, values: &[(&str, &str)]) -> String {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = SftpConfig::new(&Location::parse(url).unwrap(), &Environment::new(values)).unwrap();
        arguments(&config).join(" ")
    }

    #[test]
    fn only_what_is_given_goes_before_the_users_configuration() {
        let line = line("sftp://alias/x", &[]);
        assert!(line.contains("BatchMode=yes") && line.contains("StrictHostKeyChecking=yes"), "{line}");
        assert!(line.ends_with(" -T -s -- alias sftp"), "{line}");
        for absent in ["IdentityFile", "-p ", "-l ", "UserKnownHostsFile", "IdentitiesOnly"] {
            assert!(!line.contains(absent), "{line}");
        }
    }

    #[test]
    fn key_port_user_and_known_hosts_are_given() {
        let values = [("VB_SSH_KEY", "~/key"), ("VB_SSH_KNOWN_HOSTS", "/my hosts/100%")];
        let line = line("sftp://me@host:2222/x", &values);
        assert!(line.contains("-o UserKnownHostsFile=\"/my hosts/100%%\" -o GlobalKnownHostsFile=/dev/null"), "{line}");
        assert!(
            line.ends_with("-o IdentitiesOnly=yes -o IdentityFile=\"~/key\" -p 2222 -l me -T -s -- host sftp"),
            "{line}"
        );
    }
}
