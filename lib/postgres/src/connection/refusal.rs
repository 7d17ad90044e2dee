//! Why a connection failed: our error, and what that means for the next host and for the other kind of encryption.

use std::fmt;
use std::io;

use vb_core::{Error, ErrorKind};

use super::error::{ServerError, lower_first};

/// A failure on the way to a session.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: Error,
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    /// The server said no, with this SQLSTATE.
    Server(String),
    /// TLS could not be agreed on.
    Tls,
    /// The server hung up.
    Closed,
    /// Nobody there, or not the server that is wanted.
    Elsewhere,
}

impl Refusal {
    /// Another server may do.
    pub(super) fn elsewhere(error: Error) -> Self {
        Self { error, reason: Reason::Elsewhere }
    }

    /// TLS could not be agreed on.
    pub(super) fn tls(error: Error) -> Self {
        Self { error, reason: Reason::Tls }
    }

    /// The server's or our own demands about passwords are not met.
    pub(super) fn authentication(error: Error) -> Self {
        Self { error, reason: Reason::Server("28000".to_owned()) }
    }

    /// As libpq's `prefer` and `allow`: pg_hba.conf may take the role with TLS only, or only without.
    pub(super) fn other_encryption_may_help(&self) -> bool {
        match &self.reason {
            Reason::Server(code) => code.starts_with("28"),
            Reason::Tls | Reason::Closed => true,
            Reason::Elsewhere => false,
        }
    }

    /// As libpq: a server that answers decides for all, unless it is just starting or stopping.
    pub(super) fn is_final(&self) -> bool {
        match &self.reason {
            Reason::Server(code) => code != "57P03",
            Reason::Tls => true,
            Reason::Closed | Reason::Elsewhere => false,
        }
    }

    /// Whether the password was what the server did not like.
    pub(super) fn is_wrong_password(&self) -> bool {
        self.reason == Reason::Server("28P01".to_owned())
    }
}

/// No password is set although the server wants one.
pub(super) fn no_password() -> Refusal {
    Refusal::authentication(
        Error::denied("the server wants a password and none is set")
            .with_hint("Set PGPASSWORD, or add a line to ~/.pgpass (mode 0600); nothing was read or written."),
    )
}

/// TLS is demanded and the server has none.
pub(super) fn no_tls() -> Refusal {
    Refusal::tls(
        Error::failure("the server does not offer TLS")
            .with_hint("Switch it on in the server, or allow an unencrypted connection with PGSSLMODE=prefer."),
    )
}

impl From<ServerError> for Refusal {
    fn from(error: ServerError) -> Self {
        let reason = Reason::Server(error.code.clone());
        Self { error: error.into(), reason }
    }
}

impl From<io::Error> for Refusal {
    fn from(cause: io::Error) -> Self {
        use io::ErrorKind as Io;
        if let Some(tls) = cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::tls(tls_error(tls).with_source(cause));
        }
        let unreachable =
            "Check the host and the port (PGHOST, PGPORT, DATABASE_URL), and that the server runs and can be reached.";
        let garbled = "What answers there may not be a PostgreSQL server: check the host and the port.";
        let broke = "The connection broke: see the server's log, then run it again.";
        let (reason, kind, hint) = match cause.kind() {
            Io::UnexpectedEof | Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe => {
                (Reason::Closed, ErrorKind::Unavailable, broke)
            }
            Io::PermissionDenied => (Reason::Elsewhere, ErrorKind::Denied, unreachable),
            Io::InvalidInput | Io::InvalidData => (Reason::Elsewhere, ErrorKind::Failure, garbled),
            _ => (Reason::Elsewhere, ErrorKind::Unavailable, unreachable),
        };
        let words = match cause.kind() {
            Io::UnexpectedEof => "the server closed the connection".to_owned(),
            // What a socket says whose read or write took longer than allowed.
            Io::WouldBlock | Io::TimedOut => "connection timed out".to_owned(),
            _ => system_words(&cause),
        };
        Self { error: Error::new(kind, words).with_hint(hint).with_source(cause), reason }
    }
}

impl From<postgres::Error> for Refusal {
    fn from(error: postgres::Error) -> Self {
        if let Some(said) = error.as_db_error() {
            let refusal = Self::from(ServerError {
                code: said.code().code().to_owned(),
                message: said.message().to_owned(),
                detail: said.detail().map(str::to_owned),
            });
            return Self { error: refusal.error.with_source(error), ..refusal };
        }
        if error.is_closed() {
            return Self::from(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let step = error.to_string();
        let Some(source) = error.into_source() else { return Self::elsewhere(Error::failure(step)) };
        let source = match source.downcast::<io::Error>() {
            Ok(cause) => return Self::from(*cause),
            Err(source) => source,
        };
        // The client has no code for the first two, only these words.
        match source.to_string().as_str() {
            "password missing" => no_password(),
            "server does not support TLS" => no_tls(),
            words if step == "authentication error" => Self::authentication(Error::denied(words)),
            words => Self::elsewhere(Error::failure(format!("{step}: {words}")).with_source(source)),
        }
    }
}

/// The client's error with the step that failed before it.
///
/// The kind follows the SQLSTATE where the server spoke, else the operating system's error; the message keeps the server's own
/// words and its DETAIL.
#[must_use]
pub fn from_postgres(step: impl fmt::Display, error: postgres::Error) -> Error {
    Refusal::from(error).error.during(step)
}

fn tls_error(cause: &rustls::Error) -> Error {
    match cause {
        rustls::Error::InvalidCertificate(_) => {
            Error::denied(format!("the server's certificate is not trusted: {cause}")).with_hint(
                "Check that PGSSLROOTCERT names the authority that issued it, that it bears the host's name as \
                 subjectAltName, and that it is of X.509 version 3.",
            )
        }
        _ => Error::failure(format!("TLS: {cause}")),
    }
}

/// The system's words without the number that Rust appends.
fn system_words(cause: &io::Error) -> String {
    lower_first(cause.to_string().split(" (os error").next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: &str) -> Refusal {
        ServerError { code: code.to_owned(), message: "no".to_owned(), detail: None }.into()
    }

    #[test]
    fn what_comes_next() {
        let io = |kind| Refusal::from(io::Error::from(kind));
        let untrusted = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let untrusted = Refusal::from(io::Error::new(io::ErrorKind::InvalidData, untrusted));
        assert_eq!(untrusted.error.kind(), ErrorKind::Denied);
        for (refusal, other_encryption, last) in [
            (server("28P01"), true, true),
            (server("28000"), true, true),
            (server("3D000"), false, true),
            (server("57P03"), false, false),
            (untrusted, true, true),
            (io(io::ErrorKind::ConnectionRefused), false, false),
            (io(io::ErrorKind::TimedOut), false, false),
            (io(io::ErrorKind::UnexpectedEof), true, false),
        ] {
            assert_eq!(
                (refusal.other_encryption_may_help(), refusal.is_final()),
                (other_encryption, last),
                "{refusal:?}"
            );
        }
    }

    #[test]
    fn words_of_the_system() {
        let refused = Refusal::from(io::Error::from_raw_os_error(111)).error;
        assert_eq!(refused.to_string(), "connection refused");
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert!(refused.hint().is_some());
    }
}
