//! Keys out of a COPY BINARY: the key's fields, then one boolean that says whether the row is exported.

use super::hash::KeyHash;
use vb_core::{Error, Result};

/// Signature, flags and the length of an empty extension.
const HEADER_BYTES: usize = 19;
/// The number of fields in front of each row, and the length in front of each field.
const COUNT_BYTES: usize = 2;
const LENGTH_BYTES: usize = 4;

/// Hashes the keys of a stream, however it is cut into blocks.
#[derive(Debug)]
pub struct KeyRows {
    buckets: u32,
    /// The beginning of a row that is not complete.
    carried: Vec<u8>,
    header_passed: bool,
    ended: bool,
    rows: u64,
}

impl KeyRows {
    /// For so many buckets.
    #[must_use]
    pub fn new(buckets: u32) -> Self {
        Self { buckets, carried: Vec::new(), header_passed: false, ended: false, rows: 0 }
    }

    /// Takes the next block: each key that it completes, and whether its row is exported.
    ///
    /// # Errors
    /// An integrity error if it is no such stream.
    pub fn push(&mut self, block: &[u8], each: &mut impl FnMut(KeyHash, bool)) -> Result<()> {
        if self.carried.is_empty() {
            let used = self.take(block, each)?;
            self.carried.extend_from_slice(&block[used..]);
            return Ok(());
        }
        let mut joined = std::mem::take(&mut self.carried);
        joined.extend_from_slice(block);
        let used = self.take(&joined, each)?;
        joined.drain(..used);
        self.carried = joined;
        Ok(())
    }

    /// After the last block: as many keys as the server says it sent must have come.
    ///
    /// # Errors
    /// An integrity error if not.
    pub fn finish(self, sent: u64) -> Result<()> {
        if self.ended && self.carried.is_empty() && self.rows == sent {
            return Ok(());
        }
        Err(Error::integrity(format!("reading the keys: the server sent {sent}, but {} arrived", self.rows)))
    }

    fn take(&mut self, bytes: &[u8], each: &mut impl FnMut(KeyHash, bool)) -> Result<usize> {
        let mut at = 0;
        if !self.header_passed {
            if bytes.len() < HEADER_BYTES {
                return Ok(0);
            }
            (self.header_passed, at) = (true, HEADER_BYTES);
        }
        while !self.ended {
            let Some(row) = row(&bytes[at..])? else { break };
            match row {
                Row::End => (self.ended, at) = (true, at + COUNT_BYTES),
                Row::Fields { key, exported, length } => {
                    each(KeyHash::of(Key(key), self.buckets), exported);
                    self.rows += 1;
                    at += length;
                }
            }
        }
        Ok(at)
    }
}

enum Row<'bytes> {
    Fields { key: &'bytes [u8], exported: bool, length: usize },
    End,
}

/// The next row, once all of it is there.
fn row(bytes: &[u8]) -> Result<Option<Row<'_>>> {
    let broken = |why: &str| Error::integrity(format!("reading the keys: {why}"));
    let Some(count) = bytes.first_chunk() else { return Ok(None) };
    let count = match i16::from_be_bytes(*count) {
        -1 => return Ok(Some(Row::End)),
        count if count >= 2 => count,
        _ => return Err(broken("a row has no key")),
    };
    let (mut at, mut last) = (COUNT_BYTES, COUNT_BYTES);
    for _ in 0..count {
        let Some(length) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| broken("a part of a key is NULL"))?;
        (last, at) = (at, at + LENGTH_BYTES + length);
    }
    let Some(flag) = bytes.get(last + LENGTH_BYTES..at) else { return Ok(None) };
    Ok(Some(Row::Fields { key: &bytes[COUNT_BYTES..last], exported: flag == [1], length: at }))
}

/// Fields with their lengths in front, one after the other.
struct Key<'bytes>(&'bytes [u8]);

impl<'bytes> Iterator for Key<'bytes> {
    type Item = &'bytes [u8];

    fn next(&mut self) -> Option<&'bytes [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (field, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        self.0 = rest;
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(rows: &[(&[&[u8]], bool)]) -> Vec<u8> {
        let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        for (key, exported) in rows {
            bytes.extend_from_slice(&(key.len() as u16 + 1).to_be_bytes());
            for field in key.iter().copied().chain([&[u8::from(*exported)][..]]) {
                bytes.extend_from_slice(&(field.len() as u32).to_be_bytes());
                bytes.extend_from_slice(field);
            }
        }
        bytes.extend_from_slice(&[0xff, 0xff]);
        bytes
    }

    #[test]
    fn keys_come_whole_however_they_are_cut() {
        let rows: [(&[&[u8]], bool); 3] = [(&[b"a", b"bc"], true), (&[b"", b"x"], false), (&[b"abc"], false)];
        let expected = rows.map(|(key, exported)| (KeyHash::of(key.iter().copied(), 16), exported));
        let bytes = copy(&rows);
        for step in [1, 2, 7, 1000] {
            let (mut keys, mut found) = (KeyRows::new(16), Vec::new());
            for block in bytes.chunks(step) {
                keys.push(block, &mut |key, exported| found.push((key, exported))).unwrap();
            }
            keys.finish(3).unwrap();
            assert_eq!(found, expected, "{step}");
        }
    }

    #[test]
    fn a_stream_that_ends_early_is_refused() {
        let bytes = copy(&[(&[b"a"], true)]);
        for (end, sent) in [(bytes.len() - 1, 1), (bytes.len() - 3, 1), (bytes.len(), 2)] {
            let mut keys = KeyRows::new(1);
            keys.push(&bytes[..end], &mut |_, _| {}).unwrap();
            assert!(keys.finish(sent).is_err(), "{end} {sent}");
        }
    }
}
