//! Small types whose text is made and read here: "char", bit, varbit and pg_lsn.

use super::Decoder;
use super::number::{WRONG_LENGTH, exactly};
use super::text::parsed_encoder;
use super::values::strings;
use crate::encode::BoxedEncoder;
use arrow_array::Array;
use std::io::Write;

/// One byte: itself if it is ASCII, nothing if it is zero, else a backslash and three octal digits, as PostgreSQL 16 prints it.
pub(super) fn char() -> Box<dyn Decoder> {
    strings(|value, out| {
        match exactly::<1>(value)? {
            [0] => {}
            [byte] if byte.is_ascii() => out.push(byte),
            [byte] => out.extend([b'\\', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)]),
        }
        Ok(())
    })
}

pub(super) fn char_encoder(array: &dyn Array) -> Option<BoxedEncoder<'_>> {
    parsed_encoder(array, |text, out| {
        let octal = |digit: &u8| (b'0'..=b'7').contains(digit);
        match text.as_bytes() {
            [] => out.push(0),
            [byte] => out.push(*byte),
            [b'\\', first @ b'0'..=b'3', second, third] if octal(second) && octal(third) => {
                out.push((first - b'0') << 6 | (second - b'0') << 3 | (third - b'0'));
            }
            _ => return Err("is more than one byte".to_owned()),
        }
        Ok(())
    })
}

/// Zeros and ones. The binary form (`varbit_send` in varbit.c): the number of bits, then the bits from the left.
pub(super) fn bits() -> Box<dyn Decoder> {
    strings(|value, out| {
        let (count, bytes) = value.split_first_chunk().ok_or(WRONG_LENGTH)?;
        let count = usize::try_from(i32::from_be_bytes(*count)).map_err(|_| WRONG_LENGTH)?;
        if bytes.len() != count.div_ceil(8) {
            return Err(WRONG_LENGTH.to_owned());
        }
        let end = out.len() + count;
        for byte in bytes {
            out.extend((0..8).map(|bit| b'0' + (byte >> (7 - bit) & 1)));
        }
        out.truncate(end);
        Ok(())
    })
}

pub(super) fn bits_encoder(array: &dyn Array) -> Option<BoxedEncoder<'_>> {
    parsed_encoder(array, |text, out| {
        let count = i32::try_from(text.len()).map_err(|_| "has too many bits")?;
        if !text.bytes().all(|digit| matches!(digit, b'0' | b'1')) {
            return Err("is no row of zeros and ones".to_owned());
        }
        out.extend_from_slice(&count.to_be_bytes());
        let bytes = text.as_bytes().chunks(8).map(|digits| {
            digits.iter().enumerate().fold(0, |byte, (index, digit)| byte | (digit - b'0') << (7 - index))
        });
        out.extend(bytes);
        Ok(())
    })
}

/// Two halves in hexadecimal with a slash, as the server prints them.
pub(super) fn lsn() -> Box<dyn Decoder> {
    strings(|value, out| {
        let whole = u64::from_be_bytes(exactly(value)?);
        write!(out, "{:X}/{:X}", whole >> 32, whole & u64::from(u32::MAX)).map_err(|cause| cause.to_string())
    })
}

pub(super) fn lsn_encoder(array: &dyn Array) -> Option<BoxedEncoder<'_>> {
    parsed_encoder(array, |text, out| {
        let half = |digits: &str| u32::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'));
        let halves = text.split_once('/').and_then(|(high, low)| Some((half(high)?, half(low)?)));
        let (high, low) = halves.ok_or("is no position in the log")?;
        out.extend_from_slice(&high.to_be_bytes());
        out.extend_from_slice(&low.to_be_bytes());
        Ok(())
    })
}
