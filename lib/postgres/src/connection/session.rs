//! `target_session_attrs`: which of several servers will do, judged by one query after logging in.

use vb_core::{Error, Result};

/// What a server must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// A query of one value, the value that will do, and what the server is otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) query: &'static str,
    pub(super) wanted: &'static str,
    pub(super) otherwise: &'static str,
}

impl Session {
    /// From the setting's value.
    pub(super) fn parse(text: Option<&str>) -> Result<Self> {
        match text {
            None | Some("any") => Ok(Self::Any),
            Some("read-write") => Ok(Self::ReadWrite),
            Some("read-only") => Ok(Self::ReadOnly),
            Some("primary") => Ok(Self::Primary),
            Some("standby") => Ok(Self::Standby),
            Some("prefer-standby") => Ok(Self::PreferStandby),
            Some(_) => Err(Error::usage(
                "target_session_attrs is none of any, read-write, read-only, primary, standby and prefer-standby",
            )),
        }
    }

    /// What to demand in each round through the hosts.
    pub(super) fn rounds(self) -> &'static [Option<Check>] {
        const READ_ONLY: &str = "SHOW transaction_read_only";
        const STANDBY: &str = "SELECT pg_catalog.pg_is_in_recovery()";
        const fn check(query: &'static str, wanted: &'static str, otherwise: &'static str) -> Option<Check> {
            Some(Check { query, wanted, otherwise })
        }
        match self {
            Self::Any => &[None],
            Self::ReadWrite => const { &[check(READ_ONLY, "off", "the session is read-only")] },
            Self::ReadOnly => const { &[check(READ_ONLY, "on", "the session is not read-only")] },
            Self::Primary => const { &[check(STANDBY, "f", "the server is a standby")] },
            Self::Standby => const { &[check(STANDBY, "t", "the server is not a standby")] },
            Self::PreferStandby => const { &[check(STANDBY, "t", "the server is not a standby"), None] },
        }
    }
}

impl Check {
    /// Whether this answer will do.
    pub(super) fn judge(&self, answer: Option<&str>) -> Result<()> {
        if answer == Some(self.wanted) {
            return Ok(());
        }
        Err(Error::unavailable(self.otherwise).with_hint("Check target_session_attrs and the list of hosts."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_is_preferred_not_demanded() {
        let rounds = Session::parse(Some("prefer-standby")).unwrap().rounds();
        assert_eq!(rounds.len(), 2);
        assert!(rounds[0].unwrap().judge(Some("t")).is_ok());
        assert!(rounds[0].unwrap().judge(Some("f")).is_err());
        assert_eq!(rounds[1], None);
        assert!(Session::parse(Some("master")).is_err());
    }
}
