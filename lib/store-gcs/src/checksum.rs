//! What was sent, counted twice: by the CRC-32 of our contract and by the CRC-32C (Castagnoli) that Google keeps.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest};
use vb_store::Stored;

/// What was sent so far.
pub(crate) struct Counter {
    size_bytes: u64,
    crc32: crc32fast::Hasher,
    crc32c: Digest,
}

/// What was sent in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) stored: Stored,
    pub(crate) crc32c: u32,
}

impl Counter {
    pub(crate) fn new() -> Self {
        Self { size_bytes: 0, crc32: crc32fast::Hasher::new(), crc32c: Digest::new(CrcAlgorithm::Crc32Iscsi) }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.size_bytes += bytes.len() as u64;
        self.crc32.update(bytes);
        self.crc32c.update(bytes);
    }

    pub(crate) fn sent(&self) -> Sent {
        let stored = Stored { size_bytes: self.size_bytes, crc32: self.crc32.clone().finalize() };
        Sent { stored, crc32c: narrow(self.crc32c.finalize()) }
    }
}

impl Sent {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut counter = Counter::new();
        counter.update(bytes);
        counter.sent()
    }
}

pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    narrow(crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes))
}

/// The crate gives all widths in 64 bits.
fn narrow(crc: u64) -> u32 {
    u32::try_from(crc).unwrap_or_default()
}

/// As the JSON API writes it: four bytes, big-endian, in base 64 (Objects resource, `crc32c`).
pub(crate) fn encode(crc32c: u32) -> String {
    STANDARD.encode(crc32c.to_be_bytes())
}

pub(crate) fn decode(text: &str) -> Option<u32> {
    Some(u32::from_be_bytes(STANDARD.decode(text).ok()?.try_into().ok()?))
}

/// The CRC-32C in an `x-goog-hash` header: `crc32c=n03x6A==,md5=…`.
pub(crate) fn from_header(value: &str) -> Option<u32> {
    value.split(',').find_map(|hash| decode(hash.trim().strip_prefix("crc32c=")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_values() {
        // "123456789": the check values of CRC-32/ISO-HDLC and CRC-32/ISCSI in the Rocksoft catalogue.
        let mut counter = Counter::new();
        ["1234", "", "56789"].iter().for_each(|text| counter.update(text.as_bytes()));
        let sent = counter.sent();
        assert_eq!((sent.stored.size_bytes, sent.stored.crc32, sent.crc32c), (9, 0xCBF4_3926, 0xE306_9283));
        assert_eq!(sent, Sent::of(b"123456789"));
        assert_eq!(crc32c(b"123456789"), sent.crc32c);
    }

    #[test]
    fn the_written_form() {
        assert_eq!(encode(0xE306_9283), "4waSgw==");
        assert_eq!(decode("4waSgw=="), Some(0xE306_9283));
        assert_eq!(from_header("md5=XUFAKrxLKna5cZ2REBfFkg==, crc32c=4waSgw=="), Some(0xE306_9283));
        assert_eq!((decode("4waS"), from_header("md5=x")), (None, None));
    }
}
