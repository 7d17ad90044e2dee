//! The retention of BACKUP_RETENTION_*, as the forecast asks for it: the plan itself is vb-prune's own function.

use std::collections::HashSet;
use vb_core::environment::{
    BACKUP_RETENTION_DAYS, BACKUP_RETENTION_MONTHS, BACKUP_RETENTION_WEEKS, Environment, Variable,
};
use vb_core::manifest::Manifest;
use vb_core::retention::{self, Policy};
use vb_core::time::Instant;
use vb_core::{Error, Result};

/// What the policy removes.
#[derive(Debug)]
pub(crate) struct Removal {
    daily: usize,
    weekly: usize,
    monthly: usize,
}

/// From the environment; without the variables nothing is removed.
///
/// # Errors
/// A usage error if one of them is no number.
pub(crate) fn of(environment: &Environment) -> Result<Removal> {
    let number = |variable: Variable| match environment.get(variable) {
        None => Ok(0),
        Some(text) => text.trim().parse().map_err(|_| {
            Error::usage(format!("{} is {text:?}, which is no number", variable.name))
                .with_hint("Set it to the number of backups to keep, or unset it.")
        }),
    };
    Ok(Removal {
        daily: number(BACKUP_RETENTION_DAYS)?,
        weekly: number(BACKUP_RETENTION_WEEKS)?,
        monthly: number(BACKUP_RETENTION_MONTHS)?,
    })
}

impl Removal {
    /// The policy in words.
    pub(crate) fn words(&self) -> String {
        let rules = [(self.daily, "daily"), (self.weekly, "weekly"), (self.monthly, "monthly")];
        let kept: Vec<String> =
            rules.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
        if kept.is_empty() { "no retention".to_owned() } else { format!("a retention of {}", kept.join(", ")) }
    }

    /// The ids of those that go at this time.
    ///
    /// # Errors
    /// Those of the plan.
    pub(crate) fn removes(&self, kept: &[Manifest], at: Instant) -> Result<HashSet<String>> {
        if self.daily + self.weekly + self.monthly == 0 {
            return Ok(HashSet::new());
        }
        let policy = Policy { daily: self.daily, weekly: self.weekly, monthly: self.monthly, ..Policy::default() };
        let plan = retention::plan(kept, &policy, at)?;
        Ok(plan.into_iter().filter(|verdict| !verdict.keeps()).map(|verdict| verdict.id).collect())
    }
}
