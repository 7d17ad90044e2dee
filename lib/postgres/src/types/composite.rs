//! Values made of parts, as Arrow structs: composites, and types that are a row of numbers (interval, timetz, point …).
//!
//! The binary form of a composite (`record_send` in PostgreSQL's rowtypes.c): the number of columns, then for each its
//! type's oid, its length or -1, and its bytes. The others are their parts one after the other, each of a known length.
//! Ranges are in [`super::range`].

use super::number::WRONG_LENGTH;
use super::{ColumnType, Decoder, range};
use crate::encode::{self, BoxedEncoder};
use crate::fields::{BadValue, Fields, Place};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_buffer::NullBufferBuilder;
use arrow_schema::{Field, FieldRef, Fields as ArrowFields};
use std::sync::Arc;

/// One part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// The oid of its type, where the binary form names it.
    pub oid: u32,
    /// How it is read.
    pub column_type: ColumnType,
}

/// How a value is divided into its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Each with its type and length.
    Composite,
    /// One after the other, of these lengths.
    Fixed(&'static [u8]),
    /// Flags, and the bounds that the flags tell of.
    Range,
}

/// The fields of a struct of these parts.
pub(super) fn arrow_fields(parts: &[Part]) -> ArrowFields {
    parts
        .iter()
        .map(|part| Field::new(&part.name, part.column_type.arrow(), true))
        .map(Arc::new)
        .collect::<Vec<FieldRef>>()
        .into()
}

pub(super) struct StructDecoder {
    layout: Layout,
    fields: ArrowFields,
    parts: Vec<(Box<dyn Decoder>, Vec<Place>)>,
    nulls: NullBufferBuilder,
}

pub(super) const NULL: Place = Place { offset: 0, length: -1 };

impl StructDecoder {
    pub(super) fn new(parts: &[Part], layout: Layout) -> Self {
        let decoders = parts.iter().map(|part| (part.column_type.decoder(), Vec::new())).collect();
        Self { layout, fields: arrow_fields(parts), parts: decoders, nulls: NullBufferBuilder::new(0) }
    }

    /// Notes where the parts of one value lie, which begins this far into the block.
    fn locate(&mut self, offset: usize, value: &[u8]) -> Result<(), String> {
        if self.layout == Layout::Range {
            let places = range::locate(offset, value)?;
            self.parts.iter_mut().zip(places).for_each(|((_, column), place)| column.push(place));
            return Ok(());
        }
        let mut at = 0;
        if self.layout == Layout::Composite {
            if usize::try_from(word(value, 0)?) != Ok(self.parts.len()) {
                return Err("has another number of parts than its type".to_owned());
            }
            at = 4;
        }
        for (index, (_, places)) in self.parts.iter_mut().enumerate() {
            let length = match self.layout {
                Layout::Fixed(lengths) => i32::from(lengths.get(index).copied().unwrap_or_default()),
                _ => {
                    at += 8;
                    word(value, at - 4)?
                }
            };
            let (place, end) = place(offset, value, at, length)?;
            places.push(place);
            at = end;
        }
        if at == value.len() { Ok(()) } else { Err(WRONG_LENGTH.to_owned()) }
    }
}

/// The number that stands here in a value.
pub(super) fn word(value: &[u8], at: usize) -> Result<i32, String> {
    let word = value.get(at..).and_then(|rest| rest.first_chunk()).ok_or(WRONG_LENGTH)?;
    Ok(i32::from_be_bytes(*word))
}

/// The place of a part in the block, and where it ends in the value.
pub(super) fn place(offset: usize, value: &[u8], at: usize, length: i32) -> Result<(Place, usize), String> {
    let begins = u32::try_from(offset + at).map_err(|_| WRONG_LENGTH)?;
    let end = match usize::try_from(length) {
        Ok(length) => at + length,
        Err(_) if length == -1 => at,
        Err(_) => return Err(WRONG_LENGTH.to_owned()),
    };
    if end <= value.len() { Ok((Place { offset: begins, length }, end)) } else { Err(WRONG_LENGTH.to_owned()) }
}

impl Decoder for StructDecoder {
    fn append(&mut self, fields: &Fields<'_>) -> Result<(), BadValue> {
        self.parts.iter_mut().for_each(|(_, places)| places.clear());
        let located = fields.try_each(|value| {
            match value {
                Some(value) => self.locate(fields.offset_of(value), value)?,
                None => self.parts.iter_mut().for_each(|(_, places)| places.push(NULL)),
            }
            self.nulls.append(value.is_some());
            Ok(())
        });
        // Also after a refusal: what stands before it is taken.
        let mut rows = located.as_ref().map_or_else(|bad| bad.row, |()| fields.len());
        let mut refused = located;
        for ((decoder, places), field) in self.parts.iter_mut().zip(&self.fields) {
            if let Err(bad) = decoder.append(&Fields::new(fields.block(), &places[..rows])) {
                rows = bad.row;
                refused = Err(BadValue { why: format!("has a part {:?} that {}", field.name(), bad.why), ..bad });
            }
        }
        refused
    }

    fn truncate(&mut self, rows: usize) {
        self.nulls.truncate(rows);
        self.parts.iter_mut().for_each(|(decoder, _)| decoder.truncate(rows));
    }

    fn size_bytes(&self) -> usize {
        self.parts.iter().map(|(decoder, _)| decoder.size_bytes()).sum()
    }

    fn finish(&mut self) -> Result<ArrayRef, BadValue> {
        let arrays: Result<Vec<ArrayRef>, BadValue> =
            self.parts.iter_mut().map(|(decoder, _)| decoder.finish()).collect();
        let array = StructArray::try_new(self.fields.clone(), arrays?, self.nulls.finish());
        array.map(|array| Arc::new(array) as ArrayRef).map_err(|cause| BadValue { row: 0, why: cause.to_string() })
    }
}

/// An encoder of structs whose fields have the names of these parts, in their order.
pub(super) fn encoder<'batch>(
    array: &'batch dyn Array,
    parts: &[Part],
    layout: Layout,
) -> Option<BoxedEncoder<'batch>> {
    let structs = array.as_struct_opt()?;
    if !structs.column_names().into_iter().eq(parts.iter().map(|part| part.name.as_str())) {
        return None;
    }
    if layout == Layout::Range {
        return range::encoder(structs, parts);
    }
    let pairs = parts.iter().zip(structs.columns());
    let encoders: Option<Vec<(u32, BoxedEncoder<'batch>)>> =
        pairs.map(|(part, array)| Some((part.oid, part.column_type.encoder(array)?))).collect();
    let encoders = encoders?;
    let count = i32::try_from(encoders.len()).ok()?;
    Some(match layout {
        Layout::Composite | Layout::Range => encode::values(array, move |row, out| {
            encode::measured(out, |out| {
                out.extend_from_slice(&count.to_be_bytes());
                encoders.iter().try_for_each(|(oid, encoder)| {
                    out.extend_from_slice(&oid.to_be_bytes());
                    encoder.write(row, out)
                })
            })
        }),
        Layout::Fixed(lengths) => encode::values(array, move |row, out| {
            encode::measured(out, |out| {
                encoders.iter().zip(lengths).try_for_each(|((_, encoder), length)| {
                    let start = out.len();
                    encoder.write(row, out)?;
                    // The length before the part is known to the server.
                    out.drain(start..start + 4);
                    let missing = out.len() - start != usize::from(*length);
                    if missing { Err("has a part that is NULL".to_owned()) } else { Ok(()) }
                })
            })
        }),
    })
}
