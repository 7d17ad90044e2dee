//! What is read back may be damaged: a Parquet file ends in rows or in an error, never in a panic, in bounded memory.
//!
//! Files with columns of every shape are damaged at random places and read as `vb-import` reads them. `VB_FUZZ_INPUTS` says how
//! many (4,000 unless set), `VB_FUZZ_SEED` which; a failure names the one that was at fault.

use arrow_array::builder::{Int32Builder, ListBuilder, StringBuilder};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float64Array,
    Int64Array, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow_schema::{ArrowError, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterVersion};
use std::fs;
use std::io::{Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use vb_target::ParquetFile;
use vb_tests::chance::Chance;
use vb_tests::fuzz::{Inputs, peak_memory_kib};

const INPUTS: u64 = 4_000;
const MOST_MEMORY_KIB: u64 = 400 << 10;
const ROWS: usize = 300;

fn columns() -> Result<Vec<ArrayRef>, ArrowError> {
    let some = |row: usize| !row.is_multiple_of(7);
    let whole = |row: usize| i64::try_from(row).unwrap_or_default() * 37;
    let texts: StringArray = (0..ROWS).map(|row| some(row).then(|| format!("text {}", row % 50))).collect();
    let bytes: BinaryArray = (0..ROWS).map(|row| some(row).then(|| vec![7_u8; row % 20])).collect();
    let uuids = (0..ROWS).map(|row| some(row).then_some([row.to_le_bytes()[0]; 16]));
    let mut lists = ListBuilder::new(Int32Builder::new());
    let mut names = ListBuilder::new(StringBuilder::new());
    for row in 0..ROWS {
        (0..row % 4).for_each(|item| lists.values().append_option(some(item).then_some(1)));
        lists.append(some(row));
        (0..row % 3).for_each(|_| names.values().append_value("name"));
        names.append(true);
    }
    let floats: ArrayRef = Arc::new((0..ROWS).map(|row| some(row).then_some(row as f64)).collect::<Float64Array>());
    let point = |name: &str| (Arc::new(Field::new(name, floats.data_type().clone(), true)), floats.clone());
    Ok(vec![
        Arc::new((0..ROWS).map(|row| some(row).then(|| whole(row))).collect::<Int64Array>()),
        Arc::new((0..ROWS).map(|row| Some(row % 3 == 0)).collect::<BooleanArray>()),
        Arc::new((0..ROWS).map(|row| i32::try_from(row).ok()).collect::<Date32Array>()),
        Arc::new((0..ROWS).map(|row| Some(whole(row))).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        Arc::new(
            (0..ROWS)
                .map(|row| Some(i128::from(whole(row))))
                .collect::<Decimal128Array>()
                .with_precision_and_scale(38, 5)?,
        ),
        Arc::new(texts),
        Arc::new(bytes),
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuids, 16)?),
        Arc::new(lists.finish()),
        Arc::new(names.finish()),
        Arc::new(StructArray::from(vec![point("x"), point("y")])),
    ])
}

/// A file as the export writes them, in one of its encodings.
fn file(encoding: Encoding, dictionary: bool, compression: Compression) -> Result<Vec<u8>, ParquetError> {
    let columns = columns()?;
    let field = |(index, column): (usize, &ArrayRef)| Field::new(format!("c{index}"), column.data_type().clone(), true);
    let schema = Arc::new(Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>()));
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(compression)
        .set_dictionary_enabled(dictionary)
        .set_max_row_group_row_count(Some(ROWS / 2));
    for name in ["c0", "c2", "c3"] {
        builder = builder.set_column_encoding(name.into(), Encoding::DELTA_BINARY_PACKED);
    }
    for name in ["c5", "c6"] {
        builder = builder.set_column_encoding(name.into(), encoding);
    }
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(builder.build()))?;
    writer.write(&RecordBatch::try_new(schema, columns)?)?;
    writer.into_inner()
}

/// Reads all rows; whether that went to the end.
fn read(file: fs::File) -> bool {
    let Ok(file) = ParquetFile::open(file, "fuzz") else { return false };
    let all: Vec<usize> = (0..file.schema().fields().len()).collect();
    (0..file.groups())
        .all(|group| file.group(group, &all).is_ok_and(|batches| batches.into_iter().all(|batch| batch.is_ok())))
}

fn damage(bytes: &mut Vec<u8>, chance: &mut Chance) {
    for _ in 0..=chance.below(3) {
        let length = bytes.len();
        // Half of the damage is in the footer, which is a small part of the file.
        let from = if chance.below(2) == 0 { length.saturating_sub(3000) } else { 0 };
        let at = from + chance.below(length - from);
        match chance.below(8) {
            0..4 => bytes[at] ^= 1 << chance.below(8),
            4 | 5 => bytes[at] = chance.any().to_le_bytes()[0],
            6 => bytes[at..].iter_mut().zip([0xff, 0xff, 0xff, 0x7f]).for_each(|(byte, new)| *byte = new),
            _ => {
                let end = length.min(at + 1 + chance.below(20));
                bytes.drain(at..end);
            }
        }
    }
}

#[test]
fn whatever_is_read_ends_in_rows_or_in_an_error() {
    let made = Inputs::from_environment(INPUTS);
    let (inputs, seed) = (made.count, made.seed);
    let whole = [
        file(Encoding::DELTA_LENGTH_BYTE_ARRAY, false, Compression::UNCOMPRESSED).unwrap(),
        file(Encoding::DELTA_BYTE_ARRAY, false, Compression::SNAPPY).unwrap(),
        file(Encoding::PLAIN, true, Compression::UNCOMPRESSED).unwrap(),
    ];
    let folder = tempfile::tempdir().unwrap();
    let (mut read_to_end, mut panics) = (0_u64, 0_u64);
    for input in 0..inputs {
        let mut chance = made.chance(input);
        let mut bytes = whole[chance.below(whole.len())].clone();
        if input % 16 != 0 {
            damage(&mut bytes, &mut chance);
        }
        let mut opened = fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(folder.path().join("f"))
            .unwrap();
        opened.write_all(&bytes).unwrap();
        opened.rewind().unwrap();
        let taken = catch_unwind(AssertUnwindSafe(|| read(opened))).unwrap_or_else(|_| {
            println!("input {input} of seed {seed} panics");
            panics += 1;
            false
        });
        assert!(taken || input % 16 != 0, "input {input} of seed {seed} is whole and refused");
        read_to_end += u64::from(taken);
    }
    let memory = peak_memory_kib();
    println!(
        "{inputs} files, {read_to_end} read, {} refused, {panics} panics, {} MiB at most",
        inputs - read_to_end - panics,
        memory >> 10
    );
    assert_eq!(panics, 0);
    assert!(memory < MOST_MEMORY_KIB, "{memory} KiB");
}
