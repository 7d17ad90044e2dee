//! A store as a test sees it: without the commands that are tested.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::leftovers::files;
use crate::place::Place;
use crate::servers::{Azurite, Bucket, Container, GcsBucket, GcsServer, S3Server, SftpFolder, SftpServer};

/// A store of any provider, empty at first.
#[derive(Debug)]
pub enum Stock {
    /// The folder `backups` of a place.
    Disk(PathBuf),
    /// A bucket.
    S3(Bucket),
    /// A container.
    Azure(Container),
    /// A bucket of Google's.
    Gcs(GcsBucket),
    /// A folder on a file server.
    Sftp(SftpFolder),
}

/// What leads a command to a store: nothing more than what a user would set.
const NAMES: [&str; 10] = [
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
    "S3_BUCKET_NAME",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_CONTAINER_NAME",
    "STORAGE_EMULATOR_HOST",
    "BACKUP_BUCKET",
    "VB_STORE",
];

/// What a file server needs besides.
const SSH: [&str; 2] = ["VB_SSH_KEY", "VB_SSH_KNOWN_HOSTS"];

impl Stock {
    /// The folder `backups` of this place.
    #[must_use]
    pub fn on_disk(place: &Place) -> Self {
        Self::Disk(place.path("backups"))
    }

    /// On SeaweedFS.
    ///
    /// # Errors
    /// When the server does not start or refuses.
    pub fn on_s3(label: &str) -> Result<Self> {
        S3Server::seaweedfs()?.create_bucket(label).map(Self::S3)
    }

    /// On Azurite.
    ///
    /// # Errors
    /// When the server does not start or refuses.
    pub fn on_azure(label: &str) -> Result<Self> {
        Azurite::shared()?.create_container(label).map(Self::Azure)
    }

    /// On fake-gcs-server.
    ///
    /// # Errors
    /// When the server does not start or refuses.
    pub fn on_gcs(label: &str) -> Result<Self> {
        GcsServer::shared()?.create_bucket(label).map(Self::Gcs)
    }

    /// On OpenSSH's server.
    ///
    /// # Errors
    /// When the server does not start.
    pub fn on_sftp(label: &str) -> Result<Self> {
        SftpServer::shared()?.folder(label).map(Self::Sftp)
    }

    /// What leads a command here: nothing more than what a user would set.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        let (all, provider) = match self {
            Self::Disk(_) => return vec![("VB_STORE".to_owned(), "file://./backups".to_owned())],
            Self::S3(bucket) => (bucket.variables(), "aws"),
            Self::Azure(container) => (container.variables(), "azure"),
            Self::Gcs(bucket) => (bucket.variables(), "gcp"),
            Self::Sftp(folder) => (folder.variables(), ""),
        };
        let named = |name: &str| NAMES.contains(&name) || SSH.contains(&name);
        let set = all.iter().filter(|(name, _)| named(name)).map(|(name, value)| (name.clone(), value.clone()));
        let provider = (!provider.is_empty()).then(|| ("CLOUD_PROVIDER".to_owned(), provider.to_owned()));
        set.chain(provider).collect()
    }

    /// The server's address: `127.0.0.1:8333`.
    ///
    /// # Errors
    /// When there is none, as with a disk.
    pub fn address(&self) -> Result<String> {
        const HOST: &str = "127.0.0.1:";
        let variables = self.variables();
        let found = variables.iter().filter(|(name, _)| NAMES.contains(&name.as_str()));
        let found = found.filter_map(|(_, value)| Some(value.split_once(HOST)?.1)).next();
        let Some(port) = found else { bail!("this store has no address") };
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        Ok(format!("{HOST}{port}"))
    }

    /// The variables that lead a command to this address instead. For a file server the place gets a file of known hosts.
    ///
    /// # Errors
    /// When that file cannot be written.
    pub fn variables_through(&self, address: &str, place: &Place) -> Result<Vec<(String, String)>> {
        let own = self.address()?;
        let mut variables = self.variables();
        for (name, value) in &mut variables {
            *value = value.replace(&own, address);
            if name == "VB_SSH_KNOWN_HOSTS" {
                let bracketed = |address: &str| address.replacen("127.0.0.1", "[127.0.0.1]", 1);
                let known = fs::read_to_string(&*value).context("reading the known hosts")?;
                let path = place.path("../known_hosts");
                fs::write(&path, known.replace(&bracketed(&own), &bracketed(address)))
                    .context("writing known hosts")?;
                *value = path.display().to_string();
            }
        }
        Ok(variables)
    }

    /// The keys of all objects; where a store is a folder every file, temporary ones too.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn keys(&self) -> Result<BTreeSet<String>> {
        Ok(match self {
            Self::Disk(folder) => return files(folder),
            Self::Sftp(folder) => return files(folder.path()),
            Self::S3(bucket) => bucket.keys("")?.into_iter().collect(),
            Self::Azure(container) => container.keys()?.into_iter().collect(),
            Self::Gcs(bucket) => bucket.keys()?.into_iter().collect(),
        })
    }

    /// How many uploads are begun and neither finished nor aborted. A folder's are among its files, and Google's server lists none.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub fn open_uploads(&self) -> Result<usize> {
        match self {
            Self::Disk(_) | Self::Sftp(_) | Self::Gcs(_) => Ok(0),
            Self::S3(bucket) => bucket.open_uploads(),
            Self::Azure(container) => {
                let committed: BTreeSet<String> = container.keys()?.into_iter().collect();
                Ok(container.names()?.iter().filter(|name| !committed.contains(*name)).count())
            }
        }
    }

    /// An object's bytes.
    ///
    /// # Errors
    /// When it is not there.
    pub fn get(&self, key: &str) -> Result<Vec<u8>> {
        match self {
            Self::Disk(folder) => fs::read(folder.join(key)).with_context(|| format!("reading {key}")),
            Self::Sftp(folder) => fs::read(folder.path().join(key)).with_context(|| format!("reading {key}")),
            Self::S3(bucket) => bucket.get(key),
            Self::Azure(container) => container.get(key),
            Self::Gcs(bucket) => bucket.get(key),
        }
    }

    /// Replaces an object.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn put(&self, key: &str, content: &[u8]) -> Result<()> {
        match self {
            Self::Disk(folder) => fs::write(folder.join(key), content).with_context(|| format!("writing {key}")),
            Self::Sftp(folder) => fs::write(folder.path().join(key), content).with_context(|| format!("writing {key}")),
            Self::S3(bucket) => bucket.put(key, content),
            Self::Azure(container) => container.put(key, content),
            Self::Gcs(bucket) => bucket.put(key, content),
        }
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn delete(&self, key: &str) -> Result<()> {
        match self {
            Self::Disk(folder) => fs::remove_file(folder.join(key)).with_context(|| format!("deleting {key}")),
            Self::Sftp(folder) => fs::remove_file(folder.path().join(key)).with_context(|| format!("deleting {key}")),
            Self::S3(bucket) => bucket.delete(key),
            Self::Azure(container) => container.delete(key),
            Self::Gcs(bucket) => bucket.delete(key),
        }
    }
}
