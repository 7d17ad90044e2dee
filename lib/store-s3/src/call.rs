//! One request: with a time limit, and its error in words.

use crate::error::explain;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::time::Duration;
use vb_core::Result;
use vb_http::within;

/// Waits for the request no longer than the limit. The SDK's futures take 20 kB each: boxed here, once for all.
pub(crate) fn call<T, E>(
    step: &str,
    limit: Duration,
    request: impl Future<Output = std::result::Result<T, SdkError<E, HttpResponse>>>,
) -> impl Future<Output = Result<T>>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let request = Box::pin(request);
    async move { within(step, limit, request).await?.map_err(|error| explain(step, &error)) }
}
