//! bytea and uuid: bytes as they are.

use super::text::Values;
use super::{Decoder, number};
use crate::encode::{self, BoxedEncoder, Encoder};
use crate::fields::{BadValue, Fields};
use arrow_array::builder::FixedSizeBinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, FixedSizeBinaryArray};
use arrow_buffer::NullBufferBuilder;
use std::sync::Arc;

/// Values of any length.
pub(super) struct BytesDecoder {
    values: Values,
    nulls: NullBufferBuilder,
}

impl Default for BytesDecoder {
    fn default() -> Self {
        Self { values: Values::default(), nulls: NullBufferBuilder::new(0) }
    }
}

impl Decoder for BytesDecoder {
    fn append(&mut self, fields: &Fields<'_>) -> Result<(), BadValue> {
        fields.try_each(|value| {
            self.nulls.append(value.is_some());
            self.values.push(value.unwrap_or_default())
        })
    }

    fn finish(&mut self) -> Result<ArrayRef, BadValue> {
        let (offsets, bytes) = self.values.take();
        let array = BinaryArray::try_new(offsets, bytes, self.nulls.finish());
        array.map(|array| Arc::new(array) as ArrayRef).map_err(|cause| BadValue { row: 0, why: cause.to_string() })
    }
}

/// Values of sixteen bytes.
pub(super) struct UuidDecoder(FixedSizeBinaryBuilder);

impl Default for UuidDecoder {
    fn default() -> Self {
        Self(FixedSizeBinaryBuilder::new(16))
    }
}

impl Decoder for UuidDecoder {
    fn append(&mut self, fields: &Fields<'_>) -> Result<(), BadValue> {
        fields.try_each(|value| match value {
            Some(bytes) => self.0.append_value(bytes).map_err(|_| number::WRONG_LENGTH.to_owned()),
            None => {
                self.0.append_null();
                Ok(())
            }
        })
    }

    fn finish(&mut self) -> Result<ArrayRef, BadValue> {
        Ok(Arc::new(self.0.finish()))
    }
}

impl Encoder for &BinaryArray {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
        if self.is_null(row) {
            encode::null(out);
            return Ok(());
        }
        encode::field(self.value(row), out)
    }
}

impl Encoder for &FixedSizeBinaryArray {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
        if self.is_null(row) {
            encode::null(out);
            return Ok(());
        }
        encode::field(self.value(row), out)
    }
}

pub(super) fn bytes_encoder(array: &dyn Array) -> Option<BoxedEncoder<'_>> {
    match array.as_binary_opt::<i32>() {
        Some(bytes) => Some(Box::new(bytes)),
        None => Some(Box::new(array.as_fixed_size_binary_opt()?)),
    }
}

pub(super) fn uuid_encoder(array: &dyn Array) -> Option<BoxedEncoder<'_>> {
    Some(Box::new(array.as_fixed_size_binary_opt().filter(|bytes| bytes.value_length() == 16)?))
}
