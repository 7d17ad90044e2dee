//! How a process ended, in words. Only status 0 is a good end.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// What follows the name of a process that ended badly (`exited with status 3`, `was ended by signal 9`); `None` after a good end.
#[must_use]
pub fn failure(status: ExitStatus) -> Option<String> {
    if status.success() {
        return None;
    }
    Some(match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => format!("ended as {status}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_zero_is_success() {
        let failure = |raw| failure(ExitStatus::from_raw(raw));
        assert_eq!(failure(0), None);
        assert_eq!(failure(3 << 8).unwrap(), "exited with status 3");
        assert_eq!(failure(9).unwrap(), "was ended by signal 9");
    }
}
