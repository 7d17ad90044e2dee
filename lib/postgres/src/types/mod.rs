//! PostgreSQL's types as Arrow's: one file a family, each with the way out (`decode`) and the way back (`encode`).
//!
//! A column's type is chosen before its first value is read ([`crate::resolve`]), so that every value of a column is stored
//! in one way. Where Parquet has a type that holds each value exactly, it is that: numbers, decimals, times, UUID, JSON, lists
//! for arrays and multiranges, structs for composites, ranges, intervals and points. Else it is the exact text, made and read
//! here where that is simple (addresses, bits), and else by the server itself ([`ColumnType::Printed`]), which reads it back.

mod address;
mod adopt;
mod array;
mod binary;
mod composite;
mod number;
mod numeric;
mod numeric_encode;
mod parts;
mod range;
mod scalar;
mod small;
mod temporal;
mod text;
#[cfg(test)]
mod there_and_back;
mod values;

pub use composite::Part;
pub use parts::Numbers;
pub use scalar::Scalar;

use crate::encode::BoxedEncoder;
use crate::fields::{BadValue, Fields};
use array::{ArrayDecoder, Head};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use composite::{Layout, StructDecoder};

/// Collects the values of one column, block after block, and gives them out as one array.
pub trait Decoder: Send {
    /// Takes the next block's values. After an error it holds at least those before the refused one, and
    /// [`Decoder::truncate`] makes it usable again.
    ///
    /// # Errors
    /// The first value that cannot be stored exactly.
    fn append(&mut self, fields: &Fields<'_>) -> Result<(), BadValue>;

    /// Forgets all values since the last [`Decoder::finish`] but the first `rows`, which must have been taken.
    fn truncate(&mut self, rows: usize);

    /// About how much memory the values take.
    fn size_bytes(&self) -> usize;

    /// The values since the last call; the decoder is empty again.
    ///
    /// # Errors
    /// The first value, counted over all of them, that turns out to be none of its type.
    fn finish(&mut self) -> Result<ArrayRef, BadValue>;
}

/// How a column's values are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnType {
    /// A single value.
    Scalar(Scalar),
    /// A one-dimensional array, with the oid of its element's type.
    Array(Box<ColumnType>, u32),
    /// A composite of these columns.
    Composite(Vec<Part>),
    /// A range of this type.
    Range(Box<ColumnType>),
    /// A multirange of this type.
    Multirange(Box<ColumnType>),
    /// A few numbers.
    Numbers(Numbers),
    /// The text that the server's own output function gives, and why it is that. The query must ask for it.
    Printed(String),
}

impl ColumnType {
    /// The Arrow type that holds it exactly.
    #[must_use]
    pub fn arrow(&self) -> DataType {
        match self {
            Self::Scalar(scalar) => scalar.arrow(),
            Self::Array(element, _) => DataType::List(array::item_field(element)),
            Self::Composite(parts) => DataType::Struct(composite::arrow_fields(parts)),
            Self::Range(bound) => DataType::Struct(composite::arrow_fields(&range::parts(bound))),
            Self::Multirange(bound) => DataType::List(array::item_field(&Self::Range(bound.clone()))),
            Self::Numbers(numbers) => DataType::Struct(composite::arrow_fields(&numbers.parts())),
            Self::Printed(_) => DataType::Utf8,
        }
    }

    /// A decoder for a column of this type.
    #[must_use]
    pub fn decoder(&self) -> Box<dyn Decoder> {
        match self {
            Self::Scalar(scalar) => scalar.decoder(),
            Self::Array(element, oid) => Box::new(ArrayDecoder::new(element, Head::Array(*oid))),
            Self::Composite(parts) => Box::new(StructDecoder::new(parts, Layout::Composite)),
            Self::Range(bound) => Box::new(StructDecoder::new(&range::parts(bound), Layout::Range)),
            Self::Multirange(bound) => Box::new(ArrayDecoder::new(&Self::Range(bound.clone()), Head::Multirange)),
            Self::Numbers(numbers) => Box::new(StructDecoder::new(&numbers.parts(), numbers.layout())),
            Self::Printed(_) => text::decoder(),
        }
    }

    /// An encoder of this array's values as values of this type, or none if the array cannot hold such values.
    #[must_use]
    pub fn encoder<'batch>(&self, array: &'batch dyn Array) -> Option<BoxedEncoder<'batch>> {
        match self {
            Self::Scalar(scalar) => scalar.encoder(array),
            Self::Array(element, oid) => array::encoder(array, element, Head::Array(*oid)),
            Self::Composite(parts) => composite::encoder(array, parts, Layout::Composite),
            Self::Range(bound) => composite::encoder(array, &range::parts(bound), Layout::Range),
            Self::Multirange(bound) => array::encoder(array, &Self::Range(bound.clone()), Head::Multirange),
            Self::Numbers(numbers) => composite::encoder(array, &numbers.parts(), numbers.layout()),
            Self::Printed(_) => text::encoder(array),
        }
    }
}
