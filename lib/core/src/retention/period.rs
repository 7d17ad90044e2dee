//! The periods of which a rule keeps one backup each, in UTC.

use crate::time::Instant;
use chrono::{Datelike, Timelike};
use serde::{Deserialize, Serialize};

/// A period of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// An hour of a day.
    Hour,
    /// A day.
    Day,
    /// An ISO week, which begins on Monday.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl Period {
    /// All of them, the shortest first.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];

    /// Which one this time is in; two times of the same period have the same numbers.
    #[must_use]
    pub fn of(self, at: Instant) -> (i32, u32) {
        match self {
            Self::Hour => (at.num_days_from_ce(), at.hour()),
            Self::Day => (at.num_days_from_ce(), 0),
            Self::Week => (at.iso_week().year(), at.iso_week().week()),
            Self::Month => (at.year(), at.month()),
            Self::Year => (at.year(), 0),
        }
    }

    /// The word in options and reasons.
    #[must_use]
    pub fn adverb(self) -> &'static str {
        match self {
            Self::Hour => "hourly",
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Year => "yearly",
        }
    }

    /// The word for the period itself.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}
