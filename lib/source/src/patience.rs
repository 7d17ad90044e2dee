//! How long to wait for a table that another session has locked: short waits with pauses of chance between them.
//!
//! Whoever waits for a lock stands in a queue, and later ones stand behind him. So nobody waits long: the server breaks each
//! attempt off after `lock_timeout`, the queue dissolves, and we come again after a pause.

use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

/// The first pause, at most.
const FIRST: Duration = Duration::from_millis(500);
/// Every pause, at most.
const LONGEST: Duration = Duration::from_secs(15);

/// What is left of the time for a lock.
#[derive(Debug)]
pub(crate) struct Patience {
    deadline: Instant,
    attempts: u32,
}

impl Patience {
    /// From now on.
    pub(crate) fn new(wait: Duration) -> Self {
        Self { deadline: Instant::now() + wait, attempts: 0 }
    }

    /// How long to pause before the next attempt, or none when the time is up.
    pub(crate) fn pause(&mut self) -> Option<Duration> {
        let left = self.deadline.checked_duration_since(Instant::now())?;
        self.attempts += 1;
        Some(pause(self.attempts, chance()).min(left))
    }
}

/// Twice as long each time, and between half of that and all of it.
fn pause(attempt: u32, chance: u32) -> Duration {
    let most = FIRST.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX)).min(LONGEST);
    most / 2 + (most / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

/// A number that two processes hardly share: the standard library seeds its hashes with chance.
fn chance() -> u32 {
    (std::collections::hash_map::RandomState::new().build_hasher().finish() >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_differ_by_chance() {
        assert_eq!(pause(1, 0), FIRST / 2);
        assert_eq!(pause(1, u32::MAX), FIRST);
        assert_eq!(pause(3, u32::MAX), FIRST * 4);
        assert_eq!(pause(60, u32::MAX), LONGEST);
    }

    #[test]
    fn patience_ends() {
        assert_eq!(Patience::new(Duration::ZERO).pause().unwrap_or_default(), Duration::ZERO);
        assert!(Patience::new(Duration::from_secs(60)).pause().unwrap() > Duration::ZERO);
    }
}
