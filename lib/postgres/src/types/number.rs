//! Booleans, integers and floats: fixed lengths in network byte order.

use super::Decoder;
use crate::encode::{self, BoxedEncoder, Encoder};
use crate::fields::{BadValue, Fields};
use arrow_array::builder::BooleanBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray};
use arrow_buffer::{NullBuffer, NullBufferBuilder, ScalarBuffer};
use arrow_schema::DataType;
use std::sync::Arc;

/// Why a value of the wrong length is refused.
pub(super) const WRONG_LENGTH: &str = "has the wrong length for its type";

/// Values of a fixed length, each made by `read`.
pub(super) struct PrimitiveDecoder<T: ArrowPrimitiveType, F> {
    data_type: DataType,
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
    read: F,
}

impl<T, F> PrimitiveDecoder<T, F>
where
    T: ArrowPrimitiveType,
    F: Fn(&[u8]) -> Result<T::Native, String> + Send + 'static,
{
    /// A decoder whose arrays are of this type, which may carry a time zone or a precision.
    pub(super) fn boxed(data_type: DataType, read: F) -> Box<dyn Decoder> {
        Box::new(Self { data_type, values: Vec::new(), nulls: NullBufferBuilder::new(0), read })
    }
}

impl<T, F> Decoder for PrimitiveDecoder<T, F>
where
    T: ArrowPrimitiveType,
    F: Fn(&[u8]) -> Result<T::Native, String> + Send,
{
    fn append(&mut self, fields: &Fields<'_>) -> Result<(), BadValue> {
        self.values.reserve(fields.len());
        fields.try_each(|value| {
            match value {
                Some(bytes) => {
                    self.values.push((self.read)(bytes)?);
                    self.nulls.append_non_null();
                }
                None => {
                    self.values.push(T::Native::default());
                    self.nulls.append_null();
                }
            }
            Ok(())
        })
    }

    fn finish(&mut self) -> Result<ArrayRef, BadValue> {
        let fresh = Vec::with_capacity(self.values.len());
        let values = std::mem::replace(&mut self.values, fresh);
        let array = PrimitiveArray::<T>::new(ScalarBuffer::from(values), self.nulls.finish());
        Ok(Arc::new(array.with_data_type(self.data_type.clone())))
    }
}

/// The bytes of a value whose length is fixed.
pub(super) fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], String> {
    bytes.try_into().map_err(|_| WRONG_LENGTH.to_owned())
}

pub(super) fn int2() -> Box<dyn Decoder> {
    PrimitiveDecoder::<Int16Type, _>::boxed(DataType::Int16, |bytes| exactly(bytes).map(i16::from_be_bytes))
}

pub(super) fn int4() -> Box<dyn Decoder> {
    PrimitiveDecoder::<Int32Type, _>::boxed(DataType::Int32, |bytes| exactly(bytes).map(i32::from_be_bytes))
}

pub(super) fn int8() -> Box<dyn Decoder> {
    PrimitiveDecoder::<Int64Type, _>::boxed(DataType::Int64, |bytes| exactly(bytes).map(i64::from_be_bytes))
}

pub(super) fn float4() -> Box<dyn Decoder> {
    PrimitiveDecoder::<Float32Type, _>::boxed(DataType::Float32, |bytes| exactly(bytes).map(f32::from_be_bytes))
}

pub(super) fn float8() -> Box<dyn Decoder> {
    PrimitiveDecoder::<Float64Type, _>::boxed(DataType::Float64, |bytes| exactly(bytes).map(f64::from_be_bytes))
}

/// One byte, 0 or 1.
#[derive(Default)]
pub(super) struct BooleanDecoder(BooleanBuilder);

impl Decoder for BooleanDecoder {
    fn append(&mut self, fields: &Fields<'_>) -> Result<(), BadValue> {
        fields.try_each(|value| {
            match value {
                None => self.0.append_null(),
                Some([0]) => self.0.append_value(false),
                Some([1]) => self.0.append_value(true),
                Some(_) => return Err("is neither true nor false".to_owned()),
            }
            Ok(())
        })
    }

    fn finish(&mut self) -> Result<ArrayRef, BadValue> {
        Ok(Arc::new(self.0.finish()))
    }
}

/// Values that become `N` bytes each.
struct FixedEncoder<'batch, T: ArrowPrimitiveType, F, const N: usize> {
    values: &'batch [T::Native],
    nulls: Option<&'batch NullBuffer>,
    bytes: F,
}

impl<T, F, const N: usize> Encoder for FixedEncoder<'_, T, F, N>
where
    T: ArrowPrimitiveType,
    F: Fn(T::Native) -> Result<[u8; N], String>,
{
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            encode::null(out);
            return Ok(());
        }
        encode::field(&(self.bytes)(self.values[row])?, out)
    }
}

/// An encoder of an array of exactly this type, or none for another array.
pub(super) fn fixed<'batch, T: ArrowPrimitiveType, const N: usize>(
    array: &'batch dyn Array,
    bytes: impl Fn(T::Native) -> Result<[u8; N], String> + 'batch,
) -> Option<BoxedEncoder<'batch>> {
    let array: &PrimitiveArray<T> = array.as_primitive_opt()?;
    let encoder: FixedEncoder<'batch, T, _, N> = FixedEncoder { values: array.values(), nulls: array.nulls(), bytes };
    Some(Box::new(encoder))
}

/// Integers of any width, as long as the value fits.
pub(super) fn integer_encoder<'batch, Whole, const N: usize>(
    array: &'batch dyn Array,
    bytes: impl Fn(Whole) -> [u8; N] + Copy + 'batch,
) -> Option<BoxedEncoder<'batch>>
where
    Whole: TryFrom<i8>
        + TryFrom<i16>
        + TryFrom<i32>
        + TryFrom<i64>
        + TryFrom<u8>
        + TryFrom<u16>
        + TryFrom<u32>
        + TryFrom<u64>,
{
    macro_rules! first_of {
        ($($from:ty),*) => {
            None$(.or_else(|| fixed::<$from, N>(array, move |value| match Whole::try_from(value) {
                Ok(whole) => Ok(bytes(whole)),
                Err(_) => Err(format!("{value} is out of the column's range")),
            })))*
        };
    }
    first_of!(Int16Type, Int32Type, Int64Type, Int8Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type)
}

pub(super) fn float4_encoder(array: &dyn Array) -> Option<BoxedEncoder<'_>> {
    fixed::<Float32Type, 4>(array, |value| Ok(value.to_be_bytes()))
}

pub(super) fn float8_encoder(array: &dyn Array) -> Option<BoxedEncoder<'_>> {
    fixed::<Float64Type, 8>(array, |value| Ok(value.to_be_bytes()))
        .or_else(|| fixed::<Float32Type, 8>(array, |value| Ok(f64::from(value).to_be_bytes())))
}

impl Encoder for &BooleanArray {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
        if self.is_null(row) {
            encode::null(out);
            return Ok(());
        }
        encode::field(&[u8::from(self.value(row))], out)
    }
}

pub(super) fn boolean_encoder(array: &dyn Array) -> Option<BoxedEncoder<'_>> {
    Some(Box::new(array.as_boolean_opt()?))
}
