//! Where a store is: its URL, and what the environment says when no URL is given.

use crate::environment::{self as variables, Environment};
use crate::{Error, Result};
use std::fmt;

/// A store's URL, taken apart. Which schemes exist is known to `lib/stores` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// `file`, `s3`, …
    pub scheme: String,
    /// The bucket, container or host; empty for `file`.
    pub authority: String,
    /// The prefix without slashes at its ends; for `file` the folder, absolute or relative.
    pub path: String,
}

impl Location {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// A usage error if it is no store's URL, or holds a password.
    pub fn parse(url: &str) -> Result<Self> {
        let Some((scheme, rest)) = url.split_once("://") else {
            let hint = "Write it as file:///folder, s3://bucket/prefix or sftp://user@host/folder.";
            return Err(Error::usage(format!("the store {url:?} is no URL")).with_hint(hint));
        };
        if rest.contains("://") {
            let hint = "Write --store once for each; in VB_STORE they stand with blanks between them.";
            return Err(Error::usage("the store's URL names several stores").with_hint(hint));
        }
        if scheme == "file" {
            return Self::folder(rest);
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() {
            return Err(Error::usage(format!("the store \"{scheme}://\" names no bucket or host")));
        }
        if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) {
            let hint = "Put the secret in the environment; a command line is visible to every user of the machine.";
            return Err(Error::usage("the store's URL holds a password").with_hint(hint));
        }
        Ok(Self { scheme: scheme.to_owned(), authority: authority.to_owned(), path: path.trim_matches('/').to_owned() })
    }

    /// A store on this machine's disk. `file://./backups` is relative, `file:///backups` is absolute.
    fn folder(path: &str) -> Result<Self> {
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        if path.is_empty() {
            return Err(Error::usage("the store \"file://\" names no folder"));
        }
        if !path.starts_with('/') && !path.starts_with('.') {
            let hint = format!("Write file://./{path} for a folder here, or file:///{path} for an absolute one.");
            return Err(Error::usage(format!("the store \"file://{path}\" is ambiguous")).with_hint(hint));
        }
        Ok(Self { scheme: "file".to_owned(), authority: String::new(), path: path.to_owned() })
    }

    /// The store of a command without `--store`: `VB_STORE`, else the provider's variables, else `file://./backups`.
    ///
    /// # Errors
    /// A usage error that names the variable which is missing or wrong.
    pub fn from_environment(environment: &Environment) -> Result<Self> {
        match Self::all_from_environment(environment)?.as_slice() {
            [only] => Ok(only.clone()),
            several => {
                let error = Error::usage(format!("VB_STORE names {} stores, and this takes one", several.len()));
                let first = several.iter().map(|first| format!(", such as {first}")).next().unwrap_or_default();
                Err(error.with_hint(format!("Name one with --store{first}.")))
            }
        }
    }

    /// The same for a command that takes several stores: `VB_STORE` may name them with blanks between.
    ///
    /// # Errors
    /// As above.
    pub fn all_from_environment(environment: &Environment) -> Result<Vec<Self>> {
        match environment.get(variables::VB_STORE) {
            Some(urls) if urls.trim().is_empty() => Err(Error::usage("VB_STORE is blank")),
            Some(urls) => split(urls).iter().map(|url| Self::parse(url)).collect(),
            None => Ok(vec![Self::of_provider(environment)?]),
        }
    }

    fn of_provider(environment: &Environment) -> Result<Self> {
        let aws = [variables::S3_BUCKET_NAME, variables::AWS_S3_BUCKET, variables::BACKUP_BUCKET];
        match environment.get(variables::CLOUD_PROVIDER) {
            Some("aws" | "s3") => Self::bucket("s3", environment, &aws),
            Some("azure") => {
                Self::bucket("az", environment, &[variables::AZURE_CONTAINER_NAME, variables::BACKUP_BUCKET])
            }
            Some("gcp" | "gcs" | "google") => Self::bucket("gs", environment, &[variables::BACKUP_BUCKET]),
            // A bucket that is named but not used would be a backup on the wrong side of a disk failure.
            None if environment.first(&aws[..2]).is_some() => Self::bucket("s3", environment, &aws),
            Some("local") | None => Self::parse("file://./backups"),
            Some(other) => Err(Error::usage(format!("CLOUD_PROVIDER is {other:?}"))
                .with_hint("Set it to aws, azure, gcp or local, or give --store.")),
        }
    }

    fn bucket(scheme: &str, environment: &Environment, names: &[variables::Variable]) -> Result<Self> {
        let Some(bucket) = environment.first(names) else {
            let names: Vec<&str> = names.iter().map(|variable| variable.name).collect();
            return Err(Error::usage(format!("CLOUD_PROVIDER is set but none of {} is", names.join(", ")))
                .with_hint(format!("Set {} to the name of the bucket or container.", names[0])));
        };
        let prefix = environment.get(variables::BACKUP_PREFIX).unwrap_or_default();
        Self::parse(&format!("{scheme}://{bucket}/{prefix}"))
    }
}

/// The URLs in a text; a folder's name may hold blanks, so a word that begins no URL belongs to the one before.
fn split(text: &str) -> Vec<String> {
    let mut urls: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match urls.last_mut() {
            Some(last) if !word.contains("://") => last.extend([" ", word]),
            _ => urls.push(word.to_owned()),
        }
    }
    urls
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme, self.authority)?;
        let slash = if self.authority.is_empty() || self.path.is_empty() { "" } else { "/" };
        write!(formatter, "{slash}{}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(values: &[(&str, &str)]) -> Environment {
        Environment::new(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn urls_come_back_as_they_were() {
        for url in ["file:///srv/backups", "file://./backups", "s3://bucket", "s3://bucket/a/b", "sftp://u@host/dir"] {
            assert_eq!(Location::parse(url).unwrap().to_string(), url);
        }
        assert_eq!(Location::parse("s3://bucket/a/").unwrap().path, "a");
    }

    #[test]
    fn what_is_no_store_is_refused() {
        for url in [
            "backups",
            "file://",
            "file://backups",
            "s3://",
            "s3:///x",
            "s3://a,sftp://u:secret@h/x",
            "sftp://user:secret@host/x",
        ] {
            let error = Location::parse(url).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Usage);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn several_stores_stand_with_blanks_between_them() {
        let set = |urls| environment(&[("VB_STORE", urls)]);
        let all = |urls| -> Vec<String> {
            Location::all_from_environment(&set(urls)).unwrap().iter().map(Location::to_string).collect()
        };
        assert_eq!(all(" file:///srv/my backups  s3://b/p "), ["file:///srv/my backups", "s3://b/p"]);
        assert_eq!(Location::from_environment(&set("file:///my backups")).unwrap().path, "/my backups");
        let error = Location::from_environment(&set("s3://a s3://b")).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Usage);
        assert!(error.hint().unwrap().contains("--store, such as s3://a"), "{error:?}");
        assert_eq!(Location::from_environment(&set(" ")).unwrap_err().kind(), crate::ErrorKind::Usage);
    }

    #[test]
    fn the_variables_of_older_programs_work() {
        let aws = environment(&[("CLOUD_PROVIDER", "aws"), ("S3_BUCKET_NAME", "b"), ("BACKUP_PREFIX", "p/")]);
        assert_eq!(Location::from_environment(&aws).unwrap().to_string(), "s3://b/p");
        let azure = environment(&[("CLOUD_PROVIDER", "azure"), ("AZURE_CONTAINER_NAME", "c")]);
        assert_eq!(Location::from_environment(&azure).unwrap().to_string(), "az://c");
        let nothing = environment(&[]);
        assert_eq!(Location::from_environment(&nothing).unwrap().to_string(), "file://./backups");
        let error = Location::from_environment(&environment(&[("CLOUD_PROVIDER", "aws")])).unwrap_err();
        assert!(error.to_string().contains("S3_BUCKET_NAME"), "{error}");
    }
}
