//! date, time, timestamp and timestamptz. PostgreSQL counts from 2000-01-01, Arrow from 1970-01-01.
//!
//! Infinity is the largest number, and -infinity its negative, as DuckDB has them: no date or time of PostgreSQL is either.

use super::number::{PrimitiveDecoder, exactly, fixed};
use super::{Decoder, Scalar};
use crate::encode::BoxedEncoder;
use arrow_array::Array;
use arrow_array::types::{
    Date32Type, Int32Type, Time32MillisecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use arrow_schema::{DataType, TimeUnit};

/// Days from 1970-01-01 to 2000-01-01.
pub(super) const EPOCH_DAYS: i32 = 10_957;
/// Microseconds from 1970-01-01 to 2000-01-01.
pub(super) const EPOCH_MICROSECONDS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

const TOO_LATE: &str = "is later than any time in Parquet";

pub(super) fn arrow(scalar: Scalar) -> DataType {
    match scalar {
        Scalar::Date => DataType::Date32,
        Scalar::Time => DataType::Time64(TimeUnit::Microsecond),
        Scalar::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        _ => DataType::Timestamp(TimeUnit::Microsecond, None),
    }
}

pub(super) fn date() -> Box<dyn Decoder> {
    PrimitiveDecoder::<Date32Type, _>::boxed(DataType::Date32, |bytes| match i32::from_be_bytes(exactly(bytes)?) {
        i32::MAX => Ok(i32::MAX),
        i32::MIN => Ok(-i32::MAX),
        days => days.checked_add(EPOCH_DAYS).filter(|days| *days != i32::MAX).ok_or_else(|| TOO_LATE.to_owned()),
    })
}

/// Microseconds since midnight, 24:00:00 included.
pub(super) fn time() -> Box<dyn Decoder> {
    let data_type = DataType::Time64(TimeUnit::Microsecond);
    PrimitiveDecoder::<Time64MicrosecondType, _>::boxed(data_type, |bytes| exactly(bytes).map(i64::from_be_bytes))
}

pub(super) fn timestamp(zone: Option<&str>) -> Box<dyn Decoder> {
    let data_type = DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    PrimitiveDecoder::<TimestampMicrosecondType, _>::boxed(data_type, |bytes| {
        let shifted = match i64::from_be_bytes(exactly(bytes)?) {
            i64::MAX => return Ok(i64::MAX),
            i64::MIN => return Ok(-i64::MAX),
            microseconds => microseconds.checked_add(EPOCH_MICROSECONDS),
        };
        shifted.filter(|microseconds| *microseconds != i64::MAX).ok_or_else(|| TOO_LATE.to_owned())
    })
}

/// Seconds ahead of UTC, where PostgreSQL counts those behind it.
pub(super) fn offset_seconds() -> Box<dyn Decoder> {
    PrimitiveDecoder::<Int32Type, _>::boxed(DataType::Int32, |bytes| negated(i32::from_be_bytes(exactly(bytes)?)))
}

pub(super) fn offset_seconds_encoder(array: &dyn Array) -> Option<BoxedEncoder<'_>> {
    fixed::<Int32Type, 4>(array, |seconds| Ok(negated(seconds)?.to_be_bytes()))
}

fn negated(seconds: i32) -> Result<i32, String> {
    seconds.checked_neg().ok_or_else(|| "has an impossible offset".to_owned())
}

const NEGATIVE_INFINITY_DAYS: i32 = -i32::MAX;
const NEGATIVE_INFINITY_MICROSECONDS: i64 = -i64::MAX;
const TOO_EARLY: &str = "is earlier than any time in PostgreSQL";
const TOO_FINE: &str = "is finer than a microsecond";

pub(super) fn date_encoder(array: &dyn Array) -> Option<BoxedEncoder<'_>> {
    fixed::<Date32Type, 4>(array, |days| {
        let days = match days {
            i32::MAX => i32::MAX,
            NEGATIVE_INFINITY_DAYS => i32::MIN,
            days => days.checked_sub(EPOCH_DAYS).filter(|days| *days != i32::MIN).ok_or(TOO_EARLY)?,
        };
        Ok(days.to_be_bytes())
    })
}

pub(super) fn time_encoder(array: &dyn Array) -> Option<BoxedEncoder<'_>> {
    let as_it_is = |microseconds: i64| Ok(microseconds.to_be_bytes());
    fixed::<Time64MicrosecondType, 8>(array, as_it_is)
        .or_else(|| fixed::<Time32MillisecondType, 8>(array, move |value| as_it_is(i64::from(value) * 1000)))
        .or_else(|| fixed::<Time64NanosecondType, 8>(array, move |value| as_it_is(from_nanoseconds(value)?)))
}

/// A time zone in the array must be matched by one in the column: without it nobody can say which moment is meant.
pub(super) fn timestamp_encoder(array: &dyn Array, zoned: bool) -> Option<BoxedEncoder<'_>> {
    match array.data_type() {
        DataType::Timestamp(_, zone) if zone.is_some() == zoned => {}
        _ => return None,
    }
    let milliseconds = |value: i64| shifted(value.checked_mul(1000).ok_or(TOO_LATE)?);
    fixed::<TimestampMicrosecondType, 8>(array, shifted)
        .or_else(|| fixed::<TimestampMillisecondType, 8>(array, milliseconds))
        .or_else(|| fixed::<TimestampNanosecondType, 8>(array, |value| shifted(from_nanoseconds(value)?)))
}

/// Microseconds from PostgreSQL's epoch, in its bytes.
fn shifted(microseconds: i64) -> Result<[u8; 8], String> {
    let microseconds = match microseconds {
        i64::MAX => i64::MAX,
        NEGATIVE_INFINITY_MICROSECONDS => i64::MIN,
        value => value.checked_sub(EPOCH_MICROSECONDS).filter(|value| *value != i64::MIN).ok_or(TOO_EARLY)?,
    };
    Ok(microseconds.to_be_bytes())
}

fn from_nanoseconds(nanoseconds: i64) -> Result<i64, String> {
    if nanoseconds % 1000 == 0 { Ok(nanoseconds / 1000) } else { Err(TOO_FINE.to_owned()) }
}
