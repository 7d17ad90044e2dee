//! One-dimensional arrays, as Arrow lists.
//!
//! The binary form (`array_send` in PostgreSQL's arrayfuncs.c): the number of dimensions, whether there are NULLs, the
//! element's oid, length and lower bound of each dimension, then each element as a length and its bytes.

use super::number::WRONG_LENGTH;
use super::{Decoder, Scalar};
use crate::encode::{self, BoxedEncoder, Encoder};
use crate::fields::{BadValue, Fields, Place};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{Field, FieldRef};
use std::sync::Arc;

/// The field of a list's elements.
pub(super) fn item_field(scalar: Scalar) -> FieldRef {
    Arc::new(Field::new("item", scalar.arrow(), true))
}

pub(super) struct ArrayDecoder {
    scalar: Scalar,
    elements: Box<dyn Decoder>,
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
    places: Vec<Place>,
}

impl ArrayDecoder {
    pub(super) fn new(scalar: Scalar) -> Self {
        let nulls = NullBufferBuilder::new(0);
        Self { scalar, elements: scalar.decoder(), ends: vec![0], nulls, places: Vec::new() }
    }

    /// Where the elements of one value lie in the block.
    fn locate(&mut self, block: &[u8], value: &[u8]) -> Result<(), String> {
        let offset = value.as_ptr() as usize - block.as_ptr() as usize;
        let mut reader = Reader { bytes: value, at: 0 };
        let (dimensions, _has_nulls, _element) = (reader.word()?, reader.word()?, reader.word()?);
        let count = match dimensions {
            0 => 0,
            1 => reader.word()?,
            _ => return Err(format!("is an array of {dimensions} dimensions, and only one is supported")),
        };
        if dimensions == 1 && reader.word()? != 1 {
            return Err("is an array that does not begin at 1".to_owned());
        }
        for _ in 0..count {
            let length = reader.word()?;
            let at = u32::try_from(offset + reader.at).map_err(|_| WRONG_LENGTH.to_owned())?;
            reader.skip(length)?;
            self.places.push(Place { offset: at, length });
        }
        if reader.at == value.len() { Ok(()) } else { Err(WRONG_LENGTH.to_owned()) }
    }
}

struct Reader<'value> {
    bytes: &'value [u8],
    at: usize,
}

impl Reader<'_> {
    fn word(&mut self) -> Result<i32, String> {
        let word = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()).ok_or(WRONG_LENGTH)?;
        self.at += 4;
        Ok(i32::from_be_bytes(*word))
    }

    fn skip(&mut self, length: i32) -> Result<(), String> {
        self.at += usize::try_from(length).unwrap_or_default();
        if self.at <= self.bytes.len() && length >= -1 { Ok(()) } else { Err(WRONG_LENGTH.to_owned()) }
    }
}

impl Decoder for ArrayDecoder {
    fn append(&mut self, fields: &Fields<'_>) -> Result<(), BadValue> {
        self.places.clear();
        let before = self.ends.last().copied().unwrap_or_default();
        let first = self.ends.len();
        fields.try_each(|value| {
            self.nulls.append(value.is_some());
            if let Some(value) = value {
                self.locate(fields.block(), value)?;
            }
            let end = i32::try_from(self.places.len()).ok().and_then(|count| before.checked_add(count));
            self.ends.push(end.ok_or("has too many elements for one batch")?);
            Ok(())
        })?;
        let places = std::mem::take(&mut self.places);
        let appended = self.elements.append(&Fields::new(fields.block(), &places));
        self.places = places;
        appended.map_err(|bad| {
            let element = before.saturating_add(i32::try_from(bad.row).unwrap_or(i32::MAX));
            let row = self.ends[first..].partition_point(|end| *end <= element);
            BadValue { row, why: format!("has an element that {}", bad.why) }
        })
    }

    fn finish(&mut self) -> Result<ArrayRef, BadValue> {
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        let elements = self.elements.finish().map_err(|bad| {
            let element = i32::try_from(bad.row).unwrap_or(i32::MAX);
            BadValue { row: ends[1..].partition_point(|end| *end <= element), why: bad.why }
        })?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        let array = ListArray::try_new(item_field(self.scalar), offsets, elements, self.nulls.finish());
        array.map(|array| Arc::new(array) as ArrayRef).map_err(|cause| BadValue { row: 0, why: cause.to_string() })
    }
}

/// Lists, whose elements are all written by one encoder.
struct ArrayEncoder<'batch> {
    lists: &'batch ListArray,
    elements: BoxedEncoder<'batch>,
    has_nulls: bool,
    element_oid: u32,
}

/// An encoder of lists of such elements; the server demands that the element's oid is its own.
pub(super) fn encoder(array: &dyn Array, scalar: Scalar, element_oid: u32) -> Option<BoxedEncoder<'_>> {
    let lists = array.as_list_opt::<i32>()?;
    let elements = scalar.encoder(lists.values())?;
    Some(Box::new(ArrayEncoder { lists, elements, has_nulls: lists.values().null_count() > 0, element_oid }))
}

impl Encoder for ArrayEncoder<'_> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
        if self.lists.is_null(row) {
            encode::null(out);
            return Ok(());
        }
        let offsets = self.lists.value_offsets();
        let (start, end) = (offsets[row], offsets[row + 1]);
        encode::measured(out, |out| {
            let dimensions = i32::from(end > start);
            out.extend_from_slice(&dimensions.to_be_bytes());
            // A hint to the reader only; the server looks at each element itself.
            out.extend_from_slice(&i32::from(self.has_nulls).to_be_bytes());
            out.extend_from_slice(&self.element_oid.to_be_bytes());
            if dimensions == 1 {
                out.extend_from_slice(&(end - start).to_be_bytes());
                out.extend_from_slice(&1_i32.to_be_bytes());
            }
            let mut elements = start as usize..end as usize;
            elements.try_for_each(|element| {
                self.elements.write(element, out).map_err(|why| format!("has an element that {why}"))
            })
        })
    }
}
