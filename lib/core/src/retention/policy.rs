//! A policy: rules, and to what they apply.

use super::backup::Backup;
use super::rule::Rule;
use crate::fact::Level;
use crate::label::Kind;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Which backups are one history, on which the rules count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    /// A set: a backup of either kind is the backup of its day.
    #[default]
    Set,
    /// A set's full backups, and apart from them its incremental ones.
    SetAndKind,
}

/// What to keep. A backup that any rule keeps is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The rules.
    pub rules: Vec<Rule>,
    /// Only a backup that was verified as far as this counts.
    #[serde(default)]
    pub require_level: Level,
    /// What is judged together.
    #[serde(default)]
    pub group_by: GroupBy,
    /// Only these are judged; the others stay and count for nothing.
    #[serde(default)]
    pub kind: Option<Kind>,
}

impl Policy {
    /// A policy of these rules for everything.
    #[must_use]
    pub fn of(rules: Vec<Rule>) -> Self {
        Self { rules, ..Self::default() }
    }

    /// # Errors
    /// A usage error if no rule would keep anything.
    pub(super) fn refuse_empty(&self) -> Result<()> {
        if self.rules.iter().all(Rule::is_empty) {
            return Err(Error::usage("the policy keeps nothing")
                .with_hint("Say what to keep, for example --keep-daily 30; nothing was removed."));
        }
        Ok(())
    }

    /// What backups of one history have in common.
    pub(super) fn group<'all>(&self, backup: &'all Backup) -> (&'all str, Option<&'static str>) {
        (&backup.set, (self.group_by == GroupBy::SetAndKind).then(|| backup.kind.name()))
    }
}
