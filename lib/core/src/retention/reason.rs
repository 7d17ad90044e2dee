//! Why a backup is kept or removed, in words that stand in the plan and in status lines.

use super::rule::Rule;
use super::standing::Standing;
use crate::label::Kind;
use serde::{Serialize, Serializer};
use std::fmt;

/// One reason. Its words are its `Display`; no program should depend on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason<'all> {
    /// This rule keeps it, as the so-manyth good one that it counts.
    Rule {
        /// The rule.
        rule: &'all Rule,
        /// From 1; none where the rule does not count, or the backup does not.
        number: Option<usize>,
    },
    /// Somebody pinned it.
    Pinned,
    /// It is dated after now.
    Future,
    /// Without it nothing good would be left.
    NewestGood,
    /// It is newer than the newest good one, and may become good.
    NotYetGood,
    /// No backup of its history is good, so none is the reason to remove another.
    NothingGood,
    /// The policy judges only backups of this kind.
    NotJudged(Kind),
    /// The policy judges only another set.
    OtherSet,
    /// This kept one stands on it.
    BaseOf(&'all str),
    /// It counts for nothing, and why. Boxed, since it is long and rare, and there are reasons for a hundred thousand backups.
    Standing(Box<Standing<'all>>),
    /// This rule does not want it: too old, or without the tags.
    Outside(&'all Rule),
    /// This rule has kept as many as it wants, all of them newer.
    UsedUp(&'all Rule),
    /// This rule keeps a newer one of the same period.
    Taken {
        /// The rule.
        rule: &'all Rule,
        /// The newer one.
        by: &'all str,
    },
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { rule: rule @ (Rule::Last(_) | Rule::Newest { .. }), number: Some(number) } => {
                write!(formatter, "{rule} {number}")
            }
            Self::Rule { rule, .. } => rule.fmt(formatter),
            Self::Pinned => formatter.write_str("pinned"),
            Self::Future => formatter.write_str("dated in the future"),
            Self::NewestGood => formatter.write_str("the newest good one of its set"),
            Self::NotYetGood => formatter.write_str("newer than the newest good one of its set"),
            Self::NothingGood => formatter.write_str("nothing in its set is good"),
            Self::NotJudged(kind) => write!(formatter, "only {} backups are judged", kind.name()),
            Self::OtherSet => formatter.write_str("another set is judged"),
            Self::BaseOf(id) => write!(formatter, "base of {id}"),
            Self::Standing(standing) => write!(formatter, "counts for nothing: {standing}"),
            Self::Outside(rule) => outside(rule, formatter),
            Self::UsedUp(rule) => used_up(rule, formatter),
            Self::Taken { rule: Rule::Newest { of_each, .. } | Rule::NewestWithin { of_each, .. }, by } => {
                write!(formatter, "{}: {by} is newer in the same {}", of_each.adverb(), of_each.noun())
            }
            Self::Taken { rule, by } => write!(formatter, "{rule}: {by} is newer"),
        }
    }
}

fn outside(rule: &Rule, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    match rule {
        Rule::NotOlder(age) => write!(formatter, "older than {age}"),
        Rule::Tagged(tags) => write!(formatter, "no tag {}", tags.join(",")),
        rule => write!(formatter, "not {rule} of the newest good one"),
    }
}

fn used_up(rule: &Rule, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    match rule {
        Rule::Last(1) => formatter.write_str("last: a newer one is kept"),
        Rule::Last(most) => write!(formatter, "last: {most} newer ones are kept"),
        Rule::Newest { of_each, most: 1 } => write!(formatter, "{rule}: a newer {} is kept", of_each.noun()),
        Rule::Newest { of_each, most } => write!(formatter, "{rule}: {most} newer {}s are kept", of_each.noun()),
        rule => write!(formatter, "{rule}: newer ones are kept"),
    }
}

impl Serialize for Reason<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
