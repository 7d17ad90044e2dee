//! A stream on its way: gathered to equal parts; a single request if it fits into one part, else blocks and their list.

use crate::AzureStore;
use crate::abort::{self, Others};
use crate::block::UploadId;
use crate::call::call;
use crate::parts::Blocks;
use crate::store::Shared;
use azure_storage_blob::models::{BlockBlobClientCommitBlockListOptions, BlockLookupList};
use bytes::Bytes;
use std::time::Duration;
use vb_core::key::Key;
use vb_core::{Error, ErrorKind, Result};
use vb_http::{Commit, Gathering, Parts};
use vb_store::{Facts, OnOpen, OpenUpload, Stored, Upload, random_u64};

/// The service puts up to 50,000 blocks together before it answers.
const COMMIT_LIMIT: Duration = Duration::from_secs(600);

/// The block with which an upload comes into being.
const OPENING_BLOCK: u32 = 0;

/// For a block that arrives after the abort is an upload again.
const GRACE: Duration = Duration::from_secs(2);

pub(crate) struct AzureUpload {
    store: AzureStore,
    key: Key,
    metadata: Facts,
    /// Taken when the first block is sent.
    on_open: Option<OnOpen>,
    /// The part that is being filled.
    gathered: Gathering,
    blocks: Option<(UploadId, Parts<Blocks>)>,
}

impl AzureUpload {
    pub(crate) fn new(store: AzureStore, key: Key, metadata: Facts, on_open: OnOpen) -> Self {
        let gathered = Gathering::new(store.0.config.limits.part_bytes);
        Self { store, key, metadata, on_open: Some(on_open), gathered, blocks: None }
    }

    /// Sends the first block if that has not been done. It holds one byte, for a block cannot be empty: with it the
    /// upload comes into being, and without it no commit succeeds, so an abort at any later moment is final.
    fn begin(&mut self) -> Result<()> {
        if self.blocks.is_some() {
            return Ok(());
        }
        let shared = &self.store.0;
        let id = UploadId::new(chrono::Utc::now(), random_u64());
        let mut parts = Parts::new(shared.blocks(&self.key, id), shared.config.limits.parallel, OPENING_BLOCK);
        let opened = shared.runtime.block_on(parts.send_and_wait(self.gathered.split_off_first(1)));
        // By now the block may have arrived, even if the answer did not.
        self.blocks = Some((id, parts));
        let open = OpenUpload { key: self.key.clone(), id: id.to_string(), begun_at: id.begun_at() };
        let recorded = opened.and_then(|()| self.on_open.take().map_or(Ok(()), |on_open| on_open(&open)));
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
        let Some((_, parts)) = &mut self.blocks else { return Ok(()) };
        if parts.begun() > shared.config.limits.most_parts {
            let largest = shared.config.limits.largest_object_bytes();
            return Err(Error::failure(format!("storing {}: it is longer than {largest} bytes", self.key)));
        }
        // A last part of one byte went with the first block.
        if !bytes.is_empty() {
            let spare = shared.runtime.block_on(parts.send(bytes, shared.runtime.handle()))?;
            self.gathered.reuse(spare);
        }
        Ok(())
    }

    fn commit_blocks(&mut self) -> Result<Stored> {
        self.send_gathered()?;
        let shared = self.store.0.clone();
        let Some((id, parts)) = &mut self.blocks else { return Err(Error::failure("no block was sent")) };
        let (receipts, whole) = shared.runtime.block_on(parts.finish())?;
        let names: Vec<_> = receipts.into_iter().map(|(number, ())| id.block(number)).collect();
        let metadata = &self.metadata;
        shared.commit(&self.store, &self.key, whole, || {
            shared.commit_list(&self.key, names.clone(), whole, Some(metadata))
        })
    }

    fn commit_small(&mut self) -> Result<Stored> {
        let bytes = self.gathered.take();
        let sent = Stored { size_bytes: bytes.len() as u64, crc32: crc32fast::hash(&bytes) };
        let shared = &self.store.0;
        let put = || async { shared.put(&self.key, Bytes::clone(&bytes), Some(&self.metadata)).await.map(|_| ()) };
        shared.commit(&self.store, &self.key, sent, put)
    }

    /// Frees what the server holds.
    fn release(&mut self) -> Result<()> {
        let Some((id, mut parts)) = self.blocks.take() else { return Ok(()) };
        let shared = &self.store.0;
        shared.runtime.block_on(async {
            parts.stop(GRACE).await;
            abort::abort(shared, &self.key, Some(id), Others::Spare).await
        })
    }
}

impl Upload for AzureUpload {
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
        if self.blocks.is_none() {
            return self.commit_small();
        }
        let stored = self.commit_blocks()?;
        self.blocks = None;
        Ok(stored)
    }

    fn abort(mut self: Box<Self>) -> Result<()> {
        self.release()
    }
}

impl Drop for AzureUpload {
    /// A failure leaves blocks, which [`vb_store::Store::open_uploads`] finds later.
    fn drop(&mut self) {
        let _ = self.release();
    }
}

impl Shared {
    fn blocks(&self, key: &Key, id: UploadId) -> Blocks {
        Blocks {
            blob: self.blob(key).block_blob_client(),
            key: self.full_key(key.as_str()),
            id,
            encryption_scope: self.config.storing.encryption_scope.clone(),
            policy: self.config.policy,
            warn: self.config.warn.clone(),
        }
    }

    /// Makes an object visible.
    fn commit<F>(&self, store: &AzureStore, key: &Key, sent: Stored, attempt: impl FnMut() -> F) -> Result<Stored>
    where
        F: Future<Output = Result<()>>,
    {
        let (policy, warn) = (&self.config.policy, &self.config.warn);
        let unclear = &[ErrorKind::Unavailable];
        Commit { runtime: &self.runtime, policy, warn, unclear }.run(store, key, sent, attempt)
    }

    /// One create-only request that turns these blocks into an object. `data` is what goes into the tier.
    async fn commit_list(&self, key: &Key, names: Vec<Vec<u8>>, whole: Stored, data: Option<&Facts>) -> Result<()> {
        let step = format!("committing {key}");
        let list = BlockLookupList { uncommitted: Some(names), ..BlockLookupList::default() };
        let list = list.try_into().map_err(|cause| crate::error::explain(&step, &cause))?;
        let (until, mode) = self.lock();
        let options = BlockBlobClientCommitBlockListOptions {
            encryption_scope: self.config.storing.encryption_scope.clone(),
            if_none_match: Some("*".into()),
            immutability_policy_expiry: until,
            immutability_policy_mode: mode,
            metadata: data.map(|facts| self.metadata(facts, whole)),
            tier: data.and_then(|_| self.config.storing.tier.clone()),
            ..BlockBlobClientCommitBlockListOptions::default()
        };
        let blob = self.blob(key).block_blob_client();
        let result = call(&step, COMMIT_LIMIT, blob.commit_block_list(list, Some(options))).await;
        let Err(error) = result else { return Ok(()) };
        let discarded = error.to_string().contains("InvalidBlockList");
        if error.kind() == ErrorKind::Conflict || discarded {
            self.refuse_existing(key).await?;
        }
        match error.kind() {
            // Only an abort's marker was in the way, which goes at once.
            ErrorKind::Conflict => Err(Error::unavailable(error.to_string())),
            // Or the list names others since a bit of it has flipped: nobody compares its checksum.
            _ if discarded => {
                Err(Error::failure(format!("{step}: its blocks are gone, as after an abort")).worth_another_try())
            }
            _ => Err(error),
        }
    }

    /// The same as [`Shared::put`] in two requests.
    pub(crate) async fn put_as_block(
        &self,
        key: &Key,
        bytes: Bytes,
        whole: Stored,
        data: Option<&Facts>,
    ) -> Result<Stored> {
        let (id, mut names) = (UploadId::new(chrono::Utc::now(), random_u64()), Vec::new());
        if !bytes.is_empty() {
            let blob = self.blob(key).block_blob_client();
            names.push(id.block(0));
            let request = blob.stage_block(&names[0], whole.size_bytes, bytes.into(), None);
            call(&format!("storing {key}"), self.config.policy.limit(whole.size_bytes), request).await?;
        }
        match self.commit_list(key, names, whole, data).await {
            Ok(()) => Ok(whole),
            Err(error) => {
                let _ = abort::abort(self, key, Some(id), Others::Spare).await; // the first error is the one to report
                Err(error)
            }
        }
    }
}
