//! Times as they stand in status lines, manifests and names: UTC, RFC 3339, ending in `Z`.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// An instant in UTC.
pub type Instant = DateTime<Utc>;

/// To the second: `2026-11-21T03:15:04Z`, for status lines.
#[must_use]
pub fn seconds(at: Instant) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// To the microsecond, PostgreSQL's own precision: for watermarks, where a rounded time would lose rows.
#[must_use]
pub fn exact(at: Instant) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Clocks differ by minutes, and zones by hours: only what is dated further ahead than this comes from a wrong clock.
pub const AHEAD: TimeDelta = TimeDelta::days(1);

/// Whether this is so far after `now` that one of the two clocks was wrong.
#[must_use]
pub fn is_ahead(at: Instant, now: Instant) -> bool {
    at - now > AHEAD
}

/// An age as people read it: `5 s`, `12 min`, `3 h`, `9 d`; nothing is older than it is, so it is cut off, not rounded.
#[must_use]
pub fn age(age: TimeDelta) -> String {
    let seconds = age.num_seconds();
    match seconds {
        i64::MIN..0 => "in the future".to_owned(),
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Serializes an optional instant to the microsecond.
pub mod optional {
    use super::{Instant, exact};
    use serde::{Deserialize, Deserializer, Serializer};

    /// `null`, or the exact time.
    ///
    /// # Errors
    /// Only those of the serializer.
    #[allow(clippy::ref_option)] // the signature that serde calls
    pub fn serialize<S: Serializer>(at: &Option<Instant>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => serializer.serialize_some(&exact(*at)),
            None => serializer.serialize_none(),
        }
    }

    /// The inverse.
    ///
    /// # Errors
    /// If the text is not an RFC 3339 time.
    pub fn deserialize<'text, D: Deserializer<'text>>(deserializer: D) -> Result<Option<Instant>, D::Error> {
        Option::<Instant>::deserialize(deserializer)
    }
}
