//! What went wrong, in people's words: from a status of the server, from the end of a connection, from what `ssh` says.

use crate::SftpConfig;
use crate::session::Greeting;
use crate::wire::{Malformed, Status};
use vb_core::{Error, ErrorKind};

/// What became of a request.
pub(crate) type Answer<T> = std::result::Result<T, Fault>;

/// A request that was not done.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The server's answer.
    Refused(Status),
    /// The connection is lost, with these words.
    Lost(String),
    /// The answer belongs to another request.
    Malformed,
}

impl From<Malformed> for Fault {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

impl Fault {
    /// A connection that ended, with what `ssh` said of it.
    pub(crate) fn lost(words: &str) -> Self {
        Self::Lost(match telling_line(words) {
            Some(line) => format!("the connection was lost: {line}"),
            None => "the connection was lost".to_owned(),
        })
    }

    pub(crate) fn is(&self, code: u32) -> bool {
        matches!(self, Self::Refused(status) if status.code == code)
    }

    /// As an error of ours; `step` says what was tried.
    pub(crate) fn explain(&self, step: &str) -> Error {
        match self {
            Self::Lost(words) => Error::unavailable(format!("{step}: {words}")),
            Self::Malformed => Error::failure(format!("{step}: the server's answer cannot be understood")),
            Self::Refused(status) => explain_status(step, status),
        }
    }
}

fn explain_status(step: &str, status: &Status) -> Error {
    let kind = match status.code {
        Status::NO_SUCH_FILE => ErrorKind::NotFound,
        Status::PERMISSION_DENIED => ErrorKind::Denied,
        Status::NO_CONNECTION | Status::CONNECTION_LOST => ErrorKind::Unavailable,
        _ => ErrorKind::Failure,
    };
    let cause = match status.code {
        Status::NO_SUCH_FILE => "no such file or folder".to_owned(),
        Status::PERMISSION_DENIED => "permission denied".to_owned(),
        Status::UNSUPPORTED => "the server does not support this".to_owned(),
        Status::BAD_MESSAGE => "the server does not accept this name or request".to_owned(),
        _ => match words(&status.message) {
            message if message.is_empty() || message == "failure" => "the server failed without a reason".to_owned(),
            message => format!("the server failed: {message}"),
        },
    };
    let error = Error::new(kind, format!("{step}: {cause}"));
    match status.code {
        Status::PERMISSION_DENIED => error.with_hint(
            "Check the owner and the permissions of the folder on the server, for the account that logs in.",
        ),
        Status::FAILURE => error.with_hint("Look at the server's disk and quota, and at the log of its sshd."),
        _ => error,
    }
}

/// No session came about.
pub(crate) fn explain_connecting(config: &SftpConfig, greeting: Greeting, said: &str) -> Error {
    let step = format!("connecting to {}", config.host);
    match greeting {
        Greeting::Ended => explain_ssh(&step, config, said),
        Greeting::Silent(limit) => {
            Error::unavailable(format!("{step}: no login within {} s", limit.as_secs_f64())).with_hint(REACH_IT)
        }
        Greeting::Foreign => Error::failure(format!("{step}: the server answers something that is not SFTP"))
            .with_hint("Let the account's login files (.bashrc and the like) print nothing, or use internal-sftp."),
        Greeting::Version(version) => {
            Error::failure(format!("{step}: the server speaks version {version} of SFTP, not 3"))
        }
    }
}

const REACH_IT: &str = "Check the host, the port and the network, and that the server runs; then run it again.";

/// By the words of OpenSSH's client, which has one exit status for everything.
fn explain_ssh(step: &str, config: &SftpConfig, said: &str) -> Error {
    let has = |words: &[&str]| words.iter().any(|words| said.contains(words));
    let line = telling_line(said).unwrap_or_else(|| "ssh ended without a word".to_owned());
    let error = |kind| Error::new(kind, format!("{step}: {line}"));
    if has(&["IDENTIFICATION HAS CHANGED", "Offending ", "REVOKED HOST KEY"]) {
        return Error::denied(format!("{step}: the server's host key is not the one that is known"))
            .with_hint(changed_hint(config));
    }
    if has(&["Host key verification failed", "host key is known"]) {
        return Error::denied(format!("{step}: the server's host key is not known")).with_hint(unknown_hint(config));
    }
    if has(&["Permission denied", "Too many authentication failures", "No more authentication methods"]) {
        return error(ErrorKind::Denied).with_hint(
            "Set VB_SSH_KEY to a private key without a passphrase, or load it with ssh-add; its public half belongs in \
             the server's ~/.ssh/authorized_keys.",
        );
    }
    if has(&["ubsystem request failed", "request for subsystem"]) {
        return error(ErrorKind::Failure).with_hint("Let the server offer SFTP: Subsystem sftp internal-sftp.");
    }
    if has(&["onfiguration option", "Bad owner or permissions", "bad permissions", "command-line line"]) {
        return error(ErrorKind::Usage).with_hint("Correct what ssh complains about; try it with: ssh HOST.");
    }
    // A connection that is closed before its greeting may leave ssh nothing to say.
    if has(&UNREACHABLE) || said.trim().is_empty() {
        return error(ErrorKind::Unavailable).with_hint(REACH_IT);
    }
    error(ErrorKind::Failure)
}

const UNREACHABLE: [&str; 14] = [
    "Connection refused",
    "onnection timed out",
    "Connection reset",
    "onnection closed",
    "Connection to ",
    "Could not resolve hostname",
    "No route to host",
    "Network is unreachable",
    "Operation timed out",
    "Timeout, server",
    "banner exchange",
    "Broken pipe",
    "stdio forwarding failed",
    "Killed by signal",
];

fn unknown_hint(config: &SftpConfig) -> String {
    let port = config.port.map(|port| format!("-p {port} ")).unwrap_or_default();
    let file = config.known_hosts.as_deref().unwrap_or("~/.ssh/known_hosts");
    format!(
        "Add it with: ssh-keyscan {port}{} >>{file}, and compare the fingerprint (ssh-keygen -lf {file}) with the server's own.",
        config.host
    )
}

fn changed_hint(config: &SftpConfig) -> String {
    let name = config.port.map_or_else(|| config.host.clone(), |port| format!("'[{}]:{port}'", config.host));
    let file = config.known_hosts.as_deref().map(|file| format!(" -f {file}")).unwrap_or_default();
    format!(
        "Somebody may stand between: ask the server's owner; only if the key was changed on purpose, remove the old one with: \
         ssh-keygen -R {name}{file}, and add the new one."
    )
}

/// The line of `ssh`'s that tells most: the last one that is not decoration.
fn telling_line(said: &str) -> Option<String> {
    let decoration = |line: &&str| !line.trim().is_empty() && !line.starts_with('@');
    let line = said.lines().rfind(decoration)?;
    // `user@host: Permission denied (…)`, `ssh: connect to host …`
    let line = line.strip_prefix("ssh: ").unwrap_or(line).trim_end_matches('\r');
    let cause = match line.split_once(": ") {
        Some((who, cause)) if who.contains('@') && !who.contains(' ') => cause,
        _ => line,
    };
    Some(words(cause))
}

/// One line, lower case at its beginning, without a full stop or control characters.
fn words(text: &str) -> String {
    let line: String = text.lines().next().unwrap_or_default().chars().filter(|letter| !letter.is_control()).collect();
    let line = line.trim().trim_end_matches('.');
    let mut letters = line.chars();
    let second_is_lower = line.chars().nth(1).is_none_or(|letter| !letter.is_uppercase());
    match letters.next() {
        Some(first) if second_is_lower => first.to_lowercase().chain(letters).collect(),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vb_core::environment::Environment;
    use vb_core::location::Location;

    fn connecting(said: &str) -> Error {
        let location = Location::parse("sftp://me@host:2222/x").unwrap();
        let config = SftpConfig::new(&location, &Environment::default()).unwrap();
        explain_connecting(&config, Greeting::Ended, said)
    }

    #[test]
    fn what_ssh_says_has_a_kind() {
        let table = [
            ("Host key verification failed.\r\n", ErrorKind::Denied, "the server's host key is not known"),
            (
                "@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@\nHost key verification failed.\r\n",
                ErrorKind::Denied,
                "the server's host key is not the one that is known",
            ),
            ("me@host: Permission denied (publickey).\r\n", ErrorKind::Denied, "permission denied (publickey)"),
            (
                "ssh: connect to host host port 2222: Connection refused\r\n",
                ErrorKind::Unavailable,
                "connect to host host port 2222: Connection refused",
            ),
            (
                "ssh: Could not resolve hostname host: Name or service not known\r\n",
                ErrorKind::Unavailable,
                "could not resolve hostname host: Name or service not known",
            ),
            (
                "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 127.0.0.1 port 9\r\n",
                ErrorKind::Unavailable,
                "connection closed by 127.0.0.1 port 9",
            ),
            ("subsystem request failed on channel 0\r\n", ErrorKind::Failure, "subsystem request failed on channel 0"),
            (
                "/x/config: terminating, 1 bad configuration options",
                ErrorKind::Usage,
                "/x/config: terminating, 1 bad configuration options",
            ),
            ("", ErrorKind::Unavailable, "ssh ended without a word"),
        ];
        for (said, kind, cause) in table {
            let error = connecting(said);
            assert_eq!((error.kind(), error.to_string()), (kind, format!("connecting to host: {cause}")), "{said}");
        }
    }

    #[test]
    fn hints_name_the_command_to_run() {
        let hint = connecting("Host key verification failed.").hint().unwrap_or_default().to_owned();
        assert!(hint.starts_with("Add it with: ssh-keyscan -p 2222 host >>~/.ssh/known_hosts"), "{hint}");
        let hint = connecting("IDENTIFICATION HAS CHANGED").hint().unwrap_or_default().to_owned();
        assert!(hint.contains("ssh-keygen -R '[host]:2222',"), "{hint}");
    }

    #[test]
    fn a_status_has_a_kind() {
        let table = [
            (Status::NO_SUCH_FILE, ErrorKind::NotFound, "storing a: no such file or folder"),
            (Status::PERMISSION_DENIED, ErrorKind::Denied, "storing a: permission denied"),
            (Status::FAILURE, ErrorKind::Failure, "storing a: the server failed without a reason"),
            (Status::CONNECTION_LOST, ErrorKind::Unavailable, "storing a: the server failed without a reason"),
        ];
        for (code, kind, words) in table {
            let error = Fault::Refused(Status { code, message: "Failure".to_owned() }).explain("storing a");
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, words));
        }
        let status = Status { code: Status::FAILURE, message: "Quota\nexceeded".to_owned() };
        assert_eq!(Fault::Refused(status).explain("x").to_string(), "x: the server failed: quota");
    }
}
