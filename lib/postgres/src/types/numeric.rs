//! numeric: a decimal where the column has a precision, else its exact text.
//!
//! The binary form (`numeric_send` in PostgreSQL's numeric.c): the count of digits, the weight of the first, a sign and
//! the display scale, two bytes each, then the digits in base 10,000.

use super::number::{PrimitiveDecoder, WRONG_LENGTH, exactly};
use super::values::strings;
use super::{Decoder, Scalar};
use arrow_array::types::{Decimal128Type, Decimal256Type};
use arrow_buffer::i256;
use arrow_schema::DataType;

pub(super) const POSITIVE: u16 = 0x0000;
pub(super) const NEGATIVE: u16 = 0x4000;
pub(super) const NAN: u16 = 0xC000;
pub(super) const POSITIVE_INFINITY: u16 = 0xD000;
pub(super) const NEGATIVE_INFINITY: u16 = 0xF000;

/// The most decimal places (`NUMERIC_DSCALE_MASK` in PostgreSQL's numeric.c).
pub(super) const MOST_PLACES: u16 = 0x3FFF;

/// A modifier counts from here, as all of PostgreSQL's do (`VARHDRSZ`).
const MODIFIER_OFFSET: i32 = 4;

/// The family of a numeric column by its type modifier.
pub(super) fn of_modifier(modifier: i32) -> Scalar {
    let (precision, scale) = match modifier.checked_sub(MODIFIER_OFFSET) {
        Some(bits) if bits >= 0 => (bits >> 16 & 0xFFFF, (bits & 0x7FF ^ 0x400) - 0x400),
        _ => return Scalar::NumericText,
    };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision @ 1..=76), Ok(scale)) if scale >= 0 && i32::from(precision) >= i32::from(scale) => {
            Scalar::Decimal { precision, scale }
        }
        _ => Scalar::NumericText,
    }
}

/// Of more than 38 digits, as many as fill 24 or 32 bytes: DuckDB reads others wrong (as the double that their bytes would be if they
/// were shifted to the next eight), and nobody minds a few digits more.
pub(super) fn arrow(precision: u8, scale: i8) -> DataType {
    match precision {
        0..=38 => DataType::Decimal128(precision, scale),
        39..=57 => DataType::Decimal256(57, scale),
        _ => DataType::Decimal256(76, scale),
    }
}

pub(super) fn decimal(precision: u8, scale: i8) -> Box<dyn Decoder> {
    let data_type = arrow(precision, scale);
    let digits_after_point = i32::from(scale);
    if precision <= 18 {
        PrimitiveDecoder::<Decimal128Type, _>::boxed(data_type, move |bytes| small(bytes, digits_after_point))
    } else if precision <= 38 {
        PrimitiveDecoder::<Decimal128Type, _>::boxed(data_type, move |bytes| {
            large(bytes, digits_after_point)?.to_i128().ok_or_else(|| INEXACT.to_owned())
        })
    } else {
        PrimitiveDecoder::<Decimal256Type, _>::boxed(data_type, move |bytes| large(bytes, digits_after_point))
    }
}

/// Digits of the largest money: that of a bigint.
pub(super) const MONEY_DIGITS: u8 = 19;

/// Whole numbers of the currency's smallest unit.
pub(super) fn money(scale: i8) -> Box<dyn Decoder> {
    PrimitiveDecoder::<Decimal128Type, _>::boxed(arrow(MONEY_DIGITS, scale), |bytes| {
        exactly(bytes).map(i64::from_be_bytes).map(i128::from)
    })
}

const OTHER_SCALE: &str = "has another number of decimal places than its column";
const INEXACT: &str = "has more digits than its column declares";

/// A numeric in its binary form.
struct Binary<'value> {
    weight: i32,
    sign: u16,
    scale: u16,
    digits: &'value [u8],
}

impl<'value> Binary<'value> {
    fn parse(bytes: &'value [u8]) -> Result<Self, String> {
        let (head, digits) = bytes.split_first_chunk::<8>().ok_or(WRONG_LENGTH)?;
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        if digits.len() != usize::from(word(0)) * 2 {
            return Err(WRONG_LENGTH.to_owned());
        }
        let weight = i32::from(i16::from_be_bytes([head[2], head[3]]));
        let scale = word(6);
        if scale > MOST_PLACES {
            return Err("has more decimal places than any numeric".to_owned());
        }
        Ok(Self { weight, sign: word(4), scale, digits })
    }

    fn digits(&self) -> impl Iterator<Item = u16> + '_ {
        self.digits.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
    }

    /// The power of ten by which the digits, read as one whole number, must be multiplied to have `scale` decimals.
    fn exponent(&self, scale: i32) -> i32 {
        let last = self.weight + 1 - i32::try_from(self.digits.len() / 2).unwrap_or(i32::MAX);
        last * 4 + scale
    }

    /// Where the last digit reaches less than four places beyond `scale`, the unit by which it is divided instead of the whole
    /// number, which would else be longer than the value; and the exponent that is left.
    fn unit_of_last(&self, scale: i32) -> (u16, i32) {
        match self.exponent(scale) {
            exponent @ -3..=-1 => (10_u16.pow(exponent.unsigned_abs()), 0),
            exponent => (1, exponent),
        }
    }

    /// Each digit and its base, the last one divided by `unit`; none where that leaves a rest.
    fn steps(&self, unit: u16) -> impl Iterator<Item = (u16, Option<u16>)> + '_ {
        let last = (self.digits.len() / 2).saturating_sub(1);
        self.digits().enumerate().map(move |(index, digit)| {
            let unit = if index == last { unit } else { 1 };
            (10_000 / unit, (digit % unit == 0).then_some(digit / unit))
        })
    }

    /// The server tells 1.10 from 1.1, and so must we.
    fn check_scale(&self, scale: i32) -> Result<(), String> {
        if i32::from(self.scale) == scale { Ok(()) } else { Err(OTHER_SCALE.to_owned()) }
    }

    fn is_negative(&self) -> Result<bool, String> {
        match self.sign {
            POSITIVE => Ok(false),
            NEGATIVE => Ok(true),
            NAN => Err("is NaN, which no decimal can be".to_owned()),
            POSITIVE_INFINITY | NEGATIVE_INFINITY => Err("is infinite, which no decimal can be".to_owned()),
            _ => Err("has an unknown sign".to_owned()),
        }
    }
}

/// At most 18 digits: in one machine word.
fn small(bytes: &[u8], scale: i32) -> Result<i128, String> {
    let binary = Binary::parse(bytes)?;
    let negative = binary.is_negative()?;
    binary.check_scale(scale)?;
    let (unit, exponent) = binary.unit_of_last(scale);
    let mut whole: i64 = 0;
    for (base, digit) in binary.steps(unit) {
        let digit = digit.ok_or(INEXACT)?;
        whole = whole.checked_mul(base.into()).and_then(|whole| whole.checked_add(digit.into())).ok_or(INEXACT)?;
    }
    let power = 10_i64.checked_pow(exponent.unsigned_abs()).unwrap_or(i64::MAX);
    let scaled = match exponent {
        0.. => whole.checked_mul(power),
        _ if whole % power == 0 => Some(whole / power),
        _ => None,
    };
    let scaled = scaled.ok_or(INEXACT)?;
    Ok(i128::from(if negative { -scaled } else { scaled }))
}

/// Any number of digits that a decimal can have.
fn large(bytes: &[u8], scale: i32) -> Result<i256, String> {
    let binary = Binary::parse(bytes)?;
    let negative = binary.is_negative()?;
    binary.check_scale(scale)?;
    let (unit, exponent) = binary.unit_of_last(scale);
    let mut whole = i256::ZERO;
    for (base, digit) in binary.steps(unit) {
        let digit = i256::from_i128(digit.ok_or(INEXACT)?.into());
        let shifted = whole.checked_mul(i256::from_i128(base.into()));
        whole = shifted.and_then(|whole| whole.checked_add(digit)).ok_or(INEXACT)?;
    }
    if whole == i256::ZERO {
        return Ok(whole);
    }
    let power = i256::from_i128(10).checked_pow(exponent.unsigned_abs()).ok_or(INEXACT)?;
    let scaled = match exponent {
        0.. => whole.checked_mul(power),
        _ if whole.checked_rem(power) == Some(i256::ZERO) => whole.checked_div(power),
        _ => None,
    };
    let scaled = scaled.ok_or(INEXACT)?;
    Ok(if negative { -scaled } else { scaled })
}

/// The exact text, as the server would print it.
pub(super) fn text() -> Box<dyn Decoder> {
    strings(|bytes, out| print(&Binary::parse(bytes)?, out))
}

/// Digits before the point without leading zeros, and exactly `scale` after it.
fn print(binary: &Binary<'_>, text: &mut Vec<u8>) -> Result<(), String> {
    match binary.sign {
        POSITIVE => {}
        NEGATIVE => text.push(b'-'),
        NAN => return push(text, "NaN"),
        POSITIVE_INFINITY => return push(text, "Infinity"),
        NEGATIVE_INFINITY => return push(text, "-Infinity"),
        _ => return Err("has an unknown sign".to_owned()),
    }
    let digit = |place: i32| -> u16 {
        let index = usize::try_from(binary.weight - place).ok().map(|index| index * 2);
        let pair = index.and_then(|index| binary.digits.get(index..index + 2));
        pair.map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]))
    };
    if binary.weight < 0 {
        text.push(b'0');
    }
    for place in (0..=binary.weight).rev() {
        let group = decimal_digits(digit(place))?;
        let zeros = group.iter().take_while(|digit| **digit == b'0').count().min(3);
        text.extend_from_slice(if place == binary.weight { &group[zeros..] } else { &group });
    }
    if binary.scale > 0 {
        text.push(b'.');
        let end = text.len() + usize::from(binary.scale);
        let mut place = -1;
        while text.len() < end {
            text.extend_from_slice(&decimal_digits(digit(place))?);
            place -= 1;
        }
        text.truncate(end);
    }
    Ok(())
}

/// The four decimal digits of one digit in base 10,000.
#[allow(clippy::cast_possible_truncation)] // each is below ten
fn decimal_digits(digit: u16) -> Result<[u8; 4], String> {
    if digit > 9999 {
        return Err("has a digit beyond its base".to_owned());
    }
    Ok([digit / 1000, digit / 100 % 10, digit / 10 % 10, digit % 10].map(|digit| b'0' + digit as u8))
}

fn push(text: &mut Vec<u8>, word: &str) -> Result<(), String> {
    text.extend_from_slice(word.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(weight: i16, sign: u16, scale: u16, digits: &[u16]) -> Vec<u8> {
        let count = u16::try_from(digits.len()).unwrap();
        let head = [count, weight.cast_unsigned(), sign, scale];
        head.iter().chain(digits).flat_map(|word| word.to_be_bytes()).collect()
    }

    fn text(bytes: &[u8]) -> String {
        let mut text = Vec::new();
        print(&Binary::parse(bytes).unwrap(), &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn modifiers_as_the_server_packs_them() {
        assert_eq!(of_modifier(-1), Scalar::NumericText);
        assert_eq!(of_modifier((9 << 16 | 5) + 4), Scalar::Decimal { precision: 9, scale: 5 });
        // numeric(3, -2) has a negative scale, in eleven bits.
        assert_eq!(of_modifier((3 << 16 | 0x7FE) + 4), Scalar::NumericText);
        assert_eq!(of_modifier((1000 << 16) + 4), Scalar::NumericText);
    }

    #[test]
    fn decimals_keep_every_digit() {
        let value = binary(0, NEGATIVE, 5, &[1, 2345, 6000]);
        assert_eq!(small(&value, 5).unwrap(), -123_456);
        assert_eq!(large(&value, 5).unwrap(), i256::from_i128(-123_456));
        assert_eq!(text(&value), "-1.23456");
        assert_eq!(small(&binary(1, POSITIVE, 2, &[12]), 2).unwrap(), 12_000_000);
        assert_eq!(small(&binary(0, POSITIVE, 2, &[]), 2).unwrap(), 0);
        assert!(small(&value, 4).is_err());
        // Twenty digits with the zeros that fill the last group: more than the word holds, though the value fits.
        let longest = binary(3, POSITIVE, 2, &[9999, 9999, 9999, 9999, 9900]);
        assert_eq!(small(&longest, 2).unwrap(), 999_999_999_999_999_999);
        assert!(small(&binary(0, NAN, 0, &[]), 2).unwrap_err().contains("NaN"));
    }

    #[test]
    fn texts_as_the_server_prints_them() {
        for (value, expected) in [
            (binary(0, POSITIVE, 0, &[]), "0"),
            (binary(0, POSITIVE, 3, &[]), "0.000"),
            (binary(-1, POSITIVE, 4, &[12]), "0.0012"),
            (binary(-2, POSITIVE, 6, &[1200]), "0.000012"),
            (binary(1, POSITIVE, 1, &[1, 2, 5000]), "10002.5"),
            (binary(2, NEGATIVE, 0, &[7]), "-700000000"),
            (binary(0, NAN, 0, &[]), "NaN"),
            (binary(0, NEGATIVE_INFINITY, 0, &[]), "-Infinity"),
        ] {
            assert_eq!(text(&value), expected);
        }
    }
}
