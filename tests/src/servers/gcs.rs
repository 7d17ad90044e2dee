//! A server that speaks Google Cloud Storage for the whole test binary, and a bucket of its own for each test. Checks speak to it
//! through `curl`, so that no code of ours is both what is tested and what tests.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Variables;
use super::curl;
use super::held::{Held, Shared, shared};

/// A running fake-gcs-server: it keeps conditions, storage classes, metadata and retention.
#[derive(Debug)]
pub struct GcsServer {
    held: Held,
}

impl GcsServer {
    /// The server that all tests of this binary share.
    ///
    /// # Errors
    /// What the script said, when the server did not start.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: Shared<GcsServer> = Shared::new();
        shared(&SHARED, || Held::start("fakegcs").map(|held| Self { held }))
    }

    /// gcp-storage-emulator: it knows how far an upload is and compares checksums, but ignores conditions. All tests of this binary
    /// share it.
    ///
    /// # Errors
    /// What the script said, when the server did not start.
    pub fn emulator() -> Result<&'static Self> {
        static SHARED: Shared<GcsServer> = Shared::new();
        shared(&SHARED, || Held::start("gcpemulator").map(|held| Self { held }))
    }

    /// Makes an empty bucket that nobody else uses; `label` makes its name readable (lower case, digits, `-`).
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn create_bucket(&self, label: &str) -> Result<GcsBucket> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("{label}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut variables = self.held.variables().clone();
        variables.insert("BACKUP_BUCKET".into(), name.clone());
        let url = self.held.variable("STORAGE_EMULATOR_HOST")?.to_owned();
        let bucket = GcsBucket { name, url, variables };
        let body = format!("{{\"name\": \"{}\"}}", bucket.name);
        bucket
            .curl(&["--data", &body], "?project=test")
            .with_context(|| format!("creating the bucket {}", bucket.name))?;
        Ok(bucket)
    }
}

/// A bucket that one test has to itself. It goes with its server.
#[derive(Debug)]
pub struct GcsBucket {
    name: String,
    url: String,
    variables: Variables,
}

impl GcsBucket {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The variables that lead a command to this bucket: `STORAGE_EMULATOR_HOST`, `BACKUP_BUCKET`.
    #[must_use]
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// What the server says of each object, in the order of their names; at most the 1000 that one answer holds.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn objects(&self) -> Result<Vec<Value>> {
        let answer = self.curl(&[], &format!("/{}/o", self.name))?;
        let answer: Value = serde_json::from_slice(&answer).context("reading the list of objects")?;
        Ok(answer["items"].as_array().cloned().unwrap_or_default())
    }

    /// The names of its objects, sorted.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn keys(&self) -> Result<Vec<String>> {
        let mut names: Vec<_> =
            self.objects()?.iter().filter_map(|object| Some(object["name"].as_str()?.to_owned())).collect();
        names.sort();
        Ok(names)
    }

    /// An object's bytes.
    ///
    /// # Errors
    /// When the server cannot be reached, or has no such object.
    pub fn get(&self, key: &str) -> Result<Vec<u8>> {
        self.curl(&[], &format!("/{}/o/{}?alt=media", self.name, escaped(key)))
    }

    /// Stores an object, in place of one that is there.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn put(&self, key: &str, content: &[u8]) -> Result<()> {
        let url = format!("{}/upload/storage/v1/b/{}/o?uploadType=media&name={}", self.url, self.name, escaped(key));
        curl::run(&["--request", "POST", "--data-binary", "@-", &url], Some(content)).context(url).map(drop)
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// When the server cannot be reached, or has no such object.
    pub fn delete(&self, key: &str) -> Result<()> {
        self.curl(&["--request", "DELETE"], &format!("/{}/o/{}", self.name, escaped(key))).map(drop)
    }

    fn curl(&self, arguments: &[&str], path: &str) -> Result<Vec<u8>> {
        let url = format!("{}/storage/v1/b{path}", self.url);
        let json = ["--header", "content-type: application/json"];
        curl::run(&[&json, arguments, &[&url]].concat(), None).context(url)
    }
}

/// The keys of tests hold nothing else that a URL does not.
fn escaped(key: &str) -> String {
    key.replace('/', "%2F")
}
