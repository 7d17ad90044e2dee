//! The SDK's client with our choices: no retries of its own, rustls with ring, proxies from the environment.

use crate::AzureConfig;
use crate::account::Access;
use crate::identity::Chain;
use crate::sign::Sign;
use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_storage_blob::{BlobContainerClient, BlobContainerClientOptions};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use vb_core::{Error, Result};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client; speaks to nobody yet.
///
/// The SDK's retries are off: they would multiply with ours, and only ours say what they do, recognise an object whose
/// answer was lost and keep one deadline.
pub(crate) fn connect(config: &AzureConfig) -> Result<BlobContainerClient> {
    let account = &config.account;
    let mut url = account.endpoint.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push(&config.container);
    }
    let transport = Transport::new(Arc::new(http_client(url.scheme() == "https", config.policy.silence)?));
    let credential: Option<Arc<dyn TokenCredential>> = match &account.access {
        Access::Identity => Some(Chain::new(&config.principal, &transport).map_err(|cause| refuse(&cause))?),
        Access::Key(..) | Access::Signature(_) => None,
    };
    let client_options = ClientOptions {
        per_try_policies: vec![Arc::new(Sign(account.access.clone()))],
        retry: RetryOptions::none(),
        transport: Some(transport),
        ..ClientOptions::default()
    };
    let options = BlobContainerClientOptions { client_options, ..BlobContainerClientOptions::default() };
    BlobContainerClient::new(url, credential, Some(options)).map_err(|cause| refuse(&cause))
}

/// An identity over `http://`, a tenant's name with a blank, and the like.
fn refuse(cause: &azure_core::Error) -> Error {
    Error::usage(format!("preparing the Azure client: {}", vb_http::words(&cause.to_string())))
        .with_hint("Check AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT and the AZURE_* of the identity.")
}

fn http_client(tls: bool, silence: Duration) -> Result<reqwest::Client> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls_config(tls)?)
        .connect_timeout(CONNECT_TIMEOUT.min(silence))
        .redirect(reqwest::redirect::Policy::none())
        // Another crate may have switched these on for all; a range of a decompressed object would be wrong.
        .no_gzip()
        .no_deflate()
        .no_brotli()
        .no_zstd()
        .build();
    client.map_err(|cause| Error::failure(format!("preparing the HTTP client: {cause}")))
}

/// The system's authorities; `SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured.
fn tls_config(needed: bool) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if needed {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(Error::failure("preparing TLS: the system has no certificate authorities")
                .with_hint("Install ca-certificates, or set SSL_CERT_FILE to a PEM file."));
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|cause| Error::failure(format!("preparing TLS: {cause}")))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
