//! Where a server listens: the lists `host`, `hostaddr` and `port` brought together.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use vb_core::{Error, Result};

use super::keywords::Settings;

/// The folder of the socket where Debian's and most other servers listen.
pub(super) const DEFAULT_SOCKET_FOLDER: &str = "/var/run/postgresql";

/// One server of the list, with the password for it.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) place: Place,
    pub(super) port: u16,
    pub(super) password: Option<String>,
}

/// How the server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// By the name that its certificate bears, and the address if it must not be looked up.
    Tcp { name: String, address: Option<IpAddr> },
    /// By the folder of its socket.
    Unix(PathBuf),
}

/// One address to connect to.
#[derive(Debug, Clone)]
pub(super) enum Endpoint {
    Tcp { name: String, address: SocketAddr },
    Unix { folder: PathBuf, port: u16 },
}

impl Endpoint {
    /// The socket's path.
    pub(super) fn socket_path(folder: &Path, port: u16) -> PathBuf {
        folder.join(format!(".s.PGSQL.{port}"))
    }
}

impl Host {
    /// The name under which `.pgpass` knows it.
    pub(super) fn password_name(&self) -> String {
        match &self.place {
            Place::Tcp { name, .. } => name.clone(),
            Place::Unix(folder) if folder == Path::new(DEFAULT_SOCKET_FOLDER) => "localhost".to_owned(),
            Place::Unix(folder) => folder.display().to_string(),
        }
    }

    /// Every address that the name has, in the resolver's order.
    pub(super) fn endpoints(&self) -> Result<Vec<Endpoint>> {
        let (name, fixed) = match &self.place {
            Place::Unix(folder) => return Ok(vec![Endpoint::Unix { folder: folder.clone(), port: self.port }]),
            Place::Tcp { name, address } => (name, *address),
        };
        let endpoint = |address| Endpoint::Tcp { name: name.clone(), address };
        if let Some(address) = fixed {
            return Ok(vec![endpoint(SocketAddr::new(address, self.port))]);
        }
        let unknown = |cause: std::io::Error| {
            Error::unavailable(format!("the host {name} cannot be resolved"))
                .with_hint("Check the host in DATABASE_URL or PGHOST, and the network's name service.")
                .with_source(cause)
        };
        Ok((name.as_str(), self.port).to_socket_addrs().map_err(unknown)?.map(endpoint).collect())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp { name, .. } if name.contains(':') => write!(formatter, "[{name}]:{}", self.port),
            Place::Tcp { name, .. } => write!(formatter, "{name}:{}", self.port),
            Place::Unix(folder) => write!(formatter, "{}:{}", folder.display(), self.port),
        }
    }
}

/// The servers that the settings name; `default` where they name none.
pub(super) fn hosts(settings: &Settings, default: &Place) -> Result<Vec<Host>> {
    let list = |keyword| settings.get(keyword).map(|text| text.split(',').collect::<Vec<_>>()).unwrap_or_default();
    let (names, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = names.len().max(addresses.len()).max(1);
    if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
        return Err(Error::usage("host and hostaddr have different counts"));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(Error::usage("host and port have different counts"));
    }
    (0..count)
        .map(|index| {
            let port = item(&ports, if ports.len() == 1 { 0 } else { index });
            let place = place(item(&names, index), item(&addresses, index), default)?;
            Ok(Host { place, port: port_number(port)?, password: None })
        })
        .collect()
}

fn item<'a>(list: &[&'a str], index: usize) -> Option<&'a str> {
    list.get(index).map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn place(name: Option<&str>, address: Option<&str>, default: &Place) -> Result<Place> {
    let parse = |text: &str| text.parse::<IpAddr>().map_err(|_| Error::usage("hostaddr is not an IP address"));
    let address = address.map(parse).transpose()?;
    match (name, address) {
        (None, None) => Ok(default.clone()),
        (None, Some(address)) => Ok(Place::Tcp { name: address.to_string(), address: Some(address) }),
        (Some(name), None) if name.starts_with('/') => Ok(Place::Unix(PathBuf::from(name))),
        (Some(name), _) if name.contains('@') => Err(Error::usage("the host has an @")),
        (Some(name), address) => Ok(Place::Tcp { name: name.to_owned(), address }),
    }
}

fn port_number(text: Option<&str>) -> Result<u16> {
    let number = text.map_or(Ok(5432), str::parse).ok().filter(|number| *number != 0);
    number.ok_or_else(|| Error::usage("the port is not a number from 1 to 65535"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(host: &str, hostaddr: &str, port: &str) -> String {
        let mut settings = Settings::default();
        for (keyword, value) in [("host", host), ("hostaddr", hostaddr), ("port", port)] {
            settings.set(keyword, value).unwrap();
        }
        match hosts(&settings, &Place::Unix(DEFAULT_SOCKET_FOLDER.into())) {
            Ok(hosts) => {
                hosts.iter().map(|host| format!("{host} as {}", host.password_name())).collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn lists() {
        for (host, hostaddr, port, expected) in [
            ("", "", "", "/var/run/postgresql:5432 as localhost"),
            ("", "", "6", "/var/run/postgresql:6 as localhost"),
            ("db", "", "", "db:5432 as db"),
            ("db", "10.0.0.1", "", "db:5432 as db"),
            ("", "10.0.0.1", "", "10.0.0.1:5432 as 10.0.0.1"),
            ("::1", "", "7", "[::1]:7 as ::1"),
            ("/run/pg", "", "", "/run/pg:5432 as /run/pg"),
            ("a,b", "", "6", "a:6 as a b:6 as b"),
            ("a,b", "", "6,", "a:6 as a b:5432 as b"),
            ("a,", "", "", "a:5432 as a /var/run/postgresql:5432 as localhost"),
            ("a,b", "10.0.0.1", "", "host and hostaddr have different counts"),
            ("a,b,c", "", "1,2", "host and port have different counts"),
            ("a", "", "65536", "the port is not a number from 1 to 65535"),
            ("a", "", "0", "the port is not a number from 1 to 65535"),
            ("a", "example", "", "hostaddr is not an IP address"),
            ("word@a", "", "", "the host has an @"),
        ] {
            assert_eq!(shown(host, hostaddr, port), expected, "{host} {hostaddr} {port}");
        }
    }
}
