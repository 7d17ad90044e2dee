//! Ages as restic writes them: `1y5m7d2h`, in years, months, days and hours of the calendar; weeks are ours.

use crate::time::Instant;
use crate::{Error, Result};
use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A length of time on the calendar. Never nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Age {
    years: u32,
    months: u32,
    days: u32,
    hours: u32,
}

impl Age {
    /// This many days.
    #[must_use]
    pub fn days(days: u32) -> Self {
        Self { years: 0, months: 0, days, hours: 0 }
    }

    /// So long before this time. A day that its month does not have is carried over into the next one, as restic does: a
    /// month before 31 October is 1 October. Beyond the calendar it is the beginning of all time.
    #[must_use]
    pub fn before(self, at: Instant) -> Instant {
        self.checked_before(at).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    fn checked_before(self, at: Instant) -> Option<Instant> {
        let back = i64::from(self.years) * 12 + i64::from(self.months);
        let months = i64::from(at.year()) * 12 + i64::from(at.month0()) - back;
        let month = u32::try_from(months.rem_euclid(12)).ok()? + 1;
        let first = NaiveDate::from_ymd_opt(i32::try_from(months.div_euclid(12)).ok()?, month, 1)?;
        let date = first.checked_add_signed(TimeDelta::days(i64::from(at.day0()) - i64::from(self.days)))?;
        date.and_time(at.time()).and_utc().checked_sub_signed(TimeDelta::hours(i64::from(self.hours)))
    }
}

impl FromStr for Age {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).ok_or_else(|| {
            Error::usage(format!("{text:?} is no age"))
                .with_hint("Write it in years, months, weeks, days and hours, such as 1y6m, 30d, 8w or 36h.")
        })
    }
}

fn parse(text: &str) -> Option<Age> {
    let mut age = Age::days(0);
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let number: u32 = rest.get(..digits)?.parse().ok()?;
        let unit = rest.get(digits..)?.chars().next()?;
        let (field, number) = match unit {
            'y' => (&mut age.years, number),
            'm' => (&mut age.months, number),
            'w' => (&mut age.days, number.checked_mul(7)?),
            'd' => (&mut age.days, number),
            'h' => (&mut age.hours, number),
            _ => return None,
        };
        *field = field.checked_add(number)?;
        rest = rest.get(digits + unit.len_utf8()..)?;
    }
    (age != Age::days(0)).then_some(age)
}

impl fmt::Display for Age {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(self.years, 'y'), (self.months, 'm'), (self.days, 'd'), (self.hours, 'h')];
        units
            .iter()
            .filter(|(number, _)| *number > 0)
            .try_for_each(|(number, unit)| write!(formatter, "{number}{unit}"))
    }
}

impl From<Age> for String {
    fn from(age: Age) -> Self {
        age.to_string()
    }
}

impl TryFrom<String> for Age {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_as_restic_reads_them() {
        for (text, shown) in [("1y5m7d2h", "1y5m7d2h"), ("36h", "36h"), ("8w", "56d"), ("2h1d", "1d2h"), ("1w1d", "8d")]
        {
            assert_eq!(text.parse::<Age>().unwrap().to_string(), shown);
        }
        for bad in ["", "30", "d", "-1d", "0d", "0y0h", "1s", "1 d", "999999999999999999w", "999999999w", "3ö"] {
            assert_eq!(bad.parse::<Age>().unwrap_err().kind(), crate::ErrorKind::Usage, "{bad:?}");
        }
    }

    #[test]
    fn calendar_arithmetic_carries_days_over() {
        let before =
            |age: &str, at: &str| crate::time::seconds(age.parse::<Age>().unwrap().before(at.parse().unwrap()));
        assert_eq!(before("1m", "2026-10-31T03:15:00Z"), "2026-10-01T03:15:00Z");
        assert_eq!(before("1y1m1d1h", "2026-01-01T00:30:00Z"), "2024-11-29T23:30:00Z");
        assert_eq!(before("1y", "2028-02-29T00:00:00Z"), "2027-03-01T00:00:00Z");
        let ancient = "4000000000y".parse::<Age>().unwrap().before("2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(ancient, DateTime::<Utc>::MIN_UTC);
    }
}
