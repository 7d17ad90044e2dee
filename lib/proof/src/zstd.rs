//! zstd by RFC 8878: frames and their blocks to the last block and its checksum. Nothing is decoded here.

use crate::walk::{Headers, Step};

pub(crate) const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
const MOST_BLOCK_BYTES: u64 = 128 << 10;
const CHECKSUM_BYTES: u64 = 4;

/// Whether a stream that starts like this is zstd: a frame, or a skippable frame before one.
pub(crate) fn starts(first: &[u8]) -> bool {
    first.starts_with(&MAGIC) || is_skippable(first)
}

fn is_skippable(magic: &[u8]) -> bool {
    matches!(magic, [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..])
}

/// What the next header is.
#[derive(Debug, Default)]
enum Next {
    /// Four bytes of magic and one more, which every kind of frame has.
    #[default]
    Frame,
    /// The other three bytes of a skippable frame's length.
    SkippableLength(u8),
    /// A block's three bytes.
    Block { checksum: bool },
}

/// Where in a frame we are.
#[derive(Debug, Default)]
pub(crate) struct Zstd {
    next: Next,
    frames: u64,
    /// Whether a block had anything in it.
    has_content: bool,
}

impl Headers for Zstd {
    const FIRST: usize = 5;

    fn header(&mut self, header: &[u8]) -> Result<Step, String> {
        match (std::mem::take(&mut self.next), header) {
            (Next::Frame, [magic @ .., first]) if is_skippable(magic) => {
                self.next = Next::SkippableLength(*first);
                Ok(Step { skip: 0, then: 3 })
            }
            (Next::Frame, [magic @ .., descriptor]) if *magic == MAGIC => self.frame(*descriptor),
            (Next::SkippableLength(first), [second, third, fourth]) => {
                let length = u32::from_le_bytes([first, *second, *third, *fourth]);
                Ok(Step { skip: u64::from(length), then: Self::FIRST })
            }
            (Next::Block { checksum }, [first, second, third]) => {
                self.block(u32::from_le_bytes([*first, *second, *third, 0]), checksum)
            }
            _ => Err("no zstd frame begins here".to_owned()),
        }
    }

    fn may_end(&self) -> bool {
        matches!(self.next, Next::Frame) && self.frames > 0
    }
}

impl Zstd {
    /// Whether all that it holds is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        !self.has_content
    }

    /// Section 3.1.1.1: the descriptor says how long the rest of the frame's header is.
    fn frame(&mut self, descriptor: u8) -> Result<Step, String> {
        if descriptor & 0b1000 != 0 {
            return Err("a zstd frame has a reserved bit".to_owned());
        }
        let single_segment = descriptor & 0b10_0000 != 0;
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 0b11)];
        let content_size = match descriptor >> 6 {
            0 => u64::from(single_segment),
            exponent => 1 << exponent,
        };
        self.next = Next::Block { checksum: descriptor & 0b100 != 0 };
        Ok(Step { skip: u64::from(!single_segment) + dictionary + content_size, then: 3 })
    }

    /// Section 3.1.1.2: one bit "last", two bits of type, 21 bits of size.
    fn block(&mut self, header: u32, checksum: bool) -> Result<Step, String> {
        let size = u64::from(header >> 3);
        self.has_content |= size > 0;
        let skip = match (header >> 1) & 0b11 {
            0 | 2 if size <= MOST_BLOCK_BYTES => size,
            1 => 1,
            _ => return Err("a zstd block has an impossible type or size".to_owned()),
        };
        if header & 1 == 0 {
            self.next = Next::Block { checksum };
            return Ok(Step { skip, then: 3 });
        }
        self.frames += 1;
        Ok(Step { skip: skip + if checksum { CHECKSUM_BYTES } else { 0 }, then: Self::FIRST })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walk::Walk;

    /// `printf 'abcabcabc\n' | zstd --check`, then a skippable frame, then a frame without checksum of one RLE block.
    fn example() -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([0x04, 0x58]);
        bytes.extend([0x51, 0x00, 0x00]);
        bytes.extend(b"abcabcabc\n");
        bytes.extend([1, 2, 3, 4]);
        bytes.extend([0x50, 0x2A, 0x4D, 0x18, 2, 0, 0, 0, 9, 9]);
        bytes.extend(MAGIC);
        bytes.extend([0x20, 5, 0x2B, 0, 0, b'x']);
        bytes
    }

    fn is_whole(bytes: &[u8], piece: usize) -> bool {
        let mut walk = Walk::new(Zstd::default());
        bytes.chunks(piece).for_each(|piece| walk.update(piece));
        walk.finish().is_ok()
    }

    #[test]
    fn whole_only_at_the_end_of_a_frame() {
        let bytes = example();
        for piece in [1, 2, 7, 1000] {
            let whole: Vec<usize> = (0..=bytes.len()).filter(|end| is_whole(&bytes[..*end], piece)).collect();
            assert_eq!(whole, [23, 33, bytes.len()], "in pieces of {piece}");
        }
    }

    #[test]
    fn garbage_is_refused() {
        let mut bytes = example();
        bytes.push(b'!');
        assert!(!is_whole(&bytes, 100));
        bytes.extend(b"more than a header");
        assert!(!is_whole(&bytes, 100));
        let mut reserved = example();
        reserved[6] |= 0b110;
        assert!(!is_whole(&reserved, 100));
    }
}
