//! Thrift's compact protocol, passed over: where does a structure end, and which fields has it?

/// Structures in Parquet's footer nest to a depth of about six.
const DEEPEST: u32 = 24;

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
        let (mut fields, mut number) = (0_u32, 0_i64);
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Some(fields);
            }
            number = match header >> 4 {
                0 => zigzag(self.varint()?),
                delta => number.checked_add(i64::from(delta))?,
            };
            fields |= u32::try_from(number).ok().and_then(|number| 1_u32.checked_shl(number)).unwrap_or(0);
            match header & 15 {
                1 | 2 => {} // a boolean: its value stands in the type
                kind => self.value(kind, depth)?,
            }
        }
    }

    fn value(&mut self, kind: u8, depth: u32) -> Option<()> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.varint().map(drop),
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(length)
            }
            9 | 10 => self.list(depth),
            11 => self.map(depth),
            12 if depth < DEEPEST => self.structure(depth + 1).map(drop),
            _ => None,
        }
    }

    fn list(&mut self, depth: u32) -> Option<()> {
        let header = self.byte()?;
        let count = if header >> 4 == 15 { self.varint()? } else { u64::from(header >> 4) };
        self.within(depth)?;
        (0..count).try_for_each(|_| self.value(header & 15, depth + 1))
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
