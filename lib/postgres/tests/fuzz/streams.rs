//! Streams of COPY BINARY from a seed: whole ones of every type, and ways to damage them.

use vb_postgres::types::{ColumnType, Numbers, Part, Scalar};
use vb_tests::chance::Chance;

/// Every shape that a column can have.
pub(crate) fn types() -> Vec<ColumnType> {
    use Scalar::*;
    let scalars = [
        Boolean,
        Int2,
        Int4,
        Int8,
        UInt4,
        UInt8,
        Float4,
        Float8,
        NumericText,
        Text,
        Json,
        Jsonb,
        VersionedText,
        Char,
        Bytea,
        Geometry,
        Uuid,
        Date,
        Time,
        Timestamp,
        TimestampTz,
        Inet,
        Cidr,
        MacAddress,
        MacAddress8,
        Bits,
        Lsn,
        Decimal { precision: 9, scale: 5 },
        Decimal { precision: 38, scale: 10 },
        Decimal { precision: 76, scale: 0 },
        Money { scale: 2 },
    ];
    let numbers = [
        Numbers::Interval,
        Numbers::TimeTz,
        Numbers::Point,
        Numbers::Line,
        Numbers::Segment,
        Numbers::Box,
        Numbers::Circle,
    ];
    let mut types: Vec<ColumnType> = scalars.map(ColumnType::Scalar).to_vec();
    types.extend(numbers.map(ColumnType::Numbers));
    types.push(ColumnType::Printed("why".to_owned()));
    let simple = types.clone();
    types.extend(simple.iter().map(|of| ColumnType::Array(Box::new(of.clone()), 7)));
    types.extend([Int4, Date, NumericText].map(|of| ColumnType::Range(Box::new(ColumnType::Scalar(of)))));
    types.extend([Int8, Timestamp].map(|of| ColumnType::Multirange(Box::new(ColumnType::Scalar(of)))));
    let parts = types.iter().step_by(5).enumerate();
    let part = |(index, of): (usize, &ColumnType)| Part { name: format!("p{index}"), oid: 9, column_type: of.clone() };
    let composite = ColumnType::Composite(parts.map(part).collect());
    types.push(ColumnType::Array(Box::new(composite.clone()), 11));
    types.push(composite);
    types
}

/// A whole stream of up to eight rows.
pub(crate) fn stream(column_types: &[ColumnType], chance: &mut Chance) -> Vec<u8> {
    let mut out = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    for _ in 0..chance.below(9) {
        out.extend(u16::try_from(column_types.len()).unwrap_or_default().to_be_bytes());
        column_types.iter().for_each(|of| field(of, chance, &mut out));
    }
    out.extend((-1_i16).to_be_bytes());
    out
}

fn field(column_type: &ColumnType, chance: &mut Chance, out: &mut Vec<u8>) {
    if chance.below(6) == 0 {
        out.extend((-1_i32).to_be_bytes());
        return;
    }
    sized(out, |out| value(column_type, chance, out));
}

fn sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    write(out);
    let length = u32::try_from(out.len() - start - 4).unwrap_or_default();
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn value(column_type: &ColumnType, chance: &mut Chance, out: &mut Vec<u8>) {
    match column_type {
        ColumnType::Scalar(scalar) => scalar_value(*scalar, chance, out),
        ColumnType::Printed(_) => scalar_value(Scalar::Text, chance, out),
        ColumnType::Numbers(numbers) => {
            let length = match numbers {
                Numbers::TimeTz => 12,
                Numbers::Interval | Numbers::Point => 16,
                Numbers::Line | Numbers::Circle => 24,
                Numbers::Segment | Numbers::Box => 32,
            };
            out.extend(chance.bytes(length));
        }
        ColumnType::Array(element, oid) => {
            let count = chance.below(4);
            let head = [u32::from(count > 0), 1, *oid];
            out.extend(head.iter().flat_map(|word| word.to_be_bytes()));
            if count > 0 {
                out.extend([u32::try_from(count).unwrap_or_default(), 1].iter().flat_map(|word| word.to_be_bytes()));
            }
            (0..count).for_each(|_| field(element, chance, out));
        }
        ColumnType::Composite(parts) => {
            out.extend(u32::try_from(parts.len()).unwrap_or_default().to_be_bytes());
            for part in parts {
                out.extend(part.oid.to_be_bytes());
                field(&part.column_type, chance, out);
            }
        }
        ColumnType::Range(bound) => {
            let flags = [0x01, 0x02, 0x06, 0x08, 0x18, 0x12][chance.below(6)];
            out.push(flags);
            for infinite in [0x09, 0x11] {
                if flags & infinite == 0 {
                    sized(out, |out| value(bound, chance, out));
                }
            }
        }
        ColumnType::Multirange(bound) => {
            let count = chance.below(3);
            out.extend(u32::try_from(count).unwrap_or_default().to_be_bytes());
            (0..count).for_each(|_| sized(out, |out| value(&ColumnType::Range(bound.clone()), chance, out)));
        }
    }
}

fn scalar_value(scalar: Scalar, chance: &mut Chance, out: &mut Vec<u8>) {
    use Scalar::*;
    let fixed = match scalar {
        Boolean => return out.push(u8::from(chance.below(2) == 0)),
        Char => 1,
        Int2 => 2,
        Int4 | UInt4 | Float4 | Date | OffsetSeconds => 4,
        Int8 | UInt8 | Float8 | Time | Timestamp | TimestampTz | Lsn | Money { .. } | MacAddress8 => 8,
        MacAddress => 6,
        Uuid => 16,
        Bytea | Geometry => chance.below(40),
        Decimal { .. } | NumericText => return numeric(scalar, chance, out),
        Inet | Cidr => {
            let (family, length) = [(2, 4), (3, 16)][chance.below(2)];
            out.extend([family, u8::try_from(chance.below(33)).unwrap_or_default(), u8::from(scalar == Cidr), length]);
            usize::from(length)
        }
        Bits => {
            let count = chance.below(40);
            out.extend(u32::try_from(count).unwrap_or_default().to_be_bytes());
            count.div_ceil(8)
        }
        _ => {
            if matches!(scalar, Jsonb | VersionedText) {
                out.push(1);
            }
            let texts = ["", "a", "😀", "{\"a\": [1]}", "NULL", "a.b"];
            return out.extend(texts[chance.below(texts.len())].as_bytes());
        }
    };
    out.extend(chance.bytes(fixed));
}

fn numeric(scalar: Scalar, chance: &mut Chance, out: &mut Vec<u8>) {
    let digits = chance.below(4);
    let weight = [0, 1, 2, -1][chance.below(4)];
    let sign = [0_u16, 0x4000, 0xC000, 0xD000][chance.below(4)];
    let scale = if let Scalar::Decimal { scale, .. } = scalar { i16::from(scale) } else { 8 };
    out.extend(u16::try_from(digits).unwrap_or_default().to_be_bytes());
    out.extend(i16::to_be_bytes(weight));
    out.extend(sign.to_be_bytes());
    out.extend(scale.to_be_bytes());
    for _ in 0..digits {
        out.extend(u16::try_from(chance.below(10_000)).unwrap_or_default().to_be_bytes());
    }
}

/// Damages the stream: bits, bytes, lengths, cuts and splices.
pub(crate) fn damage(bytes: &mut Vec<u8>, chance: &mut Chance) {
    for _ in 0..=chance.below(3) {
        let Some(last) = bytes.len().checked_sub(1) else { return };
        let at = chance.below(last + 1);
        match chance.below(6) {
            0 => bytes[at] ^= 1 << chance.below(8),
            1 => bytes[at] = chance.any().to_be_bytes()[0],
            2 => bytes.truncate(at),
            3 => {
                let end = at + chance.below(last + 1 - at);
                bytes.drain(at..end);
            }
            4 => {
                let piece = bytes[at..bytes.len().min(at + 1 + chance.below(40))].to_vec();
                let to = chance.below(last + 1);
                bytes.splice(to..to, piece);
            }
            _ => {
                let words = [0_u32, 1, 2, 0xFFFF_FFFF, 0x7FFF_FFFF, 0x8000_0000, 0x0000_FFFF, 0x7FFF_C000];
                let word = words[chance.below(words.len())].to_be_bytes();
                bytes[at..].iter_mut().zip(word).for_each(|(byte, new)| *byte = new);
            }
        }
    }
}
