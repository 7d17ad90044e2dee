//! What an SFTP store needs to know: from its URL, the environment and, for tests, the caller.

use std::time::Duration;
use vb_core::environment::{self as variables, Environment};
use vb_core::location::Location;
use vb_core::parts::{MEBIBYTE, PartLimits};
use vb_core::{Error, Result};
use vb_store::RetryPolicy;

/// Where the folder is and how to reach it. The fields may be changed before [`crate::SftpStore::open`].
#[derive(Debug, Clone)]
pub struct SftpConfig {
    /// The account; `None` lets `ssh` decide: `User` in its configuration, else the login name.
    pub user: Option<String>,
    /// The server's name or address, or a `Host` of `ssh`'s configuration.
    pub host: String,
    /// The port; `None` lets `ssh` decide.
    pub port: Option<u16>,
    /// The store's folder as the server knows it: absolute, or relative to where a session starts (the account's home).
    pub folder: String,
    /// The private key's file (`VB_SSH_KEY`); `None` lets `ssh` try the agent and its own files.
    pub key: Option<String>,
    /// The file of the only host keys to trust (`VB_SSH_KNOWN_HOSTS`); `None` means `ssh`'s own files.
    pub known_hosts: Option<String>,
    /// The agent's socket (`SSH_AUTH_SOCK`), which may stand in a `.env` file.
    pub agent: Option<String>,
    /// Further options for `ssh`, before all others, such as `-F FILE`.
    pub ssh_options: Vec<String>,
    /// How streams are cut: only the size of what `vb-get` asks for at once.
    pub limits: PartLimits,
    /// How long to wait for what.
    pub time_limits: TimeLimits,
    pub(crate) url: String,
}

/// How long to wait. Nothing waits for ever: a server that stalls must not hang a job in the night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimits {
    /// Until the server answers at all, in whole seconds.
    pub connect: Duration,
    /// Until the login is done and files can be asked for.
    pub login: Duration,
    /// Without any answer while some are due.
    pub silence: Duration,
    /// The same while the server brings a file to its disk.
    pub sync: Duration,
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            login: Duration::from_secs(60),
            silence: Duration::from_secs(60),
            sync: Duration::from_secs(600),
        }
    }
}

impl TimeLimits {
    /// With another limit for silence; nothing that comes before the first file takes longer.
    fn new(silence: Duration) -> Self {
        let usual = Self::default();
        Self { connect: usual.connect.min(silence), login: usual.login.min(silence), silence, ..usual }
    }
}

impl SftpConfig {
    /// From `sftp://user@host:port/folder` and the environment. The folder is absolute; `/~/folder` begins in the home.
    ///
    /// # Errors
    /// A usage error if the URL names no host or folder.
    pub fn new(location: &Location, environment: &Environment) -> Result<Self> {
        let (user, host, port) = authority(location)?;
        let text = |variable| environment.get(variable).map(str::to_owned);
        Ok(Self {
            user,
            host,
            port,
            folder: folder(location)?,
            key: text(variables::VB_SSH_KEY),
            known_hosts: text(variables::VB_SSH_KNOWN_HOSTS),
            agent: text(variables::SSH_AUTH_SOCK),
            ssh_options: Vec::new(),
            limits: PartLimits { most_parts: u64::MAX / (8 * MEBIBYTE), part_bytes: 8 * MEBIBYTE, parallel: 2 },
            time_limits: TimeLimits::new(RetryPolicy::new(environment)?.silence),
            url: location.to_string(),
        })
    }
}

/// User, host and port.
fn authority(location: &Location) -> Result<(Option<String>, String, Option<u16>)> {
    let refuse = |why: &str| Err(Error::usage(format!("the store {location}: {why}")).with_hint(WRITE_IT));
    let (user, rest) = match location.authority.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, location.authority.as_str()),
    };
    // An address of IPv6 stands in brackets.
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').or(port.is_empty().then_some(""))),
        None => rest.split_once(':').map_or((rest, Some("")), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some("") if !rest.ends_with(':') => None,
        port => match port.and_then(|port| port.parse().ok()).filter(|port| *port > 0) {
            Some(port) => Some(port),
            None => return refuse("the port is no number"),
        },
    };
    // What begins with a hyphen would be an option of ssh.
    let is_name = |text: &str| {
        !text.is_empty() && !text.starts_with('-') && !text.contains(|letter: char| letter.is_whitespace())
    };
    if !is_name(host) || user.is_some_and(|user| !is_name(user)) {
        return refuse("it names no host");
    }
    Ok((user.map(str::to_owned), host.to_owned(), port))
}

fn folder(location: &Location) -> Result<String> {
    let path = location.path.as_str();
    if path.is_empty() {
        return Err(Error::usage(format!("the store {location} names no folder")).with_hint(WRITE_IT));
    }
    if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) || path.chars().any(char::is_control) {
        return Err(Error::usage(format!("the store {location:?} is no plain path", location = location.to_string())));
    }
    Ok(match path.strip_prefix('~') {
        Some("") => ".".to_owned(),
        Some(below) if below.starts_with('/') => below.trim_start_matches('/').to_owned(),
        _ => format!("/{path}"),
    })
}

const WRITE_IT: &str = "Write it as sftp://user@host:port/folder, or with /~/folder for one in the account's home.";

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str, values: &[(&str, &str)]) -> Result<SftpConfig> {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        SftpConfig::new(&Location::parse(url)?, &Environment::new(values))
    }

    #[test]
    fn urls_and_what_they_mean() {
        let table = [
            ("sftp://me@host:2222/srv/backups/", (Some("me"), "host", Some(2222), "/srv/backups")),
            ("sftp://host/~/backups/db", (None, "host", None, "backups/db")),
            ("sftp://host/~", (None, "host", None, ".")),
            ("sftp://host/~other/x", (None, "host", None, "/~other/x")),
            ("sftp://me@[::1]:22/x", (Some("me"), "::1", Some(22), "/x")),
            ("sftp://[fe80::1]/x", (None, "fe80::1", None, "/x")),
            ("sftp://me@corp.example@host/x", (Some("me@corp.example"), "host", None, "/x")),
        ];
        for (url, expected) in table {
            let config = config(url, &[]).unwrap();
            let found = (config.user.as_deref(), config.host.as_str(), config.port, config.folder.as_str());
            assert_eq!(found, expected, "{url}");
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        let urls = [
            "sftp://host",
            "sftp://host/",
            "sftp://host:x/a",
            "sftp://host:/a",
            "sftp://host:0/a",
            "sftp://-oProxyCommand=x/a",
            "sftp://-l@host/a",
            "sftp://@host/a",
            "sftp://user@/a",
            "sftp://[::1]x/a",
            "sftp://host/a/../b",
        ];
        for url in urls {
            assert_eq!(config(url, &[]).map(|_| ()).unwrap_err().kind(), vb_core::ErrorKind::Usage, "{url}");
        }
    }
}
