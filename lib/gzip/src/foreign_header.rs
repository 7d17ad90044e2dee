//! The header of any gzip member (RFC 1952, section 2.3), as far as it has arrived.

use crate::error::{GzipError, Result};
use crate::format::{LENGTH_ID, SEAL_ID};

/// Names and comments have no bound; nobody's are this long.
const HEADER_BYTES_MOST: usize = 1 << 18;

const HEADER_CRC: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

/// The length of the header at the beginning of `bytes`, or nothing if it goes on beyond them.
///
/// # Errors
/// If it is no gzip header, or one of ours: then the stream is an altered one, or several were put together.
pub(crate) fn header_bytes(bytes: &[u8], offset: u64) -> Result<Option<usize>> {
    let corrupt = |cause| Err(GzipError::Corrupt { offset, cause });
    if !bytes.starts_with(&[0x1f, 0x8b][..bytes.len().min(2)]) {
        return if offset == 0 { Err(GzipError::NotGzip) } else { corrupt("something that is not gzip follows") };
    }
    if bytes.len() > HEADER_BYTES_MOST {
        return corrupt("endless header");
    }
    match bytes.get(2..4) {
        Some([8, flags]) if flags & RESERVED == 0 => {}
        Some(_) => return corrupt("unknown compression method or flag"),
        None => return Ok(None),
    }
    if extra_field(bytes).is_some_and(|extra| subfields(extra).any(|id| id == LENGTH_ID || id == SEAL_ID)) {
        return corrupt("a part of a sealed gzip where none can be: altered, or several streams put together");
    }
    let Some(end) = end_of_fields(bytes) else { return Ok(None) };
    if bytes[3] & HEADER_CRC == 0 {
        return Ok(Some(end));
    }
    let Some(stored) = bytes.get(end..end + 2) else { return Ok(None) };
    if libdeflater::crc32(&bytes[..end]).to_le_bytes()[..2] != *stored {
        return corrupt("damaged header");
    }
    Ok(Some(end + 2))
}

/// The extra field, once all of it has arrived.
fn extra_field(bytes: &[u8]) -> Option<&[u8]> {
    if bytes[3] & EXTRA == 0 {
        return None;
    }
    let extra_bytes = u16::from_le_bytes([*bytes.get(10)?, *bytes.get(11)?]);
    bytes.get(12..12 + usize::from(extra_bytes))
}

/// The ids of an extra field's subfields. A last one that is cut off counts too.
fn subfields(mut extra: &[u8]) -> impl Iterator<Item = [u8; 2]> {
    std::iter::from_fn(move || {
        let id = *extra.first_chunk::<2>()?;
        let length = extra.get(2..4).map_or(0, |length| usize::from(u16::from_le_bytes([length[0], length[1]])));
        extra = extra.get(4 + length..).unwrap_or_default();
        Some(id)
    })
}

/// Where the header's fields end, its CRC excepted.
fn end_of_fields(bytes: &[u8]) -> Option<usize> {
    let mut end = 10;
    if bytes[3] & EXTRA != 0 {
        end = 12 + extra_field(bytes)?.len();
    }
    for flag in [NAME, COMMENT] {
        if bytes[3] & flag != 0 {
            end += bytes.get(end..)?.iter().position(|byte| *byte == 0)? + 1;
        }
    }
    (bytes.len() >= end).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_with_everything_ends_where_it_ends() {
        let mut header = vec![0x1f, 0x8b, 8, EXTRA | NAME | COMMENT | HEADER_CRC, 0, 0, 0, 0, 0, 3];
        header.extend([6, 0, b'A', b'B', 2, 0, 1, 2]);
        header.extend(b"name\0comment\0");
        header.extend(&libdeflater::crc32(&header).to_le_bytes()[..2]);
        let whole = header.len();
        for cut in 0..whole {
            assert!(matches!(header_bytes(&header[..cut], 0), Ok(None)), "{cut}");
        }
        header.extend(b"data");
        assert!(matches!(header_bytes(&header, 0), Ok(Some(end)) if end == whole));
        header[19] ^= 1;
        assert!(matches!(header_bytes(&header, 0), Err(GzipError::Corrupt { .. })));
    }

    #[test]
    fn a_name_without_end_is_refused() {
        let mut header = vec![0x1f, 0x8b, 8, NAME, 0, 0, 0, 0, 0, 3];
        header.resize(HEADER_BYTES_MOST + 1, b'x');
        assert!(matches!(header_bytes(&header, 0), Err(GzipError::Corrupt { .. })));
    }
}
