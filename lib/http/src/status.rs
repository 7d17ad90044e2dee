//! What an HTTP status means where a provider's own code says nothing more exact.

use vb_core::ErrorKind;

/// The kind of an answer that is no success. Redirections are left to each provider: what they ask for differs.
#[must_use]
pub fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        401 | 403 => ErrorKind::Denied,
        404 => ErrorKind::NotFound,
        409 | 412 => ErrorKind::Conflict,
        416 => ErrorKind::Integrity,
        // 501 says that it never will.
        408 | 429 | 500 | 502..=599 => ErrorKind::Unavailable,
        _ => ErrorKind::Failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_otherwise_at_the_next_try_is_unavailable() {
        for status in [408, 429, 500, 502, 503, 504, 599] {
            assert_eq!(kind_of_status(status), ErrorKind::Unavailable, "{status}");
        }
        for status in [302, 400, 405, 501, 600] {
            assert_eq!(kind_of_status(status), ErrorKind::Failure, "{status}");
        }
        assert_eq!([401, 403, 404].map(kind_of_status), [ErrorKind::Denied, ErrorKind::Denied, ErrorKind::NotFound]);
        assert_eq!([409, 412].map(kind_of_status), [ErrorKind::Conflict; 2]);
        assert_eq!(kind_of_status(416), ErrorKind::Integrity);
    }
}
