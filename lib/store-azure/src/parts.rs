//! The blocks of an upload that are on their way: a bounded number, each sent again by itself.

use crate::block::UploadId;
use crate::call::call;
use azure_storage_blob::BlockBlobClient;
use azure_storage_blob::models::BlockBlobClientStageBlockOptions;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use vb_core::{Error, Result};
use vb_http::with_retries;
use vb_store::{RetryPolicy, Stored, Warn};

/// A request that is cut off may still arrive whole; one that is let run does not surprise the abort after it.
const GRACE: Duration = Duration::from_secs(2);

/// Where blocks go, and how patiently. Holds the client only: see [`crate::store::Shared`].
pub(crate) struct Destination {
    pub(crate) blob: BlockBlobClient,
    /// With the store's prefix, for people.
    pub(crate) key: String,
    pub(crate) id: UploadId,
    pub(crate) encryption_scope: Option<String>,
    pub(crate) policy: RetryPolicy,
    pub(crate) warn: Warn,
}

/// A block that has arrived.
struct Sent {
    number: u32,
    whole: Stored,
    /// Its memory, for the next one.
    buffer: Option<BytesMut>,
}

pub(crate) struct Parts {
    destination: Arc<Destination>,
    parallel: usize,
    begun: u32,
    tasks: JoinSet<Result<Sent>>,
    sent: Vec<Sent>,
}

impl Parts {
    pub(crate) fn new(destination: Destination, parallel: usize) -> Self {
        let (destination, parallel) = (Arc::new(destination), parallel.max(1));
        Self { destination, parallel, begun: 0, tasks: JoinSet::new(), sent: Vec::new() }
    }

    /// How many were handed over so far, the opening block included.
    pub(crate) fn begun(&self) -> u64 {
        u64::from(self.begun)
    }

    /// Sends the block with which the upload comes into being, and waits for it.
    pub(crate) async fn open(&mut self, byte: Bytes) -> Result<()> {
        self.begun = 1;
        self.sent.push(send_block(self.destination.clone(), 0, byte).await?);
        Ok(())
    }

    /// Sends the bytes as the next block, after waiting for a free place. Returns memory to gather the next one in.
    pub(crate) async fn send(&mut self, bytes: Bytes, runtime: &Handle) -> Result<Option<BytesMut>> {
        let mut spare = None;
        while self.tasks.len() >= self.parallel {
            spare = self.wait_for_one().await?;
        }
        self.tasks.spawn_on(send_block(self.destination.clone(), self.begun, bytes), runtime);
        self.begun += 1;
        Ok(spare)
    }

    async fn wait_for_one(&mut self) -> Result<Option<BytesMut>> {
        let Some(ended) = self.tasks.join_next().await else { return Ok(None) };
        let mut sent = ended.map_err(|cause| Error::failure(format!("sending a block: {cause}")))??;
        let buffer = sent.buffer.take();
        self.sent.push(sent);
        Ok(buffer)
    }

    /// Waits for all blocks; their names in order for the commit, and the whole object's length and checksum.
    pub(crate) async fn finish(&mut self) -> Result<(Vec<Vec<u8>>, Stored)> {
        while !self.tasks.is_empty() {
            self.wait_for_one().await?;
        }
        self.sent.sort_unstable_by_key(|block| block.number);
        let mut whole = crc32fast::Hasher::new();
        let mut size_bytes = 0;
        for block in &self.sent {
            whole.combine(&crc32fast::Hasher::new_with_initial_len(block.whole.crc32, block.whole.size_bytes));
            size_bytes += block.whole.size_bytes;
        }
        let names = self.sent.iter().map(|block| self.destination.id.block(block.number)).collect();
        Ok((names, Stored { size_bytes, crc32: whole.finalize() }))
    }

    /// Ends what is on its way.
    pub(crate) async fn stop(&mut self) {
        let _ = tokio::time::timeout(GRACE, async { while self.tasks.join_next().await.is_some() {} }).await;
        self.tasks.shutdown().await;
    }
}

async fn send_block(to: Arc<Destination>, number: u32, bytes: Bytes) -> Result<Sent> {
    let whole = Stored { size_bytes: bytes.len() as u64, crc32: crc32fast::hash(&bytes) };
    let step = format!("storing block {number} of {}", to.key);
    let attempt = |_| {
        let options = BlockBlobClientStageBlockOptions {
            encryption_scope: to.encryption_scope.clone(),
            ..BlockBlobClientStageBlockOptions::default()
        };
        let (name, body, step) = (to.id.block(number), bytes.clone().into(), &step);
        let to = &to;
        async move {
            let request = to.blob.stage_block(&name, whole.size_bytes, body, Some(options));
            call(step, to.policy.limit(whole.size_bytes), request).await
        }
    };
    with_retries(&to.policy, &to.warn, attempt).await?;
    let buffer = bytes.try_into_mut().ok().map(|mut buffer| {
        buffer.clear();
        buffer
    });
    Ok(Sent { number, whole, buffer })
}
