//! One object: looked at, stored whole by one request, compared with what was sent, removed.

use crate::GcsConfig;
use crate::checksum::Sent;
use crate::client::Client;
use crate::error::of_bucket;
use crate::resource::{Resource, description};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use std::sync::{Mutex, MutexGuard, PoisonError};
use vb_core::key::Key;
use vb_core::{Error, ErrorKind, Result};
use vb_http::with_retries;
use vb_store::{Facts, OpenUpload, random_u64};

/// The name under which an object's metadata says which upload has made it.
pub(crate) const UPLOAD: &str = "upload";

/// A bucket and how to reach it. Holds no runtime, so that a part on its way may hold it.
pub(crate) struct Place {
    pub(crate) config: GcsConfig,
    pub(crate) client: Client,
    sessions: Mutex<Vec<OpenUpload>>,
}

impl Place {
    pub(crate) fn new(config: GcsConfig) -> Result<Self> {
        let client = Client::new(&config)?;
        Ok(Self { config, client, sessions: Mutex::default() })
    }

    /// The sessions that this process has begun and not ended.
    pub(crate) fn sessions(&self) -> MutexGuard<'_, Vec<OpenUpload>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object's name as the bucket knows it.
    pub(crate) fn name(&self, key: &str) -> String {
        if self.config.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.config.prefix) }
    }

    /// The inverse; `None` for what is no key of ours.
    pub(crate) fn own_key(&self, name: &str) -> Option<Key> {
        let key = match self.config.prefix.as_str() {
            "" => name,
            prefix => name.strip_prefix(prefix)?.strip_prefix('/')?,
        };
        Key::parse(key).ok()
    }

    pub(crate) fn kms_key(&self) -> &str {
        self.config.kms_key.as_deref().unwrap_or_default()
    }

    /// A bucket that does not exist is an error, where the server tells it from an object that does not exist.
    pub(crate) async fn find(&self, step: &str, key: &Key) -> Result<Option<Resource>> {
        let url = self.client.object_url(&self.name(key.as_str()), &[]);
        match self.client.ask(step, Method::GET, &url, None).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::NotFound && !names_bucket(&error) => Ok(None),
            Err(error) => Err(of_bucket(error, step, &self.config.bucket)),
        }
    }

    pub(crate) async fn refuse_existing(&self, key: &Key) -> Result<()> {
        let step = format!("storing {key}");
        match self.find(&step, key).await? {
            Some(_) => Err(Error::conflict(format!("{step}: it exists already"))),
            None => Ok(()),
        }
    }

    /// One create-only request that holds description and bytes (`uploadType=multipart`).
    pub(crate) async fn insert(&self, key: &Key, bytes: &[u8], data: Option<&Facts>) -> Result<Sent> {
        let (step, sent, name) = (format!("storing {key}"), Sent::of(bytes), self.name(key.as_str()));
        let description = description(&self.config, &name, data, Some(&sent), chrono::Utc::now());
        let boundary = format!("vb-{:016x}{:016x}", random_u64(), random_u64());
        let head = format!(
            "--{boundary}\r\ncontent-type: application/json; charset=utf-8\r\n\r\n{description}\r\n\
             --{boundary}\r\ncontent-type: application/octet-stream\r\n\r\n"
        );
        let body = [head.as_bytes(), bytes, format!("\r\n--{boundary}--\r\n").as_bytes()].concat();
        let query = [("uploadType", "multipart"), ("ifGenerationMatch", "0"), ("kmsKeyName", self.kms_key())];
        let request = self.client.request(Method::POST, &self.client.upload_url(&query));
        let request = request.header(CONTENT_TYPE, format!("multipart/related; boundary={boundary}"));
        let limit = self.config.policy.limit(body.len() as u64);
        let answer = self.client.send(&step, limit, request.body(body)).await;
        let answer = answer.map_err(|error| of_bucket(error, &step, &self.config.bucket))?;
        let stored: Resource = self.client.described(&step, answer).await?;
        self.accept(&step, key, &stored, &sent, data.is_some()).await?;
        Ok(sent)
    }

    /// Believes an answer only if it says that what was sent is stored, and locked if that was asked for. Otherwise the object
    /// goes again.
    pub(crate) async fn accept(&self, step: &str, key: &Key, stored: &Resource, sent: &Sent, data: bool) -> Result<()> {
        let locked = self.config.lock_days.is_none() || stored.is_locked_at(chrono::Utc::now());
        let unlocked = || {
            Err(Error::usage(format!("{step}: the server does not lock objects"))
                .with_hint("Make the bucket with object retention enabled, or leave VB_LOCK_DAYS out."))
        };
        let accepted = stored.must_be(step, sent).and_then(|()| if locked { Ok(()) } else { unlocked() });
        if let Err(error) = accepted {
            return Err(self.take_back(key, stored, error).await);
        }
        if let Some(class) = self.config.storage_class.as_ref().filter(|class| data && **class != stored.storage_class)
        {
            (self.config.warn)(&format!("{step}: the server stored it as {}, not as {class}", stored.storage_class));
        }
        Ok(())
    }

    /// Removes exactly what this answer speaks of. What is gone is no error.
    async fn remove(&self, key: &Key, stored: &Resource) -> Result<()> {
        let url = self.client.object_url(&self.name(key.as_str()), &[("ifGenerationMatch", &stored.generation)]);
        let step = format!("deleting {key}");
        let deleted = with_retries(&self.config.policy, &self.config.warn, |_| {
            self.client.send(&step, self.config.policy.limit(0), self.client.request(Method::DELETE, &url))
        });
        match deleted.await {
            Err(failed) if failed.kind() != ErrorKind::NotFound => Err(failed),
            _ => Ok(()),
        }
    }

    /// The same; gives the error that led to it.
    pub(crate) async fn take_back(&self, key: &Key, stored: &Resource, error: Error) -> Error {
        match self.remove(key, stored).await {
            Ok(()) => error,
            Err(failed) => Error::new(error.kind(), format!("{error}; it is still there: {failed}")),
        }
    }

    /// Removes the object of this upload, if there is one; whether there was.
    pub(crate) async fn take_back_own(&self, key: &Key, upload: &str) -> Result<bool> {
        let found = self.find(&format!("looking for {key}"), key).await?;
        let is_own = |found: &Resource| found.metadata.get(UPLOAD).is_some_and(|value| value == upload);
        match found.filter(is_own) {
            Some(own) => self.remove(key, &own).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Whether the object is this upload's and holds what was sent: for when the answer to a commit was lost. A server that keeps no
    /// metadata is believed by the bytes.
    pub(crate) async fn holds(&self, key: &Key, sent: &Sent, upload: &str) -> Result<bool> {
        let step = format!("looking for {key}");
        let is_own = |found: &Resource| found.metadata.get(UPLOAD).is_none_or(|value| value == upload);
        Ok(self.find(&step, key).await?.is_some_and(|found| is_own(&found) && found.must_be(&step, sent).is_ok()))
    }
}

/// Google's words for a bucket that does not exist; an object's are `No such object: …`.
fn names_bucket(error: &Error) -> bool {
    error.to_string().contains("bucket does not exist")
}
