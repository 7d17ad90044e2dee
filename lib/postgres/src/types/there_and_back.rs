//! Tests of every family at once: what an encoder writes, its decoder reads back, and in the server's own bytes.

use super::{ColumnType, Scalar};
use crate::fields::{Fields, Place};
use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::types::{Decimal128Type, TimestampNanosecondType};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, FixedSizeBinaryArray,
    Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, PrimitiveArray, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow_buffer::i256;
use std::sync::Arc;

/// The fields' bytes and where each lies.
fn encode(column_type: &ColumnType, array: &dyn Array) -> Result<(Vec<u8>, Vec<Place>), String> {
    let encoder = column_type.encoder(array).ok_or("does not fit")?;
    let (mut bytes, mut places) = (Vec::new(), Vec::new());
    for row in 0..array.len() {
        let start = bytes.len();
        encoder.write(row, &mut bytes)?;
        let length = i32::from_be_bytes(*bytes[start..].first_chunk().unwrap());
        assert_eq!(bytes.len() - start - 4, usize::try_from(length).unwrap_or(0));
        places.push(Place { offset: u32::try_from(start + 4).unwrap(), length });
    }
    Ok((bytes, places))
}

fn there_and_back(column_type: &ColumnType, array: &dyn Array) -> ArrayRef {
    let (bytes, places) = encode(column_type, array).unwrap();
    let mut decoder = column_type.decoder();
    decoder.append(&Fields::new(&bytes, &places)).unwrap();
    decoder.finish().unwrap()
}

fn same(scalar: Scalar, array: &dyn Array) {
    assert_eq!(&there_and_back(&ColumnType::Scalar(scalar), array), &array.slice(0, array.len()), "{scalar:?}");
}

#[test]
fn every_family_comes_back() {
    same(Scalar::Boolean, &BooleanArray::from(vec![Some(true), None, Some(false)]));
    same(Scalar::Int2, &Int16Array::from(vec![Some(i16::MIN), None, Some(i16::MAX)]));
    same(Scalar::Int4, &Int32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX)]));
    same(Scalar::Int8, &Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)]));
    same(
        Scalar::Float4,
        &Float32Array::from(vec![Some(f32::MIN), None, Some(f32::NEG_INFINITY), Some(f32::from_bits(1))]),
    );
    same(Scalar::Float8, &Float64Array::from(vec![Some(f64::MAX), None, Some(f64::INFINITY), Some(-0.0)]));
    let texts = StringArray::from(vec![Some(""), None, Some("{\"a\": [1, \"ü\"]}"), Some("\n\t\\")]);
    for scalar in [Scalar::Text, Scalar::Json, Scalar::Jsonb] {
        same(scalar, &texts);
    }
    same(Scalar::Bytea, &BinaryArray::from(vec![Some(&b""[..]), None, Some(&[0, 255])]));
    let uuids = vec![Some([7_u8; 16]), None, Some([255; 16])].into_iter();
    same(Scalar::Uuid, &FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuids, 16).unwrap());
    same(Scalar::Date, &Date32Array::from(vec![Some(-2_451_600), None, Some(0), Some(2_145_031_948)]));
    same(Scalar::Time, &Time64MicrosecondArray::from(vec![Some(0), None, Some(86_400_000_000)]));
    let times = TimestampMicrosecondArray::from(vec![Some(-210_866_803_200_000_000), None, Some(0), Some(1)]);
    same(Scalar::Timestamp, &times);
    same(Scalar::TimestampTz, &times.with_timezone("UTC"));
}

#[test]
fn nan_keeps_its_bits() {
    let bits = 0x7FF8_0000_0000_1234;
    let back = there_and_back(&ColumnType::Scalar(Scalar::Float8), &Float64Array::from(vec![f64::from_bits(bits)]));
    assert_eq!(back.as_any().downcast_ref::<Float64Array>().unwrap().value(0).to_bits(), bits);
}

#[test]
fn decimals_come_back() {
    for (precision, scale, values) in [
        (9, 5, vec![Some(-123_456), None, Some(0), Some(999_999_999), Some(10_000), Some(1)]),
        (18, 0, vec![Some(999_999_999_999_999_999), Some(-100_000_000), Some(10_000)]),
        (18, 18, vec![Some(999_999_999_999_999_999), Some(1), Some(-1)]),
        (38, 7, vec![Some(10_i128.pow(38) - 1), Some(1 - 10_i128.pow(38)), Some(1)]),
        (38, 38, vec![Some(10_i128.pow(38) - 1), Some(1), None]),
    ] {
        let array: PrimitiveArray<Decimal128Type> = Decimal128Array::from(values);
        same(Scalar::Decimal { precision, scale }, &array.with_precision_and_scale(precision, scale).unwrap());
    }
    let most = i256::from_string(&"9".repeat(76)).unwrap();
    let array = Decimal256Array::from(vec![Some(most), None, Some(-most), Some(i256::ONE), Some(i256::ZERO)]);
    for scale in [0, 5, 76] {
        let array = array.clone().with_precision_and_scale(76, scale).unwrap();
        same(Scalar::Decimal { precision: 76, scale }, &array);
    }
}

#[test]
fn numeric_texts_come_back() {
    let long = format!("-{}.{}", "9".repeat(131_072), "1".repeat(16_383));
    let texts = [
        "0",
        "0.000",
        "1",
        "-1",
        "10000",
        "0.0001",
        "0.00010000",
        "123456789.987654321",
        "-700000000",
        "10002.5",
        "100000000.00",
        "NaN",
        "Infinity",
        "-Infinity",
        &long,
    ];
    same(Scalar::NumericText, &StringArray::from(texts.to_vec()));
    for bad in ["", ".", "-", "1e5", "1.2.3", " 1", "nan", "+1", "١"] {
        let array = StringArray::from(vec![bad]);
        assert!(encode(&ColumnType::Scalar(Scalar::NumericText), &array).is_err(), "{bad:?}");
    }
    let too_long = StringArray::from(vec![format!("0.{}", "1".repeat(16_384))]);
    assert!(encode(&ColumnType::Scalar(Scalar::NumericText), &too_long).is_err());
}

/// As `numeric_send` gives them: select encode(numeric_send(…), 'hex').
#[test]
fn numerics_are_the_servers_own_bytes() {
    for (text, expected) in [
        ("0", "0000000000000000"),
        ("0.000", "0000000000000003"),
        ("-1.23456", "00030000400000050001092917 70".replace(' ', "").as_str()),
        ("10000", "00010001000000000001"),
        ("0.0012", "0001ffff00000004000c"),
    ] {
        let array = StringArray::from(vec![text]);
        let (bytes, _) = encode(&ColumnType::Scalar(Scalar::NumericText), &array).unwrap();
        let hexadecimal: String = bytes[4..].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hexadecimal, expected, "{text}");
    }
}

#[test]
fn lists_come_back() {
    let mut lists = ListBuilder::new(Int32Builder::new());
    lists.append_value([Some(1), None, Some(i32::MIN)]);
    lists.append_null();
    lists.append_value([]);
    lists.append_value([Some(7)]);
    let lists = lists.finish();
    let column_type = ColumnType::Array(Box::new(ColumnType::Scalar(Scalar::Int4)), 23);
    assert_eq!(there_and_back(&column_type, &lists).as_ref(), &lists as &dyn Array);
    let sliced = lists.slice(2, 2);
    assert_eq!(there_and_back(&column_type, &sliced).as_ref(), &sliced as &dyn Array);
}

#[test]
fn what_the_server_would_round_is_refused() {
    let places = |scale| ColumnType::Scalar(Scalar::Decimal { precision: 9, scale });
    let decimals = |value| Decimal128Array::from(vec![value]).with_precision_and_scale(9, 5).unwrap();
    assert!(encode(&places(2), &decimals(123_456)).unwrap_err().contains("decimal places"));
    assert_eq!(encode(&places(2), &decimals(123_000)).unwrap().0.last_chunk(), Some(&2300_u16.to_be_bytes()));
    assert!(encode(&places(2), &StringArray::from(vec!["1.001"])).is_err());
    assert!(encode(&places(2), &StringArray::from(vec!["1.000"])).is_ok());
    let nanoseconds = PrimitiveArray::<TimestampNanosecondType>::from(vec![1500]);
    assert!(encode(&ColumnType::Scalar(Scalar::Timestamp), &nanoseconds).unwrap_err().contains("microsecond"));
}

#[test]
fn what_does_not_fit_is_refused() {
    let int2 = ColumnType::Scalar(Scalar::Int2);
    assert!(encode(&int2, &Int64Array::from(vec![40_000])).unwrap_err().contains("40000 is out of"));
    assert_eq!(encode(&int2, &Int64Array::from(vec![-2])).unwrap().0, [0, 0, 0, 2, 255, 254]);
    let milliseconds = TimestampMillisecondArray::from(vec![i64::MAX]);
    assert!(encode(&ColumnType::Scalar(Scalar::Timestamp), &milliseconds).is_err());
    let earliest = TimestampMicrosecondArray::from(vec![i64::MIN]);
    assert!(encode(&ColumnType::Scalar(Scalar::Timestamp), &earliest).is_err());
    assert!(encode(&ColumnType::Scalar(Scalar::Date), &Date32Array::from(vec![i32::MIN])).is_err());
    for (scalar, array) in [
        (Scalar::TimestampTz, Arc::new(earliest.clone()) as ArrayRef),
        (Scalar::Timestamp, Arc::new(earliest.with_timezone("UTC"))),
        (Scalar::Uuid, Arc::new(FixedSizeBinaryArray::try_from_iter([[1_u8; 8]].iter()).unwrap())),
        (Scalar::Text, Arc::new(Int32Array::from(vec![1]))),
        (Scalar::Float4, Arc::new(Float64Array::from(vec![1.0]))),
    ] {
        assert!(!crate::encode::fits(array.data_type(), &ColumnType::Scalar(scalar)), "{scalar:?}");
    }
}
