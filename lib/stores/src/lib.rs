//! Which store a URL's scheme means: the one list. A new provider is an arm here, a Cargo feature, and its name in the
//! hint.
#![forbid(unsafe_code)]

use std::sync::Arc;
use vb_core::environment::Environment;
use vb_core::location::Location;
use vb_core::{Error, Result};
use vb_store::{LocalStore, RetryPolicy, Retrying, Store, Warn};
#[cfg(feature = "azure")]
use vb_store_azure::{AzureConfig, AzureStore};
#[cfg(feature = "gcs")]
use vb_store_gcs::{GcsConfig, GcsStore};
#[cfg(feature = "s3")]
use vb_store_s3::{S3Config, S3Store};
#[cfg(feature = "sftp")]
use vb_store_sftp::{SftpConfig, SftpStore};

/// The store at this place. Speaks to no server yet; `warn` hears of whatever is tried again later.
///
/// # Errors
/// A usage error if nobody knows the scheme or the environment lacks what the provider needs.
pub fn open(location: &Location, environment: &Environment, warn: Warn) -> Result<Arc<dyn Store>> {
    let policy = RetryPolicy::new(environment)?;
    match location.scheme.as_str() {
        "file" => Ok(Arc::new(LocalStore::warning(&location.path, warn))),
        #[cfg(feature = "azure")]
        "az" => {
            let mut config = AzureConfig::new(location, environment)?;
            config.warn = warn.clone();
            Ok(retrying(AzureStore::open(config)?, policy, warn))
        }
        #[cfg(feature = "gcs")]
        "gs" => {
            let mut config = GcsConfig::new(location, environment)?;
            config.warn = warn.clone();
            Ok(retrying(GcsStore::open(config)?, policy, warn))
        }
        #[cfg(feature = "s3")]
        "s3" => {
            let mut config = S3Config::new(location, environment)?;
            config.warn = warn.clone();
            Ok(retrying(S3Store::open(config)?, policy, warn))
        }
        #[cfg(feature = "sftp")]
        "sftp" => Ok(retrying(SftpStore::open(SftpConfig::new(location, environment)?)?, policy, warn)),
        scheme => Err(Error::usage(format!("the store {location}: {scheme}:// is not known"))
            .with_hint("Use a store that begins with file://, s3://, az://, gs:// or sftp://.")),
    }
}

/// The storage class for data that is read rarely, by the provider's own name.
#[must_use]
pub fn cooler_class(scheme: &str) -> &'static str {
    match scheme {
        "az" => "Cool",
        "gs" => "NEARLINE",
        _ => "STANDARD_IA",
    }
}

/// What lies across a network is tried again.
#[cfg(any(feature = "azure", feature = "gcs", feature = "s3", feature = "sftp"))]
fn retrying<S: Store + 'static>(store: S, policy: RetryPolicy, warn: Warn) -> Arc<dyn Store> {
    Arc::new(Retrying::new(Arc::new(store), policy, warn))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vb_core::ErrorKind;
    use vb_store::no_warning;

    fn open_url(url: &str) -> Result<Arc<dyn Store>> {
        let account = ("AZURE_STORAGE_CONNECTION_STRING".to_owned(), "UseDevelopmentStorage=true".to_owned());
        open(&Location::parse(url).unwrap(), &Environment::new([account]), no_warning())
    }

    #[test]
    fn every_known_scheme_opens_and_says_its_url() {
        let disk = ["file:///srv/backups", "file://./backups"];
        let clouds = ["s3://bucket", "s3://bucket/a/b", "az://container/a", "gs://bucket/a"];
        let servers = ["sftp://me@host:2222/srv/backups", "sftp://host/~/backups"];
        for url in disk.into_iter().chain(clouds).chain(servers) {
            assert_eq!(open_url(url).unwrap().describe(), url);
        }
    }

    #[test]
    fn an_unknown_scheme_is_refused_with_the_known_ones() {
        let error = open_url("ftp://host/x").map(|_| ()).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Usage, "the store ftp://host/x: ftp:// is not known")
        );
        assert!(error.hint().unwrap().contains("s3://"));
    }
}
