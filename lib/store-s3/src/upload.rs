//! A stream on its way: gathered to equal parts; a single request if it fits into one part, else a multipart upload.

use crate::S3Store;
use crate::call::call;
use crate::options::{Content, with_options};
use crate::parts::Multipart;
use crate::store::Shared;
use crate::{checksum, listing};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use std::time::Duration;
use vb_core::key::Key;
use vb_core::{Error, ErrorKind, Result};
use vb_http::{Commit, Gathering, Parts, with_retries};
use vb_store::{Facts, OnOpen, OpenUpload, Store, Stored, Upload};

/// Servers put thousands of parts together before they answer.
const COMMIT_LIMIT: Duration = Duration::from_secs(600);

/// A part that is on its way when the upload is aborted may be kept, and paid for (Amazon S3 API, "AbortMultipartUpload").
const GRACE: Duration = Duration::from_secs(2);

/// S3 numbers parts from one on.
const FIRST_PART: u32 = 1;

pub(crate) struct S3Upload {
    store: S3Store,
    key: Key,
    metadata: Facts,
    /// Taken when the multipart upload begins.
    on_open: Option<OnOpen>,
    /// The part that is being filled.
    gathered: Gathering,
    multipart: Option<(OpenUpload, Parts<Multipart>)>,
}

impl S3Upload {
    pub(crate) fn new(store: S3Store, key: Key, metadata: Facts, on_open: OnOpen) -> Self {
        let gathered = Gathering::new(store.0.config.limits.part_bytes);
        Self { store, key, metadata, on_open: Some(on_open), gathered, multipart: None }
    }

    fn shared(&self) -> &Shared {
        &self.store.0
    }

    /// Begins the multipart upload if there is none yet.
    fn begin(&mut self) -> Result<()> {
        if self.multipart.is_some() {
            return Ok(());
        }
        let shared = self.shared();
        let id = shared.runtime.block_on(create(shared, &self.key, &self.metadata))?;
        let open = OpenUpload { key: self.key.clone(), id, begun_at: chrono::Utc::now() };
        let destination = Multipart {
            client: shared.client.clone(),
            bucket: shared.config.bucket.clone(),
            key: shared.full_key(self.key.as_str()),
            upload_id: open.id.clone(),
            policy: shared.config.policy,
            warn: shared.config.warn.clone(),
        };
        let parts = Parts::new(destination, shared.config.limits.parallel, FIRST_PART);
        self.multipart = Some((open.clone(), parts));
        let recorded = self.on_open.take().map_or(Ok(()), |on_open| on_open(&open));
        recorded.or_else(|error| {
            self.release()?;
            Err(error)
        })
    }

    /// Hands the gathered part over.
    fn send_gathered(&mut self) -> Result<()> {
        self.begin()?;
        let bytes = self.gathered.take();
        let shared = &self.store.0;
        let Some((_, parts)) = &mut self.multipart else { return Ok(()) };
        if parts.begun() >= shared.config.limits.most_parts {
            let largest = shared.config.limits.largest_object_bytes();
            return Err(Error::failure(format!("storing {}: it is longer than {largest} bytes", self.key)));
        }
        let spare = shared.runtime.block_on(parts.send(bytes, shared.runtime.handle()))?;
        self.gathered.reuse(spare);
        Ok(())
    }

    fn commit_parts(&mut self) -> Result<Stored> {
        self.send_gathered()?;
        let store = self.store.clone();
        let Some((open, parts)) = &mut self.multipart else { return Err(Error::failure("no part was sent")) };
        let (receipts, whole) = store.0.runtime.block_on(parts.finish())?;
        let list: Vec<CompletedPart> = receipts.into_iter().map(|(_, part)| part.clone()).collect();
        store.0.commit(&store, &open.key, whole, || complete(&store.0, open, list.clone(), whole))
    }

    fn commit_small(&mut self) -> Result<Stored> {
        let bytes = self.gathered.take();
        let sent = Stored { size_bytes: bytes.len() as u64, crc32: crc32fast::hash(&bytes) };
        let put = || async {
            self.shared().put(&self.key, Bytes::clone(&bytes), Content::Data(&self.metadata)).await.map(|_| ())
        };
        self.shared().commit(&self.store, &self.key, sent, put)
    }

    /// Frees what the server holds.
    fn release(&mut self) -> Result<()> {
        let Some((open, mut parts)) = self.multipart.take() else { return Ok(()) };
        self.shared().runtime.block_on(parts.stop(GRACE));
        self.store.abort_upload(&open)
    }
}

impl Upload for S3Upload {
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            if self.gathered.is_full() {
                self.send_gathered()?;
            }
            bytes = self.gathered.fill(bytes);
        }
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<Stored> {
        if self.multipart.is_none() {
            return self.commit_small();
        }
        let stored = self.commit_parts()?;
        self.multipart = None;
        Ok(stored)
    }

    fn abort(mut self: Box<Self>) -> Result<()> {
        self.release()
    }
}

impl Drop for S3Upload {
    /// A failure leaves an open upload, which [`Store::open_uploads`] finds later.
    fn drop(&mut self) {
        let _ = self.release();
    }
}

impl Shared {
    /// Makes an object visible. An answer that cannot be understood counts as a lost one: moto's name for a commit's
    /// answer is wrong, so that each of its commits is sent twice.
    fn commit<F>(&self, store: &S3Store, key: &Key, sent: Stored, attempt: impl FnMut() -> F) -> Result<Stored>
    where
        F: Future<Output = Result<()>>,
    {
        let (policy, warn) = (&self.config.policy, &self.config.warn);
        let unclear = &[ErrorKind::Unavailable, ErrorKind::Failure];
        Commit { runtime: &self.runtime, policy, warn, unclear }.run(store, key, sent, attempt)
    }
}

async fn create(shared: &Shared, key: &Key, metadata: &Facts) -> Result<String> {
    let step = format!("beginning the upload of {key}");
    let (bucket, full_key) = (&shared.config.bucket, shared.full_key(key.as_str()));
    let mut answer_lost = false;
    let answer = with_retries(&shared.config.policy, &shared.config.warn, |again| {
        answer_lost |= again;
        let request = shared.client.create_multipart_upload().bucket(bucket).key(&full_key);
        let request = with_options!(request, shared.config.options, Content::Data(metadata));
        // The whole object's checksum, not one of the parts' checksums: so it can be compared later.
        let request = request.checksum_algorithm(ChecksumAlgorithm::Crc32).checksum_type(ChecksumType::FullObject);
        call(&step, shared.config.policy.limit(0), request.send())
    });
    let answer = answer.await?;
    let id = answer.upload_id;
    let id = id.ok_or_else(|| Error::failure(format!("{step}: the server answered without an upload id")))?;
    if answer_lost {
        abort_others(shared, key, &id).await;
    }
    Ok(id)
}

/// Ends uploads to this key that were begun before ours by requests whose answers were lost: nobody else knows their names.
/// Those of another writer of the same second end with them, loudly, at its commit. What stays, the next sweep finds.
async fn abort_others(shared: &Shared, key: &Key, own: &str) {
    let (policy, warn) = (&shared.config.policy, &shared.config.warn);
    let uploads = with_retries(policy, warn, |_| listing::open_uploads(shared, key.as_str())).await.unwrap_or_default();
    for other in uploads.iter().filter(|other| other.key == *key && other.id != own) {
        let abort = |_| {
            let request = shared.client.abort_multipart_upload().bucket(&shared.config.bucket);
            let request = request.key(shared.full_key(key.as_str())).upload_id(&other.id);
            call("ending an upload whose beginning was not answered", policy.limit(0), request.send())
        };
        let _swept_later = with_retries(policy, warn, abort).await;
    }
}

async fn complete(shared: &Shared, open: &OpenUpload, list: Vec<CompletedPart>, whole: Stored) -> Result<()> {
    shared.refuse_existing(&open.key).await?;
    let list = CompletedMultipartUpload::builder().set_parts(Some(list)).build();
    let request = shared.client.complete_multipart_upload().bucket(&shared.config.bucket);
    let request = request.key(shared.full_key(open.key.as_str())).upload_id(&open.id).multipart_upload(list);
    let request = request.checksum_type(ChecksumType::FullObject).checksum_crc32(checksum::encode(whole.crc32));
    let request = request.set_mpu_object_size(i64::try_from(whole.size_bytes).ok()).if_none_match("*");
    match call(&format!("committing {}", open.key), COMMIT_LIMIT, request.send()).await {
        Ok(_) => Ok(()),
        Err(error) => Err(shared.settle_conflict(&open.key, error).await),
    }
}
