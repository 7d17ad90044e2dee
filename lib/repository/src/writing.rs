//! What a store is asked to do with what is stored: flags that go before the variables of the same meaning.

use vb_core::environment::{
    Environment, VB_ENCRYPTION, VB_KMS_KEY, VB_LOCK_DAYS, VB_LOCK_MODE, VB_STORAGE_CLASS, Variable,
};
use vb_core::location::Location;
use vb_core::{Error, Result};

/// Stores of plain files, which nobody keeps by rules.
const PLAIN: [&str; 2] = ["file", "sftp"];

/// Flattened into the arguments of the commands that make backups.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "What the store does with the data")]
pub struct WritingArguments {
    /// The storage class of the data, by the provider's name (STANDARD_IA, GLACIER_IR, …); by default VB_STORAGE_CLASS
    ///
    /// Manifests stay in the default class: they are small and read often.
    #[arg(long, value_name = "CLASS")]
    pub storage_class: Option<String>,

    /// Encryption by the server: AES256 or aws:kms; by default VB_ENCRYPTION
    #[arg(long, value_name = "HOW")]
    pub encryption: Option<String>,

    /// The key for aws:kms; by default VB_KMS_KEY, else the service's own
    #[arg(long, value_name = "KEY")]
    pub kms_key: Option<String>,

    /// For how many days the server must refuse to delete data and manifest; by default VB_LOCK_DAYS
    #[arg(long, value_name = "DAYS")]
    pub lock_days: Option<String>,

    /// GOVERNANCE: whoever may bypass the lock can end it; COMPLIANCE: nobody can; by default VB_LOCK_MODE
    #[arg(long, value_name = "MODE")]
    pub lock_mode: Option<String>,
}

impl WritingArguments {
    /// The environment as the flags change it: providers read it from there, in this process and in the guard's.
    #[must_use]
    pub fn environment(&self, environment: &Environment) -> Environment {
        let flags = [
            (VB_STORAGE_CLASS, &self.storage_class),
            (VB_ENCRYPTION, &self.encryption),
            (VB_KMS_KEY, &self.kms_key),
            (VB_LOCK_DAYS, &self.lock_days),
            (VB_LOCK_MODE, &self.lock_mode),
        ];
        flags.into_iter().fold(environment.clone(), |environment, (variable, flag)| match flag {
            Some(value) => environment.with(variable, value),
            None => environment,
        })
    }
}

/// Refuses what a store of plain files would silently not do.
///
/// # Errors
/// A usage error that names the variable and its flag.
pub fn refuse_unsupported(location: &Location, environment: &Environment) -> Result<()> {
    const WANTED: [(Variable, &str, &str); 4] = [
        (VB_STORAGE_CLASS, "--storage-class", "storage classes"),
        (VB_ENCRYPTION, "--encryption", "encryption of its own"),
        (VB_KMS_KEY, "--kms-key", "encryption of its own"),
        (VB_LOCK_DAYS, "--lock-days", "locks"),
    ];
    let wanted = WANTED.iter().find(|(variable, ..)| environment.get(*variable).is_some());
    match wanted {
        Some((variable, flag, what)) if PLAIN.contains(&location.scheme.as_str()) => {
            let hint = format!("Leave {flag} and {} out for this store.", variable.name);
            Err(Error::usage(format!("the store {location} has no {what}")).with_hint(hint))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_goes_before_the_environment() {
        let outside = Environment::new([("VB_LOCK_DAYS".to_owned(), "3".to_owned())]);
        let flags = WritingArguments { lock_days: Some("9".to_owned()), ..WritingArguments::default() };
        assert_eq!(flags.environment(&outside).get(VB_LOCK_DAYS), Some("9"));
        assert_eq!(WritingArguments::default().environment(&outside).get(VB_LOCK_DAYS), Some("3"));
    }

    #[test]
    fn a_disk_refuses_what_it_cannot_do() {
        for variable in [VB_STORAGE_CLASS, VB_ENCRYPTION, VB_KMS_KEY, VB_LOCK_DAYS] {
            let environment = Environment::new([(variable.name.to_owned(), "1".to_owned())]);
            let error = refuse_unsupported(&Location::parse("file:///x").unwrap(), &environment).unwrap_err();
            assert!(error.hint().unwrap().contains(variable.name));
            refuse_unsupported(&Location::parse("s3://x").unwrap(), &environment).unwrap();
        }
    }
}
