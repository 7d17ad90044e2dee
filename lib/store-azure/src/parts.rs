//! Where the blocks of an upload go.

use crate::block::UploadId;
use crate::call::call;
use azure_storage_blob::BlockBlobClient;
use azure_storage_blob::models::BlockBlobClientStageBlockOptions;
use bytes::Bytes;
use vb_core::Result;
use vb_http::{Destination, with_retries};
use vb_store::{RetryPolicy, Stored, Warn};

/// The blocks of one upload, and how patiently. Holds the client only: see [`crate::store::Shared`].
pub(crate) struct Blocks {
    pub(crate) blob: BlockBlobClient,
    /// With the store's prefix, for people.
    pub(crate) key: String,
    pub(crate) id: UploadId,
    pub(crate) encryption_scope: Option<String>,
    pub(crate) policy: RetryPolicy,
    pub(crate) warn: Warn,
}

impl Destination for Blocks {
    /// The block's number is its name.
    type Receipt = ();

    async fn send(&self, number: u32, bytes: Bytes, part: Stored) -> Result<()> {
        let step = format!("storing block {number} of {}", self.key);
        let attempt = |_| {
            let options = BlockBlobClientStageBlockOptions {
                encryption_scope: self.encryption_scope.clone(),
                ..BlockBlobClientStageBlockOptions::default()
            };
            let (name, body, step) = (self.id.block(number), bytes.clone().into(), &step);
            async move {
                let request = self.blob.stage_block(&name, part.size_bytes, body, Some(options));
                call(step, self.policy.limit(part.size_bytes), request).await
            }
        };
        with_retries(&self.policy, &self.warn, attempt).await?;
        Ok(())
    }
}
