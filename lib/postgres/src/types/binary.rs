//! bytea, geometry and uuid: bytes as they are.

use super::values::{as_it_is, binaries};
use super::{Decoder, number};
use crate::encode::{self, BoxedEncoder};
use crate::fields::{BadValue, Fields};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, FixedSizeBinaryArray};
use arrow_buffer::{Buffer, NullBufferBuilder};
use std::sync::Arc;

const UUID_BYTES: usize = 16;

/// Values of any length.
pub(super) fn bytes() -> Box<dyn Decoder> {
    binaries(as_it_is)
}

/// Values of sixteen bytes.
pub(super) struct UuidDecoder {
    bytes: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl Default for UuidDecoder {
    fn default() -> Self {
        Self { bytes: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }
}

impl Decoder for UuidDecoder {
    fn append(&mut self, fields: &Fields<'_>) -> Result<(), BadValue> {
        fields.try_each(|value| {
            let bytes = value.map_or(Ok([0; UUID_BYTES]), number::exactly)?;
            self.bytes.extend_from_slice(&bytes);
            self.nulls.append(value.is_some());
            Ok(())
        })
    }

    fn truncate(&mut self, rows: usize) {
        self.bytes.truncate(rows * UUID_BYTES);
        self.nulls.truncate(rows);
    }

    fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn finish(&mut self) -> Result<ArrayRef, BadValue> {
        let fresh = Vec::with_capacity(self.bytes.len());
        let bytes = Buffer::from_vec(std::mem::replace(&mut self.bytes, fresh));
        let array = FixedSizeBinaryArray::try_new(UUID_BYTES as i32, bytes, self.nulls.finish());
        array.map(|array| Arc::new(array) as ArrayRef).map_err(|cause| BadValue { row: 0, why: cause.to_string() })
    }
}

pub(super) fn bytes_encoder(array: &dyn Array) -> Option<BoxedEncoder<'_>> {
    match array.as_binary_opt::<i32>() {
        Some(bytes) => Some(encode::values(array, move |row, out| encode::field(bytes.value(row), out))),
        None => fixed(array.as_fixed_size_binary_opt()?),
    }
}

pub(super) fn uuid_encoder(array: &dyn Array) -> Option<BoxedEncoder<'_>> {
    fixed(array.as_fixed_size_binary_opt().filter(|bytes| bytes.value_length() == 16)?)
}

fn fixed(bytes: &FixedSizeBinaryArray) -> Option<BoxedEncoder<'_>> {
    Some(encode::values(bytes, move |row, out| encode::field(bytes.value(row), out)))
}
