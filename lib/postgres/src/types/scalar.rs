//! The families of single values.

use super::{Decoder, address, binary, number, numeric, numeric_encode, range, small, temporal, text};
use crate::encode::BoxedEncoder;
use arrow_array::Array;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_schema::DataType;

/// A family of single values.
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
    /// `oid`, `xid` and `cid`
    UInt4,
    /// `xid8`
    UInt8,
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
    /// `money`, in the currency's smallest unit on the wire.
    Money {
        /// Digits after the point, which the server's locale decides.
        scale: i8,
    },
    /// Text kinds and enums.
    Text,
    /// `json`
    Json,
    /// `jsonb`, whose binary form begins with a version byte.
    Jsonb,
    /// `jsonpath` and `ltree`, whose binary form begins with a version byte too.
    VersionedText,
    /// `"char"`
    Char,
    /// `bytea`
    Bytea,
    /// `geometry` and `geography` of PostGIS, as EWKB.
    Geometry,
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
    /// The zone of a `timetz`, in seconds ahead of UTC.
    OffsetSeconds,
    /// `inet`
    Inet,
    /// `cidr`
    Cidr,
    /// `macaddr`
    MacAddress,
    /// `macaddr8`
    MacAddress8,
    /// `bit` and `varbit`
    Bits,
    /// `pg_lsn`
    Lsn,
    /// How the bounds of a range are meant.
    RangeBounds,
}

impl Scalar {
    /// The family of a numeric column by its type modifier (-1 for none).
    #[must_use]
    pub fn of_numeric(modifier: i32) -> Self {
        numeric::of_modifier(modifier)
    }

    /// The Arrow type that holds it exactly.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 | Self::OffsetSeconds => DataType::Int32,
            Self::Int8 => DataType::Int64,
            Self::UInt4 => DataType::UInt32,
            Self::UInt8 => DataType::UInt64,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Decimal { precision, scale } => numeric::arrow(precision, scale),
            Self::Money { scale } => numeric::arrow(numeric::MONEY_DIGITS, scale),
            Self::Bytea | Self::Geometry => DataType::Binary,
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::Date | Self::Time | Self::Timestamp | Self::TimestampTz => temporal::arrow(self),
            _ => DataType::Utf8,
        }
    }

    pub(super) fn decoder(self) -> Box<dyn Decoder> {
        match self {
            Self::Boolean => Box::<number::BooleanDecoder>::default(),
            Self::Int2 => number::int2(),
            Self::Int4 => number::int4(),
            Self::Int8 => number::int8(),
            Self::UInt4 => number::uint4(),
            Self::UInt8 => number::uint8(),
            Self::Float4 => number::float4(),
            Self::Float8 => number::float8(),
            Self::Decimal { precision, scale } => numeric::decimal(precision, scale),
            Self::NumericText => numeric::text(),
            Self::Money { scale } => numeric::money(scale),
            Self::Text | Self::Json => text::decoder(),
            Self::Jsonb | Self::VersionedText => text::versioned_decoder(),
            Self::Char => small::char(),
            Self::Bytea | Self::Geometry => binary::bytes(),
            Self::Uuid => Box::<binary::UuidDecoder>::default(),
            Self::Date => temporal::date(),
            Self::Time => temporal::time(),
            Self::Timestamp => temporal::timestamp(None),
            Self::TimestampTz => temporal::timestamp(Some("UTC")),
            Self::OffsetSeconds => temporal::offset_seconds(),
            Self::Inet => address::network(false),
            Self::Cidr => address::network(true),
            Self::MacAddress => address::hardware(6),
            Self::MacAddress8 => address::hardware(8),
            Self::Bits => small::bits(),
            Self::Lsn => small::lsn(),
            Self::RangeBounds => range::bounds(),
        }
    }

    pub(super) fn encoder(self, array: &dyn Array) -> Option<BoxedEncoder<'_>> {
        match self {
            Self::Boolean => number::boolean_encoder(array),
            Self::Int2 => number::integer_encoder(array, i16::to_be_bytes),
            Self::Int4 => number::integer_encoder(array, i32::to_be_bytes),
            Self::Int8 => number::integer_encoder(array, i64::to_be_bytes),
            Self::UInt4 => number::fixed::<UInt32Type, 4>(array, |value| Ok(value.to_be_bytes())),
            Self::UInt8 => number::fixed::<UInt64Type, 8>(array, |value| Ok(value.to_be_bytes())),
            Self::Float4 => number::float4_encoder(array),
            Self::Float8 => number::float8_encoder(array),
            Self::Decimal { scale, .. } => numeric_encode::encoder(array, Some(scale)),
            Self::NumericText => numeric_encode::encoder(array, None),
            Self::Money { scale } => numeric_encode::money_encoder(array, scale),
            Self::Text | Self::Json => text::encoder(array),
            Self::Jsonb | Self::VersionedText => text::versioned_encoder(array),
            Self::Char => small::char_encoder(array),
            Self::Bytea | Self::Geometry => binary::bytes_encoder(array),
            Self::Uuid => binary::uuid_encoder(array),
            Self::Date => temporal::date_encoder(array),
            Self::Time => temporal::time_encoder(array),
            Self::Timestamp => temporal::timestamp_encoder(array, false),
            Self::TimestampTz => temporal::timestamp_encoder(array, true),
            Self::OffsetSeconds => temporal::offset_seconds_encoder(array),
            Self::Inet => address::network_encoder(array, false),
            Self::Cidr => address::network_encoder(array, true),
            Self::MacAddress => address::hardware_encoder(array, 6),
            Self::MacAddress8 => address::hardware_encoder(array, 8),
            Self::Bits => small::bits_encoder(array),
            Self::Lsn => small::lsn_encoder(array),
            Self::RangeBounds => None,
        }
    }
}
