//! Retention: what a policy keeps and what it no longer wants. A pure function of the backups, the policy and the time.
//!
//! The rules are those that restic's users know. On top of them: only a good backup is ever the reason to remove another,
//! a base lives as long as what stands on it, a backup from the future is kept and uses up nothing, ages count from the
//! newest good backup (so that nothing good goes while backups fail), and that one never goes.

mod age;
mod backup;
mod period;
mod plan;
mod policy;
#[cfg(test)]
mod properties;
mod reason;
mod rule;
mod standing;
#[cfg(test)]
mod tests;

pub use age::Age;
pub use backup::Backup;
pub use period::Period;
pub use plan::{Reasons, Verdict, plan};
pub use policy::{GroupBy, Policy, parse_number, rules_from};
pub use reason::Reason;
pub use rule::{Rule, UNLIMITED};
pub use standing::Standing;
