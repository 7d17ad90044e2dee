//! What went wrong, in people's words: one line with the step and the cause, and the kind that decides what happens next.

use azure_core::error::ErrorKind as Sdk;
use azure_core::http::RawResponse;
use azure_core::http::headers::HeaderName;
use std::error::Error as StdError;
use std::time::Duration;
use vb_core::{Error, ErrorKind};
use vb_http::{deepest, kind_of_status, retry_after, words};

const IDENTITY_HINT: &str =
    "Set AZURE_STORAGE_CONNECTION_STRING, or log in with az login, or give this machine an identity.";

const UNREACHABLE_HINT: &str =
    "Check the account's name and endpoint and the network, and that the server runs; then run it again.";

/// The SDK's error as ours; `step` says what was tried.
pub(crate) fn explain(step: &str, error: &azure_core::Error) -> Error {
    match error.kind() {
        Sdk::HttpResponse { status, raw_response, .. } => {
            let answer = raw_response.as_deref();
            let code = answer
                .and_then(|answer| answer.headers().get_optional_string(&HeaderName::from_static("x-ms-error-code")));
            let body = answer.map(|answer| String::from_utf8_lossy(answer.body())).unwrap_or_default();
            let error =
                from_answer(step, u16::from(*status), &code.unwrap_or_default(), message(&body).unwrap_or_default());
            error.with_retry_after(answer.and_then(asked))
        }
        Sdk::Credential => {
            Error::denied(format!("{step}: no identity: {}", words(&error.to_string()))).with_hint(IDENTITY_HINT)
        }
        Sdk::Connection | Sdk::Io => from_transport(step, error),
        Sdk::DataConversion => Error::failure(format!(
            "{step}: the server's answer cannot be understood: {}",
            words(&deepest(error).to_string())
        )),
        _ => Error::failure(format!("{step}: {}", words(&deepest(error).to_string()))),
    }
}

/// For how long the service wants to be left alone.
fn asked(answer: &RawResponse) -> Option<Duration> {
    let value = answer.headers().get_optional_string(&HeaderName::from_static("retry-after"))?;
    retry_after(&value, chrono::Utc::now())
}

/// The text of an error document, which is XML with a message of several lines.
fn message(body: &str) -> Option<&str> {
    Some(body.split_once("<Message>")?.1.split_once("</Message>")?.0)
}

/// An answer's status and code, by "Blob Storage error codes" (Microsoft Learn). `HEAD` has a code but no words.
fn from_answer(step: &str, status: u16, code: &str, message: &str) -> Error {
    let kind = kind_of(status, code, message);
    let cause = match (words(message).as_str(), code) {
        ("", "") => format!("the server answered {status}"),
        ("", code) => format!("the server answered {status} ({code})"),
        (message, "") => message.to_owned(),
        (message, code) => format!("{message} ({code})"),
    };
    let error = Error::new(kind, format!("{step}: {cause}"));
    let error = if changed_on_its_way(code, message) { error.worth_another_try() } else { error };
    match hint_for(status, code) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Whether what was sent is not what arrived. `InvalidOperation` is Azurite's word for it.
fn changed_on_its_way(code: &str, message: &str) -> bool {
    matches!(code, "Md5Mismatch" | "InvalidMd5" | "Crc64Mismatch")
        || code == "InvalidOperation" && message.contains("MD5")
}

fn kind_of(status: u16, code: &str, message: &str) -> ErrorKind {
    match code {
        _ if changed_on_its_way(code, message) => return ErrorKind::Integrity,
        "InvalidRange" => return ErrorKind::Integrity,
        "BlobImmutableDueToPolicy" | "BlobImmutableDueToLegalHold" | "PublicAccessNotPermitted" => {
            return ErrorKind::Denied;
        }
        "ContainerBeingDeleted" | "AccountBeingCreated" | "OperationTimedOut" | "ServerBusy" => {
            return ErrorKind::Unavailable;
        }
        "InvalidHeaderValue" => return ErrorKind::Usage,
        "BlobArchived" | "BlobBeingRehydrated" | "InvalidBlobType" | "SnapshotsPresent" | "LeaseIdMissing" => {
            return ErrorKind::Failure;
        }
        _ => {}
    }
    match status {
        301 | 302 | 307 => ErrorKind::Usage,
        _ => kind_of_status(status),
    }
}

fn hint_for(status: u16, code: &str) -> Option<&'static str> {
    Some(match (code, status) {
        ("ContainerNotFound", _) => "Make the container first, or check its name and the account.",
        ("AuthenticationFailed" | "InvalidAuthenticationInfo", _) => {
            "Check the key or the signature in AZURE_STORAGE_CONNECTION_STRING, its end, and this machine's clock."
        }
        (
            "AuthorizationPermissionMismatch" | "AuthorizationServiceMismatch" | "AuthorizationResourceTypeMismatch",
            _,
        ) => {
            "Allow it to read, create, write, delete, list and tag blobs: the role Storage Blob Data Contributor, or a signature with racwdlt."
        }
        // Azure's word for a forbidden address, Azurite's for a wrong key.
        ("AuthorizationFailure", _) => {
            "Check the key or the signature in AZURE_STORAGE_CONNECTION_STRING, and that the account's network rules allow this machine."
        }
        ("KeyBasedAuthenticationNotPermitted", _) => {
            "The account takes identities only; set AZURE_STORAGE_ACCOUNT instead."
        }
        ("BlobArchived" | "BlobBeingRehydrated", _) => {
            "The object is in the archive tier; rehydrate it with az storage blob set-tier first."
        }
        ("BlobImmutableDueToPolicy" | "BlobImmutableDueToLegalHold", _) => {
            "It is locked; try again when the lock has ended."
        }
        ("SnapshotsPresent", _) => "Delete the object's snapshots first.",
        ("InvalidHeaderValue", _) => {
            "Check VB_STORAGE_CLASS, VB_KMS_KEY and VB_LOCK_DAYS against what the account allows."
        }
        (_, 401 | 403) => "Allow it to read, create, write, delete, list and tag blobs in this container.",
        _ => return None,
    })
}

/// No answer came, or it broke off: the cause lies at the end of the chain.
fn from_transport(step: &str, error: &(dyn StdError + 'static)) -> Error {
    let cause = words(&deepest(error).to_string());
    if cause.contains("certificate") {
        return Error::failure(format!("{step}: the server's identity is not proven: {cause}"))
            .with_hint("Set SSL_CERT_FILE to the authority that signed the server's certificate.");
    }
    Error::unavailable(format!("{step}: {cause}")).with_hint(UNREACHABLE_HINT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_their_kinds() {
        let table = [
            (404, "ContainerNotFound", ErrorKind::NotFound),
            (404, "BlobNotFound", ErrorKind::NotFound),
            (404, "", ErrorKind::NotFound),
            (403, "AuthenticationFailed", ErrorKind::Denied),
            (401, "InvalidAuthenticationInfo", ErrorKind::Denied),
            (409, "BlobAlreadyExists", ErrorKind::Conflict),
            (412, "ConditionNotMet", ErrorKind::Conflict),
            (409, "BlobImmutableDueToPolicy", ErrorKind::Denied),
            (409, "BlobArchived", ErrorKind::Failure),
            (400, "InvalidHeaderValue", ErrorKind::Usage),
            (409, "ContainerBeingDeleted", ErrorKind::Unavailable),
            (400, "Md5Mismatch", ErrorKind::Integrity),
            (400, "InvalidBlockList", ErrorKind::Failure),
            (416, "InvalidRange", ErrorKind::Integrity),
            (503, "ServerBusy", ErrorKind::Unavailable),
            (500, "OperationTimedOut", ErrorKind::Unavailable),
            (429, "", ErrorKind::Unavailable),
            (501, "", ErrorKind::Failure),
        ];
        for (status, code, kind) in table {
            assert_eq!(kind_of(status, code, ""), kind, "{status} {code}");
        }
    }

    #[test]
    fn an_answer_reads_as_one_line() {
        let body =
            "<Error><Code>X</Code><Message>The specified container does not exist.\nRequestId:1</Message></Error>";
        let error = from_answer("storing a", 404, "ContainerNotFound", message(body).unwrap());
        assert_eq!(error.to_string(), "storing a: the specified container does not exist (ContainerNotFound)");
        assert!(error.hint().is_some());
        assert_eq!(from_answer("storing a", 500, "", "").to_string(), "storing a: the server answered 500");
    }
}
