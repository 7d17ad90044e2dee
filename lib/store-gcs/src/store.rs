//! The store itself: each method of the contract as one request, and how an answer is read.

use crate::GcsConfig;
use crate::checksum::{crc32c, from_header};
use crate::object::Place;
use crate::resource::Resource;
use crate::upload::GcsUpload;
use crate::{lifecycle, listing, session};
use reqwest::Method;
use reqwest::header::{CONTENT_RANGE, HeaderMap, RANGE};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use tokio::runtime::Runtime;
use vb_core::key::Key;
use vb_core::parts::PartLimits;
use vb_core::{Error, ErrorKind, Result};
use vb_store::{Facts, Lifecycle, ObjectInfo, OnOpen, OpenUpload, Store, Stored, Upload};

/// Google has no tags: they are metadata of these names.
const TAG: &str = "tag-";

/// A bucket, or what lies under a prefix of one. Its clones share connections and two worker threads.
#[derive(Clone)]
pub struct GcsStore {
    pub(crate) place: Arc<Place>,
    pub(crate) runtime: Arc<Runtime>,
}

impl GcsStore {
    /// Reads credentials and certificates; speaks to the server only when asked to.
    ///
    /// # Errors
    /// If the credentials cannot be read, or no thread can be started.
    pub fn open(config: GcsConfig) -> Result<Self> {
        // Two workers: one core encrypts while the other reads; callers' own threads only wait.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("gcs").enable_all().build();
        let runtime = runtime.map_err(|cause| Error::io("starting threads for Google Cloud Storage", cause))?;
        Ok(Self { place: Arc::new(Place::new(config)?), runtime: Arc::new(runtime) })
    }

    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

impl Place {
    async fn get(&self, step: &str, key: &Key, range: Option<&Range<u64>>, moved: u64) -> Result<reqwest::Response> {
        let url = self.client.object_url(&self.name(key.as_str()), &[("alt", "media")]);
        let mut request = self.client.request(Method::GET, &url);
        if let Some(range) = range {
            request = request.header(RANGE, format!("bytes={}-{}", range.start, range.end - 1));
        }
        self.client.send(step, self.config.policy.limit(moved), request).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::not_found(format!("{step}: no such object in gs://{}", self.config.bucket)),
            _ => error,
        })
    }

    async fn read(&self, key: &Key, range: Range<u64>) -> Result<Vec<u8>> {
        let (step, wanted) = (format!("reading {key}"), range.end - range.start);
        let answer = match self.get(&step, key, Some(&range), wanted).await {
            Ok(answer) => answer,
            Err(error) => return Err(self.ended_before(&step, key, range.end).await.unwrap_or(error)),
        };
        let ignored = !answer.headers().contains_key(CONTENT_RANGE) && range.start > 0;
        if ignored || answer.content_length().is_some_and(|length| length > wanted) {
            return Err(Error::integrity(format!("{step}: the server ignored the range {range:?}")));
        }
        let bytes = self.client.collect(&step, answer, wanted).await?;
        let end = range.start + bytes.len() as u64;
        if end != range.end { Err(too_short(&step, end, range.end)) } else { Ok(bytes) }
    }

    /// Whether a read failed because the object is too short: Google answers 416, fake-gcs-server may hang up.
    async fn ended_before(&self, step: &str, key: &Key, wanted: u64) -> Option<Error> {
        let size_bytes = self.find(step, key).await.ok()??.size_bytes();
        (size_bytes < wanted).then(|| too_short(step, size_bytes, wanted))
    }

    async fn read_small(&self, key: &Key, most_bytes: u64) -> Result<Vec<u8>> {
        let step = format!("reading {key}");
        let answer = self.get(&step, key, None, most_bytes).await?;
        let size_bytes = answer.content_length();
        if size_bytes.is_some_and(|size| size > most_bytes) {
            return Err(Error::integrity(format!("{step}: it is longer than {most_bytes} bytes")));
        }
        let expected = checksum_in(answer.headers());
        let bytes = self.client.collect(&step, answer, size_bytes.unwrap_or(most_bytes)).await?;
        if size_bytes.is_some_and(|size| size != bytes.len() as u64) {
            return Err(Error::integrity(format!("{step}: it broke off after {} bytes", bytes.len())));
        }
        if expected.is_some_and(|expected| expected != crc32c(&bytes)) {
            return Err(Error::integrity(format!("{step}: what came has another CRC-32C than what is stored"))
                .worth_another_try());
        }
        Ok(bytes)
    }

    /// Reads, changes and writes the metadata, unless somebody else does so meanwhile.
    async fn tag(&self, key: &Key, tags: &Facts) -> Result<()> {
        let step = format!("tagging {key}");
        let missing = || Error::not_found(format!("{step}: no such object in gs://{}", self.config.bucket));
        let found: Resource = self.find(&step, key).await?.ok_or_else(missing)?;
        let condition = [("ifMetagenerationMatch", found.metageneration.as_str())];
        let url = self.client.object_url(&self.name(key.as_str()), &condition);
        let body = json!({"metadata": retagged(found.metadata, tags)});
        let answer: Result<Resource> = self.client.ask(&step, Method::PATCH, &url, Some(&body)).await;
        answer.map(|_| ()).map_err(|error| match error.kind() {
            ErrorKind::Conflict => Error::unavailable(format!("{step}: somebody else changes it")),
            ErrorKind::NotFound => missing(),
            _ => error,
        })
    }
}

fn too_short(step: &str, end: u64, wanted: u64) -> Error {
    Error::integrity(format!("{step}: it ends at byte {end}, before byte {wanted}"))
}

/// A patch of the metadata: our tags set, earlier ones taken away (`null`), all else as it is.
fn retagged(existing: BTreeMap<String, Value>, tags: &Facts) -> BTreeMap<String, Value> {
    let kept = existing.into_iter().map(|(name, value)| {
        let value = if name.starts_with(TAG) { Value::Null } else { value };
        (name, value)
    });
    kept.chain(tags.iter().map(|(name, value)| (format!("{TAG}{name}"), json!(value)))).collect()
}

/// Google sends it for whole objects.
fn checksum_in(headers: &HeaderMap) -> Option<u32> {
    headers.get_all("x-goog-hash").iter().filter_map(|value| value.to_str().ok()).find_map(from_header)
}

impl Store for GcsStore {
    fn describe(&self) -> String {
        let config = &self.place.config;
        let slash = if config.prefix.is_empty() { "" } else { "/" };
        format!("gs://{}{slash}{}", config.bucket, config.prefix)
    }

    fn limits(&self) -> PartLimits {
        self.place.config.limits
    }

    fn put_new(&self, key: &Key, bytes: &[u8]) -> Result<Stored> {
        self.wait(self.place.insert(key, bytes, None)).map(|sent| sent.stored)
    }

    fn upload(&self, key: &Key, metadata: &Facts, on_open: OnOpen) -> Result<Box<dyn Upload + Send>> {
        self.wait(self.place.refuse_existing(key))?;
        Ok(Box::new(GcsUpload::new(self.clone(), key.clone(), metadata.clone(), on_open)))
    }

    fn tag(&self, key: &Key, tags: &Facts) -> Result<()> {
        self.wait(self.place.tag(key, tags))
    }

    fn install_lifecycle(&self, lifecycle: &Lifecycle) -> Result<()> {
        self.wait(lifecycle::install(&self.place, lifecycle))
    }

    fn head(&self, key: &Key) -> Result<Option<ObjectInfo>> {
        let found = self.wait(self.place.find(&format!("looking for {key}"), key))?;
        Ok(found.map(|found| ObjectInfo {
            key: key.clone(),
            size_bytes: found.size_bytes(),
            modified_at: found.time_created.unwrap_or_default(),
            crc32: None,
            storage_class: found.storage_class(),
        }))
    }

    fn read(&self, key: &Key, range: Range<u64>) -> Result<Vec<u8>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        self.wait(self.place.read(key, range))
    }

    fn read_small(&self, key: &Key, most_bytes: u64) -> Result<Vec<u8>> {
        self.wait(self.place.read_small(key, most_bytes))
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo) -> Result<()>) -> Result<()> {
        listing::list(&self.place, &self.runtime, prefix, each)
    }

    fn delete(&self, key: &Key) -> Result<()> {
        let url = self.place.client.object_url(&self.place.name(key.as_str()), &[]);
        let request = self.place.client.request(Method::DELETE, &url);
        match self.wait(self.place.client.send(&format!("deleting {key}"), self.place.config.policy.limit(0), request))
        {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            answer => answer.map(|_| ()),
        }
    }

    /// Only those of this process: see the crate's own words.
    fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        Ok(self.place.sessions().iter().filter(|open| open.key.as_str().starts_with(prefix)).cloned().collect())
    }

    fn abort_upload(&self, upload: &OpenUpload) -> Result<()> {
        self.wait(session::cancel(&self.place, upload))?;
        self.place.sessions().retain(|open| open.id != upload.id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_replace_tags_and_nothing_else() {
        let tags = Facts::from([("keep".to_owned(), "1".to_owned())]);
        let existing = ["set", "tag-old", "tag-keep"].map(|name| (name.to_owned(), json!("0")));
        assert_eq!(json!(retagged(existing.into(), &tags)), json!({"set": "0", "tag-old": null, "tag-keep": "1"}));
    }
}
