//! Parquet: `PAR1`, data, the footer, its length, `PAR1`. The footer is walked as Thrift, so its length is no accident.

use crate::parquet_label;
use crate::thrift::Thrift;
use vb_core::label::Label;

pub(crate) const MAGIC: &[u8] = b"PAR1";

/// The footer's length and the magic.
const TAIL: usize = 8;

/// How much of the end is kept. A longer footer (some ten thousand row groups) is judged by its length alone.
pub(crate) const WINDOW: usize = 1 << 20;

/// The fields of `FileMetaData` that the format requires: version, schema, `num_rows`, `row_groups`.
const REQUIRED: u32 = 0b1_1110;

/// A nonce and a tag follow the metadata of a file with a signed footer.
const SIGNATURE: usize = 28;

/// The end of what has passed.
#[derive(Debug, Default)]
pub(crate) struct Parquet {
    bytes: u64,
    end: Vec<u8>,
}

impl Parquet {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.end.extend_from_slice(&bytes[bytes.len().saturating_sub(WINDOW)..]);
        // Moved only when the window is full twice, so each byte is copied twice at most.
        if self.end.len() > 2 * WINDOW {
            self.end.drain(..self.end.len() - WINDOW);
        }
    }

    /// What it is, if its footer says so; or why it is not whole.
    pub(crate) fn finish(&self) -> Result<Option<Box<Label>>, String> {
        let cut = || format!("it is cut off after {} bytes: a Parquet file ends in PAR1", self.bytes);
        let (before, tail) = self.end.split_at_checked(self.end.len().wrapping_sub(TAIL)).ok_or_else(cut)?;
        let length = tail.strip_suffix(MAGIC).and_then(|length| length.try_into().ok()).ok_or_else(cut)?;
        let length = u32::from_le_bytes(length);
        let room = self.bytes.saturating_sub((MAGIC.len() + TAIL) as u64);
        if length == 0 || u64::from(length) > room {
            return Err(format!("its footer of {length} bytes is longer than the file"));
        }
        let start = usize::try_from(length).ok().and_then(|length| before.len().checked_sub(length));
        match start {
            Some(start) if !is_metadata(&before[start..]) => Err("its footer is no Parquet metadata".to_owned()),
            _ => Ok(label_at_end(&self.end).map(Box::new)),
        }
    }
}

/// What a file says it is whose last bytes these are. Those before the last [`WINDOW`] bytes are not looked at, so that the answer
/// is the same whoever asks.
pub(crate) fn label_at_end(end: &[u8]) -> Option<Label> {
    let end = &end[end.len().saturating_sub(WINDOW)..];
    let (before, tail) = end.split_at_checked(end.len().checked_sub(TAIL)?)?;
    let length = u32::from_le_bytes(tail.strip_suffix(MAGIC)?.try_into().ok()?);
    match before.len().checked_sub(usize::try_from(length).ok()?) {
        Some(start) => parquet_label::of_footer(&before[start..]),
        None => parquet_label::of_footers_end(before),
    }
}

fn is_metadata(footer: &[u8]) -> bool {
    let mut thrift = Thrift::new(footer);
    let fields = thrift.structure(0);
    fields.is_some_and(|fields| fields & REQUIRED == REQUIRED) && matches!(thrift.left(), 0 | SIGNATURE)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A file of two columns and no rows, as small as may be: metadata with version, schema, rows and row groups.
    pub(crate) fn example(data: usize) -> Vec<u8> {
        let mut footer = vec![0x15, 4, 0x19, 0x2C, 0x48, 1, b'r', 0x15, 2, 0, 0x15, 4, 0x18, 1, b'a', 0];
        footer.extend([0x16, 0, 0x19, 0x0C, 0]);
        let mut bytes = MAGIC.to_vec();
        bytes.resize(MAGIC.len() + data, 7);
        bytes.extend(&footer);
        bytes.extend(u32::try_from(footer.len()).unwrap().to_le_bytes());
        bytes.extend(MAGIC);
        bytes
    }

    fn is_whole(bytes: &[u8], piece: usize) -> bool {
        let mut parquet = Parquet::default();
        bytes.chunks(piece).for_each(|piece| parquet.update(piece));
        parquet.finish().is_ok()
    }

    #[test]
    fn whole_only_with_its_footer() {
        let bytes = example(100);
        for cut in 0..bytes.len() {
            assert!(!is_whole(&bytes[..cut], 10), "cut at {cut}");
        }
        assert!(is_whole(&bytes, 1) && is_whole(&bytes, 1000));
        assert!(is_whole(&example(5 << 20), 100_000));
    }

    #[test]
    fn the_magic_at_the_end_alone_is_no_proof() {
        let mut bytes = example(100);
        let length_at = bytes.len() - TAIL;
        bytes[length_at] += 1;
        assert!(!is_whole(&bytes, 1000), "a footer that begins elsewhere");
        bytes[length_at + 3] = 1;
        assert!(!is_whole(&bytes, 1000), "a footer longer than the file");
        assert!(!is_whole(b"PAR1PAR1", 8));
        assert!(!is_whole(b"PAR1\0\0\0\0PAR1", 100));
    }
}
