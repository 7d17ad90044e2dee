//! The store itself: each method of the contract as one request, and how an Azure answer is read.

use crate::abort::{self, Others};
use crate::block::UploadId;
use crate::call::call;
use crate::upload::AzureUpload;
use crate::{AzureConfig, client, listing, names};
use azure_core::http::RequestContent;
use azure_core::time::OffsetDateTime;
use azure_storage_blob::models::{
    BlobClientDownloadOptions, BlobClientGetPropertiesResultHeaders, BlobTags, BlockBlobClientUploadOptions,
    ImmutabilityPolicyMode,
};
use azure_storage_blob::{BlobClient, BlobContainerClient};
use bytes::Bytes;
use futures::TryStreamExt;
use std::num::NonZero;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use vb_core::key::Key;
use vb_core::parts::PartLimits;
use vb_core::time::Instant;
use vb_core::{Error, ErrorKind, Result};
use vb_store::{Facts, Lifecycle, ObjectInfo, OnOpen, OpenUpload, Store, Stored, Upload};

/// The whole object's CRC-32 as its writer counted it, in hexadecimal: metadata of every upload.
pub(crate) const CRC32: &str = "vb_crc32";

/// A container, or what lies under a prefix of one. Its clones share connections and two worker threads.
#[derive(Clone)]
pub struct AzureStore(pub(crate) Arc<Shared>);

/// Must not be held by tasks of its own runtime: the last one to let go ends the runtime.
pub(crate) struct Shared {
    pub(crate) config: AzureConfig,
    pub(crate) container: BlobContainerClient,
    pub(crate) runtime: Runtime,
}

impl AzureStore {
    /// Reads certificates; speaks to the server only when asked to.
    ///
    /// # Errors
    /// If the settings contradict each other, the certificates cannot be read, or no thread can be started.
    pub fn open(config: AzureConfig) -> Result<Self> {
        // Two workers: one core computes an MD5 while the other sends; callers' own threads only wait.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("azure").enable_all().build();
        let runtime = runtime.map_err(|cause| Error::io("starting threads for Azure", cause))?;
        let container = client::connect(&config)?;
        Ok(Self(Arc::new(Shared { config, container, runtime })))
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.0.runtime.block_on(work)
    }
}

/// What a look at an object shows.
pub(crate) struct Seen {
    pub(crate) info: ObjectInfo,
    pub(crate) content_type: Option<String>,
    pub(crate) etag: Option<azure_core::http::Etag>,
}

/// What came of an object.
struct Fetched {
    bytes: Vec<u8>,
    /// The whole object's length.
    total: u64,
    /// The whole object's MD5 in base 64: the service computes it for what is stored in one request.
    md5: Option<String>,
}

impl Shared {
    /// The object's key as the container knows it.
    pub(crate) fn full_key(&self, key: &str) -> String {
        if self.config.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.config.prefix) }
    }

    /// The inverse; `None` for what is no key of ours.
    pub(crate) fn own_key(&self, full: &str) -> Option<Key> {
        let key = match self.config.prefix.as_str() {
            "" => full,
            prefix => full.strip_prefix(prefix)?.strip_prefix('/')?,
        };
        Key::parse(key).ok()
    }

    pub(crate) fn blob(&self, key: &Key) -> BlobClient {
        self.container.blob_client(&self.full_key(key.as_str()))
    }

    /// Until when, and how, an object is locked that is stored now.
    pub(crate) fn lock(&self) -> (Option<OffsetDateTime>, Option<ImmutabilityPolicyMode>) {
        let Some(days) = self.config.storing.lock_days else { return (None, None) };
        let until = OffsetDateTime::now_utc() + Duration::from_secs(u64::from(days) * 86_400);
        (Some(until), Some(ImmutabilityPolicyMode::Locked))
    }

    /// One create-only request. `data` is what goes into the tier and carries metadata.
    pub(crate) async fn put(&self, key: &Key, bytes: Bytes, data: Option<&Facts>) -> Result<Stored> {
        let stored = Stored { size_bytes: bytes.len() as u64, crc32: crc32fast::hash(&bytes) };
        let (until, mode) = self.lock();
        let options = BlockBlobClientUploadOptions {
            encryption_scope: self.config.storing.encryption_scope.clone(),
            immutability_policy_expiry: until,
            immutability_policy_mode: mode,
            metadata: data.map(|facts| self.metadata(facts, stored)),
            // Never in several requests: those would not be one object's.
            partition_size: NonZero::new(stored.size_bytes.max(1)),
            tier: data.and_then(|_| self.config.storing.tier.clone()),
            ..BlockBlobClientUploadOptions::default()
        };
        let (blob, content) = (self.blob(key).block_blob_client(), RequestContent::from(bytes.to_vec()));
        let request = blob.upload(content, Some(options.if_not_exists()));
        match call(&format!("storing {key}"), self.config.policy.limit(stored.size_bytes), request).await {
            Ok(_) => Ok(stored),
            Err(error) if error.kind() == ErrorKind::Conflict => {
                self.refuse_existing(key).await?;
                // Nothing is there but blocks of somebody's upload, over which Azurite refuses this request.
                self.put_as_block(key, bytes, stored, data).await
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn metadata(&self, facts: &Facts, stored: Stored) -> std::collections::HashMap<String, String> {
        let mut metadata = names::metadata(facts);
        metadata.insert(CRC32.to_owned(), format!("{:08x}", stored.crc32));
        metadata
    }

    pub(crate) async fn refuse_existing(&self, key: &Key) -> Result<()> {
        match self.see(key, &format!("storing {key}")).await? {
            Some(seen) if !abort::is_marker(&seen) => Err(Error::conflict(format!("storing {key}: it exists already"))),
            _ => Ok(()),
        }
    }

    /// What is under the key, a marker of an abort too.
    pub(crate) async fn see(&self, key: &Key, step: &str) -> Result<Option<Seen>> {
        let answer = match call(step, self.config.policy.limit(0), self.blob(key).get_properties(None)).await {
            Ok(answer) => answer,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let unreadable = |cause: azure_core::Error| crate::error::explain(step, &cause);
        let metadata = answer.metadata().map_err(unreadable)?;
        let crc32 = metadata.iter().find(|(name, _)| name.eq_ignore_ascii_case(CRC32)).map(|(_, value)| value);
        let info = ObjectInfo {
            key: key.clone(),
            size_bytes: answer.content_length().map_err(unreadable)?.unwrap_or_default(),
            modified_at: instant(answer.last_modified().map_err(unreadable)?),
            crc32: crc32.and_then(|text| u32::from_str_radix(text, 16).ok()),
            storage_class: answer.access_tier().map_err(unreadable)?,
        };
        let content_type = answer.content_type().map_err(unreadable)?;
        Ok(Some(Seen { info, content_type, etag: answer.etag().map_err(unreadable)? }))
    }

    /// These bytes of an object, or fewer where it ends before.
    async fn fetch(&self, step: &str, key: &Key, range: Range<u64>) -> Result<Fetched> {
        let wanted = range.end - range.start;
        let options = BlobClientDownloadOptions {
            // One request, read as it comes.
            parallel: NonZero::new(1),
            partition_size: usize::try_from(wanted).ok().and_then(NonZero::new),
            range: Some(range.into()),
            ..BlobClientDownloadOptions::default()
        };
        let blob = self.blob(key);
        let answer = call(step, self.config.policy.limit(wanted), blob.download(Some(options))).await?;
        if answer.properties.content_type.as_deref() == Some(abort::MARKER) {
            return Err(Error::not_found(format!("{step}: it is not there (BlobNotFound)")));
        }
        let md5 = ["x-ms-blob-content-md5", "content-md5"];
        let md5 = md5.iter().find_map(|name| answer.headers.get_optional_string(&(*name).into()));
        let total = answer.headers.get_optional_string(&"content-range".into());
        let total = total.and_then(|range| range.rsplit_once('/')?.1.parse().ok());
        let total = total.or(answer.properties.content_length).unwrap_or_default();
        let mut bytes = Vec::with_capacity(usize::try_from(wanted.min(total)).unwrap_or_default());
        let receive = async {
            let mut body = answer.body;
            while let Some(piece) = body.try_next().await? {
                bytes.extend_from_slice(&piece);
                if bytes.len() as u64 > wanted {
                    break;
                }
            }
            Ok(())
        };
        call(step, self.config.policy.limit(wanted), receive).await?;
        if bytes.len() as u64 > wanted {
            return Err(Error::integrity(format!("{step}: more than {wanted} bytes came")));
        }
        Ok(Fetched { bytes, total, md5 })
    }

    async fn read(&self, key: &Key, range: Range<u64>) -> Result<Vec<u8>> {
        let step = format!("reading {key}");
        let Fetched { bytes, total, .. } = self.fetch(&step, key, range.clone()).await?;
        let end = range.start + bytes.len() as u64;
        if end == range.end {
            return Ok(bytes);
        }
        if total >= range.end {
            return Err(Error::unavailable(format!(
                "{step}: the answer ends at byte {end}, before byte {}",
                range.end
            )));
        }
        Err(Error::integrity(format!("{step}: it ends at byte {end}, before byte {}", range.end)))
    }

    async fn read_small(&self, key: &Key, most_bytes: u64) -> Result<Vec<u8>> {
        let step = format!("reading {key}");
        let Fetched { bytes, total, md5 } = self.fetch(&step, key, 0..most_bytes.saturating_add(1)).await?;
        if total > most_bytes {
            return Err(Error::integrity(format!("{step}: it is longer than {most_bytes} bytes")));
        }
        if bytes.len() as u64 != total {
            return Err(Error::integrity(format!("{step}: {} of {total} bytes came", bytes.len())));
        }
        if md5.is_some_and(|md5| md5 != crate::sign::md5_of(&bytes)) {
            return Err(
                Error::integrity(format!("{step}: what came has another MD5 than what is stored")).worth_another_try()
            );
        }
        Ok(bytes)
    }

    async fn tag(&self, key: &Key, tags: &Facts) -> Result<()> {
        let step = format!("tagging {key}");
        let tags = RequestContent::try_from(BlobTags::from(names::tags(tags)));
        let tags = tags.map_err(|cause| crate::error::explain(&step, &cause))?;
        call(&step, self.config.policy.limit(0), self.blob(key).set_tags(tags, None)).await.map(|_| ())
    }
}

/// The object, not the container.
pub(crate) fn is_gone(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound && !error.to_string().contains("ContainerNotFound")
}

pub(crate) fn instant(at: Option<OffsetDateTime>) -> Instant {
    at.and_then(|at| Instant::from_timestamp(at.unix_timestamp(), at.nanosecond())).unwrap_or_default()
}

impl Store for AzureStore {
    fn describe(&self) -> String {
        let slash = if self.0.config.prefix.is_empty() { "" } else { "/" };
        format!("az://{}{slash}{}", self.0.config.container, self.0.config.prefix)
    }

    fn limits(&self) -> PartLimits {
        self.0.config.limits
    }

    fn put_new(&self, key: &Key, bytes: &[u8]) -> Result<Stored> {
        self.wait(self.0.put(key, Bytes::copy_from_slice(bytes), None))
    }

    fn upload(&self, key: &Key, metadata: &Facts, on_open: OnOpen) -> Result<Box<dyn Upload + Send>> {
        self.wait(self.0.refuse_existing(key))?;
        Ok(Box::new(AzureUpload::new(self.clone(), key.clone(), metadata.clone(), on_open)))
    }

    fn tag(&self, key: &Key, tags: &Facts) -> Result<()> {
        self.wait(self.0.tag(key, tags))
    }

    fn install_lifecycle(&self, _lifecycle: &Lifecycle) -> Result<()> {
        Err(Error::usage(format!("{} takes no lifecycle rules through its storage interface", self.describe()))
            .with_hint("Set them with az storage account management-policy create; unfinished uploads end by themselves after a week."))
    }

    fn head(&self, key: &Key) -> Result<Option<ObjectInfo>> {
        let seen = self.wait(self.0.see(key, &format!("looking for {key}")))?;
        Ok(seen.filter(|seen| !abort::is_marker(seen)).map(|seen| seen.info))
    }

    fn read(&self, key: &Key, range: Range<u64>) -> Result<Vec<u8>> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        self.wait(self.0.read(key, range))
    }

    fn read_small(&self, key: &Key, most_bytes: u64) -> Result<Vec<u8>> {
        self.wait(self.0.read_small(key, most_bytes))
    }

    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo) -> Result<()>) -> Result<()> {
        listing::list(&self.0, prefix, each)
    }

    fn delete(&self, key: &Key) -> Result<()> {
        let answer =
            self.wait(call(&format!("deleting {key}"), self.0.config.policy.limit(0), self.0.blob(key).delete(None)));
        match answer {
            Err(error) if is_gone(&error) => Ok(()),
            answer => answer.map(|_| ()),
        }
    }

    fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        self.wait(listing::open_uploads(&self.0, prefix))
    }

    fn abort_upload(&self, upload: &OpenUpload) -> Result<()> {
        self.wait(abort::abort(&self.0, &upload.key, UploadId::parse(&upload.id), Others::EndToo))
    }
}
