//! Later facts about a backup: a pin, a verification, a copy. Each is a small object of its own beside the manifest, which
//! never changes, and its name alone says the fact, so that a listing tells them all.

use crate::key::Key;
use crate::time::{self, Instant};
use crate::{Result, naming};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How far a backup has been verified; each level holds what those below it hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Level {
    /// Its manifest is listed.
    #[default]
    Listed,
    /// The stored objects have the sizes and checksums of the manifest.
    Stored,
    /// It was decoded from end to end.
    Decoded,
    /// It was restored into a scratch target.
    Restored,
    /// The restored rows have the hash that the source's had at the export.
    Identical,
}

impl Level {
    /// All of them, the lowest first.
    pub const ALL: [Self; 5] = [Self::Listed, Self::Stored, Self::Decoded, Self::Restored, Self::Identical];

    /// `0` to `4`.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }
}

impl From<Level> for u8 {
    fn from(level: Level) -> Self {
        level.number()
    }
}

impl TryFrom<u8> for Level {
    type Error = String;

    fn try_from(number: u8) -> std::result::Result<Self, String> {
        Self::ALL.get(usize::from(number)).copied().ok_or_else(|| format!("there is no verification level {number}"))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "L{}", self.number())
    }
}

/// One fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fact {
    /// Retention must not remove it.
    Pinned,
    /// It was verified up to this level at this time.
    Verified(Level, Instant),
    /// It was found damaged when this level was tried at this time.
    Damaged(Level, Instant),
}

impl Fact {
    /// The key of this fact about a backup.
    ///
    /// # Errors
    /// If set and id make no valid key.
    pub fn key(self, set: &str, id: &str) -> Result<Key> {
        let name = match self {
            Self::Pinned => "pinned".to_owned(),
            Self::Verified(level, at) => format!("verified_{}_{}", level.number(), at.format(naming::ID_TIME)),
            Self::Damaged(level, at) => format!("damaged_{}_{}", level.number(), at.format(naming::ID_TIME)),
        };
        Key::parse(&format!("{set}/{id}_{name}.json"))
    }

    /// When it was found out.
    #[must_use]
    pub fn at(self) -> Option<Instant> {
        match self {
            Self::Pinned => None,
            Self::Verified(_, at) | Self::Damaged(_, at) => Some(at),
        }
    }

    /// What to believe of it, since whoever named it may have had a wrong clock, and the last fact wins. Nothing was found out
    /// long after it was stored, which the store's clock tells; and where that is ahead too, a verification counts for nothing,
    /// and damage stays damage.
    #[must_use]
    pub fn believed(self, stored_at: Instant, now: Instant) -> Option<Self> {
        let true_at = |at| if time::is_ahead(at, stored_at) { stored_at } else { at };
        match self {
            Self::Pinned => Some(self),
            Self::Verified(level, at) => {
                Some(Self::Verified(level, true_at(at))).filter(|_| !time::is_ahead(true_at(at), now))
            }
            Self::Damaged(level, at) if time::is_ahead(true_at(at), now) => Some(Self::Damaged(level, now)),
            Self::Damaged(level, at) => Some(Self::Damaged(level, true_at(at))),
        }
    }

    /// The id and the fact that an object's key tells, or none for any other object.
    #[must_use]
    pub fn parse(key: &Key) -> Option<(&str, Self)> {
        let id = naming::id_of_object(key)?;
        let words = key.file_name().strip_prefix(id)?.strip_prefix('_')?.strip_suffix(".json")?;
        if words == "pinned" {
            return Some((id, Self::Pinned));
        }
        let (word, rest) = words.split_once('_')?;
        let (number, at) = rest.split_once('_')?;
        let level = Level::try_from(number.parse::<u8>().ok()?).ok()?;
        let at = naming::time_of(at)?.and_utc();
        match word {
            "verified" => Some((id, Self::Verified(level, at))),
            "damaged" => Some((id, Self::Damaged(level, at))),
            _ => None,
        }
    }
}

/// What the facts about one backup say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// How far it was verified since it was last found damaged.
    pub level: Level,
    /// Whether it was found damaged, and never since verified as far as that.
    pub damaged: bool,
    /// Whether it must not be removed.
    pub pinned: bool,
}

impl Health {
    /// Only what was verified after the last damage counts, and only a verification that looked as far as the one that found
    /// the damage mends it.
    #[must_use]
    pub fn of(facts: &[Fact]) -> Self {
        let damage = facts.iter().filter_map(|fact| match fact {
            Fact::Damaged(level, at) => Some((*at, *level)),
            Fact::Verified(..) | Fact::Pinned => None,
        });
        let damage = damage.max();
        let verified = facts.iter().filter_map(|fact| match fact {
            Fact::Verified(level, at) if damage.is_none_or(|(damaged_at, _)| *at > damaged_at) => Some(*level),
            _ => None,
        });
        let level = verified.max().unwrap_or_default();
        let damaged = damage.is_some_and(|(_, tried)| level < tried || level == Level::Listed);
        Self { level, damaged, pinned: facts.contains(&Fact::Pinned) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_in_its_name() {
        let at: Instant = "2026-11-21T03:15:00Z".parse().unwrap();
        for fact in [Fact::Pinned, Fact::Verified(Level::Decoded, at), Fact::Damaged(Level::Stored, at)] {
            let key = fact.key("a.b", "a.b_20261120_031500").unwrap();
            assert_eq!(Fact::parse(&key), Some(("a.b_20261120_031500", fact)), "{key}");
        }
    }

    #[test]
    fn a_fact_from_a_clock_that_was_ahead_outweighs_no_later_one() {
        let at = |text: &str| -> Instant { text.parse().unwrap() };
        let (now, next_year) = (at("2026-11-22T00:00:00Z"), at("2027-11-20T00:00:00Z"));
        let (verified, damaged) = (|at| Fact::Verified(Level::Stored, at), |at| Fact::Damaged(Level::Stored, at));
        let good = verified(next_year).believed(at("2026-11-20T00:00:05Z"), now).unwrap();
        assert_eq!(good, verified(at("2026-11-20T00:00:05Z")));
        assert!(Health::of(&[good, damaged(at("2026-11-21T00:00:00Z"))]).damaged);
        let bad = damaged(next_year).believed(at("2026-11-20T00:00:05Z"), now).unwrap();
        assert!(!Health::of(&[bad, verified(at("2026-11-21T00:00:00Z"))]).damaged);
        // Where the store was wrong with it, nothing says when that was.
        assert_eq!(verified(next_year).believed(next_year, now), None);
        assert_eq!(damaged(next_year).believed(next_year, now), Some(damaged(now)));
        // A store that was copied shows later times, and clocks differ by a little.
        for stored_at in ["2026-11-19T22:00:00Z", "2026-11-21T12:00:00Z"] {
            let fact = verified(at("2026-11-20T00:00:00Z"));
            assert_eq!(fact.believed(at(stored_at), now), Some(fact));
        }
    }

    #[test]
    fn other_objects_are_no_facts() {
        let id = "w_20261120_031500";
        for name in [".parquet", "_metadata.json", "_verified_9_20261121_031500.json", "_verified_2.json", "_pinned"] {
            assert_eq!(Fact::parse(&Key::parse(&format!("w/{id}{name}")).unwrap()), None, "{name}");
        }
    }
}
