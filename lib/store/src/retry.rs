//! When to try again and after which pause: pure functions, shared by the wrapper and by providers that retry parts.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use vb_core::ErrorKind;

/// Told one line before each further try, so that a slow run explains itself.
pub type Warn = Arc<dyn Fn(&str) + Send + Sync>;

/// For callers that do not say when something is tried again.
#[must_use]
pub fn no_warning() -> Warn {
    Arc::new(|_| {})
}

/// How often and how patiently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// All tries, the first included.
    pub tries: u32,
    /// The longest pause after the first failed try; it doubles with each further one.
    pub first_pause: Duration,
    /// No pause is longer.
    pub longest_pause: Duration,
    /// No further try begins later than this after the first one.
    pub deadline: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            tries: 3,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(20),
            deadline: Duration::from_secs(300),
        }
    }
}

impl RetryPolicy {
    /// The pauses allowed after this many failed tries; `None` if there is to be no further one.
    ///
    /// From zero: full jitter spreads clients that failed together (AWS Architecture Blog, "Exponential Backoff And
    /// Jitter").
    #[must_use]
    pub fn pauses(&self, failed_tries: u32) -> Option<RangeInclusive<Duration>> {
        if failed_tries >= self.tries {
            return None;
        }
        let doubled = self.first_pause.saturating_mul(1 << failed_tries.saturating_sub(1).min(20));
        Some(Duration::ZERO..=doubled.min(self.longest_pause))
    }

    /// The pause before the next try, or `None` to give up: after the last try, past the deadline, or if this kind of
    /// error would only come again.
    #[must_use]
    pub fn pause(&self, kind: ErrorKind, failed_tries: u32, elapsed: Duration, random: u64) -> Option<Duration> {
        if kind != ErrorKind::Unavailable {
            return None;
        }
        let pauses = self.pauses(failed_tries)?;
        let most_nanoseconds = u64::try_from(pauses.end().as_nanos()).unwrap_or(u64::MAX);
        let pause = Duration::from_nanos(random % most_nanoseconds.saturating_add(1).max(1));
        (elapsed.saturating_add(pause) < self.deadline).then_some(pause)
    }

    /// The line for [`Warn`].
    #[must_use]
    pub fn warning(&self, error: &impl fmt::Display, failed_tries: u32, pause: Duration) -> String {
        format!(
            "{error}; trying again in {:.1} s (try {} of {})",
            pause.as_secs_f64(),
            failed_tries.saturating_add(1),
            self.tries
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        tries: 5,
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(3),
        deadline: Duration::from_secs(60),
    };

    #[test]
    fn pauses_double_up_to_the_longest_and_end_with_the_tries() {
        let longest: Vec<_> =
            (1..=5).map(|failed| POLICY.pauses(failed).map(|pauses| pauses.end().as_secs())).collect();
        assert_eq!(longest, [Some(1), Some(2), Some(3), Some(3), None]);
    }

    #[test]
    fn only_the_unavailable_is_tried_again() {
        for kind in ErrorKind::ALL {
            let pause = POLICY.pause(kind, 1, Duration::ZERO, 7);
            assert_eq!(pause.is_some(), kind == ErrorKind::Unavailable, "{kind:?}");
        }
    }

    #[test]
    fn a_pause_lies_in_its_range_and_before_the_deadline() {
        for random in [0, 1, u64::MAX / 2, u64::MAX] {
            let pause = POLICY.pause(ErrorKind::Unavailable, 2, Duration::ZERO, random).unwrap();
            assert!(pause <= Duration::from_secs(2), "{pause:?}");
        }
        assert_eq!(POLICY.pause(ErrorKind::Unavailable, 1, Duration::from_secs(60), 0), None);
    }

    #[test]
    fn the_warning_reads_as_one_line() {
        let warning = POLICY.warning(&"reading a: connection refused", 1, Duration::from_millis(700));
        assert_eq!(warning, "reading a: connection refused; trying again in 0.7 s (try 2 of 5)");
    }
}
