//! What an S3 store needs to know: from its URL, the environment and, for tests, the caller.

use crate::options::ObjectOptions;
use aws_sdk_s3::config::Credentials;
use std::path::PathBuf;
use vb_core::environment::{self as variables, Environment};
use vb_core::location::Location;
use vb_core::parts::PartLimits;
use vb_core::{Error, Result};
use vb_store::{RetryPolicy, Warn, no_warning};

/// Where the bucket is and how to speak to it. The fields may be changed before [`crate::S3Store::open`].
#[derive(Clone)]
pub struct S3Config {
    /// The bucket.
    pub bucket: String,
    /// What stands before every key, without slashes at its ends; may be empty.
    pub prefix: String,
    /// Another server than Amazon's; then the bucket stands in the path, not in the host name.
    pub endpoint: Option<String>,
    /// The region; `None` asks the profile, and then means `us-east-1`.
    pub region: Option<String>,
    /// The profile whose keys and region to take.
    pub profile: Option<String>,
    /// A PEM file of the only certificate authorities to trust.
    pub ca_bundle: Option<PathBuf>,
    /// How streams are cut. Amazon refuses parts below 5 MiB except the last.
    pub limits: PartLimits,
    /// Keys a page of a listing, at most 1,000.
    pub page_keys: i32,
    /// For parts and commits, which only the upload itself can send again.
    pub policy: RetryPolicy,
    /// Hears of every further try.
    pub warn: Warn,
    /// How the server keeps what is stored.
    pub options: ObjectOptions,
    pub(crate) credentials: Option<Credentials>,
}

impl S3Config {
    /// From `s3://bucket/prefix` and the environment. Without a key in the environment the SDK's own chain is asked:
    /// profile, SSO, web identity, process, container, instance role.
    ///
    /// # Errors
    /// A usage error if only one half of a key is set, or the options for stored objects contradict each other.
    pub fn new(location: &Location, environment: &Environment) -> Result<Self> {
        let text = |variable| environment.get(variable).map(str::to_owned);
        Ok(Self {
            bucket: location.authority.clone(),
            prefix: location.path.clone(),
            endpoint: text(variables::AWS_ENDPOINT_URL),
            region: environment.first(&[variables::AWS_REGION, variables::AWS_DEFAULT_REGION]).map(str::to_owned),
            profile: text(variables::AWS_PROFILE),
            ca_bundle: text(variables::AWS_CA_BUNDLE).map(PathBuf::from),
            limits: PartLimits::S3,
            page_keys: 1000,
            policy: RetryPolicy::new(environment)?,
            warn: no_warning(),
            options: ObjectOptions::new(environment)?,
            credentials: credentials(environment)?,
        })
    }

    /// Whether listings come in the order of UTF-8 bytes, as Amazon promises for all but directory buckets
    /// (ListObjectsV2). Other servers are not believed: SeaweedFS lists folder by folder.
    pub(crate) fn lists_in_order(&self) -> bool {
        self.endpoint.is_none() && !self.bucket.ends_with("--x-s3")
    }
}

fn credentials(environment: &Environment) -> Result<Option<Credentials>> {
    let (id, secret) = (variables::AWS_ACCESS_KEY_ID, variables::AWS_SECRET_ACCESS_KEY);
    let (id, secret) = match (environment.get(id), environment.get(secret)) {
        (None, None) => return Ok(None),
        (Some(id), Some(secret)) => (id, secret),
        (found, _) => {
            let (set, missing) = if found.is_some() { (id, secret) } else { (secret, id) };
            return Err(Error::usage(format!("{} is set but {} is not", set.name, missing.name))
                .with_hint("Set both, or neither to use a profile or the machine's role."));
        }
    };
    let mut builder = Credentials::builder().access_key_id(id).secret_access_key(secret).provider_name("environment");
    builder.set_session_token(environment.get(variables::AWS_SESSION_TOKEN).map(str::to_owned));
    Ok(Some(builder.build()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(values: &[(&str, &str)]) -> Result<S3Config> {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        S3Config::new(&Location::parse("s3://bucket/a/b").unwrap(), &Environment::new(values))
    }

    #[test]
    fn the_environment_decides() {
        let config = config(&[
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "token"),
        ])
        .unwrap();
        assert_eq!((config.bucket.as_str(), config.prefix.as_str()), ("bucket", "a/b"));
        assert_eq!(config.region.as_deref(), Some("eu-west-1"));
        assert!(!config.lists_in_order());
        assert_eq!(config.credentials.unwrap().session_token(), Some("token"));
    }

    #[test]
    fn half_a_key_is_refused_without_showing_it() {
        let error = config(&[("AWS_SECRET_ACCESS_KEY", "hidden")]).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "AWS_SECRET_ACCESS_KEY is set but AWS_ACCESS_KEY_ID is not");
        assert!(config(&[]).unwrap().credentials.is_none());
    }
}
