//! The retention of BACKUP_RETENTION_*, as the forecast asks for it: the plan itself is vb-prune's own function.

use std::collections::HashSet;
use vb_core::Result;
use vb_core::environment::Environment;
use vb_core::manifest::Manifest;
use vb_core::retention::{self, Backup, Policy, Rule};
use vb_core::time::Instant;

/// What the policy removes.
#[derive(Debug)]
pub(crate) struct Removal(Vec<Rule>);

/// From the environment; without the variables nothing is removed.
///
/// # Errors
/// A usage error if one of them is no number.
pub(crate) fn of(environment: &Environment) -> Result<Removal> {
    retention::rules_from(environment).map(Removal)
}

impl Removal {
    /// The policy in words.
    pub(crate) fn words(&self) -> String {
        let words = |rule: &Rule| match rule {
            Rule::Newest { most, .. } => format!("{most} {rule}"),
            rule => rule.to_string(),
        };
        let rules: Vec<String> = self.0.iter().map(words).collect();
        if rules.is_empty() { "no retention".to_owned() } else { format!("a retention of {}", rules.join(", ")) }
    }

    /// The ids of those that go at this time.
    ///
    /// # Errors
    /// Those of the plan.
    pub(crate) fn removes(&self, kept: &[Manifest], at: Instant) -> Result<HashSet<String>> {
        if self.0.is_empty() {
            return Ok(HashSet::new());
        }
        let backups: Vec<Backup> = kept.iter().map(|manifest| Backup::new(manifest, &[])).collect();
        let policy = Policy::of(self.0.clone());
        let plan = retention::plan(&backups, &policy, at)?;
        Ok(plan.into_iter().filter(|verdict| !verdict.keeps).map(|verdict| verdict.backup.id.clone()).collect())
    }
}
