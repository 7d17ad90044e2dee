//! The compact binary forms: numbers of seven bits a byte, the lowest first, and what is made of them.

use crate::row_hash::HashedColumn;
use vb_core::{Error, Result};

/// Appends a number.
pub(super) fn number(mut value: u64, to: &mut Vec<u8>) {
    while value >= 0x80 {
        to.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// Appends the key's columns.
pub(super) fn columns(columns: &[HashedColumn], to: &mut Vec<u8>) {
    number(columns.len() as u64, to);
    for column in columns {
        number(column.name.len() as u64, to);
        to.extend_from_slice(column.name.as_bytes());
        to.push(u8::from(column.text));
    }
}

/// Takes such a form apart again.
pub(super) struct Bytes<'bytes> {
    rest: &'bytes [u8],
    /// What is read, for messages.
    what: &'static str,
}

impl<'bytes> Bytes<'bytes> {
    pub(super) fn new(rest: &'bytes [u8], what: &'static str) -> Self {
        Self { rest, what }
    }

    pub(super) fn broken(&self) -> Error {
        Error::integrity(format!("reading {}: it is damaged", self.what))
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'bytes [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.broken())?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn number(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.broken())
    }

    /// A number of things that each take `size` bytes at least: more than there are bytes is damage.
    pub(super) fn count(&mut self, size: usize) -> Result<usize> {
        let count = usize::try_from(self.number()?).map_err(|_| self.broken())?;
        if count > self.rest.len() / size { Err(self.broken()) } else { Ok(count) }
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn hash(&mut self) -> Result<u64> {
        let mut hash = [0; 8];
        hash.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(hash))
    }

    pub(super) fn columns(&mut self) -> Result<Vec<HashedColumn>> {
        let count = self.count(2)?;
        let column = |bytes: &mut Self| {
            let length = bytes.count(1)?;
            let name = String::from_utf8(bytes.take(length)?.to_vec()).map_err(|_| bytes.broken())?;
            Ok(HashedColumn { name, text: bytes.byte()? != 0 })
        };
        (0..count).map(|_| column(self)).collect()
    }

    /// The number of buckets: a power of two, by its exponent.
    pub(super) fn buckets(&mut self) -> Result<u32> {
        match self.byte()? {
            exponent @ 0..=16 => Ok(1 << exponent),
            _ => Err(self.broken()),
        }
    }

    pub(super) fn end(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.broken()) }
    }
}

/// The exponent of a power of two.
pub(super) fn exponent(buckets: u32) -> u8 {
    buckets.trailing_zeros() as u8
}
