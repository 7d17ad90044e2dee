//! One rule of a policy, and what it says of each backup of a history.

use super::age::Age;
use super::backup::Backup;
use super::period::Period;
use super::reason::Reason;
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::fmt;

/// As many as there are.
pub const UNLIMITED: usize = usize::MAX;

/// Which backups to keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The newest, whenever they were made.
    Last(usize),
    /// The newest of each of so many periods; a period without a backup uses up nothing.
    Newest {
        /// Of which periods.
        of_each: Period,
        /// Of how many of them.
        most: usize,
    },
    /// The newest of each period that is within this age of the newest good backup.
    NewestWithin {
        /// Of which periods.
        of_each: Period,
        /// The age.
        age: Age,
    },
    /// All within this age of the newest good backup.
    Within(Age),
    /// All that are not older than this, counted from the newest good backup.
    NotOlder(Age),
    /// All that have all of these tags.
    Tagged(Vec<String>),
}

/// What a rule says of a backup: whether it keeps it, and why or why not.
pub(super) type Opinion<'all> = (bool, Reason<'all>);

/// Tells its opinion of a backup, and remembers whether it was good.
pub(super) type Judge<'all> = Box<dyn FnMut(&'all Backup, bool) -> Opinion<'all> + 'all>;

impl Rule {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Last(most) | Self::Newest { most, .. } => *most == 0,
            Self::Tagged(tags) => tags.is_empty(),
            Self::NewestWithin { .. } | Self::Within(_) | Self::NotOlder(_) => false,
        }
    }

    /// Judges the backups of a history that are not dated in the future; they are to be shown one by one, the newest first. Ages count
    /// from the newest good one.
    pub(super) fn judge(&self, newest_good_at: Instant) -> Judge<'_> {
        let limit = self.age().map(|age| age.before(newest_good_at));
        let younger = move |backup: &Backup| limit.is_none_or(|limit| backup.created_at > limit);
        match self {
            Self::Last(most) => self.count(*most, younger, None),
            Self::Newest { of_each, most } => self.count(*most, younger, Some(*of_each)),
            Self::NewestWithin { of_each, .. } => self.count(UNLIMITED, younger, Some(*of_each)),
            Self::Within(_) => self.test(younger),
            Self::NotOlder(_) => self.test(move |backup| limit.is_none_or(|limit| backup.created_at >= limit)),
            Self::Tagged(tags) => self.test(|backup| tags.iter().all(|tag| backup.tags.contains(tag))),
        }
    }

    fn age(&self) -> Option<Age> {
        match self {
            Self::NewestWithin { age, .. } | Self::Within(age) | Self::NotOlder(age) => Some(*age),
            Self::Last(_) | Self::Newest { .. } | Self::Tagged(_) => None,
        }
    }

    fn test<'all>(&'all self, keeps: impl Fn(&Backup) -> bool + 'all) -> Judge<'all> {
        Box::new(move |backup, _| match keeps(backup) {
            true => (true, Reason::Rule { rule: self, number: None }),
            false => (false, Reason::Outside(self)),
        })
    }

    /// Counts off the newest of each period (or every one), until the number is used up. Only a good backup uses it up or
    /// takes a period, so nothing else is ever the reason to remove one.
    fn count<'all>(
        &'all self,
        most: usize,
        is_young: impl Fn(&Backup) -> bool + 'all,
        period: Option<Period>,
    ) -> Judge<'all> {
        let (mut used, mut taken) = (0, None);
        Box::new(move |backup: &'all Backup, good| {
            if !is_young(backup) {
                return (false, Reason::Outside(self));
            }
            if used >= most {
                return (false, Reason::UsedUp(self));
            }
            let this = period.map(|period| period.of(backup.created_at));
            match taken {
                Some((period, by)) if Some(period) == this => return (false, Reason::Taken { rule: self, by }),
                _ => {}
            }
            if !good {
                return (true, Reason::Rule { rule: self, number: None });
            }
            used += 1;
            taken = this.map(|period| (period, backup.id.as_str()));
            (true, Reason::Rule { rule: self, number: Some(used) })
        })
    }
}

/// The rule's name in a reason: `daily`, `within 30d`, `tag monthly`.
impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last(_) => formatter.write_str("last"),
            Self::Newest { of_each, .. } => formatter.write_str(of_each.adverb()),
            Self::NewestWithin { of_each, age } => write!(formatter, "{} within {age}", of_each.adverb()),
            Self::Within(age) => write!(formatter, "within {age}"),
            Self::NotOlder(age) => write!(formatter, "not older than {age}"),
            Self::Tagged(tags) => write!(formatter, "tag {}", tags.join(",")),
        }
    }
}
