//! Ranges, as structs of both bounds and how they are meant: a bound that is NULL is infinite.
//!
//! The binary form (`range_send` in PostgreSQL's rangetypes.c): flags, then each finite bound as a length and its bytes.

use super::composite::{NULL, Part, place, word};
use super::number::{WRONG_LENGTH, exactly};
use super::values::strings;
use super::{ColumnType, Decoder, Scalar};
use crate::encode::{self, BoxedEncoder};
use crate::fields::Place;
use arrow_array::StructArray;
use arrow_array::cast::AsArray;

// rangetypes.h
const EMPTY: u8 = 0x01;
const LOWER_INCLUSIVE: u8 = 0x02;
const UPPER_INCLUSIVE: u8 = 0x04;
const LOWER_INFINITE: u8 = 0x08;
const UPPER_INFINITE: u8 = 0x10;
const ALL: u8 = EMPTY | LOWER_INCLUSIVE | UPPER_INCLUSIVE | LOWER_INFINITE | UPPER_INFINITE;

/// The parts of a range of this type.
pub(super) fn parts(bound: &ColumnType) -> Vec<Part> {
    let part = |name: &str, column_type| Part { name: name.to_owned(), oid: 0, column_type };
    let bounds = ColumnType::Scalar(Scalar::RangeBounds);
    vec![part("lower", bound.clone()), part("upper", bound.clone()), part("bounds", bounds)]
}

/// Where lower bound, upper bound and flags lie.
pub(super) fn locate(offset: usize, value: &[u8]) -> Result<[Place; 3], String> {
    let flags = *value.first().ok_or(WRONG_LENGTH)?;
    let (flags_place, mut at) = place(offset, value, 0, 1)?;
    let mut bound = |infinite: u8| {
        if flags & (EMPTY | infinite) != 0 {
            return Ok(NULL);
        }
        let (place, end) = place(offset, value, at + 4, word(value, at)?)?;
        at = end;
        if place.length < 0 { Err(WRONG_LENGTH.to_owned()) } else { Ok(place) }
    };
    let places = [bound(LOWER_INFINITE)?, bound(UPPER_INFINITE)?, flags_place];
    if at == value.len() { Ok(places) } else { Err(WRONG_LENGTH.to_owned()) }
}

/// The flags as text: `empty`, or a bracket where the bound belongs to the range and a parenthesis where it does not.
pub(super) fn bounds() -> Box<dyn Decoder> {
    strings(|value, out| {
        let [flags] = exactly::<1>(value)?;
        if flags & !ALL != 0 {
            return Err("is a range of an unknown kind".to_owned());
        }
        out.extend_from_slice(match (flags & EMPTY != 0, flags & LOWER_INCLUSIVE != 0, flags & UPPER_INCLUSIVE != 0) {
            (true, ..) => b"empty",
            (_, true, true) => b"[]",
            (_, true, false) => b"[)",
            (_, false, true) => b"(]",
            (_, false, false) => b"()",
        });
        Ok(())
    })
}

pub(super) fn encoder<'batch>(structs: &'batch StructArray, parts: &[Part]) -> Option<BoxedEncoder<'batch>> {
    let [lower, upper, _] = parts else { return None };
    let bounds = structs.column(2).as_string_opt::<i32>()?;
    let lower = lower.column_type.encoder(structs.column(0))?;
    let upper = upper.column_type.encoder(structs.column(1))?;
    Some(encode::values(structs, move |row, out| {
        encode::measured(out, |out| {
            let flags_at = out.len();
            out.push(0);
            let mut flags = match bounds.value(row) {
                "empty" => EMPTY,
                "[]" => LOWER_INCLUSIVE | UPPER_INCLUSIVE,
                "[)" => LOWER_INCLUSIVE,
                "(]" => UPPER_INCLUSIVE,
                "()" => 0,
                _ => return Err("is a range of an unknown kind".to_owned()),
            };
            for (encoder, infinite) in [(&lower, LOWER_INFINITE), (&upper, UPPER_INFINITE)] {
                let start = out.len();
                encoder.write(row, out)?;
                let is_null = out.len() == start + 4 && out[start] & 0x80 != 0;
                if is_null || flags & EMPTY != 0 {
                    out.truncate(start);
                }
                if is_null && flags & EMPTY == 0 {
                    flags |= infinite;
                }
            }
            out[flags_at] = flags;
            Ok(())
        })
    }))
}
