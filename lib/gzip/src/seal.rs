//! The seal: an empty last member whose extra field says what the stream is and how to know that it is whole.
//!
//! `HEAD`, extra length, `VS` and its length, payload, `VB` 4 and the length of this member, then the empty data (03 00) and
//! its zero trailer. The payload, little endian: version 1 (u8), uncompressed bytes (u64), their SHA-256, compressed bytes
//! before the seal (u64), their SHA-256, the label, and the CRC-32 of the payload so far, since nothing else covers a seal.

use crate::error::{GzipError, Result};
use crate::format::{HEAD, LENGTH_ID, SEAL_ID, TRAILER_BYTES, little_endian_u32};

const VERSION: u8 = 1;
const EMPTY_DATA: [u8; 2] = [3, 0];
const TAIL_BYTES: usize = EMPTY_DATA.len() + TRAILER_BYTES;
const COUNTS_BYTES: usize = 1 + 8 + 32 + 8 + 32;
const LENGTH_SUBFIELD_BYTES: usize = 8;
const PAYLOAD_AT: usize = HEAD.len() + 2 + 4;

/// Bytes of a seal around its label.
const FRAME_BYTES: usize = PAYLOAD_AT + COUNTS_BYTES + 4 + LENGTH_SUBFIELD_BYTES + TAIL_BYTES;

/// The longest seal, and so the longest tail that [`parse_seal`] needs: a gzip extra field ends at 65,535 bytes.
pub const SEAL_BYTES_MOST: usize = HEAD.len() + 2 + 65_535 + TAIL_BYTES;

/// The longest label.
pub const LABEL_BYTES_MOST: usize = SEAL_BYTES_MOST - FRAME_BYTES;

/// Counts and digests of both sides of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Length of the data.
    pub uncompressed_bytes: u64,
    /// SHA-256 of the data.
    pub uncompressed_sha256: [u8; 32],
    /// Length of all members before the seal.
    pub compressed_bytes: u64,
    /// SHA-256 of all members before the seal.
    pub compressed_sha256: [u8; 32],
}

/// What a seal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// The caller's bytes.
    pub label: Vec<u8>,
    /// What the stream must add up to.
    pub totals: Totals,
}

impl Seal {
    /// Length of the seal member itself.
    #[must_use]
    pub fn member_bytes(&self) -> usize {
        FRAME_BYTES + self.label.len()
    }
}

/// The seal member.
///
/// # Errors
/// If the label is longer than [`LABEL_BYTES_MOST`].
pub(crate) fn seal_member(totals: &Totals, label: &[u8]) -> Result<Vec<u8>> {
    let too_long = || GzipError::LabelTooLong { bytes: label.len() };
    let payload = payload(totals, label);
    let payload_bytes = u16::try_from(payload.len()).map_err(|_| too_long())?;
    let extra_bytes = payload_bytes.checked_add(4 + 8).ok_or_else(too_long)?;
    let member_bytes = u32::try_from(FRAME_BYTES + label.len()).map_err(|_| too_long())?;
    let mut member = HEAD.to_vec();
    member.extend(extra_bytes.to_le_bytes());
    member.extend(SEAL_ID);
    member.extend(payload_bytes.to_le_bytes());
    member.extend(payload);
    member.extend(LENGTH_ID);
    member.extend(4_u16.to_le_bytes());
    member.extend(member_bytes.to_le_bytes());
    member.extend(EMPTY_DATA);
    member.extend([0; TRAILER_BYTES]);
    Ok(member)
}

fn payload(totals: &Totals, label: &[u8]) -> Vec<u8> {
    let mut payload = vec![VERSION];
    payload.extend(totals.uncompressed_bytes.to_le_bytes());
    payload.extend(totals.uncompressed_sha256);
    payload.extend(totals.compressed_bytes.to_le_bytes());
    payload.extend(totals.compressed_sha256);
    payload.extend(label);
    payload.extend(libdeflater::crc32(&payload).to_le_bytes());
    payload
}

/// The seal at the end of `tail`, the last [`SEAL_BYTES_MOST`] bytes of a stream (or all of a shorter one).
///
/// It says what the stream ought to be; whether the bytes before it are that stream is for the caller to check.
#[must_use]
pub fn parse_seal(tail: &[u8]) -> Option<Seal> {
    let length_at = tail.len().checked_sub(TAIL_BYTES + 4)?;
    let member_bytes = usize::try_from(little_endian_u32(&tail[length_at..])).ok()?;
    let member = &tail[tail.len().checked_sub(member_bytes)?..];
    let label_at = PAYLOAD_AT + COUNTS_BYTES;
    let label_bytes = member_bytes.checked_sub(FRAME_BYTES)?;
    let label = member.get(label_at..label_at + label_bytes)?.to_vec();
    let (uncompressed_bytes, uncompressed_sha256) = count(&member[PAYLOAD_AT + 1..])?;
    let (compressed_bytes, compressed_sha256) = count(&member[PAYLOAD_AT + 1 + 8 + 32..])?;
    let totals = Totals { uncompressed_bytes, uncompressed_sha256, compressed_bytes, compressed_sha256 };
    // There is one way only to write a seal, so writing it again checks every byte, the CRC-32 too.
    (seal_member(&totals, &label).ok()? == member).then_some(Seal { label, totals })
}

fn count(bytes: &[u8]) -> Option<(u64, [u8; 32])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), *rest.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOTALS: Totals = Totals {
        uncompressed_bytes: 70_000_000,
        uncompressed_sha256: [7; 32],
        compressed_bytes: 35_000_000,
        compressed_sha256: [9; 32],
    };

    #[test]
    fn a_seal_is_found_at_the_end_of_anything() {
        for label_bytes in [0, 1, 300, LABEL_BYTES_MOST] {
            let label = vec![b'x'; label_bytes];
            let mut tail = b"whatever came before".to_vec();
            tail.extend(seal_member(&TOTALS, &label).unwrap());
            let seal = parse_seal(&tail).unwrap();
            assert_eq!((&seal.label, seal.totals), (&label, TOTALS));
            assert_eq!(seal.member_bytes(), tail.len() - 20);
        }
    }

    #[test]
    fn the_longest_label_fills_the_extra_field() {
        assert_eq!(seal_member(&TOTALS, &vec![0; LABEL_BYTES_MOST]).unwrap().len(), SEAL_BYTES_MOST);
        let refused = seal_member(&TOTALS, &vec![0; LABEL_BYTES_MOST + 1]);
        assert!(matches!(refused, Err(GzipError::LabelTooLong { bytes }) if bytes == LABEL_BYTES_MOST + 1));
        assert!(seal_member(&TOTALS, &vec![0; 1 << 20]).is_err());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_spoils_a_seal() {
        let member = seal_member(&TOTALS, b"{\"kind\":\"full\"}").unwrap();
        for bit in 0..member.len() * 8 {
            let mut flipped = member.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(parse_seal(&flipped), None, "bit {bit}");
        }
        for cut in 0..member.len() {
            assert_eq!(parse_seal(&member[..cut]), None, "the first {cut} bytes");
            assert_eq!(parse_seal(&member[member.len() - cut..]), None, "the last {cut} bytes");
        }
    }
}
