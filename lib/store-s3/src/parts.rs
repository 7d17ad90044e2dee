//! Where the parts of a multipart upload go.

use crate::call::call;
use crate::checksum;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::CompletedPart;
use bytes::Bytes;
use vb_core::{Error, Result};
use vb_http::{Destination, with_retries};
use vb_store::{RetryPolicy, Stored, Warn};

/// One multipart upload, and how patiently. Holds the client only: see [`crate::store::Shared`].
pub(crate) struct Multipart {
    pub(crate) client: Client,
    pub(crate) bucket: String,
    /// With the store's prefix.
    pub(crate) key: String,
    pub(crate) upload_id: String,
    pub(crate) policy: RetryPolicy,
    pub(crate) warn: Warn,
}

impl Destination for Multipart {
    type Receipt = CompletedPart;

    async fn send(&self, number: u32, bytes: Bytes, part: Stored) -> Result<CompletedPart> {
        let step = format!("storing part {number} of {}", self.key);
        let part_number = i32::try_from(number).map_err(|_| Error::failure(format!("{step}: too many parts")))?;
        let attempt = |_| {
            let request = self.client.upload_part().bucket(&self.bucket).key(&self.key).upload_id(&self.upload_id);
            let request = request.part_number(part_number).checksum_crc32(checksum::encode(part.crc32));
            let request = request.body(ByteStream::from(bytes.clone()));
            call(&step, self.policy.limit(part.size_bytes), request.send())
        };
        let answer = with_retries(&self.policy, &self.warn, attempt).await?;
        let Some(etag) = answer.e_tag else {
            return Err(Error::failure(format!("{step}: the server answered without an ETag")));
        };
        Ok(CompletedPart::builder().part_number(part_number).e_tag(etag).build())
    }
}
