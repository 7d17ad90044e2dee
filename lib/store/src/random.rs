//! Random numbers for delays and temporary names. Not for secrets.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A number that differs from call to call and from process to process.
#[must_use]
pub fn random_u64() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}
