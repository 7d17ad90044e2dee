//! The hash of a key: the bucket that it falls into, and 64 bits that tell it from the others there.

use sha2::{Digest, Sha256};

/// The most buckets that keys are spread over.
pub const MOST_BUCKETS: u32 = 1 << 16;
/// Keys that a bucket has at the time of the full backup, about.
const KEYS_A_BUCKET: u64 = 64;

/// A key, as far as anybody remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash {
    /// From 0 on.
    pub bucket: u32,
    /// What tells it from other keys of its bucket.
    pub hash: u64,
}

impl KeyHash {
    /// The hash of a key by the COPY BINARY bytes of its columns, in the key's order. `buckets` is a power of two, at most
    /// [`MOST_BUCKETS`].
    ///
    /// SHA-256 over each field's length (4 bytes, big end first) and its bytes; the bucket is the digest's first bits, the hash
    /// its bytes 8 to 15.
    #[must_use]
    pub fn of<'field>(fields: impl Iterator<Item = &'field [u8]>, buckets: u32) -> Self {
        let mut sha256 = Sha256::new();
        for field in fields {
            sha256.update((field.len() as u32).to_be_bytes());
            sha256.update(field);
        }
        let digest: [u8; 32] = sha256.finalize().into();
        let [first, second, ..] = digest;
        let place = u32::from(u16::from_be_bytes([first, second]));
        let mut hash = [0; 8];
        hash.copy_from_slice(&digest[8..16]);
        Self { bucket: place / (MOST_BUCKETS / buckets.clamp(1, MOST_BUCKETS)), hash: u64::from_be_bytes(hash) }
    }
}

/// How many buckets so many keys deserve: a power of two.
#[must_use]
pub fn buckets_for(keys: u64) -> u32 {
    let wanted = (keys / KEYS_A_BUCKET).clamp(1, u64::from(MOST_BUCKETS));
    u32::try_from(wanted).unwrap_or(MOST_BUCKETS).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[&[u8]], buckets: u32) -> KeyHash {
        KeyHash::of(fields.iter().copied(), buckets)
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        assert_ne!(of(&[b"ab", b"c"], 1), of(&[b"a", b"bc"], 1));
        assert_ne!(of(&[b"", b"a"], 1), of(&[b"a", b""], 1));
    }

    #[test]
    fn the_form_is_for_ever() {
        // printf '\0\0\0\10\0\0\0\0\0\0\0\7' | sha256sum
        let seven = of(&[&7i64.to_be_bytes()], MOST_BUCKETS);
        assert_eq!(format!("{:04x} {:016x}", seven.bucket, seven.hash), "c159 9300c961190299f3");
    }

    #[test]
    fn fewer_buckets_are_the_first_bits() {
        for number in 0..1000u32 {
            let field = number.to_be_bytes();
            let (most, few) = (of(&[&field], MOST_BUCKETS), of(&[&field], 16));
            assert_eq!((few.bucket, few.hash), (most.bucket >> 12, most.hash));
            assert_eq!(of(&[&field], 1).bucket, 0);
        }
    }

    #[test]
    fn buckets_grow_with_the_table_up_to_a_limit() {
        let numbers = [0, 63, 64, 200, 4_000_000, 1 << 40].map(buckets_for);
        assert_eq!(numbers, [1, 1, 1, 4, 65536, 65536]);
    }
}
