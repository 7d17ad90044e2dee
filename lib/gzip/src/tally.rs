//! Count and SHA-256 of the bytes that pass.

use sha2::{Digest as _, Sha256};

/// Counts and hashes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    sha256: Sha256,
    bytes: u64,
}

impl Tally {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn finish(self) -> (u64, [u8; 32]) {
        (self.bytes, self.sha256.finalize().into())
    }
}
