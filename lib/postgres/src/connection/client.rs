//! A client of the `postgres` crate, connected by our parameters.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;
use std::{io, thread};

use postgres::config::{ChannelBinding, SslMode};
use postgres::{Client, Config, NoTls, SimpleQueryMessage};
use rustls::ClientConfig;
use tokio_postgres_rustls::MakeRustlsConnect;
use vb_core::Result;

use super::attempt::{self, Attempt};
use super::host::{Endpoint, Place};
use super::parameters::{Binding, Parameters};
use super::refusal::Refusal;
use super::tls::{self, Encryption, Mode};

/// Idle time after which the kernel asks whether the server is still there.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(120);

/// Connects to the first host that answers.
///
/// # Errors
/// `connecting to role@host:port/database: …`, of the kind that the cause has.
pub fn connect(parameters: &Parameters) -> Result<Client> {
    connect_narrowed(parameters).map(|(client, _)| client)
}

/// The same, and the parameters narrowed to the address that answered: another connection that imports this one's snapshot
/// must reach the same server, whatever the list of hosts or the name service say next time.
///
/// # Errors
/// As [`connect`].
pub fn connect_narrowed(parameters: &Parameters) -> Result<(Client, Parameters)> {
    let config = tls_config(parameters)?;
    attempt::first(parameters, |attempt| open(attempt, config.as_ref()))
}

/// The TLS configuration, where some host may need one.
pub(super) fn tls_config(parameters: &Parameters) -> Result<Option<ClientConfig>> {
    let over_tcp = parameters.hosts.iter().any(|host| matches!(host.place, Place::Tcp { .. }));
    let needed = over_tcp && parameters.tls.mode != Mode::Disable;
    needed.then(|| tls::client_config(&parameters.tls)).transpose()
}

fn open(attempt: &Attempt<'_>, tls: Option<&ClientConfig>) -> std::result::Result<Client, Refusal> {
    let config = client_config(attempt);
    let tls = tls.filter(|_| attempt.encryption != Encryption::Plain).cloned();
    // The client's own time limit ends with the TCP handshake; a server that accepts and then says nothing must not hold us.
    let mut client = within(attempt.parameters.connect_timeout, move || match tls {
        Some(tls) => config.connect(MakeRustlsConnect::new(tls)),
        None => config.connect(NoTls),
    })??;
    if let Some(check) = attempt.check {
        let answer = client.simple_query(check.query)?;
        let value = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.try_get(0).ok().flatten(),
            _ => None,
        });
        check.judge(value).map_err(Refusal::elsewhere)?;
    }
    Ok(client)
}

fn client_config(attempt: &Attempt<'_>) -> Config {
    let parameters = attempt.parameters;
    let mut config = Config::new();
    config.user(&parameters.user).dbname(&parameters.database).application_name(&parameters.application_name);
    if let Some(options) = &parameters.options {
        config.options(options);
    }
    if let Some(password) = &attempt.host.password {
        config.password(password);
    }
    match attempt.endpoint {
        Endpoint::Tcp { name, address } => config.host(name).hostaddr(address.ip()).port(address.port()),
        Endpoint::Unix { folder, port } => config.host_path::<&Path>(folder).port(*port),
    };
    config.keepalives_idle(KEEPALIVE);
    config.ssl_mode(match attempt.encryption {
        Encryption::Plain => SslMode::Disable,
        Encryption::IfOffered => SslMode::Prefer,
        Encryption::Required => SslMode::Require,
    });
    config.channel_binding(match parameters.binding {
        Binding::Disable => ChannelBinding::Disable,
        Binding::Prefer => ChannelBinding::Prefer,
        Binding::Require => ChannelBinding::Require,
    });
    config
}

/// The work's result, or that it takes too long: then its thread is left behind.
fn within<T: Send + 'static>(limit: Option<Duration>, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let Some(limit) = limit else { return Ok(work()) };
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().name("connect".to_owned()).spawn(move || {
        let _nobody_waits_any_more = sender.send(work());
    })?;
    receiver.recv_timeout(limit).map_err(|_| io::ErrorKind::TimedOut.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_server_does_not_hold_us() {
        let (_keep, wait) = mpsc::channel::<()>();
        let error = within(Some(Duration::from_millis(20)), move || wait.recv()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(within(None, || 1).unwrap(), 1);
    }
}
