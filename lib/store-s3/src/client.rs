//! The SDK's client with our choices: no retries of its own, rustls with ring, proxies from the environment.

use crate::S3Config;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::region::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation, RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_types::base64;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::Path;
use std::time::Duration;
use vb_core::{Error, Result};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client; speaks to nobody yet.
///
/// The SDK's retries are off: they would multiply with ours, and only ours say what they do, recognise an object whose
/// answer was lost and keep one deadline.
pub(crate) async fn connect(config: &S3Config) -> Result<Client> {
    let profiles = config.profile.as_ref().map_or_else(ProfileFileRegionProvider::new, |name| {
        ProfileFileRegionProvider::builder().profile_name(name).build()
    });
    let region = RegionProviderChain::first_try(config.region.clone().map(Region::new))
        .or_else(profiles)
        .or_else(Region::from_static("us-east-1"));
    let silence = config.policy.silence;
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client(config)?)
        .region(region)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT.min(silence)).build())
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(silence).build());
    if let Some(credentials) = &config.credentials {
        loader = loader.credentials_provider(credentials.clone());
    }
    if let Some(profile) = &config.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(endpoint) = &config.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    let shared = Box::pin(loader.load()).await;
    let service = aws_sdk_s3::config::Builder::from(&shared)
        .force_path_style(shared.endpoint_url().is_some())
        // We send our own, as headers; the SDK would send trailers.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    Ok(Client::from_conf(service.build()))
}

fn http_client(config: &S3Config) -> Result<SharedHttpClient> {
    let plain = config.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    let tls = if plain { None } else { Some(tls_context(config.ca_bundle.as_deref())?) };
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder().proxy_config(ProxyConfig::from_env());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        match &tls {
            Some(tls) => builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls.clone()).build(),
            None => builder.build_http(),
        }
    }))
}

/// The system's authorities (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured), or only those in this file.
fn tls_context(ca_bundle: Option<&Path>) -> Result<TlsContext> {
    let trusted = match ca_bundle {
        Some(path) => TrustStore::empty().with_pem_certificate(usable_certificates(path)?),
        None => TrustStore::default(),
    };
    let context = TlsContext::builder().with_trust_store(trusted).build();
    context.map_err(|cause| Error::failure(format!("preparing TLS: {cause}")))
}

/// The certificates of a PEM file that can be trusted at all. The HTTP client would panic on the others.
fn usable_certificates(path: &Path) -> Result<String> {
    let step = format!("reading the certificates in {}", path.display());
    let text = std::fs::read(path).map_err(|cause| Error::io(&step, cause))?;
    let mut usable = String::new();
    for certificate in CertificateDer::pem_slice_iter(&text).flatten() {
        if rustls::RootCertStore::empty().add(certificate.clone()).is_ok() {
            let body = base64::encode(&certificate);
            usable.push_str(&format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"));
        }
    }
    if usable.is_empty() {
        return Err(Error::usage(format!("{step}: there is none")).with_hint("Set AWS_CA_BUNDLE to a PEM file."));
    }
    Ok(usable)
}
