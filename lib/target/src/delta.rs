//! How many numbers a delta-encoded block says that it has, and where it ends (Parquet format, "Delta Encoding"), without decoding it.

/// The head of the encoded numbers.
struct Head<'bytes> {
    /// Numbers in one miniblock.
    per_miniblock: u64,
    miniblocks: usize,
    count: u64,
    rest: &'bytes [u8],
}

fn head(bytes: &[u8]) -> Option<Head<'_>> {
    let (block, rest) = varint(bytes)?;
    let (miniblocks, rest) = varint(rest)?;
    let (count, rest) = varint(rest)?;
    let (_first, rest) = varint(rest)?;
    let per_miniblock = block.checked_div(miniblocks)?;
    Some(Head { per_miniblock, miniblocks: usize::try_from(miniblocks).ok()?, count, rest })
}

/// The count that the numbers begin with; none if they have no beginning.
pub(crate) fn count(bytes: &[u8]) -> Option<u64> {
    head(bytes).map(|head| head.count)
}

/// The bytes that the numbers take; none if they do not end.
pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    let Head { per_miniblock, miniblocks, count, mut rest } = head(bytes)?;
    // The first one stands in the head.
    let mut left = count.saturating_sub(1);
    while left > 0 {
        let (_smallest, after) = varint(rest)?;
        let (widths, mut after) = after.split_at_checked(miniblocks)?;
        if per_miniblock == 0 {
            return None;
        }
        // The widths of miniblocks that are not needed mean nothing.
        for width in widths {
            if left == 0 {
                break;
            }
            let bytes = u64::from(*width).checked_mul(per_miniblock)? / 8;
            after = after.get(usize::try_from(bytes).ok()?..)?;
            left = left.saturating_sub(per_miniblock);
        }
        rest = after;
    }
    Some(bytes.len() - rest.len())
}

/// A number of seven bits in each byte, and what follows it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(u32::try_from(place * 7).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value, &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's first example: 1 to 5 take the head, one smallest delta and the widths of four miniblocks of 32, none of
    /// which needs a bit.
    const ONE_TO_FIVE: [u8; 10] = [0x80, 0x01, 0x04, 0x05, 0x02, 0x02, 0, 0, 0, 0];

    #[test]
    fn numbers_are_counted_and_passed_over() {
        let followed = [&ONE_TO_FIVE[..], &[9, 9]].concat();
        assert_eq!((count(&followed), length(&followed)), (Some(5), Some(10)));
        // 7, 5, 3, 1, 2, 3, 4, 5: deltas of two bits, 32 of which take eight bytes; widths of the other three mean nothing.
        let second = [&[0x80, 0x01, 0x04, 0x08, 0x0e, 0x03, 2, 77, 78, 79][..], &[0; 8], &[1]].concat();
        assert_eq!((count(&second), length(&second)), (Some(8), Some(18)));
        let alone = [0x80, 0x01, 0x04, 0x01, 0x02];
        assert_eq!((count(&alone), length(&alone)), (Some(1), Some(5)));
    }

    #[test]
    fn what_does_not_end_has_no_length() {
        for end in 0..ONE_TO_FIVE.len() {
            assert_eq!(length(&ONE_TO_FIVE[..end]), None, "{end}");
        }
        let endless = [0x80, 0x01, 0x04, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x02, 0x02, 0, 0, 0, 0];
        assert!(count(&endless) > Some(1 << 40));
        assert_eq!(length(&endless), None);
        assert_eq!((count(&[0xff; 12]), length(&[0x80, 0x01, 0, 5, 2])), (None, None));
        assert_eq!(length(&[0, 4, 5, 2, 2, 0, 0, 0, 0]), None);
    }
}
