//! A policy: rules, and to what they apply.

use super::backup::{Backup, origin};
use super::period::Period;
use super::rule::{Rule, UNLIMITED};
use crate::environment::{
    BACKUP_RETENTION_DAYS, BACKUP_RETENTION_MONTHS, BACKUP_RETENTION_WEEKS, Environment, Variable,
};
use crate::fact::Level;
use crate::label::Kind;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Which backups are one history, on which the rules count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    /// What a set holds of one source: a backup of either kind is the backup of its day.
    #[default]
    Set,
    /// The full backups of that, and apart from them the incremental ones.
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
    /// Only this set is judged; the others stay, and so does what they stand on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
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

    /// Whether it is of a set that is judged.
    pub(super) fn covers(&self, backup: &Backup) -> bool {
        self.set.as_ref().is_none_or(|set| **set == *backup.set)
    }

    /// What backups of one history have in common.
    pub(super) fn group<'all>(&self, backup: &'all Backup) -> (&'all str, u64, Option<&'static str>) {
        (&backup.set, origin(&backup.source), (self.group_by == GroupBy::SetAndKind).then(|| backup.kind.name()))
    }
}

/// The rules of `BACKUP_RETENTION_DAYS`, `_WEEKS` and `_MONTHS`; none of them is set: no rules.
///
/// # Errors
/// A usage error if one of them is no number.
pub fn rules_from(environment: &Environment) -> Result<Vec<Rule>> {
    let rule = |(of_each, variable): (Period, Variable)| {
        let text = environment.get(variable)?;
        Some(parse_number(text).map(|most| Rule::Newest { of_each, most }).ok_or_else(|| {
            Error::usage(format!("{} is {text:?}, which is no number", variable.name))
                .with_hint("Set it to the number of backups to keep, or unset it.")
        }))
    };
    let variables = [
        (Period::Day, BACKUP_RETENTION_DAYS),
        (Period::Week, BACKUP_RETENTION_WEEKS),
        (Period::Month, BACKUP_RETENTION_MONTHS),
    ];
    variables.into_iter().filter_map(rule).collect()
}

/// How many a rule keeps: a number, or `unlimited`.
#[must_use]
pub fn parse_number(text: &str) -> Option<usize> {
    if text == "unlimited" { Some(UNLIMITED) } else { text.trim().parse().ok() }
}
