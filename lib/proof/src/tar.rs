//! tar: headers and their checksums to the two zero blocks, and zeros after them. Contents are passed over, but for the label of a
//! database's archive.
//!
//! The forms are POSIX ustar and pax, GNU (numbers in base 256, sparse files) and the old one without a magic.

use crate::tar_header::{self, Header};
use crate::tar_label;
use crate::walk::{Headers, Step};
use vb_core::label::{DATABASE_HEAD, LABEL_MEMBER, Label};

/// The length of a block, and of a header.
pub(crate) const BLOCK: usize = 512;

/// A pax header or a label larger than this is passed over instead of read; real ones have a few hundred bytes.
const MOST_READ_BYTES: u64 = 1 << 20;

/// What the next block is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Next {
    #[default]
    Header,
    /// The records of a pax header that is about the next member.
    Pax(usize),
    /// The contents of the member that may be the label, if it is the last one.
    Label(usize),
    /// A further map of an old GNU sparse file, whose contents have this length.
    SparseMap(u64),
    /// After one zero block.
    SecondZero,
    /// After the end.
    Padding,
}

/// Where in an archive we are.
#[derive(Debug, Default)]
pub(crate) struct Tar {
    next: Next,
    /// What a pax header said about the length of the next member.
    pax_size: Option<u64>,
    /// Whether a member has come, and whether the first one was that of a database's archive.
    begun: Option<bool>,
    /// What the last member says, if it is the label of a database's archive.
    pub(crate) label: Option<Box<Label>>,
    /// Whether there is something after the end.
    pub(crate) something_follows: bool,
}

impl Headers for Tar {
    const FIRST: usize = BLOCK;

    fn header(&mut self, block: &[u8]) -> Result<Step, String> {
        match std::mem::take(&mut self.next) {
            Next::Header => self.member(block, Next::SecondZero),
            Next::SecondZero => self.member(block, Next::Padding),
            Next::Pax(length) => {
                let records = block.get(..length).unwrap_or(block);
                self.pax_size = tar_header::pax_size(records).or(self.pax_size);
                Ok(Step { skip: 0, then: BLOCK })
            }
            Next::Label(length) => {
                self.label = tar_label::parsed(block.get(..length).unwrap_or(block)).map(Box::new);
                Ok(Step { skip: 0, then: BLOCK })
            }
            Next::SparseMap(size) => Ok(self.sparse(block.get(504) == Some(&1), size)),
            Next::Padding => {
                self.something_follows |= !is_zero(block);
                self.next = Next::Padding;
                Ok(Step { skip: 0, then: BLOCK })
            }
        }
    }

    fn may_end(&self) -> bool {
        self.next == Next::Padding
    }
}

impl Tar {
    /// A block that is a member's header, or one of the two zero blocks at the end.
    fn member(&mut self, block: &[u8], if_zero: Next) -> Result<Step, String> {
        if is_zero(block) {
            self.next = if_zero;
            return Ok(Step { skip: 0, then: BLOCK });
        }
        let header = Header::parse(block).ok_or("no tar header stands here")?;
        let is_of_database = *self.begun.get_or_insert_with(|| header.names(block, DATABASE_HEAD));
        self.label = None;
        let size = match header.kind {
            // As GNU tar reads it: a hard link has no contents, whatever its size says.
            b'1' => 0,
            b'x' | b'g' | b'L' | b'K' => header.size,
            _ => self.pax_size.take().unwrap_or(header.size),
        };
        match header.kind {
            b'x' if size > 0 && size <= MOST_READ_BYTES => {
                let length = usize::try_from(size).unwrap_or(usize::MAX);
                self.next = Next::Pax(length);
                Ok(Step { skip: 0, then: length.next_multiple_of(BLOCK) })
            }
            b'0' | 0 if is_of_database && size <= MOST_READ_BYTES && header.names(block, LABEL_MEMBER) => {
                let length = usize::try_from(size).unwrap_or(usize::MAX);
                self.next = Next::Label(length);
                Ok(Step { skip: 0, then: length.next_multiple_of(BLOCK) })
            }
            b'S' => Ok(self.sparse(block.get(482) == Some(&1), size)),
            _ => Ok(Step { skip: padded(size)?, then: BLOCK }),
        }
    }

    /// The maps of an old GNU sparse file stand before its contents.
    fn sparse(&mut self, another_map: bool, size: u64) -> Step {
        if another_map {
            self.next = Next::SparseMap(size);
            return Step { skip: 0, then: BLOCK };
        }
        Step { skip: padded(size).unwrap_or(u64::MAX), then: BLOCK }
    }
}

fn padded(size: u64) -> Result<u64, String> {
    size.checked_next_multiple_of(BLOCK as u64).ok_or_else(|| "a member has an impossible size".to_owned())
}

fn is_zero(block: &[u8]) -> bool {
    block.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar_header::tests::header;
    use crate::walk::Walk;

    fn verdict(bytes: &[u8], piece: usize) -> Result<Tar, String> {
        let mut walk = Walk::new(Tar::default());
        bytes.chunks(piece).for_each(|piece| walk.update(piece));
        walk.finish()
    }

    fn member(kind: u8, size: u64, contents: &[u8]) -> Vec<u8> {
        named("name", kind, size, contents)
    }

    fn named(name: &str, kind: u8, size: u64, contents: &[u8]) -> Vec<u8> {
        let mut bytes = header(name, size, kind).to_vec();
        bytes.extend(contents);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    fn archive() -> Vec<u8> {
        let mut bytes = member(b'0', 700, &[7; 700]);
        bytes.extend(member(b'5', 0, b""));
        bytes.extend(member(b'1', 999, b""));
        bytes.extend(member(b'x', 12, b"12 size=513\n"));
        bytes.extend(member(b'0', 0, &[8; 513]));
        bytes
    }

    #[test]
    fn whole_only_behind_two_zero_blocks() {
        let mut bytes = archive();
        let end = bytes.len() + 2 * BLOCK;
        bytes.resize(bytes.len().next_multiple_of(10 << 10), 0);
        for piece in [1, 500, 512, 100_000] {
            for cut in (0..bytes.len()).step_by(if piece == 1 { 511 } else { 37 }) {
                let whole = cut >= end && cut % BLOCK == 0;
                assert_eq!(verdict(&bytes[..cut], piece).is_ok(), whole, "cut at {cut} in pieces of {piece}");
            }
            assert!(!verdict(&bytes, piece).unwrap().something_follows);
        }
    }

    #[test]
    fn what_follows_the_end_is_seen() {
        let mut bytes = archive();
        bytes.extend([0; 1024]);
        bytes.extend(archive());
        assert!(verdict(&bytes, 1000).unwrap().something_follows);
    }

    #[test]
    fn a_damaged_header_is_refused() {
        let mut bytes = archive();
        bytes.extend([0; 1024]);
        bytes[3 * BLOCK] ^= 1;
        assert!(verdict(&bytes, 1000).unwrap_err().contains("no tar header"));
    }

    #[test]
    fn a_label_is_the_last_member_of_the_archive_of_a_database() {
        let label = tar_label::tests::label();
        let text = serde_json::to_vec(&label).unwrap();
        let file = |name: &str, contents: &[u8]| named(name, b'0', contents.len() as u64, contents);
        let (head, said, other) =
            (file(DATABASE_HEAD, b"{}"), file(LABEL_MEMBER, &text), file("tables/a.parquet", &[7; 3000]));
        let garbage = file(LABEL_MEMBER, b"{}");
        let found = |members: &[&Vec<u8>]| {
            let mut bytes = members.iter().copied().flatten().copied().collect::<Vec<u8>>();
            bytes.extend([0; 1024]);
            let streamed = verdict(&bytes, 700).unwrap().label;
            let at_end = tar_label::at_end(&bytes[..BLOCK.min(bytes.len())], &bytes).map(Box::new);
            assert_eq!(streamed, at_end);
            streamed.map(|label| *label)
        };
        assert_eq!(found(&[&head, &other, &said]), Some(label));
        assert_eq!(found(&[&head, &said, &other]), None);
        assert_eq!(found(&[&other, &head, &said]), None);
        assert_eq!(found(&[&head, &other, &garbage]), None);
        assert_eq!(found(&[&said]), None);
    }
}
