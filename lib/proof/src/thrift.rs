//! Thrift's compact protocol: where does a structure end, which fields has it, and what do a few of them say?

/// Structures in Parquet's footer nest to a depth of about six.
const DEEPEST: u32 = 24;

/// The kinds of field that are read by name.
pub(crate) const I64: u8 = 6;
pub(crate) const BINARY: u8 = 8;
pub(crate) const LIST: u8 = 9;
const STRUCTURE: u8 = 12;

/// Bytes that are read from the front. `None` everywhere: they are not Thrift.
#[derive(Debug)]
pub(crate) struct Thrift<'bytes> {
    bytes: &'bytes [u8],
}

impl<'bytes> Thrift<'bytes> {
    pub(crate) fn new(bytes: &'bytes [u8]) -> Self {
        Self { bytes }
    }

    /// The bytes not yet read.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len()
    }

    /// Reads a structure; the result has a bit for each of its fields up to number 31.
    pub(crate) fn structure(&mut self, depth: u32) -> Option<u32> {
        let mut fields = 0_u32;
        self.fields(|number, kind, thrift| {
            fields |= u32::try_from(number).ok().and_then(|number| 1_u32.checked_shl(number)).unwrap_or(0);
            thrift.pass(kind, depth)
        })?;
        Some(fields)
    }

    /// Reads a structure: `visit` gets the number and kind of each field and must read its value, or pass over it.
    pub(crate) fn fields(&mut self, mut visit: impl FnMut(i64, u8, &mut Self) -> Option<()>) -> Option<()> {
        let mut number = 0_i64;
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Some(());
            }
            number = match header >> 4 {
                0 => zigzag(self.varint()?),
                delta => number.checked_add(i64::from(delta))?,
            };
            visit(number, header & 15, self)?;
        }
    }

    /// Passes over the value of a field.
    pub(crate) fn pass(&mut self, kind: u8, depth: u32) -> Option<()> {
        match kind {
            1 | 2 => Some(()), // a boolean: its value stands in the type
            kind => self.value(kind, depth),
        }
    }

    /// The value of a field that is a number.
    pub(crate) fn number(&mut self) -> Option<i64> {
        self.varint().map(zigzag)
    }

    /// The value of a field that is text or bytes.
    pub(crate) fn binary(&mut self) -> Option<&'bytes [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        let (value, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(value)
    }

    /// The value of a field that is a list of structures, each of which `visit` must read.
    pub(crate) fn structures(&mut self, mut visit: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        let (kind, count) = self.list_header()?;
        if kind != STRUCTURE {
            return None;
        }
        (0..count).try_for_each(|_| visit(self))
    }

    fn value(&mut self, kind: u8, depth: u32) -> Option<()> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.varint().map(drop),
            7 => self.skip(8),
            BINARY => self.binary().map(drop),
            LIST | 10 => self.list(depth),
            11 => self.map(depth),
            STRUCTURE if depth < DEEPEST => self.structure(depth + 1).map(drop),
            _ => None,
        }
    }

    fn list(&mut self, depth: u32) -> Option<()> {
        let (kind, count) = self.list_header()?;
        self.within(depth)?;
        (0..count).try_for_each(|_| self.value(kind, depth + 1))
    }

    /// The kind of a list's elements, and how many there are.
    fn list_header(&mut self) -> Option<(u8, u64)> {
        let header = self.byte()?;
        let count = if header >> 4 == 15 { self.varint()? } else { u64::from(header >> 4) };
        Some((header & 15, count))
    }

    fn map(&mut self, depth: u32) -> Option<()> {
        let count = self.varint()?;
        let kinds = if count == 0 { 0 } else { self.byte()? };
        self.within(depth)?;
        (0..count).try_for_each(|_| self.value(kinds >> 4, depth + 1).and_then(|()| self.value(kinds & 15, depth + 1)))
    }

    fn within(&self, depth: u32) -> Option<()> {
        (depth < DEEPEST).then_some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn skip(&mut self, count: u64) -> Option<()> {
        self.bytes = self.bytes.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_passed_over() {
        let bytes = [
            0x11, 0x12, 0x13, 9, 0x14, 0x80, 1, 0x17, 0, 0, 0, 0, 0, 0, 0, 0, 0x18, 2, b'a', b'b', 0x19, 0x21, 1, 2,
            0x1B, 1, 0x85, 1, b'k', 5, 0x1C, 0x15, 2, 0, 0x05, 0x28, 6, 0, 99,
        ];
        let mut thrift = Thrift::new(&bytes);
        assert_eq!(thrift.structure(0), Some(0b11_1111_1110 | 1 << 20));
        assert_eq!(thrift.left(), 1);
        for cut in 0..bytes.len() - 1 {
            assert_eq!(Thrift::new(&bytes[..cut]).structure(0), None, "cut at {cut}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        assert_eq!(Thrift::new(&[0x1C; 1000]).structure(0), None);
        assert_eq!(Thrift::new(&[0x19; 1000]).structure(0), None);
        assert_eq!(Thrift::new(&[0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]).structure(0), None);
        assert_eq!(Thrift::new(&[0x18, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 1]).structure(0), None);
    }
}
