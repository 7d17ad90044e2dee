//! One request: with a time limit, and its error in words.

use crate::error::explain;
use std::time::Duration;
use vb_core::Result;
use vb_http::within;

/// Waits for the request no longer than the limit. The SDK's futures are large: boxed here, once for all.
pub(crate) fn call<T>(
    step: &str,
    limit: Duration,
    request: impl Future<Output = azure_core::Result<T>>,
) -> impl Future<Output = Result<T>> {
    let request = Box::pin(request);
    async move { within(step, limit, request).await?.map_err(|error| explain(step, &error)) }
}
