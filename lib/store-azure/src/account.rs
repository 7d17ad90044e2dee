//! Which storage account, and as whom: read from a connection string.

use azure_core::base64;
use azure_core::http::Url;
use std::fmt;
use vb_core::{Error, Result};

const VARIABLE: &str = "AZURE_STORAGE_CONNECTION_STRING";

/// The account and the key of the emulator, which are the same everywhere ("Use the Azurite emulator", Microsoft Learn).
const EMULATOR: (&str, &str, &str) = (
    "http://127.0.0.1:10000/devstoreaccount1",
    "devstoreaccount1",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
);

/// How requests are authorised. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Access {
    /// The account's name and its key.
    Key(String, Vec<u8>),
    /// A shared access signature: a query without the question mark.
    Signature(String),
    /// A token of Entra ID.
    Identity,
}

impl fmt::Debug for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Key(..) => "Key",
            Self::Signature(_) => "Signature",
            Self::Identity => "Identity",
        })
    }
}

/// Where the account's blobs are, and how requests are authorised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// `https://name.blob.core.windows.net`, or with a path at an emulator.
    pub(crate) endpoint: Url,
    pub(crate) access: Access,
}

impl Account {
    /// An account by its name, reached with an identity.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let plain = (3..=24).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !plain {
            return Err(Error::usage(format!("AZURE_STORAGE_ACCOUNT is {name:?}"))
                .with_hint("Set it to the account's name alone: 3 to 24 lower-case letters and digits."));
        }
        let endpoint = url(&format!("https://{name}.blob.core.windows.net"))?;
        Ok(Self { endpoint, access: Access::Identity })
    }

    /// By the rules of "Configure Azure Storage connection strings" (Microsoft Learn). A string without key and signature
    /// names the endpoint only; then an identity is asked.
    pub(crate) fn parse(connection_string: &str) -> Result<Self> {
        let fields = Fields::parse(connection_string)?;
        if fields.get("UseDevelopmentStorage").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            let (endpoint, name, key) = EMULATOR;
            return Ok(Self { endpoint: url(endpoint)?, access: Access::Key(name.to_owned(), decode(key)?) });
        }
        let name = fields.get("AccountName");
        let endpoint = match (fields.get("BlobEndpoint"), name) {
            (Some(endpoint), _) => url(endpoint)?,
            (None, Some(name)) => {
                let protocol = fields.get("DefaultEndpointsProtocol").unwrap_or("https");
                let suffix = fields.get("EndpointSuffix").unwrap_or("core.windows.net");
                url(&format!("{protocol}://{name}.blob.{suffix}"))?
            }
            (None, None) => return Err(refuse("names neither AccountName nor BlobEndpoint")),
        };
        let access = match (fields.get("AccountKey"), fields.get("SharedAccessSignature"), name) {
            (Some(key), _, Some(name)) => Access::Key(name.to_owned(), decode(key)?),
            (Some(_), _, None) => return Err(refuse("has an AccountKey but no AccountName")),
            (None, Some(signature), _) => Access::Signature(signature.trim_start_matches('?').to_owned()),
            (None, None, _) => Access::Identity,
        };
        Ok(Self { endpoint, access })
    }
}

/// `Name=value;…`, names in any case.
struct Fields<'text>(Vec<(&'text str, &'text str)>);

impl<'text> Fields<'text> {
    fn parse(text: &'text str) -> Result<Self> {
        let fields = text.split(';').map(str::trim).filter(|field| !field.is_empty());
        let fields: Option<Vec<_>> = fields.map(|field| field.split_once('=')).collect();
        fields.map(Self).ok_or_else(|| refuse("is no list of Name=value separated by semicolons"))
    }

    fn get(&self, name: &str) -> Option<&'text str> {
        let found = self.0.iter().find(|(given, _)| given.trim().eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }
}

/// Says nothing of the values: they are secret.
fn refuse(why: &str) -> Error {
    Error::usage(format!("{VARIABLE} {why}"))
        .with_hint("Copy it from the account's page Access keys, or from az storage account show-connection-string.")
}

fn decode(key: &str) -> Result<Vec<u8>> {
    base64::decode(key).map_err(|_| refuse("has an AccountKey that is not base 64"))
}

fn url(text: &str) -> Result<Url> {
    match Url::parse(text.trim_end_matches('/')) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.has_host() => Ok(url),
        _ => Err(refuse("names no valid http or https endpoint")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (String, Access) {
        let account = Account::parse(text).unwrap();
        (account.endpoint.to_string(), account.access)
    }

    #[test]
    fn a_key_with_and_without_an_endpoint() {
        let key = Access::Key("acc".into(), b"secret".to_vec());
        let text =
            "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=c2VjcmV0;EndpointSuffix=core.chinacloudapi.cn";
        assert_eq!(parse(text), ("https://acc.blob.core.chinacloudapi.cn/".into(), key.clone()));
        let text = "accountname=acc; accountkey=c2VjcmV0; BlobEndpoint=http://127.0.0.1:1/acc/;";
        assert_eq!(parse(text), ("http://127.0.0.1:1/acc".into(), key));
    }

    #[test]
    fn a_signature_the_emulator_and_an_identity() {
        let (endpoint, access) = parse("BlobEndpoint=https://a.example/;SharedAccessSignature=?sv=1&sig=a%3D");
        assert_eq!((endpoint.as_str(), access), ("https://a.example/", Access::Signature("sv=1&sig=a%3D".into())));
        let (endpoint, access) = parse("UseDevelopmentStorage=true");
        assert!(endpoint.ends_with("/devstoreaccount1") && matches!(access, Access::Key(..)), "{endpoint}");
        assert_eq!(parse("AccountName=acc").1, Access::Identity);
        assert_eq!(Account::named("acc").unwrap().endpoint.as_str(), "https://acc.blob.core.windows.net/");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for text in [
            "hidden",
            "AccountKey=hidden",
            "AccountName=a;AccountKey=hidden!",
            "BlobEndpoint=ftp://hidden",
            "BlobEndpoint=https://a.example/?sig=hidden",
            "BlobEndpoint=https://a.example;AccountKey=hidden",
        ] {
            let error = Account::parse(text).unwrap_err();
            assert_eq!(error.kind(), vb_core::ErrorKind::Usage);
            assert!(error.to_string().starts_with(VARIABLE) && !error.to_string().contains("hidden"), "{error}");
        }
        assert!(!format!("{:?}", Account::parse("AccountName=acc;AccountKey=c2VjcmV0").unwrap()).contains("secret"));
        assert!(Account::named("acc.blob.core.windows.net").is_err());
    }
}
