//! The order in which hosts, their addresses, and encryption are tried: libpq's.

use vb_core::{Error, Result};

use super::host::{Endpoint, Host};
use super::parameters::Parameters;
use super::refusal::Refusal;
use super::session::Check;
use super::tls::{Encryption, Mode};

/// One try.
pub(super) struct Attempt<'a> {
    pub(super) parameters: &'a Parameters,
    pub(super) host: &'a Host,
    pub(super) endpoint: &'a Endpoint,
    pub(super) encryption: Encryption,
    /// What to ask the server after logging in.
    pub(super) check: Option<Check>,
}

/// What the first server that answers gave, and the parameters narrowed to that server's address.
pub(super) fn first<T>(
    parameters: &Parameters,
    mut open: impl FnMut(&Attempt<'_>) -> std::result::Result<T, Refusal>,
) -> Result<(T, Parameters)> {
    let mut errors = Vec::new();
    for check in parameters.session.rounds() {
        for host in &parameters.hosts {
            let step = format!("connecting to {}@{host}/{}", parameters.user, parameters.database);
            let endpoints = match host.endpoints() {
                Ok(endpoints) => endpoints,
                Err(error) => {
                    errors.push(error.during(&step));
                    continue;
                }
            };
            for endpoint in &endpoints {
                let attempt = Attempt { parameters, host, endpoint, encryption: Encryption::Plain, check: *check };
                match with_encryption(attempt, &mut open) {
                    Ok(value) => return Ok((value, parameters.narrowed(host, endpoint))),
                    Err(refusal) => {
                        let last = refusal.is_final();
                        errors.push(refusal.error.during(&step));
                        if last {
                            return Err(summary(errors));
                        }
                    }
                }
            }
        }
    }
    Err(summary(errors))
}

/// One address, encrypted or not as `sslmode` says; a socket is never encrypted.
fn with_encryption<T>(
    mut attempt: Attempt<'_>,
    open: &mut impl FnMut(&Attempt<'_>) -> std::result::Result<T, Refusal>,
) -> std::result::Result<T, Refusal> {
    let mode = match attempt.endpoint {
        Endpoint::Unix { .. } => Mode::Disable,
        Endpoint::Tcp { .. } => attempt.parameters.tls.mode,
    };
    let (first, second) = match mode.attempts() {
        [first, second] => (*first, Some(*second)),
        [first, ..] => (*first, None),
        [] => (Encryption::Required, None),
    };
    attempt.encryption = first;
    let refusal = match open(&attempt) {
        Err(refusal) if refusal.other_encryption_may_help() => refusal,
        outcome => return outcome,
    };
    let Some(second) = second else { return Err(refusal) };
    attempt.encryption = second;
    // Of two refusals the more telling one: the encrypted attempt's, or the one that looked at the password.
    open(&attempt).map_err(|other| {
        let keep_first = mode == Mode::Prefer && !other.is_wrong_password() || refusal.is_wrong_password();
        if keep_first { refusal } else { other }
    })
}

/// One error for all: the last one's kind, and every different message.
fn summary(mut errors: Vec<Error>) -> Error {
    let Some(last) = errors.pop() else { return Error::usage("no host to connect to") };
    let mut messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
    messages.push(last.to_string());
    messages.dedup();
    if messages.len() == 1 {
        return last;
    }
    let all = Error::new(last.kind(), messages.join("; "));
    match last.hint() {
        Some(hint) => all.with_hint(hint),
        None => all,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use vb_core::environment::Environment;

    use super::super::error::ServerError;
    use super::*;

    fn parameters(query: &str) -> Parameters {
        let url = format!("postgres://u@127.0.0.1:1,127.0.0.2:2/d?{query}");
        Parameters::resolve(&Environment::new([("DATABASE_URL".to_owned(), url)]), "vb-test").unwrap()
    }

    fn server(code: &str) -> Refusal {
        ServerError { code: code.to_owned(), message: code.to_owned(), detail: None }.into()
    }

    /// Which attempts are made, given how each one ends.
    fn tried(query: &str, mut ends: Vec<Option<Refusal>>) -> (Vec<String>, String) {
        ends.reverse();
        let mut attempts = Vec::new();
        let outcome = first(&parameters(query), |attempt| {
            let wanted = attempt.check.map(|check| check.wanted).unwrap_or_default();
            attempts.push(format!("{} {:?}{wanted}", attempt.host.port, attempt.encryption));
            ends.pop().unwrap().map_or(Ok(()), Err)
        });
        (attempts, outcome.map_or_else(|error| error.to_string(), |(_, narrowed)| narrowed.describe()))
    }

    #[test]
    fn the_next_host_when_one_is_down() {
        let refused = || Some(Refusal::from(io::Error::from(io::ErrorKind::ConnectionRefused)));
        let (attempts, outcome) = tried("", vec![refused(), None]);
        assert_eq!((attempts.join(", ").as_str(), outcome.as_str()), ("1 IfOffered, 2 IfOffered", "u@127.0.0.2:2/d"));
        let (_, outcome) = tried("", vec![refused(), refused()]);
        assert_eq!(
            outcome,
            "connecting to u@127.0.0.1:1/d: connection refused; connecting to u@127.0.0.2:2/d: connection refused"
        );
        let (attempts, _) = tried("", vec![Some(server("57P03")), None]);
        assert_eq!(attempts.join(", "), "1 IfOffered, 2 IfOffered");
    }

    #[test]
    fn a_server_that_says_no_decides() {
        let (attempts, outcome) = tried("sslmode=require", vec![Some(server("28P01"))]);
        assert_eq!((attempts.len(), outcome.as_str()), (1, "connecting to u@127.0.0.1:1/d: 28P01"));
        let (attempts, _) = tried("", vec![Some(server("3D000"))]);
        assert_eq!(attempts.len(), 1);
    }

    #[test]
    fn the_other_encryption() {
        for (query, ends, expected, outcome) in [
            ("", ["28P01", "28000"], "1 IfOffered, 1 Plain", "28P01"),
            ("", ["28000", "28P01"], "1 IfOffered, 1 Plain", "28P01"),
            ("sslmode=allow", ["28000", "3D000"], "1 Plain, 1 IfOffered", "3D000"),
        ] {
            let (attempts, message) = tried(query, ends.iter().map(|code| Some(server(code))).collect());
            assert_eq!(attempts.join(", "), expected);
            assert_eq!(
                message,
                format!("connecting to u@127.0.0.1:1/d: {}", outcome.to_lowercase())
                    .replace("28p", "28P")
                    .replace("3d", "3D")
            );
        }
    }

    #[test]
    fn a_standby_is_looked_for_first() {
        let wrong = || Some(Refusal::elsewhere(Error::unavailable("the server is not a standby")));
        let (attempts, _) = tried("sslmode=disable&target_session_attrs=prefer-standby", vec![wrong(), wrong(), None]);
        assert_eq!(attempts.join(", "), "1 Plaint, 2 Plaint, 1 Plain");
    }
}
