//! The rows of a COPY, out of the protocol's messages, in large blocks.
//!
//! The server sends a message for each row. Here the messages' heads are cut out while a block is filled, on the thread
//! that reads the socket, so that the next thread sees nothing but rows.

use crate::connection::{CopyOut, RawConnection, error_from_body};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use vb_core::{Error, Result};

/// A block ends with the message that fills it beyond this, so that blocks end where rows end.
const BLOCK_BYTES: usize = 1 << 20;
/// Blocks that may wait for the next thread.
const BLOCKS_WAITING: usize = 4;
/// What is read from the socket at once.
const READ_BYTES: usize = 256 << 10;
/// After a read that brought little, how long to let more arrive. The server sends 8 KiB at a time; to be woken for each
/// costs both sides more than the rows themselves, and one core of two is the server's.
const GATHER: Duration = Duration::from_micros(500);
/// A read that brings less than this brought little.
const LITTLE_BYTES: usize = READ_BYTES / 2;
/// A message's tag and length.
const HEAD_BYTES: usize = 5;

/// A COPY's data in blocks, read by a thread of its own.
#[derive(Debug)]
pub struct Blocks {
    blocks: Receiver<Vec<u8>>,
    used: SyncSender<Vec<u8>>,
    thread: Option<JoinHandle<Result<Sent>>>,
}

/// A COPY that came to its end.
#[derive(Debug)]
pub struct Sent {
    /// How many rows the server says it sent.
    pub rows: u64,
    /// The connection, free for the next statement.
    pub connection: RawConnection,
}

impl Blocks {
    /// Starts to read.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(stream: CopyOut) -> Result<Self> {
        let (sender, blocks) = sync_channel(BLOCKS_WAITING);
        let (used, free) = sync_channel(BLOCKS_WAITING + 2);
        let read = move || Unpacking::new(stream, sender, free).run();
        let thread = std::thread::Builder::new().name("copy".to_owned()).spawn(read);
        let thread = thread.map_err(|cause| Error::io("starting the thread that reads rows", cause))?;
        Ok(Self { blocks, used, thread: Some(thread) })
    }

    /// The next block, or none at the end.
    #[must_use]
    pub fn next_block(&self) -> Option<Vec<u8>> {
        self.blocks.recv().ok()
    }

    /// Gives a block's memory back.
    pub fn give_back(&self, mut block: Vec<u8>) {
        block.clear();
        let _more_than_needed = self.used.try_send(block);
    }

    /// To be called after the last block.
    ///
    /// # Errors
    /// Whatever ended the stream before its time.
    pub fn finish(mut self) -> Result<Sent> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Err(Error::failure("reading rows: the thread ended unexpectedly")),
        }
    }
}

/// Takes messages apart.
struct Unpacking {
    stream: CopyOut,
    blocks: SyncSender<Vec<u8>>,
    free: Receiver<Vec<u8>>,
    raw: Vec<u8>,
    block: Vec<u8>,
}

impl Unpacking {
    fn new(stream: CopyOut, blocks: SyncSender<Vec<u8>>, free: Receiver<Vec<u8>>) -> Self {
        let block = Vec::with_capacity(BLOCK_BYTES + READ_BYTES);
        Self { stream, blocks, free, raw: vec![0; READ_BYTES], block }
    }

    fn run(mut self) -> Result<Sent> {
        let (mut start, mut end) = (0, 0);
        let mut rows = None;
        loop {
            while let Some((tag, length)) = head(&self.raw[start..end]) {
                let rest = &self.raw[start + HEAD_BYTES..end];
                if tag == b'd' && rest.len() < length {
                    break;
                }
                match (tag, rest.get(..length)) {
                    (b'd', Some(body)) => self.block.extend_from_slice(body),
                    (b'E', Some(body)) => return Err(error_from_body(body).during("reading rows")),
                    (b'C', Some(body)) => rows = Some(rows_of(body)?),
                    (b'Z', Some(_)) => {
                        self.pass_on();
                        let rows = rows.ok_or_else(|| Error::failure("reading rows: the server sent no count"))?;
                        return Ok(Sent { rows, connection: self.stream.into_connection() });
                    }
                    (_, None) => break,
                    _ => {}
                }
                start += HEAD_BYTES + length;
                if self.block.len() >= BLOCK_BYTES && !self.pass_on() {
                    return Err(Error::failure("reading rows: nobody takes them any more"));
                }
            }
            (start, end) = self.fill(start, end)?;
        }
    }

    /// Reads more behind what is left of an unfinished message.
    fn fill(&mut self, start: usize, end: usize) -> Result<(usize, usize)> {
        self.raw.copy_within(start..end, 0);
        let left = end - start;
        let needed = head(&self.raw[..left]).map_or(0, |(_, length)| HEAD_BYTES + length);
        let size = needed.max(READ_BYTES);
        if self.raw.len() != size && self.raw.len() < needed {
            self.raw.resize(size, 0);
        }
        match self.stream.read(&mut self.raw[left..]) {
            Ok(0) => Err(Error::unavailable("reading rows: the server closed the connection before the end")),
            Ok(count) => {
                if count < LITTLE_BYTES {
                    std::thread::sleep(GATHER);
                }
                Ok((0, left + count))
            }
            Err(cause) => Err(Error::io("reading rows", cause)),
        }
    }

    /// Whether anybody still wants blocks.
    fn pass_on(&mut self) -> bool {
        let fresh = self.free.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK_BYTES + READ_BYTES));
        self.blocks.send(std::mem::replace(&mut self.block, fresh)).is_ok()
    }
}

/// How many rows the server says it sent: the command's tag is `COPY` and their number.
fn rows_of(tag: &[u8]) -> Result<u64> {
    let words = std::str::from_utf8(tag).unwrap_or_default().trim_end_matches('\0');
    let rows = words.strip_prefix("COPY ").and_then(|rows| rows.parse().ok());
    rows.ok_or_else(|| Error::failure(format!("reading rows: the server ended the COPY with {words:?}")))
}

/// A message's tag and the length of its body, once both have arrived.
fn head(bytes: &[u8]) -> Option<(u8, usize)> {
    let (tag, rest) = bytes.split_first()?;
    let length = u32::from_be_bytes(*rest.first_chunk()?);
    Some((*tag, (length as usize).saturating_sub(4)))
}
