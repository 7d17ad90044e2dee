//! numeric on the way back: decimals, integers and exact texts as digits in base 10,000, with every decimal place kept.

use super::number::fixed;
use super::numeric::{MOST_PLACES, NAN, NEGATIVE, NEGATIVE_INFINITY, POSITIVE, POSITIVE_INFINITY};
use crate::encode::{self, BoxedEncoder};
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Decimal256Type, Int16Type, Int32Type, Int64Type};
use arrow_schema::DataType;

const TOO_LONG: &str = "has more digits than any numeric";
const NO_NUMBER: &str = "is no number";
const ROUNDED: &str = "has more decimal places than the column";

/// An encoder for a column with this many decimal places, or any number of them. The server would round what has more;
/// here it is refused, unless they are zeros.
pub(super) fn encoder(array: &dyn Array, places: Option<i8>) -> Option<BoxedEncoder<'_>> {
    let limit = places.and_then(|places| usize::try_from(places).ok());
    match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            Some(encode::values(array, move |row, out| from_text(texts.value(row), limit, out)))
        }
        DataType::Decimal128(_, places) => {
            let places = usize::try_from(*places).ok()?;
            let values = array.as_primitive::<Decimal128Type>().values();
            Some(encode::values(array, move |row, out| from_whole(values[row], places, limit, out)))
        }
        DataType::Decimal256(_, places) => {
            let places = usize::try_from(*places).ok()?;
            let values = array.as_primitive::<Decimal256Type>().values();
            Some(encode::values(array, move |row, out| from_printed(&values[row].to_string(), places, limit, out)))
        }
        DataType::Int16 => {
            let values = array.as_primitive::<Int16Type>().values();
            Some(encode::values(array, move |row, out| from_whole(values[row].into(), 0, limit, out)))
        }
        DataType::Int32 => {
            let values = array.as_primitive::<Int32Type>().values();
            Some(encode::values(array, move |row, out| from_whole(values[row].into(), 0, limit, out)))
        }
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>().values();
            Some(encode::values(array, move |row, out| from_whole(values[row].into(), 0, limit, out)))
        }
        _ => None,
    }
}

/// An encoder of decimals of exactly this scale as money.
pub(super) fn money_encoder(array: &dyn Array, scale: i8) -> Option<BoxedEncoder<'_>> {
    if !matches!(array.data_type(), DataType::Decimal128(_, places) if *places == scale) {
        return None;
    }
    fixed::<Decimal128Type, 8>(array, |value| {
        i64::try_from(value).map(i64::to_be_bytes).map_err(|_| "is out of the range of money".to_owned())
    })
}

/// A whole number of which the last `places` digits stand after the point.
fn from_whole(value: i128, places: usize, limit: Option<usize>, out: &mut Vec<u8>) -> Result<(), String> {
    const SMALL: u64 = 1_000_000_000_000_000;
    match u64::try_from(value.unsigned_abs()) {
        Ok(magnitude) if magnitude < SMALL && limit.is_none_or(|limit| places <= limit) => {
            from_small(value < 0, magnitude, places, out)
        }
        _ => from_printed(&value.to_string(), places, limit, out),
    }
}

/// Fifteen digits at most, so that the last group can be filled up with zeros within one machine word.
fn from_small(negative: bool, magnitude: u64, places: usize, out: &mut Vec<u8>) -> Result<(), String> {
    let mut rest = magnitude * [1, 1000, 100, 10][places % 4];
    let mut groups = [[0_u8; 2]; 5];
    let mut first = groups.len();
    while rest > 0 {
        first -= 1;
        #[allow(clippy::cast_possible_truncation)] // less than 10,000
        let group = (rest % 10_000) as u16;
        groups[first] = group.to_be_bytes();
        rest /= 10_000;
    }
    let groups = &groups[first..];
    let before_point = groups.len().cast_signed() - places.div_ceil(4).cast_signed();
    let zeros = groups.iter().rev().take_while(|group| **group == [0, 0]).count();
    let groups = &groups[..groups.len() - zeros];
    encode::measured(out, |out| {
        head(if negative { NEGATIVE } else { POSITIVE }, groups.len(), before_point - 1, places, out)?;
        out.extend_from_slice(groups.as_flattened());
        Ok(())
    })
}

/// A whole number in digits of which the last `places` stand after the point.
fn from_printed(text: &str, places: usize, limit: Option<usize>, out: &mut Vec<u8>) -> Result<(), String> {
    let (negative, digits) = signed(text);
    let padded = format!("{digits:0>places$}");
    let (whole, fraction) = padded.split_at(padded.len() - places);
    from_digits(negative, whole.as_bytes(), fraction.as_bytes(), limit, out)
}

/// A number as the server prints it: digits, a point, digits; or one of three words.
fn from_text(text: &str, limit: Option<usize>, out: &mut Vec<u8>) -> Result<(), String> {
    let sign = match text {
        "NaN" => NAN,
        "Infinity" => POSITIVE_INFINITY,
        "-Infinity" => NEGATIVE_INFINITY,
        _ => {
            let (negative, digits) = signed(text);
            let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
            let digits_only = [whole, fraction].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
            if !digits_only || whole.len() + fraction.len() == 0 {
                return Err(NO_NUMBER.to_owned());
            }
            return from_digits(negative, whole.as_bytes(), fraction.as_bytes(), limit, out);
        }
    };
    encode::measured(out, |out| head(sign, 0, 0, 0, out))
}

fn signed(text: &str) -> (bool, &str) {
    text.strip_prefix('-').map_or((false, text), |digits| (true, digits))
}

/// Digits in ASCII, before and after the point.
fn from_digits(
    negative: bool,
    whole: &[u8],
    fraction: &[u8],
    limit: Option<usize>,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let fraction = match limit.and_then(|limit| fraction.split_at_checked(limit)) {
        Some((kept, rest)) if rest.iter().all(|digit| *digit == b'0') => kept,
        Some(_) => return Err(ROUNDED.to_owned()),
        None => fraction,
    };
    let whole = &whole[whole.iter().take_while(|digit| **digit == b'0').count()..];
    let mut groups: Vec<u16> = whole.rchunks(4).rev().map(group).collect();
    groups.extend(fraction.chunks(4).map(|digits| group(digits) * [1, 1000, 100, 10][digits.len() % 4]));
    let zeros_before = groups.iter().take_while(|group| **group == 0).count();
    let zeros_behind = groups.iter().rev().take_while(|group| **group == 0).count();
    let groups = groups.get(zeros_before..groups.len() - zeros_behind).unwrap_or_default();
    let before_point = whole.len().div_ceil(4).cast_signed() - zeros_before.cast_signed();
    encode::measured(out, |out| {
        head(if negative { NEGATIVE } else { POSITIVE }, groups.len(), before_point - 1, fraction.len(), out)?;
        out.extend(groups.iter().flat_map(|group| group.to_be_bytes()));
        Ok(())
    })
}

/// At most four digits as a number.
fn group(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |group, digit| group * 10 + u16::from(digit - b'0'))
}

/// The count of groups, the weight of the first, the sign, and the decimal places. Zero has no sign and no weight.
fn head(sign: u16, groups: usize, weight: isize, places: usize, out: &mut Vec<u8>) -> Result<(), String> {
    let is_zero = groups == 0 && sign == NEGATIVE;
    let sign = if is_zero { POSITIVE } else { sign };
    let weight = if groups == 0 { 0 } else { weight };
    let (Ok(groups), Ok(weight)) = (u16::try_from(groups), i16::try_from(weight)) else {
        return Err(TOO_LONG.to_owned());
    };
    let places = u16::try_from(places).ok().filter(|places| *places <= MOST_PLACES).ok_or(TOO_LONG)?;
    out.extend(groups.to_be_bytes());
    out.extend(weight.to_be_bytes());
    out.extend(sign.to_be_bytes());
    out.extend(places.to_be_bytes());
    Ok(())
}
