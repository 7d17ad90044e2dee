//! What a Google Cloud Storage store needs to know: from its URL, the environment and, for tests, the caller.

use crate::credentials::Source;
use vb_core::environment::{self as variables, Environment, Variable};
use vb_core::location::Location;
use vb_core::parts::PartLimits;
use vb_core::{Error, Result};
use vb_store::{RetryPolicy, Warn, no_warning};

/// Google's storage classes that a new object may have (Storage classes, "Available storage classes").
const CLASSES: [&str; 4] = ["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"];

/// Retention may end at most a hundred years from now (Object Retention Lock, "Considerations").
const MOST_LOCK_DAYS: u32 = 36_500;

/// Where the bucket is and how to speak to it. The fields may be changed before [`crate::GcsStore::open`].
#[derive(Clone)]
pub struct GcsConfig {
    /// The bucket.
    pub bucket: String,
    /// What stands before every key, without slashes at its ends; may be empty.
    pub prefix: String,
    /// Another server than Google's, without a slash at its end; it is asked without credentials.
    pub endpoint: Option<String>,
    /// How streams are cut. Parts must be multiples of 256 KiB.
    pub limits: PartLimits,
    /// Keys a page of a listing, at most 1,000.
    pub page_keys: u32,
    /// The storage class of backups' data; the small objects beside them keep the bucket's own.
    pub storage_class: Option<String>,
    /// The key that Google encrypts with: `projects/…/locations/…/keyRings/…/cryptoKeys/…`.
    pub kms_key: Option<String>,
    /// For how many days nobody can delete what is stored.
    pub lock_days: Option<u32>,
    /// For parts and commits, which only the upload itself can send again.
    pub policy: RetryPolicy,
    /// Hears of every further try.
    pub warn: Warn,
    pub(crate) credentials: Source,
}

impl GcsConfig {
    /// From `gs://bucket/prefix` and the environment.
    ///
    /// # Errors
    /// A usage error for what Google does not know.
    pub fn new(location: &Location, environment: &Environment) -> Result<Self> {
        Ok(Self {
            bucket: location.authority.clone(),
            prefix: location.path.clone(),
            endpoint: environment.get(variables::STORAGE_EMULATOR_HOST).map(endpoint),
            limits: PartLimits::GCS,
            page_keys: 1000,
            storage_class: storage_class(environment)?,
            kms_key: kms_key(environment)?,
            lock_days: lock_days(environment)?,
            policy: RetryPolicy::new(environment)?,
            warn: no_warning(),
            credentials: Source::new(environment),
        })
    }

    /// Whether listings come in the order of UTF-8 bytes, as Google promises (Objects: list). Other servers are not believed.
    pub(crate) fn lists_in_order(&self) -> bool {
        self.endpoint.is_none()
    }
}

/// Google's own libraries take the variable with and without a scheme.
fn endpoint(text: &str) -> String {
    let text = text.trim_end_matches('/');
    if text.contains("://") { text.to_owned() } else { format!("http://{text}") }
}

fn storage_class(environment: &Environment) -> Result<Option<String>> {
    let Some(class) = environment.get(variables::VB_STORAGE_CLASS) else { return Ok(None) };
    let class = class.to_ascii_uppercase();
    if CLASSES.contains(&class.as_str()) {
        return Ok(Some(class));
    }
    let hint = format!("Set VB_STORAGE_CLASS to one of {}.", CLASSES.join(", "));
    Err(refused(variables::VB_STORAGE_CLASS, &class, "no storage class of Google's").with_hint(hint))
}

/// Without a key Google encrypts with its own, or with the bucket's: always AES-256.
fn kms_key(environment: &Environment) -> Result<Option<String>> {
    let key = environment.get(variables::VB_KMS_KEY);
    if let Some(key) = key.filter(|key| !(key.starts_with("projects/") && key.contains("/cryptoKeys/"))) {
        let hint = "Set VB_KMS_KEY to projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY.";
        return Err(refused(variables::VB_KMS_KEY, key, "no key of Google's").with_hint(hint));
    }
    match (environment.get(variables::VB_ENCRYPTION), key) {
        (None | Some("kms" | "aws:kms"), Some(key)) => Ok(Some(key.to_owned())),
        (None | Some("AES256"), None) => Ok(None),
        (Some("kms" | "aws:kms"), None) => Err(Error::usage("VB_ENCRYPTION asks for a key but VB_KMS_KEY is not set")
            .with_hint("Set VB_KMS_KEY, or leave VB_ENCRYPTION out: Google always encrypts.")),
        (Some("AES256"), Some(_)) => Err(Error::usage("VB_ENCRYPTION is AES256 but VB_KMS_KEY is set")
            .with_hint("Leave VB_ENCRYPTION out, or VB_KMS_KEY.")),
        (Some(other), _) => Err(refused(variables::VB_ENCRYPTION, other, "nothing that Google does")
            .with_hint("Leave VB_ENCRYPTION out: Google always encrypts; VB_KMS_KEY names the key.")),
    }
}

fn lock_days(environment: &Environment) -> Result<Option<u32>> {
    let Some(text) = environment.get(variables::VB_LOCK_DAYS) else { return Ok(None) };
    match text.parse() {
        Ok(days @ 1..=MOST_LOCK_DAYS) => Ok(Some(days)),
        _ => Err(refused(variables::VB_LOCK_DAYS, text, "no number of days that Google takes")
            .with_hint(format!("Set VB_LOCK_DAYS to a number from 1 to {MOST_LOCK_DAYS}, or leave it out."))),
    }
}

fn refused(variable: Variable, value: &str, why: &str) -> Error {
    Error::usage(format!("{} is {value:?}, {why}", variable.name))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use vb_core::ErrorKind;

    pub(crate) fn config(values: &[(&str, &str)]) -> Result<GcsConfig> {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        GcsConfig::new(&Location::parse("gs://bucket/a/b").unwrap(), &Environment::new(values))
    }

    const KEY: &str = "projects/p/locations/europe/keyRings/r/cryptoKeys/k";

    #[test]
    fn the_environment_decides() {
        let plain = config(&[]).unwrap();
        assert_eq!((plain.bucket.as_str(), plain.prefix.as_str(), plain.endpoint.as_deref()), ("bucket", "a/b", None));
        assert!(plain.lists_in_order() && plain.kms_key.is_none() && plain.lock_days.is_none());
        for host in ["127.0.0.1:4443", "http://127.0.0.1:4443/"] {
            let config = config(&[("STORAGE_EMULATOR_HOST", host)]).unwrap();
            assert_eq!(config.endpoint.as_deref(), Some("http://127.0.0.1:4443"));
        }
        let full = config(&[("VB_STORAGE_CLASS", "nearline"), ("VB_KMS_KEY", KEY), ("VB_LOCK_DAYS", "30")]).unwrap();
        assert_eq!((full.storage_class.as_deref(), full.kms_key.as_deref()), (Some("NEARLINE"), Some(KEY)));
        assert_eq!(full.lock_days, Some(30));
        config(&[("VB_ENCRYPTION", "AES256")]).unwrap();
    }

    #[test]
    fn what_google_does_not_know_is_refused_with_a_hint() {
        for values in [
            &[("VB_STORAGE_CLASS", "STANDARD_IA")][..],
            &[("VB_KMS_KEY", "alias/backup")],
            &[("VB_ENCRYPTION", "aws:kms")],
            &[("VB_ENCRYPTION", "AES256"), ("VB_KMS_KEY", KEY)],
            &[("VB_ENCRYPTION", "rot13")],
            &[("VB_LOCK_DAYS", "0")],
            &[("VB_LOCK_DAYS", "soon")],
        ] {
            let error = config(values).map(|_| ()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{values:?}");
            assert!(error.to_string().contains(values[0].0) && error.hint().is_some(), "{error}");
        }
    }
}
