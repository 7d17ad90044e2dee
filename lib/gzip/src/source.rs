//! Reading an input to a known length, and knowing where one is.

use crate::error::{GzipError, Result};
use crate::tally::Tally;
use std::io::{ErrorKind, Read};

/// Reads until `buffer` is full or the input ends; returns the count.
///
/// # Errors
/// If the input cannot be read.
pub(crate) fn fill(input: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
            Err(cause) => return Err(GzipError::Read(cause)),
        }
    }
    Ok(filled)
}

/// An input that must not end yet, counted and hashed.
pub(crate) struct Source<Input> {
    input: Input,
    tally: Tally,
}

impl<Input: Read> Source<Input> {
    pub(crate) fn new(input: Input) -> Self {
        Self { input, tally: Tally::default() }
    }

    /// The bytes read so far.
    pub(crate) fn offset(&self) -> u64 {
        self.tally.bytes()
    }

    /// Count and digest so far.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Fills the whole buffer.
    ///
    /// # Errors
    /// [`GzipError::Truncated`] if the input ends before.
    pub(crate) fn exact(&mut self, buffer: &mut [u8]) -> Result<()> {
        let count = fill(&mut self.input, buffer)?;
        self.tally.update(&buffer[..count]);
        if count < buffer.len() { Err(GzipError::Truncated { offset: self.offset() }) } else { Ok(()) }
    }

    /// Whether nothing follows.
    pub(crate) fn is_at_end(&mut self) -> Result<bool> {
        Ok(fill(&mut self.input, &mut [0])? == 0)
    }
}
