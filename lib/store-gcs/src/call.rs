//! One request: its time limit, and tried again where only we can.

use std::time::{Duration, Instant};
use vb_core::Result;
use vb_store::{RetryPolicy, Warn, random_u64};

/// For an answer without much data.
const ANSWER: Duration = Duration::from_secs(60);

/// A slower connection counts as broken, in bytes a second.
const SLOWEST: u64 = 32 << 10;

/// How long a request that moves this many bytes may take.
pub(crate) fn limit(moved_bytes: u64) -> Duration {
    ANSWER.saturating_add(Duration::from_secs(moved_bytes / SLOWEST))
}

/// Tries as often as the policy allows. `attempt` is told whether an answer to an earlier one may have been lost.
pub(crate) async fn with_retries<T, F>(
    policy: &RetryPolicy,
    warn: &Warn,
    mut attempt: impl FnMut(bool) -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let begun = Instant::now();
    let mut failed_tries = 0;
    loop {
        let error = match attempt(failed_tries > 0).await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        failed_tries += 1;
        let Some(pause) = policy.pause(error.kind(), failed_tries, begun.elapsed(), random_u64()) else {
            return Err(error);
        };
        warn(&policy.warning(&error, failed_tries, pause));
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_minutes_on_a_slow_line() {
        assert_eq!(limit(0).as_secs(), 60);
        assert_eq!(limit(16 << 20).as_secs(), 60 + 512);
    }
}
