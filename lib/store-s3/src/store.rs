//! The store itself: each method of the contract as one request, and how an S3 answer is read.

use crate::call::call;
use crate::error::explain_stream;
use crate::options::{Content, with_options};
use crate::upload::S3Upload;
use crate::{S3Config, checksum, client, lifecycle, listing, tagging};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ChecksumType, ObjectLockLegalHoldStatus};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use vb_core::key::Key;
use vb_core::parts::PartLimits;
use vb_core::time::Instant;
use vb_core::{Error, ErrorKind, Result};
use vb_http::within;
use vb_store::{Facts, Lifecycle, ObjectInfo, OnOpen, OpenUpload, Store, Stored, Upload};

/// A bucket, or what lies under a prefix of one. Its clones share connections and two worker threads.
///
/// A look at an object (`HEAD`) gets no words from the server: a bucket that does not exist looks like an object that
/// does not exist; listing and storing tell them apart.
#[derive(Clone)]
pub struct S3Store(pub(crate) Arc<Shared>);

/// Must not be held by tasks of its own runtime: the last one to let go ends the runtime.
pub(crate) struct Shared {
    pub(crate) config: S3Config,
    pub(crate) client: Client,
    pub(crate) runtime: Runtime,
}

impl S3Store {
    /// Reads profiles and certificates; speaks to the server only when asked to.
    ///
    /// # Errors
    /// If the certificates cannot be read, or no thread can be started.
    pub fn open(config: S3Config) -> Result<Self> {
        // Two workers: one core signs (SHA-256) while the other sends; callers' own threads only wait.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("s3").enable_all().build();
        let runtime = runtime.map_err(|cause| Error::io("starting threads for S3", cause))?;
        let client = runtime.block_on(client::connect(&config))?;
        Ok(Self(Arc::new(Shared { config, client, runtime })))
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.0.runtime.block_on(work)
    }
}

impl Shared {
    /// The object's key as the bucket knows it.
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

    /// One create-only request. A server that knows no conditions is asked first whether the object exists.
    pub(crate) async fn put(&self, key: &Key, bytes: Bytes, content: Content<'_>) -> Result<Stored> {
        self.refuse_existing(key).await?;
        let stored = Stored { size_bytes: bytes.len() as u64, crc32: crc32fast::hash(&bytes) };
        let request = self.client.put_object().bucket(&self.config.bucket).key(self.full_key(key.as_str()));
        // The name of the algorithm besides the value: a bucket that locks wants it (PutObject, "Object Lock").
        let request = request.if_none_match("*").checksum_algorithm(ChecksumAlgorithm::Crc32);
        let request = request.checksum_crc32(checksum::encode(stored.crc32));
        let request = with_options!(request, self.config.options, content).body(ByteStream::from(bytes));
        match call(&format!("storing {key}"), self.config.policy.limit(stored.size_bytes), request.send()).await {
            Ok(_) => Ok(stored),
            Err(error) => Err(self.settle_conflict(key, error).await),
        }
    }

    pub(crate) async fn refuse_existing(&self, key: &Key) -> Result<()> {
        match self.head(key, &format!("storing {key}")).await? {
            Some(_) => Err(Error::conflict(format!("storing {key}: it exists already"))),
            None => Ok(()),
        }
    }

    /// 412 says that the object exists; 409 only that someone else is writing, who may still fail (PutObject,
    /// `ConditionalRequestConflict`): then it is worth another try.
    pub(crate) async fn settle_conflict(&self, key: &Key, error: Error) -> Error {
        if error.kind() != ErrorKind::Conflict {
            return error;
        }
        match self.refuse_existing(key).await {
            Ok(()) => Error::unavailable(error.to_string()),
            Err(error) => error,
        }
    }

    async fn head(&self, key: &Key, step: &str) -> Result<Option<ObjectInfo>> {
        let request = self.client.head_object().bucket(&self.config.bucket).key(self.full_key(key.as_str()));
        let answer =
            match call(step, self.config.policy.limit(0), request.checksum_mode(ChecksumMode::Enabled).send()).await {
                Ok(answer) => answer,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
        // A checksum of the parts' checksums says nothing about the whole.
        let whole = answer.checksum_type() != Some(&ChecksumType::Composite);
        let crc32 = answer.checksum_crc32().filter(|_| whole).and_then(checksum::decode);
        let (size_bytes, modified_at) = (length(answer.content_length()), instant(answer.last_modified()));
        // The header stands for other classes only.
        let storage_class = answer.storage_class().map(|class| class.as_str().to_owned());
        Ok(Some(ObjectInfo { key: key.clone(), size_bytes, modified_at, crc32, storage_class }))
    }

    /// A bucket with versions hides a locked object behind a delete marker and calls that deleted: its bytes stay.
    async fn refuse_locked(&self, key: &Key) -> Result<()> {
        let step = format!("deleting {key}");
        let request = self.client.head_object().bucket(&self.config.bucket).key(self.full_key(key.as_str()));
        let answer = match call(&step, self.config.policy.limit(0), request.send()).await {
            Ok(answer) => answer,
            Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
            // Gone, or not ours to look at: the server decides.
            Err(_) => return Ok(()),
        };
        let until = answer.object_lock_retain_until_date().map(|at| instant(Some(at)));
        let until = until.filter(|until| *until > chrono::Utc::now());
        let hold = answer.object_lock_legal_hold_status() == Some(&ObjectLockLegalHoldStatus::On);
        let why = match until {
            _ if hold => "it is under a legal hold".to_owned(),
            Some(until) => format!("it is locked until {}", vb_core::time::exact(until)),
            None => return Ok(()),
        };
        Err(Error::denied(format!("{step}: {why}")).with_hint("It can be deleted when its lock has ended."))
    }

    async fn read(&self, key: &Key, range: Range<u64>) -> Result<Vec<u8>> {
        let (step, wanted) = (format!("reading {key}"), range.end - range.start);
        let request = self.client.get_object().bucket(&self.config.bucket).key(self.full_key(key.as_str()));
        let request = request.range(format!("bytes={}-{}", range.start, range.end - 1));
        let answer = call(&step, self.config.policy.limit(wanted), request.send()).await?;
        let ignored = answer.content_range().is_none() && range.start > 0;
        if ignored || length(answer.content_length()) > wanted {
            return Err(Error::integrity(format!("{step}: the server ignored the range {range:?}")));
        }
        let bytes = collect(&step, answer.body, wanted, self.config.policy.limit(wanted)).await?;
        let end = range.start + bytes.len() as u64;
        if end != range.end {
            return Err(Error::integrity(format!("{step}: it ends at byte {end}, before byte {}", range.end)));
        }
        Ok(bytes)
    }

    async fn read_small(&self, key: &Key, most_bytes: u64) -> Result<Vec<u8>> {
        let step = format!("reading {key}");
        let request = self.client.get_object().bucket(&self.config.bucket).key(self.full_key(key.as_str()));
        let answer =
            call(&step, self.config.policy.limit(most_bytes), request.checksum_mode(ChecksumMode::Enabled).send())
                .await?;
        let size_bytes = length(answer.content_length());
        if size_bytes > most_bytes {
            return Err(Error::integrity(format!("{step}: it is longer than {most_bytes} bytes")));
        }
        let bytes = collect(&step, answer.body, size_bytes, self.config.policy.limit(size_bytes)).await?;
        if bytes.len() as u64 != size_bytes {
            return Err(Error::integrity(format!("{step}: {} of {size_bytes} bytes came", bytes.len())));
        }
        Ok(bytes)
    }
}

/// The body, but not more than one piece beyond what was promised.
async fn collect(step: &str, mut body: ByteStream, promised: u64, limit: Duration) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(promised).unwrap_or_default());
    let receive = async {
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece.map_err(|error| explain_stream(step, &error))?);
            if bytes.len() as u64 > promised {
                return Err(Error::integrity(format!("{step}: more than {promised} bytes came")));
            }
        }
        Ok(())
    };
    within(step, limit, receive).await?.map(|()| bytes)
}

/// Whether something is gone now. Amazon answers 204 for what is gone already; some others 404, which a missing bucket gets too.
fn gone<T>(answer: Result<T>) -> Result<()> {
    match answer {
        Err(error) if error.kind() == ErrorKind::NotFound && !error.to_string().contains("NoSuchBucket") => Ok(()),
        answer => answer.map(|_| ()),
    }
}

pub(crate) fn length(bytes: Option<i64>) -> u64 {
    bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default()
}

pub(crate) fn instant(at: Option<&DateTime>) -> Instant {
    at.and_then(|at| Instant::from_timestamp(at.secs(), at.subsec_nanos())).unwrap_or_default()
}

impl Store for S3Store {
    fn describe(&self) -> String {
        let slash = if self.0.config.prefix.is_empty() { "" } else { "/" };
        format!("s3://{}{slash}{}", self.0.config.bucket, self.0.config.prefix)
    }

    fn limits(&self) -> PartLimits {
        self.0.config.limits
    }

    fn put_new(&self, key: &Key, bytes: &[u8]) -> Result<Stored> {
        self.wait(self.0.put(key, Bytes::copy_from_slice(bytes), Content::Record))
    }

    fn upload(&self, key: &Key, metadata: &Facts, on_open: OnOpen) -> Result<Box<dyn Upload + Send>> {
        self.wait(self.0.refuse_existing(key))?;
        Ok(Box::new(S3Upload::new(self.clone(), key.clone(), metadata.clone(), on_open)))
    }

    fn tag(&self, key: &Key, tags: &Facts) -> Result<()> {
        self.wait(tagging::tag(&self.0, key, tags))
    }

    fn install_lifecycle(&self, rules: &Lifecycle) -> Result<()> {
        self.wait(lifecycle::install(&self.0, rules))
    }

    fn head(&self, key: &Key) -> Result<Option<ObjectInfo>> {
        self.wait(self.0.head(key, &format!("looking for {key}")))
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
        self.wait(self.0.refuse_locked(key))?;
        let request = self.0.client.delete_object().bucket(&self.0.config.bucket).key(self.0.full_key(key.as_str()));
        gone(self.wait(call(&format!("deleting {key}"), self.0.config.policy.limit(0), request.send())))
    }

    fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        self.wait(listing::open_uploads(&self.0, prefix))
    }

    fn abort_upload(&self, upload: &OpenUpload) -> Result<()> {
        let request = self.0.client.abort_multipart_upload().bucket(&self.0.config.bucket);
        let request = request.key(self.0.full_key(upload.key.as_str())).upload_id(&upload.id);
        let step = format!("aborting the upload of {}", upload.key);
        gone(self.wait(call(&step, self.0.config.policy.limit(0), request.send())))
    }
}
