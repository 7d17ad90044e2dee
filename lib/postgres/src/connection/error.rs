//! What the server's error codes mean to us: the kind of failure and what to do about it.

use postgres::fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorFields;
use vb_core::{Error, ErrorKind};

/// An error that the server reported.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerError {
    /// SQLSTATE, five characters.
    pub code: String,
    /// The primary message.
    pub message: String,
    /// More about it.
    pub detail: Option<String>,
}

/// The error in the body of an ErrorResponse message (what follows the message's length).
#[must_use]
pub fn error_from_body(body: &[u8]) -> Error {
    let mut error = ServerError::default();
    for field in body.split(|byte| *byte == 0) {
        if let Some((kind, value)) = field.split_first() {
            error.set(*kind, value);
        }
    }
    error.into()
}

impl ServerError {
    /// From a parsed message; fields beyond a malformed one are left out.
    pub(super) fn from_fields(mut fields: ErrorFields<'_>) -> Self {
        let mut error = Self::default();
        while let Ok(Some(field)) = fields.next() {
            error.set(field.type_(), field.value_bytes());
        }
        error
    }

    fn set(&mut self, kind: u8, value: &[u8]) {
        let text = || String::from_utf8_lossy(value).into_owned();
        match kind {
            b'C' => self.code = text(),
            b'M' => self.message = text(),
            b'D' => self.detail = Some(text()),
            _ => {}
        }
    }
}

impl From<ServerError> for Error {
    fn from(error: ServerError) -> Self {
        let message = match &error.detail {
            Some(detail) => format!("{}; {detail}", lower_first(&error.message)),
            None => lower_first(&error.message),
        };
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        let (kind, hint) = meaning(&error.code);
        let result = Self::new(kind, message.trim_end_matches('.'));
        match hint {
            Some(hint) => result.with_hint(hint),
            None => result,
        }
    }
}

/// The kind and the hint for a SQLSTATE (appendix A of PostgreSQL's manual).
fn meaning(code: &str) -> (ErrorKind, Option<&'static str>) {
    use ErrorKind::{Conflict, Denied, Failure, NotFound, Unavailable, Usage};
    match code {
        "28P01" => (Denied, Some("Check PGPASSWORD, DATABASE_URL or ~/.pgpass; nothing was read or written.")),
        "28000" => (Denied, Some("Check the role, and whether the server's pg_hba.conf lets it in from here.")),
        "42501" => (Denied, Some("Let an administrator grant the role what is missing.")),
        "3D000" => (NotFound, Some("Check PGDATABASE, or the end of DATABASE_URL.")),
        "42P01" | "3F000" => (NotFound, None),
        "42703" | "42601" | "42883" | "42704" => (Usage, None),
        "23505" | "42P07" | "42710" | "42P06" | "42P04" => (Conflict, None),
        "53100" => (Failure, Some("The server's disk is full: free some space there, then run it again.")),
        "53300" => {
            (Unavailable, Some("The server has no free connection: run it again later, or raise max_connections."))
        }
        "57P03" => (Unavailable, Some("The server is starting or stopping: run it again in a moment.")),
        "55P03" => (Unavailable, Some("Another session holds a lock: run it again when that session has ended.")),
        "57014" => (Unavailable, Some("The server ended the query by a timeout or a cancel request: run it again.")),
        "40001" | "40P01" | "57P01" | "57P02" | "72000" => (Unavailable, Some("Run it again.")),
        _ if code.starts_with("08") => {
            (Unavailable, Some("The connection broke: see the server's log, then run it again."))
        }
        _ => (Failure, None),
    }
}

/// In lower case, unless the first word is a name in capitals.
pub(super) fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    match (characters.next(), characters.clone().next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => first.to_lowercase().chain(characters).collect(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        for (code, exit_code, hint) in [
            ("28P01", 7, true),
            ("28000", 7, true),
            ("3D000", 4, true),
            ("42P01", 4, false),
            ("42703", 2, false),
            ("42601", 2, false),
            ("42501", 7, true),
            ("53300", 8, true),
            ("57P03", 8, true),
            ("08006", 8, true),
            ("57014", 8, true),
            ("55P03", 8, true),
            ("53100", 1, true),
            ("23505", 5, false),
            ("22P02", 1, false),
            ("XX000", 1, false),
        ] {
            let error = Error::from(ServerError { code: code.to_owned(), message: "no".to_owned(), detail: None });
            assert_eq!((error.kind().exit_code(), error.hint().is_some()), (exit_code, hint), "{code}");
        }
    }

    #[test]
    fn a_message_becomes_one_line_with_its_detail() {
        let body =
            b"SERROR\0VERROR\0C23505\0MDuplicate key value\nviolates \"t_pkey\"\0DKey (id)=(1) already exists.\0Rx\0\0";
        let error = error_from_body(body);
        assert_eq!(error.to_string(), "duplicate key value violates \"t_pkey\"; Key (id)=(1) already exists");
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }

    #[test]
    fn names_in_capitals_stay() {
        for (text, expected) in
            [("Connection lost", "connection lost"), ("SSL is off", "SSL is off"), ("", ""), ("é", "é")]
        {
            assert_eq!(lower_first(text), expected);
        }
    }
}
