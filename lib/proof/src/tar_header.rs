//! One tar header: its checksum, kind and size, and the size that a pax header gives instead.

/// What of a header matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The type flag, such as `0` for a file.
    pub(crate) kind: u8,
    /// The bytes of contents that follow.
    pub(crate) size: u64,
}

impl Header {
    /// None if the checksum is not that of these 512 bytes.
    pub(crate) fn parse(block: &[u8]) -> Option<Self> {
        let checksum = number(block.get(148..156)?)?;
        let blanked = |(index, byte): (usize, &u8)| if (148..156).contains(&index) { b' ' } else { *byte };
        // Some old programs summed signed characters; both are accepted, as everywhere.
        let unsigned: u64 = block.iter().enumerate().map(blanked).map(u64::from).sum();
        let signed: i64 = block.iter().enumerate().map(blanked).map(|byte| i64::from(byte.cast_signed())).sum();
        if block.len() != 512 || (checksum != unsigned && i64::try_from(checksum) != Ok(signed)) {
            return None;
        }
        Some(Self { kind: *block.get(156)?, size: number(block.get(124..136)?)? })
    }

    /// Whether this is the header of a plain file of this short name.
    pub(crate) fn names(&self, block: &[u8], name: &str) -> bool {
        let stands = block.get(..100).and_then(|field| field.strip_prefix(name.as_bytes()));
        matches!(self.kind, b'0' | 0) && stands.is_some_and(|rest| rest.first() == Some(&0))
    }
}

/// A number in octal digits, or as GNU writes large ones: the top bit set, then big-endian binary.
fn number(field: &[u8]) -> Option<u64> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        let digits = std::iter::once(first & 0x7F).chain(rest.iter().copied());
        return digits.into_iter().try_fold(0_u64, |sum, byte| sum.checked_mul(256)?.checked_add(u64::from(byte)));
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

/// The `size` among pax records, each `LENGTH KEYWORD=VALUE\n`.
pub(crate) fn pax_size(mut records: &[u8]) -> Option<u64> {
    let mut size = None;
    while let Some(space) = records.iter().position(|byte| *byte == b' ') {
        let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
        let record = records.get(space + 1..length)?;
        if let Some(value) = record.strip_prefix(b"size=") {
            size = std::str::from_utf8(value).ok()?.trim_end().parse().ok();
        }
        records = records.get(length..)?;
    }
    size
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A ustar header with a right checksum.
    pub(crate) fn header(name: &str, size: u64, kind: u8) -> [u8; 512] {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        block[156] = kind;
        block[257..263].copy_from_slice(b"ustar\0");
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }

    #[test]
    fn a_header_and_its_checksum() {
        let mut block = header("a", 0o1234, b'0');
        assert_eq!(Header::parse(&block), Some(Header { kind: b'0', size: 0o1234 }));
        block[0] = b'b';
        assert_eq!(Header::parse(&block), None);
        assert_eq!(Header::parse(&[0; 512]), None);
    }

    #[test]
    fn numbers_beyond_eight_gibibytes() {
        assert_eq!(number(b"77777777777\0"), Some((1 << 33) - 1));
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1]), Some((2 << 32) + 1));
        assert_eq!(number(b"        "), Some(0));
        assert_eq!(number(b"12x"), None);
        assert_eq!(pax_size(b"11 path=abc\n24 size=12345678901234\n\0\0"), None);
        assert_eq!(pax_size(b"12 path=abc\n23 size=12345678901234\n"), Some(12_345_678_901_234));
    }
}
