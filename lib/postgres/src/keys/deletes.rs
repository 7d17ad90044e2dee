//! What an increment says about the keys that are gone.

use super::bytes::{self, Bytes};
use super::hash::KeyHash;
use crate::row_hash::HashedColumn;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use vb_core::{Error, Result};

/// The version of the binary form.
const VERSION: u8 = 1;
/// Hashes that an increment may carry where many buckets are dirty.
const MOST_LIVE: u64 = (16 << 20) / 8;
/// Hashes that an increment may carry at all: 64 MiB, since they are held in memory.
const MOST_LIVE_EVER: u64 = 4 * MOST_LIVE;

/// The dirty buckets, and the live keys of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletes {
    /// The key's columns in its order, and the forms in which they are hashed: see [`super::expressions`].
    pub columns: Vec<HashedColumn>,
    /// For how many buckets keys are hashed.
    pub buckets: u32,
    /// The dirty buckets, and the sorted hashes of all keys in them that are live.
    pub dirty: BTreeMap<u32, Vec<u64>>,
}

impl Deletes {
    /// Whether the row with this key, if the base has it, is gone.
    #[must_use]
    pub fn is_gone(&self, key: KeyHash) -> bool {
        self.dirty.get(&key.bucket).is_some_and(|live| live.binary_search(&key.hash).is_err())
    }

    /// The footer's text: base64 of the binary form.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes::columns(&self.columns, &mut bytes);
        bytes.push(bytes::exponent(self.buckets));
        bytes::number(self.dirty.len() as u64, &mut bytes);
        let mut previous = 0;
        for (bucket, live) in &self.dirty {
            bytes::number(u64::from(bucket - previous), &mut bytes);
            bytes::number(live.len() as u64, &mut bytes);
            live.iter().for_each(|hash| bytes.extend_from_slice(&hash.to_le_bytes()));
            previous = *bucket;
        }
        STANDARD.encode(bytes)
    }

    /// Reads the footer's text.
    ///
    /// # Errors
    /// An integrity error if it is none, or of a version that this program does not know.
    pub fn parse(text: &str) -> Result<Self> {
        let what = "the list of deleted rows";
        let bytes = STANDARD.decode(text).map_err(|_| Error::integrity(format!("reading {what}: it is damaged")))?;
        let mut bytes = Bytes::new(&bytes, what);
        let version = bytes.byte()?;
        if version != VERSION {
            return Err(Error::integrity(format!(
                "reading {what}: it has version {version}, this program reads {VERSION}"
            ))
            .with_hint("Use the version of vb that wrote it, or a newer one."));
        }
        let (columns, buckets) = (bytes.columns()?, bytes.buckets()?);
        let (mut dirty, mut bucket) = (BTreeMap::new(), 0);
        for _ in 0..bytes.count(2)? {
            bucket += bytes.number()?;
            let live = (0..bytes.count(8)?).map(|_| bytes.hash()).collect::<Result<Vec<_>>>()?;
            let number = u32::try_from(bucket).ok().filter(|number| *number < buckets && live.is_sorted());
            dirty.insert(number.ok_or_else(|| bytes.broken())?, live);
        }
        bytes.end()?;
        Ok(Self { columns, buckets, dirty })
    }
}

/// Whether a list for so many dirty buckets of all, with so many live keys, costs more than another full export would.
#[must_use]
pub fn would_be_too_large(dirty: usize, buckets: u32, live: u64) -> bool {
    let many = dirty as u64 * 4 > u64::from(buckets);
    live > MOST_LIVE_EVER || many && live > MOST_LIVE
}

/// Gathers the live keys of dirty buckets, in a second pass.
#[derive(Debug)]
pub struct Collector(Deletes);

impl Collector {
    /// For these dirty buckets of all.
    #[must_use]
    pub fn new(columns: Vec<HashedColumn>, buckets: u32, dirty: &[u32]) -> Self {
        let dirty = dirty.iter().map(|bucket| (*bucket, Vec::new())).collect();
        Self(Deletes { columns, buckets, dirty })
    }

    /// Takes the next live key.
    pub fn add(&mut self, key: KeyHash) {
        if let Some(live) = self.0.dirty.get_mut(&key.bucket) {
            live.push(key.hash);
        }
    }

    /// After the last key.
    #[must_use]
    pub fn finish(mut self) -> Deletes {
        self.0.dirty.values_mut().for_each(|live| live.sort_unstable());
        self.0
    }
}
