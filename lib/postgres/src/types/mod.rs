//! PostgreSQL's types as Arrow's: one file a family, each with the way out (`decode`) and the way back (`encode`).

mod array;
mod binary;
mod number;
mod numeric;
mod numeric_encode;
mod temporal;
mod text;
#[cfg(test)]
mod there_and_back;

use crate::encode::BoxedEncoder;
use crate::fields::{BadValue, Fields};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use postgres::types::{Kind, Type};

/// Collects the values of one column, block after block, and gives them out as one array.
pub trait Decoder: Send {
    /// Takes the next block's values.
    ///
    /// # Errors
    /// The first value that cannot be stored exactly.
    fn append(&mut self, fields: &Fields<'_>) -> Result<(), BadValue>;

    /// The values since the last call; the decoder is empty again.
    ///
    /// # Errors
    /// The first value, counted over all of them, that turns out to be none of its type.
    fn finish(&mut self) -> Result<ArrayRef, BadValue>;
}

/// A type that is stored exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnType {
    /// A single value.
    Scalar(Scalar),
    /// A one-dimensional array of them, with the element's oid.
    Array(Scalar, u32),
}

/// The families of single values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// `boolean`
    Boolean,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric(precision, scale)` of at most 76 digits.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: i8,
    },
    /// `numeric` of any precision, as its exact text.
    NumericText,
    /// Text kinds and enums.
    Text,
    /// `json`
    Json,
    /// `jsonb`, whose binary form begins with a version byte.
    Jsonb,
    /// `bytea`
    Bytea,
    /// `uuid`
    Uuid,
    /// `date`
    Date,
    /// `time`
    Time,
    /// `timestamp`
    Timestamp,
    /// `timestamptz`
    TimestampTz,
}

impl ColumnType {
    /// The type of a column from its oid, kind and type modifier (-1 for none), or none if it is not supported yet.
    #[must_use]
    pub fn of(postgres: &Type, modifier: i32) -> Option<Self> {
        match postgres.kind() {
            Kind::Array(element) => Some(Self::Array(Scalar::of(element, modifier)?, element.oid())),
            _ => Some(Self::Scalar(Scalar::of(postgres, modifier)?)),
        }
    }

    /// The Arrow type that holds it exactly.
    #[must_use]
    pub fn arrow(&self) -> DataType {
        match self {
            Self::Scalar(scalar) => scalar.arrow(),
            Self::Array(scalar, _) => DataType::List(array::item_field(*scalar)),
        }
    }

    /// A decoder for a column of this type.
    #[must_use]
    pub fn decoder(&self) -> Box<dyn Decoder> {
        match self {
            Self::Scalar(scalar) => scalar.decoder(),
            Self::Array(scalar, _) => Box::new(array::ArrayDecoder::new(*scalar)),
        }
    }

    /// An encoder of this array's values as values of this type, or none if the array cannot hold such values.
    #[must_use]
    pub fn encoder<'batch>(&self, array: &'batch dyn Array) -> Option<BoxedEncoder<'batch>> {
        match self {
            Self::Scalar(scalar) => scalar.encoder(array),
            Self::Array(scalar, oid) => array::encoder(array, *scalar, *oid),
        }
    }

    /// The single value, or the element of the array.
    #[must_use]
    pub fn scalar(&self) -> Scalar {
        match self {
            Self::Scalar(scalar) | Self::Array(scalar, _) => *scalar,
        }
    }
}

impl Scalar {
    fn of(postgres: &Type, modifier: i32) -> Option<Self> {
        if matches!(postgres.kind(), Kind::Enum(_)) {
            return Some(Self::Text);
        }
        Some(match *postgres {
            Type::BOOL => Self::Boolean,
            Type::INT2 => Self::Int2,
            Type::INT4 => Self::Int4,
            Type::INT8 => Self::Int8,
            Type::FLOAT4 => Self::Float4,
            Type::FLOAT8 => Self::Float8,
            Type::NUMERIC => numeric::of_modifier(modifier),
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => Self::Text,
            Type::JSON => Self::Json,
            Type::JSONB => Self::Jsonb,
            Type::BYTEA => Self::Bytea,
            Type::UUID => Self::Uuid,
            Type::DATE => Self::Date,
            Type::TIME => Self::Time,
            Type::TIMESTAMP => Self::Timestamp,
            Type::TIMESTAMPTZ => Self::TimestampTz,
            _ => return None,
        })
    }

    /// The Arrow type that holds it exactly.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Decimal { precision, scale } => numeric::arrow(precision, scale),
            Self::NumericText | Self::Text | Self::Json | Self::Jsonb => DataType::Utf8,
            Self::Bytea => DataType::Binary,
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::Date | Self::Time | Self::Timestamp | Self::TimestampTz => temporal::arrow(self),
        }
    }

    fn decoder(self) -> Box<dyn Decoder> {
        match self {
            Self::Boolean => Box::<number::BooleanDecoder>::default(),
            Self::Int2 => number::int2(),
            Self::Int4 => number::int4(),
            Self::Int8 => number::int8(),
            Self::Float4 => number::float4(),
            Self::Float8 => number::float8(),
            Self::Decimal { precision, scale } => numeric::decimal(precision, scale),
            Self::NumericText => Box::<numeric::TextDecoder>::default(),
            Self::Text | Self::Json => Box::new(text::TextDecoder::new(None)),
            Self::Jsonb => Box::new(text::TextDecoder::new(Some(text::JSONB_VERSION))),
            Self::Bytea => Box::<binary::BytesDecoder>::default(),
            Self::Uuid => Box::<binary::UuidDecoder>::default(),
            Self::Date => temporal::date(),
            Self::Time => temporal::time(),
            Self::Timestamp => temporal::timestamp(None),
            Self::TimestampTz => temporal::timestamp(Some("UTC")),
        }
    }

    fn encoder(self, array: &dyn Array) -> Option<BoxedEncoder<'_>> {
        match self {
            Self::Boolean => number::boolean_encoder(array),
            Self::Int2 => number::integer_encoder(array, i16::to_be_bytes),
            Self::Int4 => number::integer_encoder(array, i32::to_be_bytes),
            Self::Int8 => number::integer_encoder(array, i64::to_be_bytes),
            Self::Float4 => number::float4_encoder(array),
            Self::Float8 => number::float8_encoder(array),
            Self::Decimal { scale, .. } => numeric_encode::encoder(array, Some(scale)),
            Self::NumericText => numeric_encode::encoder(array, None),
            Self::Text | Self::Json => text::encoder(array, None),
            Self::Jsonb => text::encoder(array, Some(text::JSONB_VERSION)),
            Self::Bytea => binary::bytes_encoder(array),
            Self::Uuid => binary::uuid_encoder(array),
            Self::Date => temporal::date_encoder(array),
            Self::Time => temporal::time_encoder(array),
            Self::Timestamp => temporal::timestamp_encoder(array, false),
            Self::TimestampTz => temporal::timestamp_encoder(array, true),
        }
    }
}
