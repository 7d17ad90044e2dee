//! What every request gets on its way out: the MD5 of its body, and the key's or the signature's authorisation. The SDK
//! itself knows identities only.

use crate::account::Access;
use async_trait::async_trait;
use azure_core::base64;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Body, Context, Request, Url};
use azure_core::time::{OffsetDateTime, to_rfc7231};
use md5::{Digest, Md5};
use ring::hmac;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Runs once a try, as the last before the request is sent.
#[derive(Debug)]
pub(crate) struct Sign(pub(crate) Access);

#[async_trait]
impl Policy for Sign {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        add_checksum(request);
        match &self.0 {
            Access::Key(account, key) => {
                request.insert_header("x-ms-date", to_rfc7231(&OffsetDateTime::now_utc()));
                let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text(request, account).as_bytes());
                let authorization = format!("SharedKey {account}:{}", base64::encode(signature));
                request.insert_header("authorization", authorization);
            }
            Access::Signature(signature) => {
                let query = request.url().query().map_or_else(String::new, |query| format!("{query}&"));
                request.url_mut().set_query(Some(&format!("{query}{signature}")));
            }
            Access::Identity => {}
        }
        match next.split_first() {
            Some((first, rest)) => first.send(context, request, rest).await,
            None => {
                Err(azure_core::Error::with_message(azure_core::error::ErrorKind::Other, "nothing sends the request"))
            }
        }
    }
}

/// The service compares it with what arrives (Put Blob, Put Block and Put Block List: `Content-MD5`).
fn add_checksum(request: &mut Request) {
    if let Body::Bytes(bytes) = request.body()
        && !bytes.is_empty()
    {
        request.insert_header("content-md5", md5_of(bytes));
    }
}

/// In the form of `Content-MD5`.
pub(crate) fn md5_of(bytes: &[u8]) -> String {
    base64::encode(Md5::digest(bytes))
}

/// The string to sign of "Authorize with Shared Key" (Microsoft Learn), in the form since version 2015-02-21: a length
/// of zero is left out.
fn text(request: &Request, account: &str) -> String {
    let headers: BTreeMap<String, &str> =
        request.headers().iter().map(|(name, value)| (name.as_str().to_ascii_lowercase(), value.as_str())).collect();
    let length =
        request.body().len().filter(|length| *length > 0).map_or_else(String::new, |length| length.to_string());
    let mut text = format!("{}\n", request.method().as_ref());
    for name in [
        "content-encoding",
        "content-language",
        "content-length",
        "content-md5",
        "content-type",
        "", // the date: x-ms-date stands below
        "if-modified-since",
        "if-match",
        "if-none-match",
        "if-unmodified-since",
        "range",
    ] {
        let value =
            if name == "content-length" { length.as_str() } else { headers.get(name).copied().unwrap_or_default() };
        text.push_str(value);
        text.push('\n');
    }
    let mut own: Vec<_> = headers.iter().filter(|(name, _)| name.starts_with("x-ms-")).collect();
    own.sort_by_key(|(name, _)| sort_key(name));
    for (name, value) in own {
        text.push_str(&format!("{name}:{}\n", value.trim()));
    }
    text.push_str(&resource(request.url(), account));
    text
}

/// The service sorts `_` before digits, unlike their codes; the other SDKs follow it with a table of their own.
fn sort_key(name: &str) -> String {
    name.replace('_', ".")
}

fn resource(url: &Url, account: &str) -> String {
    let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in url.query_pairs() {
        parameters.entry(name.to_lowercase()).or_default().push(value.into_owned());
    }
    let mut text = format!("/{account}{}", url.path());
    for (name, mut values) in parameters {
        values.sort();
        text.push_str(&format!("\n{name}:{}", values.join(",")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use azure_core::http::Method;

    #[test]
    fn the_published_example() {
        // "Authorize with Shared Key", the example of Get Container Metadata.
        let url = Url::parse("https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata");
        let mut request = Request::new(url.unwrap(), Method::Get);
        request.insert_header("x-ms-version", "2015-02-21");
        request.insert_header("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT");
        assert_eq!(
            text(&request, "myaccount"),
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
             /myaccount/mycontainer\ncomp:metadata\nrestype:container"
        );
    }

    #[test]
    fn a_body_has_its_checksum_and_length_and_names_sort_as_the_service_does() {
        let url = Url::parse("https://a.blob.core.windows.net/c/b%2Fd").unwrap();
        let mut request = Request::new(url, Method::Put);
        request.insert_header("x-ms-meta-a1", "1");
        request.insert_header("x-ms-meta-a_b", "2");
        request.set_body("abc".to_owned());
        add_checksum(&mut request);
        let text = text(&request, "a");
        assert!(text.starts_with("PUT\n\n\n3\nkAFQmDzST7DWlj99KOF/cg==\n"), "{text}");
        assert!(text.ends_with("\nx-ms-meta-a_b:2\nx-ms-meta-a1:1\n/a/c/b%2Fd"), "{text}");
    }
}
