//! When to try again and after which pause: pure functions, shared by the wrapper and by providers that retry parts.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use vb_core::environment::{Environment, VB_RETRIES, VB_TIMEOUT, Variable};
use vb_core::{Error, Result};

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
    /// How long the other side may be silent.
    pub silence: Duration,
}

/// What must pass within [`RetryPolicy::silence`]: 35 kB a second within the default minute.
const LEAST_BYTES: u64 = 2 << 20;

/// More would hide a fault for a day.
const MOST_RETRIES: u32 = 100;

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            tries: 4,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(20),
            deadline: Duration::from_secs(300),
            silence: Duration::from_secs(60),
        }
    }
}

impl RetryPolicy {
    /// With `VB_RETRIES` and `VB_TIMEOUT`.
    ///
    /// # Errors
    /// A usage error if one of them is no number, or too large.
    pub fn new(environment: &Environment) -> Result<Self> {
        let policy = Self::default();
        let retries = number(environment, VB_RETRIES, 0..=MOST_RETRIES)?;
        let silence = number(environment, VB_TIMEOUT, 1..=3600)?;
        Ok(Self {
            tries: retries.map_or(policy.tries, |retries| retries + 1),
            silence: silence.map_or(policy.silence, |seconds| Duration::from_secs(seconds.into())),
            ..policy
        })
    }

    /// How long a request that moves this many bytes may take.
    #[must_use]
    pub fn limit(&self, moved_bytes: u64) -> Duration {
        self.silence.saturating_add(self.silence.mul_f64(moved_bytes as f64 / LEAST_BYTES as f64))
    }

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

    /// The pause before the next try, or `None` to give up: after the last try, past the deadline, or if this error would
    /// only come again. What the other side asks for (`Retry-After`) counts up to the longest pause.
    #[must_use]
    pub fn pause(&self, error: &Error, failed_tries: u32, elapsed: Duration, random: u64) -> Option<Duration> {
        if !error.is_passing() {
            return None;
        }
        let pauses = self.pauses(failed_tries)?;
        let most_nanoseconds = u64::try_from(pauses.end().as_nanos()).unwrap_or(u64::MAX);
        let pause = Duration::from_nanos(random % most_nanoseconds.saturating_add(1).max(1));
        let pause = error.retry_after().map_or(pause, |asked| asked.min(self.longest_pause).max(pause));
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

fn number(environment: &Environment, variable: Variable, allowed: RangeInclusive<u32>) -> Result<Option<u32>> {
    let Some(text) = environment.get(variable) else { return Ok(None) };
    match text.parse().ok().filter(|number| allowed.contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(Error::usage(format!("{} is {text:?}", variable.name)).with_hint(format!(
            "Set it to a number from {} to {}.",
            allowed.start(),
            allowed.end()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vb_core::ErrorKind;

    const POLICY: RetryPolicy = RetryPolicy {
        tries: 5,
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(3),
        deadline: Duration::from_secs(60),
        silence: Duration::from_secs(60),
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
            let pause = POLICY.pause(&Error::new(kind, "x"), 1, Duration::ZERO, 7);
            assert_eq!(pause.is_some(), kind == ErrorKind::Unavailable, "{kind:?}");
        }
        let changed = Error::integrity("other bytes came").worth_another_try();
        assert!(POLICY.pause(&changed, 1, Duration::ZERO, 7).is_some());
    }

    #[test]
    fn the_other_side_is_left_alone_for_as_long_as_it_asks_within_reason() {
        let pause = |seconds| {
            let asked = Error::unavailable("busy").with_retry_after(Some(Duration::from_secs(seconds)));
            POLICY.pause(&asked, 1, Duration::ZERO, 0)
        };
        assert_eq!(pause(2), Some(Duration::from_secs(2)));
        assert_eq!(pause(3600), Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_part_has_minutes_on_a_slow_line() {
        assert_eq!(RetryPolicy::default().limit(0).as_secs(), 60);
        assert_eq!(RetryPolicy::default().limit(8 << 20).as_secs(), 300);
    }

    #[test]
    fn the_environment_decides() {
        let policy =
            |name: &str, value: &str| RetryPolicy::new(&Environment::new([(name.to_owned(), value.to_owned())]));
        assert_eq!(policy("VB_RETRIES", "0").unwrap().tries, 1);
        assert_eq!(policy("VB_TIMEOUT", "5").unwrap().silence.as_secs(), 5);
        assert_eq!(policy("VB_STORE", "x").unwrap(), RetryPolicy::default());
        for (name, value) in [("VB_RETRIES", "many"), ("VB_TIMEOUT", "0"), ("VB_RETRIES", "1000")] {
            assert_eq!(policy(name, value).unwrap_err().kind(), ErrorKind::Usage);
        }
    }

    #[test]
    fn a_pause_lies_in_its_range_and_before_the_deadline() {
        for random in [0, 1, u64::MAX / 2, u64::MAX] {
            let pause = POLICY.pause(&Error::unavailable("x"), 2, Duration::ZERO, random).unwrap();
            assert!(pause <= Duration::from_secs(2), "{pause:?}");
        }
        assert_eq!(POLICY.pause(&Error::unavailable("x"), 1, Duration::from_secs(60), 0), None);
    }

    #[test]
    fn the_warning_reads_as_one_line() {
        let warning = POLICY.warning(&"reading a: connection refused", 1, Duration::from_millis(700));
        assert_eq!(warning, "reading a: connection refused; trying again in 0.7 s (try 2 of 5)");
    }
}
