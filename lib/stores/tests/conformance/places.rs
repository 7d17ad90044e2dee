//! Every store on a server of its own: small parts and pages, which prove more in less time; tiny ones for the large cases.

use anyhow::{Context, Result};
use std::sync::Arc;
use vb_core::environment::Environment;
use vb_core::location::Location;
use vb_core::parts::{MEBIBYTE, PartLimits};
use vb_store::{LocalStore, RetryPolicy, Retrying, Store, no_warning};
use vb_store_azure::{AzureConfig, AzureStore};
use vb_store_gcs::{GcsConfig, GcsStore};
use vb_store_s3::{S3Config, S3Store};
use vb_store_sftp::{SftpConfig, SftpStore};
use vb_tests::servers::{Azurite, GcsServer, S3Server, SftpServer, Variables};

/// A store for the usual cases, and the same for the large ones.
pub(crate) struct Opened {
    pub(crate) name: &'static str,
    pub(crate) usual: Arc<dyn Store>,
    pub(crate) large: Arc<dyn Store>,
    _folder: Option<tempfile::TempDir>,
}

/// How a store is opened.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    open: fn(&'static str) -> Result<Opened>,
}

impl Place {
    pub(crate) fn open(&self) -> Result<Opened> {
        (self.open)(self.name).with_context(|| self.name)
    }
}

/// All of them, in the table's order.
pub(crate) const PLACES: [Place; 7] = [
    Place { name: "disk", open: disk },
    Place { name: "SeaweedFS", open: |name| s3(name, S3Server::seaweedfs()?, 5 * MEBIBYTE) },
    Place { name: "moto", open: |name| s3(name, S3Server::moto()?, 5 * MEBIBYTE) },
    Place { name: "Ceph", open: |name| s3(name, S3Server::radosgw()?, 64) },
    Place { name: "Azurite", open: azure },
    Place { name: "fake-gcs-server", open: gcs },
    Place { name: "OpenSSH", open: sftp },
];

/// As `vb_stores` opens it.
fn wrapped(store: impl Store + 'static) -> Arc<dyn Store> {
    Arc::new(Retrying::new(Arc::new(store), RetryPolicy::default(), no_warning()))
}

fn disk(name: &'static str) -> Result<Opened> {
    let folder = tempfile::tempdir()?;
    let store = || Arc::new(LocalStore::new(folder.path().join("store")));
    Ok(Opened { name, usual: store(), large: store(), _folder: Some(folder) })
}

fn environment(variables: &Variables) -> Environment {
    Environment::new(variables.clone())
}

fn s3(name: &'static str, server: &S3Server, tiny: u64) -> Result<Opened> {
    let bucket = server.create_bucket("conformance")?;
    let location = Location::parse(&format!("s3://{}/prefix", bucket.name()))?;
    let config = S3Config::new(&location, &environment(bucket.variables()))?;
    let usual = PartLimits { part_bytes: 5 * MEBIBYTE, parallel: 2, ..PartLimits::S3 };
    let large = PartLimits { part_bytes: tiny, most_parts: 20_000, ..PartLimits::S3 };
    let open = |limits, page_keys| {
        let mut config = config.clone();
        (config.limits, config.page_keys) = (limits, page_keys);
        S3Store::open(config).map(wrapped)
    };
    Ok(Opened { name, usual: open(usual, 10)?, large: open(large, 1000)?, _folder: None })
}

fn azure(name: &'static str) -> Result<Opened> {
    let container = Azurite::shared()?.create_container("conformance")?;
    let location = Location::parse(&format!("az://{}/prefix", container.name()))?;
    let config = AzureConfig::new(&location, &environment(container.variables()))?;
    let usual = PartLimits { part_bytes: 256 << 10, parallel: 2, ..PartLimits::AZURE };
    let large = PartLimits { part_bytes: 64, ..PartLimits::AZURE };
    let open = |limits, page_objects| {
        let mut config = config.clone();
        (config.limits, config.page_objects) = (limits, page_objects);
        AzureStore::open(config).map(wrapped)
    };
    Ok(Opened { name, usual: open(usual, 10)?, large: open(large, 5000)?, _folder: None })
}

fn gcs(name: &'static str) -> Result<Opened> {
    let bucket = GcsServer::shared()?.create_bucket("conformance")?;
    let location = Location::parse(&format!("gs://{}/prefix", bucket.name()))?;
    let config = GcsConfig::new(&location, &environment(bucket.variables()))?;
    let usual = PartLimits { part_bytes: 512 << 10, ..PartLimits::GCS };
    let large = PartLimits { part_bytes: 64, ..PartLimits::GCS };
    let open = |limits, page_keys| {
        let mut config = config.clone();
        (config.limits, config.page_keys) = (limits, page_keys);
        GcsStore::open(config).map(wrapped)
    };
    Ok(Opened { name, usual: open(usual, 10)?, large: open(large, 1000)?, _folder: None })
}

fn sftp(name: &'static str) -> Result<Opened> {
    let folder = SftpServer::shared()?.folder("conformance")?;
    let location = Location::parse(&folder.variables()["VB_STORE"])?;
    let config = SftpConfig::new(&location, &environment(folder.variables()))?;
    let options = ["-F", "/dev/null"].map(str::to_owned).to_vec();
    let open = |part_bytes| {
        let mut config = config.clone();
        config.limits.part_bytes = part_bytes;
        config.ssh_options.clone_from(&options);
        SftpStore::open(config).map(wrapped)
    };
    Ok(Opened { name, usual: open(MEBIBYTE)?, large: open(64)?, _folder: None })
}
