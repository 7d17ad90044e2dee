//! The bytes around a member's data: header, extra subfields, trailer (RFC 1952, section 2.3).

use crate::error::{GzipError, Result};

/// Uncompressed bytes in each member but the last: enough that nothing is gained by more, small enough to keep memory flat.
pub const BLOCK_BYTES: usize = 1 << 20;

/// The beginning of every member: magic, deflate, FEXTRA, no time, no hint of the level, unknown system.
pub(crate) const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255];

/// Extra subfield: the length of the whole member, as u32.
pub(crate) const LENGTH_ID: [u8; 2] = *b"VB";

/// Extra subfield: the seal.
pub(crate) const SEAL_ID: [u8; 2] = *b"VS";

/// Head, extra length and the subfield id: what tells a member from a seal.
pub(crate) const KIND_BYTES: usize = 14;

/// Head, extra length and the length subfield.
pub(crate) const MEMBER_HEADER_BYTES: usize = 20;

/// CRC-32 and length of the data.
pub(crate) const TRAILER_BYTES: usize = 8;

/// No member of ours is shorter: its deflate data takes at least two bytes.
const MEMBER_BYTES_LEAST: usize = MEMBER_HEADER_BYTES + 2 + TRAILER_BYTES;

/// No member of ours is longer: deflate stores what it cannot compress, five bytes for each stored block.
const MEMBER_BYTES_MOST: usize = BLOCK_BYTES + (1 << 16);

/// The header of a member whose whole length is `member_bytes`.
pub(crate) fn member_header(member_bytes: u32) -> [u8; MEMBER_HEADER_BYTES] {
    let mut header = [0; MEMBER_HEADER_BYTES];
    header[..10].copy_from_slice(&HEAD);
    header[10..12].copy_from_slice(&8_u16.to_le_bytes());
    header[12..14].copy_from_slice(&LENGTH_ID);
    header[14..16].copy_from_slice(&4_u16.to_le_bytes());
    header[16..20].copy_from_slice(&member_bytes.to_le_bytes());
    header
}

/// The whole length of the member with this header, checked before anyone allocates that much.
///
/// # Errors
/// If it is not exactly a header of ours, or the length is none that a member of ours can have.
pub(crate) fn member_bytes(header: &[u8; MEMBER_HEADER_BYTES], offset: u64) -> Result<usize> {
    let declared = little_endian_u32(&header[16..]);
    if *header != member_header(declared) {
        return Err(GzipError::Corrupt { offset, cause: "not a member of a sealed gzip" });
    }
    match usize::try_from(declared) {
        Ok(bytes) if (MEMBER_BYTES_LEAST..=MEMBER_BYTES_MOST).contains(&bytes) => Ok(bytes),
        _ => Err(GzipError::Corrupt { offset, cause: "impossible member length" }),
    }
}

/// Whether a stream that begins with these bytes (14 or more) is a gzip of ours, which must then end in its seal.
#[must_use]
pub fn starts_as_vb(first_bytes: &[u8]) -> bool {
    let id = first_bytes.get(12..KIND_BYTES);
    first_bytes.starts_with(&HEAD) && (id == Some(&LENGTH_ID) || id == Some(&SEAL_ID))
}

/// The number in the first four bytes, or in as many as there are.
pub(crate) fn little_endian_u32(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_believed_only_within_bounds() {
        for (declared, fits) in
            [(0, false), (29, false), (30, true), (1 << 20, true), ((1 << 20) + (1 << 16) + 1, false)]
        {
            assert_eq!(member_bytes(&member_header(declared), 0).is_ok(), fits, "{declared}");
        }
        assert!(member_bytes(&member_header(u32::MAX), 0).is_err());
    }

    #[test]
    fn a_foreign_header_is_none_of_ours() {
        assert!(starts_as_vb(&member_header(100)));
        assert!(!starts_as_vb(&member_header(100)[..13]));
        let mut header = member_header(100);
        header[4] = 1;
        assert!(!starts_as_vb(&header));
        assert!(member_bytes(&header, 0).is_err());
    }
}
