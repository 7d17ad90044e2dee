//! Booleans, integers and floats: fixed lengths in network byte order.

use super::Decoder;
use crate::encode::{self, BoxedEncoder};
use crate::fields::{BadValue, Fields};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray};
use arrow_buffer::{BooleanBufferBuilder, NullBufferBuilder, ScalarBuffer};
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

    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.nulls.truncate(rows);
    }

    fn size_bytes(&self) -> usize {
        self.values.len() * size_of::<T::Native>()
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

pub(super) fn uint4() -> Box<dyn Decoder> {
    PrimitiveDecoder::<UInt32Type, _>::boxed(DataType::UInt32, |bytes| exactly(bytes).map(u32::from_be_bytes))
}

pub(super) fn uint8() -> Box<dyn Decoder> {
    PrimitiveDecoder::<UInt64Type, _>::boxed(DataType::UInt64, |bytes| exactly(bytes).map(u64::from_be_bytes))
}

pub(super) fn float4() -> Box<dyn Decoder> {
    PrimitiveDecoder::<Float32Type, _>::boxed(DataType::Float32, |bytes| exactly(bytes).map(f32::from_be_bytes))
}

pub(super) fn float8() -> Box<dyn Decoder> {
    PrimitiveDecoder::<Float64Type, _>::boxed(DataType::Float64, |bytes| exactly(bytes).map(f64::from_be_bytes))
}

/// One byte, 0 or 1.
pub(super) struct BooleanDecoder {
    values: BooleanBufferBuilder,
    nulls: NullBufferBuilder,
}

impl Default for BooleanDecoder {
    fn default() -> Self {
        Self { values: BooleanBufferBuilder::new(0), nulls: NullBufferBuilder::new(0) }
    }
}

impl Decoder for BooleanDecoder {
    fn append(&mut self, fields: &Fields<'_>) -> Result<(), BadValue> {
        fields.try_each(|value| {
            let truth = match value {
                None | Some([0]) => false,
                Some([1]) => true,
                Some(_) => return Err("is neither true nor false".to_owned()),
            };
            self.values.append(truth);
            self.nulls.append(value.is_some());
            Ok(())
        })
    }

    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.nulls.truncate(rows);
    }

    fn size_bytes(&self) -> usize {
        self.values.len() / 8
    }

    fn finish(&mut self) -> Result<ArrayRef, BadValue> {
        Ok(Arc::new(BooleanArray::new(self.values.finish(), self.nulls.finish())))
    }
}

/// An encoder of an array of exactly this type, or none for another array.
pub(super) fn fixed<'batch, T: ArrowPrimitiveType, const N: usize>(
    array: &'batch dyn Array,
    bytes: impl Fn(T::Native) -> Result<[u8; N], String> + 'batch,
) -> Option<BoxedEncoder<'batch>> {
    let values = array.as_primitive_opt::<T>()?.values();
    Some(encode::values(array, move |row, out| encode::field(&bytes(values[row])?, out)))
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

pub(super) fn boolean_encoder(array: &dyn Array) -> Option<BoxedEncoder<'_>> {
    let truths = array.as_boolean_opt()?;
    Some(encode::values(array, move |row, out| encode::field(&[u8::from(truths.value(row))], out)))
}
