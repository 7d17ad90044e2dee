//! Which store a URL's scheme means: the one list. A new provider is one line here and its name in the hint.
#![forbid(unsafe_code)]

use std::sync::Arc;
use vb_core::environment::Environment;
use vb_core::location::Location;
use vb_core::{Error, Result};
use vb_store::{LocalStore, RetryPolicy, Retrying, Store, Warn};
use vb_store_s3::{S3Config, S3Store};

/// The store at this place. Speaks to no server yet; `warn` hears of whatever is tried again later.
///
/// # Errors
/// A usage error if nobody knows the scheme or the environment lacks what the provider needs.
pub fn open(location: &Location, environment: &Environment, warn: Warn) -> Result<Arc<dyn Store>> {
    match location.scheme.as_str() {
        "file" => Ok(Arc::new(LocalStore::new(&location.path))),
        "s3" => {
            let mut config = S3Config::new(location, environment)?;
            config.warn = warn.clone();
            Ok(retrying(S3Store::open(config)?, warn))
        }
        scheme => Err(Error::usage(format!("the store {location}: {scheme}:// is not known"))
            .with_hint("Use a store that begins with file:// or s3://.")),
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
fn retrying<S: Store + 'static>(store: S, warn: Warn) -> Arc<dyn Store> {
    Arc::new(Retrying::new(Arc::new(store), RetryPolicy::default(), warn))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vb_core::ErrorKind;
    use vb_store::no_warning;

    fn open_url(url: &str) -> Result<Arc<dyn Store>> {
        open(&Location::parse(url).unwrap(), &Environment::default(), no_warning())
    }

    #[test]
    fn every_known_scheme_opens_and_says_its_url() {
        for url in ["file:///srv/backups", "file://./backups", "s3://bucket", "s3://bucket/a/b"] {
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
