//! Names of blocks. Azure keeps the uncommitted blocks of one object in one heap, whoever sent them; the names tell which
//! upload a block belongs to and when that began.

use chrono::{DateTime, Utc};
use std::fmt;
use vb_core::time::Instant;

/// Distinguishes our blocks from those of other programs.
const MARK: &[u8; 4] = b"vb1.";

/// An upload's name: when it was begun, and a random number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UploadId {
    begun_ms: u64,
    random: u64,
}

impl UploadId {
    pub(crate) fn new(begun_at: Instant, random: u64) -> Self {
        Self { begun_ms: u64::try_from(begun_at.timestamp_millis()).unwrap_or_default(), random }
    }

    /// The inverse of `to_string`; `None` for any other text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (begun, random) = (text.len() == 32).then_some(text)?.split_at_checked(16)?;
        Some(Self { begun_ms: u64::from_str_radix(begun, 16).ok()?, random: u64::from_str_radix(random, 16).ok()? })
    }

    /// To the millisecond.
    pub(crate) fn begun_at(self) -> Instant {
        i64::try_from(self.begun_ms).ok().and_then(DateTime::<Utc>::from_timestamp_millis).unwrap_or_default()
    }

    /// The name of this upload's block with this number. All names have one length, as Azure demands.
    pub(crate) fn block(self, number: u32) -> Vec<u8> {
        let (begun, random) = (self.begun_ms.to_be_bytes(), self.random.to_be_bytes());
        [&MARK[..], &begun, &random, &number.to_be_bytes()].concat()
    }

    /// The upload that a block belongs to; `None` for a block of another program.
    pub(crate) fn of_block(name: &[u8]) -> Option<Self> {
        let rest = name.strip_prefix(MARK)?;
        let (begun, rest) = rest.split_first_chunk()?;
        let (random, number) = rest.split_first_chunk()?;
        (number.len() == 4).then(|| Self { begun_ms: u64::from_be_bytes(*begun), random: u64::from_be_bytes(*random) })
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}{:016x}", self.begun_ms, self.random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_names_its_upload() {
        let at: Instant = "2026-11-21T03:15:00.123Z".parse().unwrap();
        let id = UploadId::new(at, 7);
        assert_eq!(UploadId::of_block(&id.block(49_999)), Some(id));
        assert_eq!(UploadId::parse(&id.to_string()), Some(id));
        assert_eq!(id.begun_at(), at);
        assert_eq!(id.block(0).len(), 24);
    }

    #[test]
    fn other_names_are_of_no_upload() {
        for name in [&b""[..], b"block-0001", b"vb1.", &[b'x'; 24]] {
            assert_eq!(UploadId::of_block(name), None, "{name:?}");
        }
        for text in ["", "x", &"é".repeat(16), &"g".repeat(32)] {
            assert_eq!(UploadId::parse(text), None, "{text:?}");
        }
    }
}
