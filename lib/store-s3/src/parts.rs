//! The parts of a multipart upload that are on their way: a bounded number, each sent again by itself.

use crate::call::call;
use crate::checksum;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::CompletedPart;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use vb_core::{Error, Result};
use vb_http::with_retries;
use vb_store::{RetryPolicy, Stored, Warn};

/// Where parts go, and how patiently. Holds the client only: see [`crate::store::Shared`].
pub(crate) struct Destination {
    pub(crate) client: Client,
    pub(crate) bucket: String,
    /// With the store's prefix.
    pub(crate) key: String,
    pub(crate) upload_id: String,
    pub(crate) policy: RetryPolicy,
    pub(crate) warn: Warn,
}

/// A part that has arrived.
struct Sent {
    number: i32,
    etag: String,
    whole: Stored,
    /// Its memory, for the next part.
    buffer: Option<BytesMut>,
}

pub(crate) struct Parts {
    pub(crate) destination: Arc<Destination>,
    parallel: usize,
    begun: i32,
    tasks: JoinSet<Result<Sent>>,
    sent: Vec<Sent>,
}

impl Parts {
    pub(crate) fn new(destination: Destination, parallel: usize) -> Self {
        let (destination, parallel) = (Arc::new(destination), parallel.max(1));
        Self { destination, parallel, begun: 0, tasks: JoinSet::new(), sent: Vec::new() }
    }

    /// How many were handed over so far.
    pub(crate) fn begun(&self) -> u64 {
        u64::try_from(self.begun).unwrap_or_default()
    }

    /// Sends the bytes as the next part, after waiting for a free place. Returns memory to gather the next one in.
    pub(crate) async fn send(&mut self, bytes: Bytes, runtime: &Handle) -> Result<Option<BytesMut>> {
        let mut spare = None;
        while self.tasks.len() >= self.parallel {
            spare = self.wait_for_one().await?;
        }
        self.begun += 1;
        self.tasks.spawn_on(send_part(self.destination.clone(), self.begun, bytes), runtime);
        Ok(spare)
    }

    async fn wait_for_one(&mut self) -> Result<Option<BytesMut>> {
        let Some(ended) = self.tasks.join_next().await else { return Ok(None) };
        let mut sent = ended.map_err(|cause| Error::failure(format!("sending a part: {cause}")))??;
        let buffer = sent.buffer.take();
        self.sent.push(sent);
        Ok(buffer)
    }

    /// Waits for all parts; the list for the commit, and the whole object's length and checksum.
    pub(crate) async fn finish(&mut self) -> Result<(Vec<CompletedPart>, Stored)> {
        while !self.tasks.is_empty() {
            self.wait_for_one().await?;
        }
        self.sent.sort_unstable_by_key(|part| part.number);
        let mut whole = crc32fast::Hasher::new();
        let mut size_bytes = 0;
        for part in &self.sent {
            whole.combine(&crc32fast::Hasher::new_with_initial_len(part.whole.crc32, part.whole.size_bytes));
            size_bytes += part.whole.size_bytes;
        }
        let complete = |part: &Sent| CompletedPart::builder().part_number(part.number).e_tag(&part.etag).build();
        Ok((self.sent.iter().map(complete).collect(), Stored { size_bytes, crc32: whole.finalize() }))
    }

    /// Ends what is on its way.
    pub(crate) async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }
}

async fn send_part(to: Arc<Destination>, number: i32, bytes: Bytes) -> Result<Sent> {
    let whole = Stored { size_bytes: bytes.len() as u64, crc32: crc32fast::hash(&bytes) };
    let step = format!("storing part {number} of {}", to.key);
    let attempt = |_| {
        let request = to.client.upload_part().bucket(&to.bucket).key(&to.key).upload_id(&to.upload_id);
        let request = request.part_number(number).checksum_crc32(checksum::encode(whole.crc32));
        let request = request.body(ByteStream::from(bytes.clone()));
        call(&step, to.policy.limit(whole.size_bytes), request.send())
    };
    let answer = with_retries(&to.policy, &to.warn, attempt).await?;
    let Some(etag) = answer.e_tag else {
        return Err(Error::failure(format!("{step}: the server answered without an ETag")));
    };
    let buffer = bytes.try_into_mut().ok().map(|mut buffer| {
        buffer.clear();
        buffer
    });
    Ok(Sent { number, etag, whole, buffer })
}
