//! Proves that a foreign gzip is complete, by decoding it; the data may be looked at on the way.

use crate::error::Result;
use crate::inflate::{Inflater, Room};

/// Takes a foreign gzip in pieces and says at its end whether it may end there.
///
/// A foreign gzip that was cut exactly between two members cannot be told from a whole one; a stream of ours is refused
/// here: [`crate::SealScanner`] proves it.
#[derive(Default)]
pub struct ForeignProver {
    inflater: Inflater,
    scratch: Scratch,
}

impl ForeignProver {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// If the stream is not gzip, or is damaged.
    pub fn update(&mut self, bytes: &[u8]) -> Result<()> {
        self.decode(bytes, &mut |_| ())
    }

    /// Takes the next bytes and shows the data in them, in pieces.
    ///
    /// # Errors
    /// If the stream is not gzip, or is damaged.
    pub fn decode(&mut self, bytes: &[u8], show: &mut dyn FnMut(&[u8])) -> Result<()> {
        self.inflater.update(bytes, &mut Showing { scratch: &mut self.scratch, show })
    }

    /// To be called at the end of the stream. Returns the length of the data.
    ///
    /// # Errors
    /// [`crate::GzipError::Truncated`] if the stream ends inside a member.
    pub fn finish(self) -> Result<u64> {
        self.inflater.finish().map(|()| self.scratch.passed)
    }
}

/// Room that is used again and again. Small, so that it stays in the processor's cache.
struct Scratch {
    buffer: Vec<u8>,
    passed: u64,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { buffer: vec![0; 1 << 16], passed: 0 }
    }
}

/// The same room, and who looks at what comes into it.
struct Showing<'update> {
    scratch: &'update mut Scratch,
    show: &'update mut dyn FnMut(&[u8]),
}

impl Room for Showing<'_> {
    fn room(&mut self) -> Result<&mut [u8]> {
        Ok(&mut self.scratch.buffer)
    }

    fn filled(&mut self, count: usize) {
        self.scratch.passed += count as u64;
        (self.show)(&self.scratch.buffer[..count]);
    }
}
