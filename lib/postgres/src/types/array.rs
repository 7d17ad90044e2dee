//! One-dimensional arrays and multiranges, as Arrow lists.
//!
//! The binary form of an array (`array_send` in PostgreSQL's arrayfuncs.c): the number of dimensions, whether there are
//! NULLs, the element's oid, length and lower bound of each dimension, then each element as a length and its bytes. That of
//! a multirange (`multirange_send` in multirangetypes.c): the number of ranges, then each as a length and its bytes.

use super::number::WRONG_LENGTH;
use super::{ColumnType, Decoder};
use crate::encode::{self, BoxedEncoder};
use crate::fields::{BadValue, Fields, Place};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray};
use arrow_buffer::{NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{Field, FieldRef};
use std::sync::Arc;

/// What stands before the elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// Dimensions, and the oid of the element's type, which the server demands to be its own.
    Array(u32),
    /// Their number only.
    Multirange,
}

/// The field of a list's elements.
pub(super) fn item_field(element: &ColumnType) -> FieldRef {
    Arc::new(Field::new("item", element.arrow(), true))
}

pub(super) struct ArrayDecoder {
    head: Head,
    item: FieldRef,
    elements: Box<dyn Decoder>,
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
    places: Vec<Place>,
}

impl ArrayDecoder {
    pub(super) fn new(element: &ColumnType, head: Head) -> Self {
        let (item, elements) = (item_field(element), element.decoder());
        Self { head, item, elements, ends: vec![0], nulls: NullBufferBuilder::new(0), places: Vec::new() }
    }

    /// Notes where the elements of one value lie, which begins this far into the block.
    fn locate(&mut self, offset: usize, value: &[u8]) -> Result<(), String> {
        let mut reader = Reader { bytes: value, at: 0 };
        let count = match self.head {
            Head::Multirange => reader.word()?,
            Head::Array(_) => reader.count_of_array()?,
        };
        for _ in 0..count {
            let length = reader.word()?;
            let at = u32::try_from(offset + reader.at).map_err(|_| WRONG_LENGTH.to_owned())?;
            reader.skip(length)?;
            self.places.push(Place { offset: at, length });
        }
        if reader.at == value.len() && count >= 0 { Ok(()) } else { Err(WRONG_LENGTH.to_owned()) }
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

    /// Reads the head of an array. Its word about NULLs is a hint only, and the element's type is known.
    fn count_of_array(&mut self) -> Result<i32, String> {
        let (dimensions, _has_nulls, _element) = (self.word()?, self.word()?, self.word()?);
        match dimensions {
            0 => return Ok(0),
            1 => {}
            _ => return Err(format!("is an array of {dimensions} dimensions, and a list has one")),
        }
        let count = self.word()?;
        if self.word()? == 1 { Ok(count) } else { Err("is an array that does not begin at 1".to_owned()) }
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
        let located = fields.try_each(|value| {
            if let Some(value) = value {
                self.locate(fields.offset_of(value), value)?;
            }
            let end = i32::try_from(self.places.len()).ok().and_then(|count| before.checked_add(count));
            self.ends.push(end.ok_or("has too many elements for one batch")?);
            self.nulls.append(value.is_some());
            Ok(())
        });
        // Also after a refusal: what stands before it is taken.
        let taken = self.ends.last().copied().unwrap_or_default() - before;
        self.places.truncate(usize::try_from(taken).unwrap_or_default());
        let places = std::mem::take(&mut self.places);
        let appended = self.elements.append(&Fields::new(fields.block(), &places));
        self.places = places;
        appended.map_err(|bad| {
            let element = before.saturating_add(i32::try_from(bad.row).unwrap_or(i32::MAX));
            let row = self.ends[first..].partition_point(|end| *end <= element);
            BadValue { row, why: format!("has an element that {}", bad.why) }
        })?;
        located
    }

    fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows + 1);
        self.nulls.truncate(rows);
        let elements = self.ends.last().and_then(|end| usize::try_from(*end).ok());
        self.elements.truncate(elements.unwrap_or_default());
    }

    fn size_bytes(&self) -> usize {
        self.ends.len() * size_of::<i32>() + self.elements.size_bytes()
    }

    fn finish(&mut self) -> Result<ArrayRef, BadValue> {
        let fresh = Vec::with_capacity(self.ends.len());
        let ends = std::mem::replace(&mut self.ends, fresh);
        self.ends.push(0);
        let elements = self.elements.finish().map_err(|bad| {
            let element = i32::try_from(bad.row).unwrap_or(i32::MAX);
            BadValue { row: ends[1..].partition_point(|end| *end <= element), why: bad.why }
        })?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        let array = ListArray::try_new(self.item.clone(), offsets, elements, self.nulls.finish());
        array.map(|array| Arc::new(array) as ArrayRef).map_err(|cause| BadValue { row: 0, why: cause.to_string() })
    }
}

/// An encoder of lists of such elements.
pub(super) fn encoder<'batch>(
    array: &'batch dyn Array,
    element: &ColumnType,
    head: Head,
) -> Option<BoxedEncoder<'batch>> {
    let lists = array.as_list_opt::<i32>()?;
    let elements = element.encoder(lists.values())?;
    let nulls = lists.values().nulls().filter(|nulls| nulls.null_count() > 0);
    Some(encode::values(array, move |row, out| {
        let offsets = lists.value_offsets();
        let (start, end) = (offsets[row], offsets[row + 1]);
        // The server looks at each element itself; but these are then the bytes that it would send, by which keys are compared.
        let is_null = |nulls: &NullBuffer| (start as usize..end as usize).any(|element| nulls.is_null(element));
        let has_nulls = i32::from(nulls.is_some_and(is_null));
        encode::measured(out, |out| {
            match head {
                Head::Multirange => out.extend((end - start).to_be_bytes()),
                Head::Array(oid) => {
                    let dimensions = i32::from(end > start);
                    out.extend([dimensions.to_be_bytes(), has_nulls.to_be_bytes(), oid.to_be_bytes()].as_flattened());
                    if dimensions == 1 {
                        out.extend([(end - start).to_be_bytes(), 1_i32.to_be_bytes()].as_flattened());
                    }
                }
            }
            (start as usize..end as usize)
                .try_for_each(|row| elements.write(row, out).map_err(|why| format!("has an element that {why}")))
        })
    }))
}
