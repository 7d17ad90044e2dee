//! Values of any length: bytes one after the other, where each ends, and which are NULL.
//!
//! Text kinds, bytes and everything that is printed here share this one shape; they differ in what they append for a value.

use super::Decoder;
use crate::fields::{BadValue, Fields};
use arrow_array::{ArrayRef, BinaryArray, StringArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use std::sync::Arc;

/// The most bytes that one Arrow string array can hold.
const MOST_BYTES: usize = i32::MAX as usize;

/// Appends what is stored for a value.
pub(super) trait Write: FnMut(&[u8], &mut Vec<u8>) -> Result<(), String> + Send + 'static {}
impl<F: FnMut(&[u8], &mut Vec<u8>) -> Result<(), String> + Send + 'static> Write for F {}

/// Strings, each as `write` gives it; checked to be UTF-8.
pub(super) fn strings(write: impl Write) -> Box<dyn Decoder> {
    Box::new(ValuesDecoder::new(write, to_strings))
}

/// Bytes, each as `write` gives it.
pub(super) fn binaries(write: impl Write) -> Box<dyn Decoder> {
    Box::new(ValuesDecoder::new(write, |values: &mut Values| {
        let (offsets, bytes) = values.take();
        let array = BinaryArray::try_new(offsets, bytes, values.nulls.finish());
        array.map(|array| Arc::new(array) as ArrayRef).map_err(|cause| BadValue { row: 0, why: cause.to_string() })
    }))
}

/// Appends the value as it is.
#[allow(clippy::unnecessary_wraps)] // the shape of [`Write`]
pub(super) fn as_it_is(value: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    out.extend_from_slice(value);
    Ok(())
}

struct Values {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Values {
    /// The offsets and bytes, leaving room for as many again.
    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let mut fresh = Vec::with_capacity(self.ends.len());
        fresh.push(0);
        let ends = std::mem::replace(&mut self.ends, fresh);
        let fresh = Vec::with_capacity(self.bytes.len());
        let bytes = std::mem::replace(&mut self.bytes, fresh);
        (OffsetBuffer::new(ScalarBuffer::from(ends)), Buffer::from_vec(bytes))
    }
}

struct ValuesDecoder<W, F> {
    values: Values,
    write: W,
    finish: F,
}

impl<W, F> ValuesDecoder<W, F> {
    fn new(write: W, finish: F) -> Self {
        let values = Values { bytes: Vec::new(), ends: vec![0], nulls: NullBufferBuilder::new(0) };
        Self { values, write, finish }
    }
}

impl<W: Write, F> Decoder for ValuesDecoder<W, F>
where
    F: FnMut(&mut Values) -> Result<ArrayRef, BadValue> + Send,
{
    fn append(&mut self, fields: &Fields<'_>) -> Result<(), BadValue> {
        let (write, values) = (&mut self.write, &mut self.values);
        values.ends.reserve(fields.len());
        fields.try_each(|value| {
            if let Some(value) = value {
                write(value, &mut values.bytes)?;
            }
            let end = i32::try_from(values.bytes.len()).map_err(|_| "is too long for one batch".to_owned())?;
            values.ends.push(end);
            values.nulls.append(value.is_some());
            Ok(())
        })
    }

    fn truncate(&mut self, rows: usize) {
        self.values.ends.truncate(rows + 1);
        self.values.nulls.truncate(rows);
        let end = self.values.ends.last().and_then(|end| usize::try_from(*end).ok());
        self.values.bytes.truncate(end.unwrap_or(MOST_BYTES));
    }

    fn size_bytes(&self) -> usize {
        self.values.bytes.len() + self.values.ends.len() * size_of::<i32>()
    }

    fn finish(&mut self) -> Result<ArrayRef, BadValue> {
        (self.finish)(&mut self.values)
    }
}

/// Checked all at once: a column of many short values is checked at memory speed.
fn to_strings(values: &mut Values) -> Result<ArrayRef, BadValue> {
    let (offsets, bytes) = values.take();
    match StringArray::try_new(offsets.clone(), bytes.clone(), values.nulls.finish()) {
        Ok(array) => Ok(Arc::new(array)),
        Err(_) => Err(BadValue { row: first_bad_value(&offsets, &bytes), why: "is not valid UTF-8".to_owned() }),
    }
}

fn first_bad_value(offsets: &[i32], bytes: &[u8]) -> usize {
    let mut values = offsets.windows(2).map(|ends| bytes.get(ends[0] as usize..ends[1] as usize).unwrap_or_default());
    values.position(|value| std::str::from_utf8(value).is_err()).unwrap_or_default()
}
