//! Text kinds, enums, json and jsonb: UTF-8, as the connection's client encoding promises, and checked.

use super::Decoder;
use crate::encode::{self, BoxedEncoder, Encoder};
use crate::fields::{BadValue, Fields};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use std::sync::Arc;

/// The first byte of a jsonb value in binary form.
pub(super) const JSONB_VERSION: u8 = 1;

/// The most bytes that one Arrow string array can hold.
const MOST_BYTES: usize = i32::MAX as usize;

/// Strings, without the byte that stands before each if there is one.
pub(super) struct TextDecoder {
    version: Option<u8>,
    values: Values,
    nulls: NullBufferBuilder,
}

/// Bytes one after the other, and where each value ends.
pub(super) struct Values {
    pub(super) bytes: Vec<u8>,
    ends: Vec<i32>,
}

impl Default for Values {
    fn default() -> Self {
        Self { bytes: Vec::new(), ends: vec![0] }
    }
}

impl Values {
    /// Adds a value, or an empty one for NULL.
    pub(super) fn push(&mut self, value: &[u8]) -> Result<(), String> {
        if self.bytes.len() + value.len() > MOST_BYTES {
            return Err("is too long for one batch".to_owned());
        }
        self.bytes.extend_from_slice(value);
        self.close();
        Ok(())
    }

    /// Ends the value whose bytes were put into `bytes`.
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // at most MOST_BYTES
    pub(super) fn close(&mut self) {
        self.ends.push(self.bytes.len() as i32);
    }

    /// The offsets and bytes, leaving room for as many again.
    pub(super) fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let mut fresh = Vec::with_capacity(self.ends.len());
        fresh.push(0);
        let ends = std::mem::replace(&mut self.ends, fresh);
        let fresh = Vec::with_capacity(self.bytes.len());
        let bytes = std::mem::replace(&mut self.bytes, fresh);
        (OffsetBuffer::new(ScalarBuffer::from(ends)), Buffer::from_vec(bytes))
    }
}

impl TextDecoder {
    pub(super) fn new(version: Option<u8>) -> Self {
        Self { version, values: Values::default(), nulls: NullBufferBuilder::new(0) }
    }

    fn push(&mut self, value: &[u8]) -> Result<(), String> {
        match self.version {
            None => self.values.push(value),
            Some(version) => match value.split_first() {
                Some((first, rest)) if *first == version => self.values.push(rest),
                _ => Err("is of an unknown version of its type".to_owned()),
            },
        }
    }
}

impl Decoder for TextDecoder {
    fn append(&mut self, fields: &Fields<'_>) -> Result<(), BadValue> {
        fields.try_each(|value| {
            self.nulls.append(value.is_some());
            match value {
                Some(value) => self.push(value),
                None => self.values.push(&[]),
            }
        })
    }

    fn finish(&mut self) -> Result<ArrayRef, BadValue> {
        let (offsets, bytes) = self.values.take();
        // Checked all at once: a column of many short values is checked at memory speed.
        match StringArray::try_new(offsets.clone(), bytes.clone(), self.nulls.finish()) {
            Ok(array) => Ok(Arc::new(array)),
            Err(_) => Err(BadValue { row: first_bad_value(&offsets, &bytes), why: "is not valid UTF-8".to_owned() }),
        }
    }
}

fn first_bad_value(offsets: &[i32], bytes: &[u8]) -> usize {
    let mut values = offsets.windows(2).map(|ends| bytes.get(ends[0] as usize..ends[1] as usize).unwrap_or_default());
    values.position(|value| std::str::from_utf8(value).is_err()).unwrap_or_default()
}

/// Strings, with the byte that stands before each if there is one.
struct TextEncoder<'batch> {
    version: Option<u8>,
    strings: &'batch StringArray,
}

impl Encoder for TextEncoder<'_> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
        if self.strings.is_null(row) {
            encode::null(out);
            return Ok(());
        }
        let text = self.strings.value(row).as_bytes();
        match self.version {
            None => encode::field(text, out),
            Some(version) => encode::measured(out, |out| {
                out.push(version);
                out.extend_from_slice(text);
                Ok(())
            }),
        }
    }
}

pub(super) fn encoder(array: &dyn Array, version: Option<u8>) -> Option<BoxedEncoder<'_>> {
    Some(Box::new(TextEncoder { version, strings: array.as_string_opt()? }))
}
