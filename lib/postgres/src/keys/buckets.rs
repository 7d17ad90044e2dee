//! What is remembered of a table's keys: how many fall into each bucket, and the sum of their hashes.

use super::bytes::{self, Bytes};
use super::hash::{KeyHash, MOST_BUCKETS, buckets_for};
use crate::row_hash::HashedColumn;
use sha2::{Digest, Sha256};
use vb_core::Result;

/// The first bytes of the file: what it is, and the version of its form.
const MAGIC: &[u8; 8] = b"VBKEYS1\n";

/// What is remembered of one bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket {
    /// How many keys it has.
    pub count: u64,
    /// The sum of their hashes, wrapped.
    pub sum: u64,
}

impl Bucket {
    /// With one more key.
    pub(super) fn add(&mut self, hash: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(hash);
    }

    /// With all keys of another one.
    pub(super) fn with(self, other: Self) -> Self {
        Self { count: self.count + other.count, sum: self.sum.wrapping_add(other.sum) }
    }
}

/// What is remembered of all keys of a table at one moment: at most 1.2 MB, however large the table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets {
    /// The key's columns, and the forms in which they were hashed.
    pub columns: Vec<HashedColumn>,
    buckets: Vec<Bucket>,
}

impl Buckets {
    /// So many empty buckets: a power of two.
    #[must_use]
    pub fn new(columns: Vec<HashedColumn>, buckets: u32) -> Self {
        let buckets = buckets.clamp(1, MOST_BUCKETS).next_power_of_two();
        Self { columns, buckets: vec![Bucket::default(); buckets as usize] }
    }

    /// How many buckets.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.buckets.len() as u32
    }

    /// How many keys in all.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.count).sum()
    }

    /// One of them.
    #[must_use]
    pub fn bucket(&self, number: u32) -> Bucket {
        self.buckets.get(number as usize).copied().unwrap_or_default()
    }

    /// Remembers a key that was hashed for this number of buckets.
    pub fn add(&mut self, key: KeyHash) {
        if let Some(bucket) = self.buckets.get_mut(key.bucket as usize) {
            bucket.add(key.hash);
        }
    }

    /// The same keys in as many buckets as they deserve.
    #[must_use]
    pub fn folded(self) -> Self {
        let wanted = buckets_for(self.keys()).min(self.number());
        let buckets = self.buckets.chunks(self.buckets.len() / wanted as usize);
        let buckets = buckets.map(|some| some.iter().copied().fold(Bucket::default(), Bucket::with)).collect();
        Self { columns: self.columns, buckets }
    }

    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes::columns(&self.columns, &mut bytes);
        bytes.push(bytes::exponent(self.number()));
        for bucket in &self.buckets {
            bytes::number(bucket.count, &mut bytes);
            bytes.extend_from_slice(&bucket.sum.to_le_bytes());
        }
        bytes
    }

    /// Reads the file.
    ///
    /// # Errors
    /// An integrity error if it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut bytes = Bytes::new(bytes, "the digests of the keys");
        if bytes.take(MAGIC.len())? != MAGIC {
            return Err(bytes.broken());
        }
        let columns = bytes.columns()?;
        let bucket = |bytes: &mut Bytes<'_>| Ok(Bucket { count: bytes.number()?, sum: bytes.hash()? });
        let buckets = (0..bytes.buckets()?).map(|_| bucket(&mut bytes)).collect::<Result<_>>()?;
        bytes.end()?;
        Ok(Self { columns, buckets })
    }
}

/// The name of such a file: the SHA-256 of its bytes, lower-case hexadecimal.
#[must_use]
pub fn name_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
