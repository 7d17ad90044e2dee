//! The parts of an upload that are on their way: a bounded number, each sent again by itself.

use crate::gathering::memory_of;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use vb_core::{Error, Result};
use vb_store::Stored;

/// Where parts go. Must not hold the runtime on which they are sent.
pub trait Destination: Send + Sync + 'static {
    /// What the server gives for a part, and wants to see again at the commit.
    type Receipt: Send + 'static;

    /// Sends one part, as often as it takes.
    fn send(&self, number: u32, bytes: Bytes, part: Stored) -> impl Future<Output = Result<Self::Receipt>> + Send;
}

/// A part that has arrived.
struct Sent<Receipt> {
    number: u32,
    receipt: Receipt,
    part: Stored,
    /// Its memory, for the next one.
    memory: Option<BytesMut>,
}

/// The parts of one upload.
pub struct Parts<To: Destination> {
    destination: Arc<To>,
    parallel: usize,
    first: u32,
    next: u32,
    tasks: JoinSet<Result<Sent<To::Receipt>>>,
    sent: Vec<Sent<To::Receipt>>,
}

impl<To: Destination> Parts<To> {
    /// Sends as many at once as `parallel` says, and counts them from `first` on.
    pub fn new(destination: To, parallel: usize, first: u32) -> Self {
        let (destination, parallel) = (Arc::new(destination), parallel.max(1));
        Self { destination, parallel, first, next: first, tasks: JoinSet::new(), sent: Vec::new() }
    }

    /// How many were handed over so far.
    pub fn begun(&self) -> u64 {
        u64::from(self.next - self.first)
    }

    /// Sends the bytes as the next part, after waiting for a free place. Returns memory to gather the next one in.
    ///
    /// # Errors
    /// That of an earlier part.
    pub async fn send(&mut self, bytes: Bytes, runtime: &Handle) -> Result<Option<BytesMut>> {
        let mut spare = None;
        while self.tasks.len() >= self.parallel {
            spare = self.wait_for_one().await?;
        }
        self.tasks.spawn_on(send(self.destination.clone(), self.next, bytes), runtime);
        self.next += 1;
        Ok(spare)
    }

    /// Sends the bytes as the next part, and waits for it.
    ///
    /// # Errors
    /// That of the part.
    pub async fn send_and_wait(&mut self, bytes: Bytes) -> Result<()> {
        let number = self.next;
        self.next += 1;
        self.sent.push(send(self.destination.clone(), number, bytes).await?);
        Ok(())
    }

    async fn wait_for_one(&mut self) -> Result<Option<BytesMut>> {
        let Some(ended) = self.tasks.join_next().await else { return Ok(None) };
        let mut sent = ended.map_err(|cause| Error::failure(format!("sending a part: {cause}")))??;
        let memory = sent.memory.take();
        self.sent.push(sent);
        Ok(memory)
    }

    /// Waits for all parts: their numbers and receipts in order, and the whole object's length and checksum.
    ///
    /// # Errors
    /// That of a part.
    pub async fn finish(&mut self) -> Result<(Vec<(u32, &To::Receipt)>, Stored)> {
        while !self.tasks.is_empty() {
            self.wait_for_one().await?;
        }
        self.sent.sort_unstable_by_key(|sent| sent.number);
        let mut whole = crc32fast::Hasher::new();
        let mut size_bytes = 0;
        for Sent { part, .. } in &self.sent {
            whole.combine(&crc32fast::Hasher::new_with_initial_len(part.crc32, part.size_bytes));
            size_bytes += part.size_bytes;
        }
        let receipts = self.sent.iter().map(|sent| (sent.number, &sent.receipt)).collect();
        Ok((receipts, Stored { size_bytes, crc32: whole.finalize() }))
    }

    /// Ends what is on its way. A request that is cut off may still arrive whole; one that is let run for the time of
    /// grace does not surprise the abort after it.
    pub async fn stop(&mut self, grace: Duration) {
        let _ = tokio::time::timeout(grace, async { while self.tasks.join_next().await.is_some() {} }).await;
        self.tasks.shutdown().await;
    }
}

async fn send<To: Destination>(to: Arc<To>, number: u32, bytes: Bytes) -> Result<Sent<To::Receipt>> {
    let part = Stored { size_bytes: bytes.len() as u64, crc32: crc32fast::hash(&bytes) };
    let receipt = to.send(number, bytes.clone(), part).await?;
    Ok(Sent { number, receipt, part, memory: memory_of(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Keeps what it is sent, the later parts sooner, and counts how many are on their way at once.
    #[derive(Default)]
    struct Memory {
        kept: Mutex<Vec<(u32, Bytes)>>,
        now: AtomicUsize,
        most: AtomicUsize,
        broken: Option<u32>,
    }

    impl Destination for Memory {
        type Receipt = String;

        async fn send(&self, number: u32, bytes: Bytes, _part: Stored) -> Result<String> {
            self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(u64::from(20_u32.saturating_sub(4 * number)))).await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            if self.broken == Some(number) {
                return Err(Error::failure("storing a part: broken"));
            }
            self.kept.lock().unwrap().push((number, bytes));
            Ok(format!("receipt {number}"))
        }
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    #[test]
    fn parts_are_bounded_and_counted_in_their_order() {
        run(async {
            let mut parts = Parts::new(Memory::default(), 2, 1);
            for text in ["back", "ups ", "as ", "pipes"] {
                parts.send(Bytes::from(text), &Handle::current()).await.unwrap();
            }
            assert_eq!(parts.begun(), 4);
            let (receipts, whole) = parts.finish().await.unwrap();
            let receipts: Vec<_> = receipts.into_iter().map(|(number, receipt)| (number, receipt.clone())).collect();
            assert_eq!(receipts[0], (1, "receipt 1".to_owned()));
            assert_eq!(receipts[3], (4, "receipt 4".to_owned()));
            let expected = Stored { size_bytes: 16, crc32: crc32fast::hash(b"backups as pipes") };
            assert_eq!(whole, expected);
            assert_eq!(parts.destination.most.load(Ordering::SeqCst), 2);
        });
    }

    #[test]
    fn a_part_that_fails_fails_the_upload() {
        run(async {
            let mut parts = Parts::new(Memory { broken: Some(0), ..Memory::default() }, 4, 0);
            parts.send(Bytes::from("a"), &Handle::current()).await.unwrap();
            assert_eq!(parts.finish().await.unwrap_err().to_string(), "storing a part: broken");
        });
    }
}
