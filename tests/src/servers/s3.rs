//! An S3 server for the whole test binary, and a bucket of its own for each test. Fixtures and checks speak to it through `curl`,
//! so that no code of ours, and none of the SDK that it uses, is both what is tested and what tests.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use super::Variables;
use super::curl;
use super::held::{Held, Shared, shared};

/// A running server.
#[derive(Debug)]
pub struct S3Server {
    held: Held,
}

impl S3Server {
    /// SeaweedFS: a real store, which checks signatures and checksums. All tests of this binary share it.
    ///
    /// # Errors
    /// What the script said, when the server did not start.
    pub fn seaweedfs() -> Result<&'static Self> {
        static SHARED: Shared<S3Server> = Shared::new();
        shared(&SHARED, || Self::start("seaweedfs"))
    }

    /// moto: knows archive classes and restore, but checks nothing. All tests of this binary share it.
    ///
    /// # Errors
    /// What the script said, when the server did not start.
    pub fn moto() -> Result<&'static Self> {
        static SHARED: Shared<S3Server> = Shared::new();
        shared(&SHARED, || Self::start("moto"))
    }

    /// Ceph's gateway: a real store too, older in its habits (no checksums that it keeps, no conditions on a commit). All tests of
    /// this binary share it.
    ///
    /// # Errors
    /// What the script said, when the server did not start.
    pub fn radosgw() -> Result<&'static Self> {
        static SHARED: Shared<S3Server> = Shared::new();
        shared(&SHARED, || Self::start("radosgw"))
    }

    fn start(name: &str) -> Result<Self> {
        Held::start(name).map(|held| Self { held })
    }

    /// Makes an empty bucket that nobody else uses; `label` makes its name readable (lower case, digits, `-`).
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn create_bucket(&self, label: &str) -> Result<Bucket> {
        self.create(label, &[])
    }

    /// The same, for objects that can be locked.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn create_locking_bucket(&self, label: &str) -> Result<Bucket> {
        self.create(label, &["--header", "x-amz-bucket-object-lock-enabled: true"])
    }

    fn create(&self, label: &str, options: &[&str]) -> Result<Bucket> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("{label}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut variables = self.held.variables().clone();
        variables.insert("S3_BUCKET_NAME".into(), name.clone());
        let bucket = Bucket { name, variables };
        bucket.send("PUT", "", None, options).with_context(|| format!("creating the bucket {}", bucket.name))?;
        Ok(bucket)
    }
}

/// A bucket that one test has to itself. It goes with its server.
#[derive(Debug)]
pub struct Bucket {
    name: String,
    variables: Variables,
}

impl Bucket {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The variables that lead a command to this bucket: `AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, `S3_BUCKET_NAME`, …
    #[must_use]
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The same, with the keys of somebody who may read and list, but not write.
    #[must_use]
    pub fn reader_variables(&self) -> Variables {
        let mut variables = self.variables.clone();
        variables.insert("AWS_ACCESS_KEY_ID".into(), self.variables["VB_TEST_READER_KEY"].clone());
        variables.insert("AWS_SECRET_ACCESS_KEY".into(), self.variables["VB_TEST_READER_SECRET"].clone());
        variables
    }

    /// Stores an object. The key must need no escaping in a URL.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn put(&self, key: &str, content: &[u8]) -> Result<()> {
        self.request("PUT", key, Some(content)).map(drop)
    }

    /// Reads an object.
    ///
    /// # Errors
    /// When the server cannot be reached, or has no such object.
    pub fn get(&self, key: &str) -> Result<Vec<u8>> {
        self.request("GET", key, None)
    }

    /// Deletes an object, if it is there.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn delete(&self, key: &str) -> Result<()> {
        self.request("DELETE", key, None).map(drop)
    }

    /// The keys in the bucket that begin with `prefix`, sorted; at most the 1000 that one answer holds.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let answer = self.request("GET", &format!("?list-type=2&prefix={}", prefix.replace('/', "%2F")), None)?;
        let answer = String::from_utf8(answer).context("reading the list of keys")?;
        let mut keys: Vec<_> =
            answer.split("<Key>").skip(1).filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned())).collect();
        keys.sort();
        Ok(keys)
    }

    /// How many multipart uploads are begun, and neither completed nor aborted.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn open_uploads(&self) -> Result<usize> {
        let answer = self.request("GET", "?uploads=", None)?;
        Ok(String::from_utf8(answer).context("reading the list of uploads")?.matches("<UploadId>").count())
    }

    /// What the server says of an object, as lower-case header lines.
    ///
    /// # Errors
    /// When the server cannot be reached, or has no such object.
    pub fn headers(&self, key: &str) -> Result<String> {
        let answer = self.send("HEAD", key, None, &["--head"])?;
        Ok(String::from_utf8(answer).context("reading an object's headers")?.to_lowercase())
    }

    /// The answer to any other question: a key or a query such as `?lifecycle=`.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn ask(&self, question: &str) -> Result<String> {
        String::from_utf8(self.request("GET", question, None)?).context("reading the server's answer")
    }

    fn request(&self, method: &str, key: &str, content: Option<&[u8]>) -> Result<Vec<u8>> {
        self.send(method, key, content, &[])
    }

    fn send(&self, method: &str, key: &str, content: Option<&[u8]>, options: &[&str]) -> Result<Vec<u8>> {
        let set = |name: &str| self.variables.get(name).with_context(|| format!("the server script sets no {name}"));
        let url = format!("{}/{}{}{key}", set("AWS_ENDPOINT_URL")?, self.name, if key.is_empty() { "" } else { "/" });
        let user = format!("{}:{}", set("AWS_ACCESS_KEY_ID")?, set("AWS_SECRET_ACCESS_KEY")?);
        let mut curl = vec!["--request", method, "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", &user];
        curl.extend(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
        curl.extend(["--header", "content-type: application/octet-stream"]);
        curl.extend(options);
        curl.extend(content.map(|_| ["--data-binary", "@-"]).into_iter().flatten());
        curl.push(&url);
        curl::run(&curl, content).with_context(|| format!("{method} {url}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects_come_back(server: &S3Server) {
        let bucket = server.create_bucket("objects").unwrap();
        let content: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        bucket.put("a/one", &content).unwrap();
        bucket.put("b/two", b"").unwrap();
        assert_eq!(bucket.get("a/one").unwrap(), content);
        assert_eq!(bucket.keys("").unwrap(), ["a/one", "b/two"]);
        assert_eq!(bucket.keys("b/").unwrap(), ["b/two"]);
        bucket.delete("a/one").unwrap();
        assert!(bucket.get("a/one").unwrap_err().root_cause().to_string().contains("NoSuchKey"));
        assert!(server.create_bucket("objects").unwrap().keys("").unwrap().is_empty());
    }

    #[test]
    fn objects_come_back_from_seaweedfs() {
        objects_come_back(S3Server::seaweedfs().unwrap());
    }

    #[test]
    fn objects_come_back_from_moto() {
        objects_come_back(S3Server::moto().unwrap());
    }

    #[test]
    fn an_open_upload_is_seen() {
        let bucket = S3Server::seaweedfs().unwrap().create_bucket("uploads").unwrap();
        assert_eq!(bucket.open_uploads().unwrap(), 0);
        bucket.request("POST", "key?uploads=", None).unwrap();
        assert_eq!(bucket.open_uploads().unwrap(), 1);
    }

    #[test]
    fn a_reader_reads_and_does_not_write() {
        let bucket = S3Server::seaweedfs().unwrap().create_bucket("read-only").unwrap();
        bucket.put("here", b"content").unwrap();
        let reader = Bucket { name: bucket.name().into(), variables: bucket.reader_variables() };
        assert_eq!(reader.get("here").unwrap(), b"content");
        assert!(reader.put("there", b"content").unwrap_err().root_cause().to_string().contains("AccessDenied"));
    }
}
