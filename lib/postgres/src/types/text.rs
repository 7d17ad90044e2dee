//! Text kinds, enums, json, jsonb and the like: UTF-8, as the connection's client encoding promises, and checked.

use super::Decoder;
use super::values::{as_it_is, strings};
use crate::encode::{self, BoxedEncoder};
use arrow_array::Array;
use arrow_array::cast::AsArray;

/// The first byte of a jsonb, jsonpath or ltree value in binary form.
const VERSION: u8 = 1;

/// Strings as they are.
pub(super) fn decoder() -> Box<dyn Decoder> {
    strings(as_it_is)
}

/// Strings without the byte that stands before each.
pub(super) fn versioned_decoder() -> Box<dyn Decoder> {
    strings(|value, out| match value.split_first() {
        Some((&VERSION, rest)) => as_it_is(rest, out),
        _ => Err("is of an unknown version of its type".to_owned()),
    })
}

pub(super) fn encoder(array: &dyn Array) -> Option<BoxedEncoder<'_>> {
    let strings = array.as_string_opt::<i32>()?;
    Some(encode::values(array, move |row, out| encode::field(strings.value(row).as_bytes(), out)))
}

pub(super) fn versioned_encoder(array: &dyn Array) -> Option<BoxedEncoder<'_>> {
    let strings = array.as_string_opt::<i32>()?;
    Some(encode::values(array, move |row, out| {
        encode::measured(out, |out| {
            out.push(VERSION);
            as_it_is(strings.value(row).as_bytes(), out)
        })
    }))
}

/// An encoder of strings whose binary form `write` appends, or says why it is none.
pub(super) fn parsed_encoder<'batch>(
    array: &'batch dyn Array,
    write: impl Fn(&str, &mut Vec<u8>) -> Result<(), String> + 'batch,
) -> Option<BoxedEncoder<'batch>> {
    let strings = array.as_string_opt::<i32>()?;
    Some(encode::values(array, move |row, out| encode::measured(out, |out| write(strings.value(row), out))))
}
