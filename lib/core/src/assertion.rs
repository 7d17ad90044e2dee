//! What must be true of a set's backups, as one line: `age<26h && level>=2 && (count>=7 || bytes>10GB)`.
//!
//! The fields are about the newest backup of the set, but `count` is about the set. A pure function of values: whoever
//! asks passes the age in. Something that nobody counted (`records` of a foreign stream) is true of nothing.

mod parse;

use crate::fact::Level;
use crate::{Result, time};
use chrono::TimeDelta;
use std::fmt;

/// What is known of a set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// Since the newest backup's upload began.
    pub age: TimeDelta,
    /// How far the newest one has been verified.
    pub level: Level,
    /// The backups in the set.
    pub count: u64,
    /// What the newest one takes in the store.
    pub bytes: u64,
    /// The records of the newest one.
    pub records: Option<u64>,
    /// By how many per cent the newest one is larger than the median of those of its kind before it; 0 for a first one.
    pub growth_percent: f64,
}

/// A condition that was parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Assertion(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Clause(Clause),
}

/// One comparison, such as `age<26h`.
#[derive(Debug, Clone, PartialEq)]
struct Clause {
    field: Field,
    operator: Operator,
    /// In the field's unit: seconds, a level, a number, bytes, per cent.
    value: f64,
    /// As the user wrote it.
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Age,
    Level,
    Count,
    Bytes,
    Records,
    Growth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    Other,
}

/// A comparison that does not hold, and what is so instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The comparison as it was written.
    pub clause: String,
    /// The field and its value.
    pub actual: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} fails: {}", self.clause, self.actual)
    }
}

impl Assertion {
    /// Reads a condition.
    ///
    /// # Errors
    /// A usage error that points at the place.
    pub fn parse(text: &str) -> Result<Self> {
        parse::parse(text).map(Self)
    }

    /// The comparisons because of which it does not hold; none if it holds.
    #[must_use]
    pub fn failures(&self, known: &Known) -> Vec<Failure> {
        self.0.failures(known)
    }
}

impl Node {
    fn failures(&self, known: &Known) -> Vec<Failure> {
        match self {
            Self::All(nodes) => nodes.iter().flat_map(|node| node.failures(known)).collect(),
            Self::Any(nodes) => {
                let failures: Vec<Vec<Failure>> = nodes.iter().map(|node| node.failures(known)).collect();
                if failures.iter().any(Vec::is_empty) { Vec::new() } else { failures.concat() }
            }
            Self::Clause(clause) => clause.failure(known).into_iter().collect(),
        }
    }
}

impl Clause {
    fn failure(&self, known: &Known) -> Option<Failure> {
        let actual = self.field.value(known);
        if actual.is_some_and(|actual| self.operator.holds(actual, self.value)) {
            return None;
        }
        Some(Failure { clause: self.text.clone(), actual: self.field.words(known) })
    }
}

impl Operator {
    #[allow(clippy::float_cmp)] // whole numbers below 2^53
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Greater => left > right,
            Self::AtLeast => left >= right,
            Self::Equal => left == right,
            Self::Other => left != right,
        }
    }
}

impl Field {
    #[allow(clippy::cast_precision_loss)] // exact up to 2^53, more than any store holds
    fn value(self, known: &Known) -> Option<f64> {
        match self {
            // Dated in the future by more than clocks differ: a wrong clock must not keep the switch quiet for ever.
            Self::Age => Some(known.age.num_seconds() as f64).filter(|seconds| *seconds > -3600.0),
            Self::Level => Some(f64::from(known.level.number())),
            Self::Count => Some(known.count as f64),
            Self::Bytes => Some(known.bytes as f64),
            Self::Records => known.records.map(|records| records as f64),
            Self::Growth => Some(known.growth_percent),
        }
    }

    fn words(self, known: &Known) -> String {
        match self {
            Self::Age => format!("age is {}", time::age(known.age)),
            Self::Level => format!("level is {}", known.level.number()),
            Self::Count => format!("count is {}", known.count),
            Self::Bytes => format!("bytes is {}", known.bytes),
            Self::Records => {
                known.records.map_or("records is unknown".to_owned(), |records| format!("records is {records}"))
            }
            Self::Growth => format!("growth is {:.0}%", known.growth_percent),
        }
    }
}

#[cfg(test)]
mod tests;
