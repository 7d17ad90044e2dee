//! What went wrong, in people's words: one line with the step and the cause, and the kind that decides what happens next.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStreamError;
use std::error::Error as StdError;
use std::time::Duration;
use vb_core::{Error, ErrorKind};
use vb_http::{deepest, kind_of_status, retry_after, words};

const CREDENTIALS_HINT: &str =
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in to the profile that AWS_PROFILE names.";

const UNREACHABLE_HINT: &str =
    "Check AWS_ENDPOINT_URL, AWS_REGION and the network, and that the server runs; then run it again.";

/// The SDK's error as ours; `step` says what was tried.
pub(crate) fn explain<E>(step: &str, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            let cause = answer.err();
            from_answer(step, answer.raw().status().as_u16(), cause.code(), cause.message())
                .with_retry_after(asked(answer.raw()))
        }
        SdkError::ResponseError(answer) => match answer.raw().status().as_u16() {
            // Cut off, perhaps.
            status @ 200..300 => Error::failure(format!("{step}: the server's answer ({status}) cannot be understood"))
                .worth_another_try(),
            status => from_answer(step, status, None, None).with_retry_after(asked(answer.raw())),
        },
        SdkError::TimeoutError(_) => {
            Error::unavailable(format!("{step}: the connection timed out")).with_hint(UNREACHABLE_HINT)
        }
        SdkError::DispatchFailure(_) => from_chain(step, error, ErrorKind::Unavailable),
        // Refused before anything was sent.
        _ => from_chain(step, error, ErrorKind::Failure),
    }
}

/// For how long the server wants to be left alone.
fn asked(answer: &HttpResponse) -> Option<Duration> {
    retry_after(answer.headers().get("retry-after")?, chrono::Utc::now())
}

/// A transfer that broke off.
pub(crate) fn explain_stream(step: &str, error: &ByteStreamError) -> Error {
    let cause = deepest(error).to_string();
    if cause.contains("checksum") {
        return Error::integrity(format!("{step}: {}", words(&cause))).worth_another_try();
    }
    Error::unavailable(format!("{step}: {}", words(&cause)))
}

/// An answer's status and code, by Amazon's list of error responses. `HEAD` has no code.
fn from_answer(step: &str, status: u16, code: Option<&str>, message: Option<&str>) -> Error {
    let kind = kind_of(status, code.unwrap_or_default());
    let cause = match (message.filter(|message| !message.is_empty()), code) {
        (Some(message), Some(code)) => format!("{} ({code})", words(message)),
        (Some(text), None) | (None, Some(text)) => words(text),
        (None, None) => format!("the server answered {status}"),
    };
    let error = Error::new(kind, format!("{step}: {cause}"));
    let again = |code| changed_on_its_way(code) || may_have_changed(code);
    let error = if code.is_some_and(again) { error.worth_another_try() } else { error };
    match hint_for(status, code.unwrap_or_default()) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Whether what was sent is not what arrived.
fn changed_on_its_way(code: &str) -> bool {
    let codes = ["BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"];
    codes.contains(&code) || ["ContentSHA256Mismatch", "IncompleteBody"].contains(&code)
}

/// Whether it may not be what arrived: servers that compare no checksum of a commit read what came.
fn may_have_changed(code: &str) -> bool {
    ["InvalidPart", "MalformedXML"].contains(&code)
}

fn kind_of(status: u16, code: &str) -> ErrorKind {
    match code {
        code if changed_on_its_way(code) || code == "InvalidRange" => return ErrorKind::Integrity,
        "SlowDown" | "InternalError" | "RequestTimeout" | "ServiceUnavailable" => return ErrorKind::Unavailable,
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "AccessDenied"
        | "ExpiredToken"
        | "InvalidToken"
        | "RequestTimeTooSkewed"
        | "AccountProblem"
        | "AllAccessDisabled" => return ErrorKind::Denied,
        "AuthorizationHeaderMalformed"
        | "PermanentRedirect"
        | "IllegalLocationConstraintException"
        | "InvalidStorageClass" => {
            return ErrorKind::Usage;
        }
        _ => {}
    }
    match status {
        301 | 307 => ErrorKind::Usage,
        _ => kind_of_status(status),
    }
}

fn hint_for(status: u16, code: &str) -> Option<&'static str> {
    Some(match (code, status) {
        ("NoSuchBucket", _) => "Make the bucket first, or check its name, AWS_REGION and AWS_ENDPOINT_URL.",
        ("RequestTimeTooSkewed", _) => "Set this machine's clock.",
        ("ExpiredToken" | "InvalidToken", _) => "Get new temporary credentials.",
        ("InvalidAccessKeyId" | "SignatureDoesNotMatch", _) => {
            "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and that they belong to this server."
        }
        ("AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException", _)
        | (_, 301 | 307) => "Set AWS_REGION to the bucket's region.",
        ("InvalidStorageClass", _) => "Set VB_STORAGE_CLASS (--storage-class) to a class that this server has.",
        ("InvalidObjectState", _) => "The object is in an archive class; restore it in the provider's console first.",
        ("", 400) => "Check the credentials, AWS_REGION and the bucket's name; this request gets no more words.",
        // An answer without words does not tell a wrong key from one that may not.
        ("", 401 | 403) => {
            "Check the key and its secret, and that the key may do this with the bucket (get, put, delete, list and abort uploads)."
        }
        (_, 401 | 403) => {
            "Allow the key to do this with the bucket (get, put, delete, list and abort uploads), or use another."
        }
        _ => return None,
    })
}

/// No answer came: the cause lies at the end of the chain.
fn from_chain(step: &str, error: &(dyn StdError + 'static), kind: ErrorKind) -> Error {
    let cause = words(&deepest(error).to_string());
    if chain(error).any(|link| link.downcast_ref::<CredentialsError>().is_some()) {
        return Error::denied(format!("{step}: no credentials: {cause}")).with_hint(CREDENTIALS_HINT);
    }
    if cause.contains("certificate") {
        return Error::failure(format!("{step}: the server's identity is not proven: {cause}"))
            .with_hint("Set AWS_CA_BUNDLE or SSL_CERT_FILE to the authority that signed the server's certificate.");
    }
    let error = Error::new(kind, format!("{step}: {cause}"));
    if kind == ErrorKind::Unavailable { error.with_hint(UNREACHABLE_HINT) } else { error }
}

fn chain<'error>(error: &'error (dyn StdError + 'static)) -> impl Iterator<Item = &'error (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |link| (**link).source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_their_kinds() {
        let table = [
            (404, "NoSuchBucket", ErrorKind::NotFound),
            (404, "NoSuchUpload", ErrorKind::NotFound),
            (404, "", ErrorKind::NotFound),
            (403, "AccessDenied", ErrorKind::Denied),
            (403, "SignatureDoesNotMatch", ErrorKind::Denied),
            (400, "ExpiredToken", ErrorKind::Denied),
            (403, "RequestTimeTooSkewed", ErrorKind::Denied),
            (412, "PreconditionFailed", ErrorKind::Conflict),
            (409, "ConditionalRequestConflict", ErrorKind::Conflict),
            (400, "BadDigest", ErrorKind::Integrity),
            (416, "InvalidRange", ErrorKind::Integrity),
            (503, "SlowDown", ErrorKind::Unavailable),
            (400, "RequestTimeout", ErrorKind::Unavailable),
            (500, "", ErrorKind::Unavailable),
            (501, "NotImplemented", ErrorKind::Failure),
            (301, "PermanentRedirect", ErrorKind::Usage),
            (400, "EntityTooSmall", ErrorKind::Failure),
        ];
        for (status, code, kind) in table {
            assert_eq!(kind_of(status, code), kind, "{status} {code}");
        }
    }

    #[test]
    fn an_answer_reads_as_one_line() {
        let error = from_answer("storing a", 404, Some("NoSuchBucket"), Some("The specified bucket does not exist."));
        assert_eq!(error.to_string(), "storing a: the specified bucket does not exist (NoSuchBucket)");
        assert!(error.hint().is_some());
        assert_eq!(from_answer("storing a", 500, None, None).to_string(), "storing a: the server answered 500");
    }
}
