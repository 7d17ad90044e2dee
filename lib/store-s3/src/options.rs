//! What the server is asked to do with an object that is created: class, encryption, lock and metadata.

use crate::tagging;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ObjectLockMode, ServerSideEncryption, StorageClass};
use std::collections::HashMap;
use vb_core::environment::{self as variables, Environment};
use vb_core::{Error, Result};
use vb_store::Facts;

/// The longest lock: Amazon takes no more (`Years` of a bucket's default ends at 100).
const MOST_LOCK_DAYS: u32 = 36_500;

/// Encryption at rest, which the server does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// `AES256`: with the server's own keys.
    Server,
    /// `aws:kms`: with a key of the key service; without a name, with its default key.
    KeyService(Option<String>),
}

/// For how long the server refuses to delete an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// From the moment of storing on.
    pub days: u32,
    /// Whether nobody at all may end it early (`COMPLIANCE`), or whoever may bypass it (`GOVERNANCE`).
    pub compliance: bool,
}

/// The options of all objects that this store creates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectOptions {
    /// For data only: manifests and facts are small and read often.
    pub storage_class: Option<String>,
    /// For everything.
    pub encryption: Option<Encryption>,
    /// For everything.
    pub lock: Option<Lock>,
}

/// What an object is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content<'upload> {
    /// A manifest or another small record.
    Record,
    /// A backup's data, with what is said about it.
    Data(&'upload Facts),
}

impl ObjectOptions {
    /// From `VB_STORAGE_CLASS`, `VB_ENCRYPTION`, `VB_KMS_KEY`, `VB_LOCK_DAYS` and `VB_LOCK_MODE`.
    ///
    /// # Errors
    /// A usage error if one has no meaning, or two contradict each other.
    pub fn new(environment: &Environment) -> Result<Self> {
        let storage_class = environment.get(variables::VB_STORAGE_CLASS).map(str::to_ascii_uppercase);
        Ok(Self { storage_class, encryption: encryption(environment)?, lock: lock(environment)? })
    }

    pub(crate) fn class(&self, content: Content<'_>) -> Option<StorageClass> {
        let class = self.storage_class.as_deref().filter(|_| matches!(content, Content::Data(_)));
        class.map(StorageClass::from)
    }

    pub(crate) fn server_side_encryption(&self) -> Option<ServerSideEncryption> {
        Some(match self.encryption.as_ref()? {
            Encryption::Server => ServerSideEncryption::Aes256,
            Encryption::KeyService(_) => ServerSideEncryption::AwsKms,
        })
    }

    pub(crate) fn kms_key(&self) -> Option<String> {
        match self.encryption.as_ref()? {
            Encryption::Server => None,
            Encryption::KeyService(key) => key.clone(),
        }
    }

    pub(crate) fn lock_mode(&self) -> Option<ObjectLockMode> {
        let compliance = self.lock.as_ref()?.compliance;
        Some(if compliance { ObjectLockMode::Compliance } else { ObjectLockMode::Governance })
    }

    /// By this machine's clock, whose error is small beside a day.
    pub(crate) fn retain_until(&self) -> Option<DateTime> {
        let until = chrono::Utc::now() + chrono::TimeDelta::days(i64::from(self.lock.as_ref()?.days));
        Some(DateTime::from_secs(until.timestamp()))
    }
}

impl Content<'_> {
    pub(crate) fn metadata(self) -> Option<HashMap<String, String>> {
        match self {
            Content::Data(facts) if !facts.is_empty() => Some(tagging::metadata(facts)),
            Content::Data(_) | Content::Record => None,
        }
    }
}

/// The two requests that create an object take the same options, by the same names, but share no trait.
macro_rules! with_options {
    ($request:expr, $options:expr, $content:expr) => {
        $request
            .set_storage_class($options.class($content))
            .set_server_side_encryption($options.server_side_encryption())
            .set_ssekms_key_id($options.kms_key())
            .set_object_lock_mode($options.lock_mode())
            .set_object_lock_retain_until_date($options.retain_until())
            .set_metadata($content.metadata())
    };
}
pub(crate) use with_options;

fn encryption(environment: &Environment) -> Result<Option<Encryption>> {
    let key = environment.get(variables::VB_KMS_KEY).map(str::to_owned);
    match (environment.get(variables::VB_ENCRYPTION), key) {
        (None, None) => Ok(None),
        (Some("AES256"), None) => Ok(Some(Encryption::Server)),
        (Some("AES256"), Some(_)) => Err(Error::usage("VB_ENCRYPTION is AES256 but VB_KMS_KEY is set")
            .with_hint("Set VB_ENCRYPTION to aws:kms, or leave the key out.")),
        (Some("aws:kms") | None, key) => Ok(Some(Encryption::KeyService(key))),
        (Some(other), _) => Err(Error::usage(format!("VB_ENCRYPTION is {other:?}"))
            .with_hint("Set VB_ENCRYPTION (--encryption) to AES256 or aws:kms.")),
    }
}

fn lock(environment: &Environment) -> Result<Option<Lock>> {
    let compliance = match environment.get(variables::VB_LOCK_MODE).map(str::to_ascii_uppercase).as_deref() {
        None | Some("GOVERNANCE") => false,
        Some("COMPLIANCE") => true,
        Some(other) => {
            return Err(Error::usage(format!("VB_LOCK_MODE is {other:?}"))
                .with_hint("Set VB_LOCK_MODE (--lock-mode) to GOVERNANCE or COMPLIANCE."));
        }
    };
    let Some(days) = environment.get(variables::VB_LOCK_DAYS) else { return Ok(None) };
    match days.parse() {
        Ok(days @ 1..=MOST_LOCK_DAYS) => Ok(Some(Lock { days, compliance })),
        _ => Err(Error::usage(format!("VB_LOCK_DAYS is {days:?}"))
            .with_hint(format!("Set VB_LOCK_DAYS (--lock-days) to a number from 1 to {MOST_LOCK_DAYS}."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vb_core::ErrorKind;

    fn options(values: &[(&str, &str)]) -> Result<ObjectOptions> {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        ObjectOptions::new(&Environment::new(values))
    }

    #[test]
    fn the_environment_decides() {
        assert_eq!(options(&[]).unwrap(), ObjectOptions::default());
        let all = options(&[("VB_STORAGE_CLASS", "standard_ia"), ("VB_KMS_KEY", "k"), ("VB_LOCK_DAYS", "30")]).unwrap();
        assert_eq!(all.storage_class.as_deref(), Some("STANDARD_IA"));
        assert_eq!(all.encryption, Some(Encryption::KeyService(Some("k".to_owned()))));
        assert_eq!(all.lock, Some(Lock { days: 30, compliance: false }));
        assert!(all.class(Content::Record).is_none() && all.class(Content::Data(&Facts::new())).is_some());
        assert_eq!(options(&[("VB_ENCRYPTION", "AES256")]).unwrap().encryption, Some(Encryption::Server));
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for values in [
            &[("VB_ENCRYPTION", "rot13")][..],
            &[("VB_ENCRYPTION", "AES256"), ("VB_KMS_KEY", "k")],
            &[("VB_LOCK_DAYS", "0")],
            &[("VB_LOCK_DAYS", "forever")],
            &[("VB_LOCK_DAYS", "1"), ("VB_LOCK_MODE", "perhaps")],
        ] {
            let error = options(values).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{values:?}");
            assert!(error.hint().is_some());
        }
    }
}
