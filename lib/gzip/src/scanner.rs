//! Proves a stream of ours by its seal while the bytes pass on undecoded.

use crate::error::{GzipError, Result};
use crate::format::{KIND_BYTES, starts_as_vb};
use crate::seal::{SEAL_BYTES_MOST, Seal, parse_seal};
use crate::tally::Tally;

/// The tail is cut down to the longest seal only when it has grown this much beyond.
const SLACK_BYTES: usize = 1 << 18;

/// What a stream has turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scanned {
    /// It does not begin as gzip does.
    NotGzip,
    /// Somebody else's gzip: [`crate::ForeignProver`] can prove it.
    Foreign,
    /// One of ours, whole: every byte before the seal is the one that the seal is about.
    Sealed(Seal),
}

/// Takes a stream in pieces. Everything but the possible seal is hashed on the way.
#[derive(Debug, Default)]
pub struct SealScanner {
    first: Vec<u8>,
    hashed: Tally,
    tail: Vec<u8>,
}

impl SealScanner {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let missing = KIND_BYTES - self.first.len();
        self.first.extend(bytes.iter().take(missing));
        if let Some(surplus) = bytes.len().checked_sub(SEAL_BYTES_MOST) {
            self.hashed.update(&self.tail);
            self.hashed.update(&bytes[..surplus]);
            self.tail.clear();
            self.tail.extend(&bytes[surplus..]);
            return;
        }
        self.tail.extend(bytes);
        if self.tail.len() > SEAL_BYTES_MOST + SLACK_BYTES {
            let surplus = self.tail.len() - SEAL_BYTES_MOST;
            self.hashed.update(&self.tail[..surplus]);
            self.tail.drain(..surplus);
        }
    }

    /// Whether the stream is one of ours, as soon as its first 14 bytes have passed.
    #[must_use]
    pub fn starts_as_vb(&self) -> bool {
        starts_as_vb(&self.first)
    }

    /// To be called at the end of the stream.
    ///
    /// # Errors
    /// [`GzipError::Truncated`] if it begins as one of ours but does not end in an intact seal, [`GzipError::SealMismatch`]
    /// if the seal is about other bytes.
    pub fn finish(mut self) -> Result<Scanned> {
        if !self.first.starts_with(&[0x1f, 0x8b]) {
            return Ok(Scanned::NotGzip);
        }
        if !self.starts_as_vb() {
            return Ok(Scanned::Foreign);
        }
        let length = self.hashed.bytes() + self.tail.len() as u64;
        let seal = parse_seal(&self.tail).ok_or(GzipError::Truncated { offset: length })?;
        let before = self.tail.len() - seal.member_bytes();
        self.hashed.update(&self.tail[..before]);
        let offset = self.hashed.bytes();
        if self.hashed.finish() != (seal.totals.compressed_bytes, seal.totals.compressed_sha256) {
            return Err(GzipError::SealMismatch { offset, cause: "it is about other members" });
        }
        Ok(Scanned::Sealed(seal))
    }
}
