//! One request: with a time limit, and tried again where only the provider can.

use std::time::{Duration, Instant};
use vb_core::{Error, Result};
use vb_store::{RetryPolicy, Warn, random_u64};

/// Waits for the request no longer than the limit.
///
/// # Errors
/// `Unavailable` when it is over.
pub async fn within<T>(step: &str, limit: Duration, request: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(limit, request)
        .await
        .map_err(|_| Error::unavailable(format!("{step}: no answer within {} s", limit.as_secs())))
}

/// Tries as often as the policy allows. `attempt` is told whether an answer to an earlier one may have been lost.
///
/// # Errors
/// That of the last try.
pub async fn with_retries<T, F>(policy: &RetryPolicy, warn: &Warn, mut attempt: impl FnMut(bool) -> F) -> Result<T>
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
        let Some(pause) = policy.pause(&error, failed_tries, begun.elapsed(), random_u64()) else {
            return Err(error);
        };
        warn(&policy.warning(&error, failed_tries, pause));
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    #[test]
    fn each_further_try_is_told_and_the_last_error_stays() {
        let policy = RetryPolicy { first_pause: Duration::from_millis(1), ..RetryPolicy::default() };
        let heard = Arc::new(Mutex::new(Vec::new()));
        let lines = heard.clone();
        let warn: Warn = Arc::new(move |line: &str| lines.lock().unwrap().push(line.to_owned()));
        let mut seen = Vec::new();
        let result: Result<()> = run(with_retries(&policy, &warn, |again| {
            seen.push(again);
            async { Err(Error::unavailable("storing a: busy")) }
        }));
        assert_eq!(result.unwrap_err().to_string(), "storing a: busy");
        assert_eq!(seen, [false, true, true, true]);
        assert_eq!(heard.lock().unwrap().len(), 3);
    }

    #[test]
    fn a_request_that_never_ends_is_unavailable() {
        let error = run(within("reading a", Duration::from_millis(1), std::future::pending::<()>())).unwrap_err();
        assert_eq!(error.to_string(), "reading a: no answer within 0 s");
        assert!(error.is_passing());
    }
}
