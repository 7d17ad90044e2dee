//! What went wrong, in people's words: one line with the step and the cause, and the kind that decides what happens next.
//! Session URIs never appear: whoever has one can write to it.

use serde::Deserialize;
use std::error::Error as StdError;
use vb_core::{Error, ErrorKind};
use vb_http::{deepest, kind_of_status, words};

const UNREACHABLE_HINT: &str = "Check the network, and that the server runs; then run it again.";

/// An answer's body (JSON API, "Error responses"). `HEAD` and reads of data have plain text or none.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    error: Cause,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cause {
    message: String,
    errors: Vec<Detail>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Detail {
    reason: String,
}

/// An answer that is no success.
pub(crate) fn from_answer(step: &str, status: u16, body: &[u8]) -> Error {
    let cause = serde_json::from_slice::<Body>(body).unwrap_or_default().error;
    let reason = cause.errors.first().map(|detail| detail.reason.as_str()).unwrap_or_default();
    let message = words(&cause.message);
    let told = if message.is_empty() {
        format!("the server answered {status}")
    } else if reason.is_empty() || reason.eq_ignore_ascii_case(&message) {
        format!("{message} ({status})")
    } else {
        format!("{message} ({reason})")
    };
    let kind = kind_of(status, reason, &message);
    let error = Error::new(kind, format!("{step}: {told}"));
    let error = if kind == ErrorKind::Integrity && status == 400 { error.worth_another_try() } else { error };
    match hint_for(status, reason, &message) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn kind_of(status: u16, reason: &str, message: &str) -> ErrorKind {
    match (status, reason) {
        // The words of Google's check of a checksum; the reason says "invalid" only.
        (400, _) if message.contains("doesn't match calculated") => ErrorKind::Integrity,
        (403, "rateLimitExceeded" | "userRateLimitExceeded" | "quotaExceeded") => ErrorKind::Unavailable,
        _ => kind_of_status(status),
    }
}

fn hint_for(status: u16, reason: &str, message: &str) -> Option<&'static str> {
    Some(match (status, reason) {
        (401, _) => {
            "Check the file in GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login again."
        }
        (403, "retentionPolicyNotMet" | "objectUnderActiveHold") => {
            "The object is locked; it can be deleted when its retention ends."
        }
        (403, _) if message.contains("retention") => "The object is locked; it can be deleted when its retention ends.",
        (403, _) => "Give the account the role Storage Object Admin for this bucket, or use another.",
        (400, _) if message.contains("retention") => {
            "Make the bucket with object retention enabled, or leave VB_LOCK_DAYS out."
        }
        _ => return None,
    })
}

/// A request that named only the bucket: what is not found is the bucket.
pub(crate) fn of_bucket(error: Error, step: &str, bucket: &str) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    Error::not_found(format!("{step}: there is no bucket {bucket}"))
        .with_hint("Make the bucket first, or check its name and STORAGE_EMULATOR_HOST.")
}

/// No answer came, or it broke off: the cause lies at the end of the chain.
pub(crate) fn explain(step: &str, error: reqwest::Error) -> Error {
    let error = error.without_url();
    let cause = words(&deepest(&error).to_string());
    if cause.contains("certificate") {
        return Error::failure(format!("{step}: the server's identity is not proven: {cause}"))
            .with_hint("Set SSL_CERT_FILE to the authority that signed the server's certificate.");
    }
    if error.is_builder() {
        return Error::failure(format!("{step}: {cause}"));
    }
    if error.is_timeout() {
        return Error::unavailable(format!("{step}: the connection timed out")).with_hint(UNREACHABLE_HINT);
    }
    Error::unavailable(format!("{step}: {cause}")).with_hint(UNREACHABLE_HINT)
}

/// Google's library could not get a token. `worth_trying` says that the next try may succeed.
pub(crate) fn explain_credentials(error: &(dyn StdError + 'static), worth_trying: bool, hint: &str) -> Error {
    let kind = if worth_trying { ErrorKind::Unavailable } else { ErrorKind::Denied };
    Error::new(kind, format!("getting a token: {}", words(&deepest(error).to_string()))).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_their_kinds() {
        let table = [
            (400, "invalid", "Provided CRC32C \"a\" doesn't match calculated CRC32C \"b\".", ErrorKind::Integrity),
            (400, "invalid", "bad name", ErrorKind::Failure),
            (401, "authError", "", ErrorKind::Denied),
            (403, "forbidden", "", ErrorKind::Denied),
            (403, "rateLimitExceeded", "", ErrorKind::Unavailable),
            (404, "notFound", "", ErrorKind::NotFound),
            (408, "", "", ErrorKind::Unavailable),
            (409, "conflict", "", ErrorKind::Conflict),
            (412, "conditionNotMet", "", ErrorKind::Conflict),
            (416, "", "", ErrorKind::Integrity),
            (429, "rateLimitExceeded", "", ErrorKind::Unavailable),
            (500, "backendError", "", ErrorKind::Unavailable),
            (501, "", "", ErrorKind::Failure),
            (503, "", "", ErrorKind::Unavailable),
        ];
        for (status, reason, message, kind) in table {
            assert_eq!(kind_of(status, reason, message), kind, "{status} {reason}");
        }
    }

    #[test]
    fn an_answer_reads_as_one_line() {
        let body = br#"{"error": {"code": 403, "message": "The account has no access.\nSee more", "errors": [{"reason": "forbidden"}]}}"#;
        let error = from_answer("storing a", 403, body);
        assert_eq!(error.to_string(), "storing a: the account has no access (forbidden)");
        assert!(error.hint().is_some());
        let body = br#"{"error": {"message": "Not Found", "errors": [{"reason": "Not Found"}]}}"#;
        assert_eq!(from_answer("reading a", 404, body).to_string(), "reading a: not Found (404)");
        assert_eq!(from_answer("reading a", 500, b"<html>").to_string(), "reading a: the server answered 500");
    }

    #[test]
    fn an_upload_is_not_named() {
        let body = br#"{"error": {"message": "No session http://host/upload?upload_id=SECRET&name=a"}}"#;
        assert_eq!(
            from_answer("storing a", 400, body).to_string(),
            "storing a: no session http://host/upload?upload_id=… (400)"
        );
    }

    #[test]
    fn only_the_bucket_can_be_missing_where_only_it_is_named() {
        let error = of_bucket(Error::not_found("storing a: not found"), "storing a", "b");
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::NotFound, "storing a: there is no bucket b")
        );
        assert_eq!(of_bucket(Error::denied("x"), "storing a", "b").to_string(), "x");
    }
}
