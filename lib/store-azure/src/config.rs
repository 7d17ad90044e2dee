//! What an Azure store needs to know: from its URL, the environment and, for tests, the caller.

use crate::account::Account;
use crate::identity::Principal;
use azure_storage_blob::models::AccessTier;
use std::str::FromStr;
use vb_core::environment::{self as variables, Environment};
use vb_core::location::Location;
use vb_core::parts::PartLimits;
use vb_core::{Error, Result};
use vb_store::{RetryPolicy, Warn, no_warning};

/// Where the container is and how to speak to it. The fields may be changed before [`crate::AzureStore::open`].
#[derive(Clone)]
pub struct AzureConfig {
    /// The container.
    pub container: String,
    /// What stands before every key, without slashes at its ends; may be empty.
    pub prefix: String,
    /// How streams are cut.
    pub limits: PartLimits,
    /// Objects a page of a listing, at most 5,000.
    pub page_objects: i32,
    /// For blocks and commits, which only the upload itself can send again.
    pub policy: RetryPolicy,
    /// Hears of every further try.
    pub warn: Warn,
    pub(crate) account: Account,
    pub(crate) principal: Principal,
    pub(crate) storing: Storing,
}

/// What the service shall do with what it stores.
#[derive(Debug, Clone, Default)]
pub(crate) struct Storing {
    /// The tier of data.
    pub(crate) tier: Option<AccessTier>,
    /// The name of an encryption scope of the account.
    pub(crate) encryption_scope: Option<String>,
    /// For how many days an object can be neither changed nor deleted.
    pub(crate) lock_days: Option<u32>,
}

impl AzureConfig {
    /// From `az://container/prefix` and the environment.
    ///
    /// # Errors
    /// A usage error if no account is named, or a setting means nothing to Azure.
    pub fn new(location: &Location, environment: &Environment) -> Result<Self> {
        let account = match environment.get(variables::AZURE_STORAGE_CONNECTION_STRING) {
            Some(text) => Account::parse(text)?,
            None => match environment.get(variables::AZURE_STORAGE_ACCOUNT) {
                Some(name) => Account::named(name)?,
                None => {
                    let message = "neither AZURE_STORAGE_CONNECTION_STRING nor AZURE_STORAGE_ACCOUNT is set";
                    return Err(Error::usage(message).with_hint(
                        "Set the first to the account's connection string, or the second to its name to use an identity.",
                    ));
                }
            },
        };
        Ok(Self {
            container: location.authority.clone(),
            prefix: location.path.clone(),
            limits: PartLimits::AZURE,
            page_objects: 5000,
            policy: RetryPolicy::new(environment)?,
            warn: no_warning(),
            account,
            principal: Principal::new(environment),
            storing: Storing::new(environment)?,
        })
    }
}

impl Storing {
    fn new(environment: &Environment) -> Result<Self> {
        let text = |variable| environment.get(variable).map(str::to_owned);
        let encryption_scope = text(variables::VB_KMS_KEY);
        // AES256 is what Azure does anyway.
        if let Some(wanted) = environment.get(variables::VB_ENCRYPTION)
            && encryption_scope.is_none()
            && wanted != "AES256"
        {
            return Err(Error::usage(format!("VB_ENCRYPTION is {wanted:?}, which Azure does not know"))
                .with_hint("Set VB_KMS_KEY to the name of an encryption scope of the account, or leave both out."));
        }
        let tier = environment.get(variables::VB_STORAGE_CLASS).map(tier).transpose()?;
        let lock_days = environment.get(variables::VB_LOCK_DAYS).map(|days| {
            days.parse().ok().filter(|days| (1..=36_500).contains(days)).ok_or_else(|| {
                Error::usage(format!("VB_LOCK_DAYS is {days:?}")).with_hint("Set it to a number of days, at least 1.")
            })
        });
        Ok(Self { tier, encryption_scope, lock_days: lock_days.transpose()? })
    }
}

/// Checked before anything is sent: the service would refuse it at the commit.
fn tier(name: &str) -> Result<AccessTier> {
    let (first, rest) = name.split_at_checked(1).unwrap_or((name, ""));
    let known = AccessTier::from_str(&format!("{}{}", first.to_ascii_uppercase(), rest.to_ascii_lowercase()));
    known.ok().filter(|tier| !matches!(tier, AccessTier::UnknownValue(_))).ok_or_else(|| {
        Error::usage(format!("VB_STORAGE_CLASS is {name:?}, which is no tier of Azure"))
            .with_hint("Set it to Hot, Cool, Cold or Archive, or leave it out.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Access;

    fn config(values: &[(&str, &str)]) -> Result<AzureConfig> {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        AzureConfig::new(&Location::parse("az://container/a/b").unwrap(), &Environment::new(values))
    }

    fn refusal(values: &[(&str, &str)]) -> String {
        let error = config(values).map(|_| ()).unwrap_err();
        assert!(error.kind() == vb_core::ErrorKind::Usage && error.hint().is_some(), "{error}");
        error.to_string()
    }

    const ACCOUNT: (&str, &str) = ("AZURE_STORAGE_ACCOUNT", "acc");

    #[test]
    fn the_environment_decides() {
        let text = ("AZURE_STORAGE_CONNECTION_STRING", "AccountName=other;AccountKey=c2VjcmV0");
        let known = config(&[ACCOUNT, text, ("VB_STORAGE_CLASS", "COOL"), ("VB_LOCK_DAYS", "7")]).unwrap();
        assert_eq!((known.container.as_str(), known.prefix.as_str()), ("container", "a/b"));
        assert_eq!(known.account.endpoint.host_str(), Some("other.blob.core.windows.net"));
        assert_eq!((known.storing.tier, known.storing.lock_days), (Some(AccessTier::Cool), Some(7)));
        assert_eq!(config(&[ACCOUNT]).unwrap().account.access, Access::Identity);
    }

    #[test]
    fn what_means_nothing_to_azure_is_refused() {
        assert!(refusal(&[]).contains("AZURE_STORAGE_ACCOUNT"));
        assert!(refusal(&[ACCOUNT, ("VB_ENCRYPTION", "aws:kms")]).contains("aws:kms"));
        assert!(refusal(&[ACCOUNT, ("VB_STORAGE_CLASS", "STANDARD_IA")]).contains("no tier"));
        assert!(refusal(&[ACCOUNT, ("VB_LOCK_DAYS", "0")]).contains("VB_LOCK_DAYS"));
        assert!(config(&[ACCOUNT, ("VB_ENCRYPTION", "AES256")]).is_ok());
        let scoped = config(&[ACCOUNT, ("VB_ENCRYPTION", "aws:kms"), ("VB_KMS_KEY", "scope")]).unwrap();
        assert_eq!(scoped.storing.encryption_scope.as_deref(), Some("scope"));
    }
}
