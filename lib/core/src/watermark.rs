//! Since when: what `--since`, `--until` and `--range` mean, and the watermark of an export.

pub use crate::mark::Mark;
use crate::time::Instant;
use crate::{Error, Result};
use chrono::{Days, NaiveDate, TimeDelta};

/// A time on the command line: RFC 3339, `2026-11-21`, `2026-11-21 03:15` or `2026-11-21 03:15:00` (all UTC), or an age such as `36h` or
/// `7d`. A day begins with its midnight.
///
/// # Errors
/// A usage error that shows the forms.
pub fn parse_when(text: &str, now: Instant) -> Result<Instant> {
    instant(text).or_else(|| age(text).and_then(|age| now.checked_sub_signed(age))).ok_or_else(|| {
        Error::usage(format!("{text:?} is no time"))
            .with_hint("Write 2026-11-21T03:15:00Z, 2026-11-21T03:15, 2026-11-21, or an age such as 36h or 7d.")
    })
}

/// The last moment of what `--at` names: a day is all of that day, a time without seconds all of its minute; anything else as
/// in [`parse_when`].
///
/// # Errors
/// A usage error that shows the forms.
pub fn parse_at(text: &str, now: Instant) -> Result<Instant> {
    let at = parse_when(text, now)?;
    let length = if text.parse::<NaiveDate>().is_ok() {
        TimeDelta::days(1)
    } else if minute(text).is_some() {
        TimeDelta::minutes(1)
    } else {
        return Ok(at);
    };
    Ok(at.checked_add_signed(length - TimeDelta::nanoseconds(1)).unwrap_or(at))
}

fn minute(text: &str) -> Option<Instant> {
    let parse = |form: &str| chrono::NaiveDateTime::parse_from_str(text, form).ok();
    ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%MZ"].into_iter().find_map(parse).map(|at| at.and_utc())
}

pub(crate) fn instant(text: &str) -> Option<Instant> {
    if let Ok(at) = chrono::DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    for form in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y%m%d_%H%M%S"] {
        if let Ok(at) = chrono::NaiveDateTime::parse_from_str(text, form) {
            return Some(at.and_utc());
        }
    }
    minute(text).or_else(|| midnight(text.parse().ok()?))
}

fn age(text: &str) -> Option<TimeDelta> {
    let unit_at = text.len().checked_sub(1)?;
    let number: i64 = text.get(..unit_at)?.parse().ok().filter(|number| *number >= 0)?;
    match text.get(unit_at..)? {
        "s" => TimeDelta::try_seconds(number),
        "m" => TimeDelta::try_minutes(number),
        "h" => TimeDelta::try_hours(number),
        "d" => TimeDelta::try_days(number),
        "w" => TimeDelta::try_weeks(number),
        _ => None,
    }
}

fn midnight(day: NaiveDate) -> Option<Instant> {
    Some(day.and_hms_opt(0, 0, 0)?.and_utc())
}

/// `YYYY-MM-DD:YYYY-MM-DD`, both days included, as the half-open span from the first midnight to the one after the last.
///
/// # Errors
/// A usage error if it is no range, or ends before it begins.
pub fn parse_range(text: &str) -> Result<std::ops::Range<Instant>> {
    let refuse = |why: &str| {
        Error::usage(format!("the range {text:?} {why}"))
            .with_hint("Write 2026-11-01:2026-11-30; both days are included.")
    };
    let (first, last) = text.split_once(':').ok_or_else(|| refuse("has no colon"))?;
    let day = |text: &str| text.parse::<NaiveDate>().map_err(|_| refuse("is not made of two days"));
    let (first, last) = (day(first)?, day(last)?);
    if last < first {
        return Err(refuse("ends before it begins"));
    }
    let after = last.checked_add_days(Days::new(1)).and_then(midnight);
    match (midnight(first), after) {
        (Some(start), Some(end)) => Ok(start..end),
        _ => Err(refuse("is out of bounds")),
    }
}

/// What a server shows of the moment at which an export took its snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The server's clock, read before the running transactions were listed, and these before the snapshot.
    pub clock: Instant,
    /// The start of the oldest transaction that was listed.
    pub oldest_running: Option<Instant>,
    /// When the oldest prepared transaction was prepared. It began earlier; nobody can say when.
    pub oldest_prepared: Option<Instant>,
    /// Whether other transactions may have been hidden from us.
    pub hidden: bool,
}

/// The watermark of an export by a time column: the next one starts here and loses nothing.
///
/// `now()`, which fills time columns, is the start of a transaction. One that the snapshot does not see either was listed,
/// or began after the clock was read: so no row that it will write is older than the result. Where we cannot know when
/// a transaction began, `overlap` is what we step back instead. A prepared one cannot have begun before the `last` export's watermark:
/// either that export saw it running, or it began later.
#[must_use]
pub fn of_export(moment: &Moment, overlap: TimeDelta, last: Option<Instant>) -> Instant {
    let back = |at: Instant| at.checked_sub_signed(overlap).unwrap_or(at);
    let floor = if moment.hidden { back(moment.clock) } else { moment.clock };
    let prepared = moment.oldest_prepared.map(|at| last.map_or(back(at), |last| last.min(back(at))));
    [moment.oldest_running, prepared].into_iter().flatten().fold(floor, Instant::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    #[test]
    fn times_in_every_form() {
        let now = at("2026-11-21T12:00:00Z");
        for (text, expected) in [
            ("2026-11-21T03:15:00+01:00", "2026-11-21T02:15:00Z"),
            ("2026-11-21", "2026-11-21T00:00:00Z"),
            ("2026-11-21 03:15:00.5", "2026-11-21T03:15:00.5Z"),
            ("36h", "2026-11-20T00:00:00Z"),
            ("7d", "2026-11-14T12:00:00Z"),
        ] {
            assert_eq!(parse_when(text, now).unwrap(), at(expected), "{text}");
        }
        for bad in ["", "yesterday", "-3h", "3y", "2026-13-01", "ü"] {
            assert!(parse_when(bad, now).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_day_and_a_minute_are_all_of_them() {
        let now = at("2026-11-21T12:00:00Z");
        for (text, begins, ends) in [
            ("2026-11-20", "2026-11-20T00:00:00Z", "2026-11-20T23:59:59.999999999Z"),
            ("2026-11-20T03:15", "2026-11-20T03:15:00Z", "2026-11-20T03:15:59.999999999Z"),
            ("2026-11-20 03:15", "2026-11-20T03:15:00Z", "2026-11-20T03:15:59.999999999Z"),
            ("2026-11-20T03:15Z", "2026-11-20T03:15:00Z", "2026-11-20T03:15:59.999999999Z"),
            ("2026-11-20T03:15:00", "2026-11-20T03:15:00Z", "2026-11-20T03:15:00Z"),
            ("36h", "2026-11-20T00:00:00Z", "2026-11-20T00:00:00Z"),
        ] {
            assert_eq!(
                (parse_when(text, now).unwrap(), parse_at(text, now).unwrap()),
                (at(begins), at(ends)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_range_includes_both_days() {
        let range = parse_range("2026-02-28:2026-03-01").unwrap();
        assert_eq!(range, at("2026-02-28T00:00:00Z")..at("2026-03-02T00:00:00Z"));
        for bad in ["2026-01-01", "2026-02-02:2026-02-01", "a:b"] {
            assert!(parse_range(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_watermark_waits_for_what_still_runs() {
        let quiet =
            Moment { clock: at("2026-11-21T12:00:00Z"), oldest_running: None, oldest_prepared: None, hidden: false };
        let running = Moment { oldest_running: Some(at("2026-11-21T11:59:00Z")), ..quiet };
        let prepared = Moment { oldest_prepared: Some(at("2026-11-21T11:30:00Z")), ..running };
        let hidden = Moment { hidden: true, ..running };
        for (moment, expected) in [
            (quiet, "2026-11-21T12:00:00Z"),
            (running, "2026-11-21T11:59:00Z"),
            (prepared, "2026-11-21T10:30:00Z"),
            (hidden, "2026-11-21T11:00:00Z"),
        ] {
            assert_eq!(of_export(&moment, TimeDelta::hours(1), None), at(expected), "{moment:?}");
        }
        for (moment, last, expected) in [
            (running, "2026-11-21T10:00:00Z", "2026-11-21T11:59:00Z"),
            (prepared, "2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z"),
            (prepared, "2026-11-21T11:00:00Z", "2026-11-21T10:30:00Z"),
        ] {
            let watermark = of_export(&moment, TimeDelta::hours(1), Some(at(last)));
            assert_eq!(watermark, at(expected), "{moment:?} after {last}");
        }
    }
}
