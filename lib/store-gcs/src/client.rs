//! The way to the server: addresses, one connection pool, credentials, and answers of bounded length.

use crate::GcsConfig;
use crate::credentials::Tokens;
use crate::error::{explain, from_answer};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use vb_core::{Error, Result};
use vb_http::{retry_after, within};
use vb_store::RetryPolicy;

const GOOGLE: &str = "https://storage.googleapis.com";

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest description that is read: a page of a listing has less than one.
const LONGEST_ANSWER: u64 = 16 << 20;

/// All but RFC 3986's unreserved characters are escaped, slashes too: a name is one segment of a path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(crate) struct Client {
    http: reqwest::Client,
    server: String,
    /// As Google would know the server; `None` asks as nobody.
    tokens: Option<Tokens>,
    bucket: String,
    policy: RetryPolicy,
}

impl Client {
    /// Speaks to nobody yet.
    pub(crate) fn new(config: &GcsConfig) -> Result<Self> {
        // Fails only if one is installed already. Google's library asks for the process's own.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT.min(config.policy.silence));
        // 308 means something else here.
        let http = builder.redirect(Policy::none()).user_agent(concat!("vb/", env!("CARGO_PKG_VERSION"))).build();
        let http = http.map_err(|error| explain("preparing TLS", error))?;
        let tokens = if config.endpoint.is_some() { None } else { Some(Tokens::new(&config.credentials)?) };
        let server = config.endpoint.clone().unwrap_or_else(|| GOOGLE.to_owned());
        Ok(Self { http, server, tokens, bucket: config.bucket.clone(), policy: config.policy })
    }

    pub(crate) fn bucket_url(&self, query: &[(&str, &str)]) -> String {
        format!("{}/storage/v1/b/{}{}", self.server, escape(&self.bucket), joined(query))
    }

    pub(crate) fn objects_url(&self, query: &[(&str, &str)]) -> String {
        format!("{}/storage/v1/b/{}/o{}", self.server, escape(&self.bucket), joined(query))
    }

    /// `name` with the store's prefix.
    pub(crate) fn object_url(&self, name: &str, query: &[(&str, &str)]) -> String {
        format!("{}/storage/v1/b/{}/o/{}{}", self.server, escape(&self.bucket), escape(name), joined(query))
    }

    pub(crate) fn upload_url(&self, query: &[(&str, &str)]) -> String {
        format!("{}/upload/storage/v1/b/{}/o{}", self.server, escape(&self.bucket), joined(query))
    }

    /// A session's URI on the server that we know: servers other than Google's call themselves as they like.
    pub(crate) fn session_url(&self, location: &str) -> Option<String> {
        let (_, rest) = location.split_once("://")?;
        match self.tokens {
            Some(_) => location.starts_with("https://").then(|| location.to_owned()),
            None => Some(format!("{}/{}", self.server, rest.split_once('/')?.1)),
        }
    }

    pub(crate) fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.http.request(method, url)
    }

    /// Sends it with our credentials; any answer but a success is an error.
    pub(crate) async fn send(&self, step: &str, limit: Duration, request: RequestBuilder) -> Result<Response> {
        let headers = match &self.tokens {
            Some(tokens) => tokens.headers().await.map_err(|error| error.during(step))?,
            None => HeaderMap::new(),
        };
        let answer = self.exchange(step, limit, request.headers(headers)).await?;
        if answer.status().is_success() { Ok(answer) } else { Err(self.refusal(step, answer).await) }
    }

    /// Sends it as it is, and gives whatever the server answers.
    pub(crate) async fn exchange(&self, step: &str, limit: Duration, request: RequestBuilder) -> Result<Response> {
        within(step, limit, request.send()).await?.map_err(|error| explain(step, error))
    }

    /// The description in an answer.
    pub(crate) async fn described<T: DeserializeOwned>(&self, step: &str, answer: Response) -> Result<T> {
        let body = self.collect(step, answer, LONGEST_ANSWER).await?;
        serde_json::from_slice(&body).map_err(|cause| {
            Error::failure(format!("{step}: the server's answer cannot be understood")).with_source(cause)
        })
    }

    /// An answer that is no success, as an error.
    pub(crate) async fn refusal(&self, step: &str, answer: Response) -> Error {
        let status: StatusCode = answer.status();
        let asked = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let asked = asked.and_then(|value| retry_after(value, chrono::Utc::now()));
        let body = self.collect(step, answer, LONGEST_ANSWER).await.unwrap_or_default();
        from_answer(step, status.as_u16(), &body).with_retry_after(asked)
    }

    /// The body, but not more than one piece beyond what was promised.
    pub(crate) async fn collect(&self, step: &str, mut answer: Response, promised: u64) -> Result<Vec<u8>> {
        let told = answer.content_length();
        let mut bytes = Vec::with_capacity(usize::try_from(told.unwrap_or_default().min(promised)).unwrap_or_default());
        let silence = self.policy.silence;
        let receive = async {
            while let Some(piece) = next_piece(step, &mut answer, silence).await? {
                bytes.extend_from_slice(&piece);
                if bytes.len() as u64 > promised {
                    return Err(Error::integrity(format!("{step}: more than {promised} bytes came")));
                }
            }
            Ok(())
        };
        let limit = self.policy.limit(told.unwrap_or(promised).min(promised));
        within(step, limit, receive).await?.map(|()| bytes)
    }

    /// The same for a description.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        step: &str,
        method: Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<T> {
        let mut request = self.request(method, url);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        self.described(step, self.send(step, self.policy.limit(0), request).await?).await
    }
}

/// Not reqwest's own limit, which counts while a part is being sent.
async fn next_piece(step: &str, answer: &mut Response, silence: Duration) -> Result<Option<Bytes>> {
    match tokio::time::timeout(silence, answer.chunk()).await {
        Ok(piece) => piece.map_err(|error| explain(step, error)),
        Err(_) => Err(Error::unavailable(format!("{step}: nothing came for {} s", silence.as_secs()))),
    }
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// `?a=1&b=2`; empty values are left out.
fn joined(query: &[(&str, &str)]) -> String {
    let set = query.iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<String> = set.map(|(name, value)| format!("{name}={}", escape(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;

    #[test]
    fn names_are_one_segment() {
        let client = Client::new(&config(&[("STORAGE_EMULATOR_HOST", "127.0.0.1:1")]).unwrap()).unwrap();
        assert_eq!(
            client.object_url("a/b c&%2F é", &[("alt", "media"), ("none", "")]),
            "http://127.0.0.1:1/storage/v1/b/bucket/o/a%2Fb%20c%26%252F%20%C3%A9?alt=media"
        );
    }

    #[test]
    fn sessions_stay_where_we_were_sent() {
        let other = Client::new(&config(&[("STORAGE_EMULATOR_HOST", "127.0.0.1:1")]).unwrap()).unwrap();
        assert_eq!(
            other.session_url("http://0.0.0.0:4443/upload?id=1").as_deref(),
            Some("http://127.0.0.1:1/upload?id=1")
        );
        let google = Client::new(&config(&[]).unwrap()).unwrap();
        assert_eq!(google.session_url("http://storage.googleapis.com/upload?id=1"), None);
        assert!(google.session_url("https://storage.googleapis.com/upload?id=1").is_some());
    }
}
