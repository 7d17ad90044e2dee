//! What is read back may be damaged: a Parquet file ends in rows or in an error, never in a panic, in bounded memory.
//!
//! Files with a column of every shape, and with all of them, are damaged at random places and read as `vb-import` reads them.
//! `VB_FUZZ_INPUTS` says how many (40,000 unless set), `VB_FUZZ_SEED` which; a failure names the one that was at fault.

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
use std::thread;
use vb_target::ParquetFile;
use vb_tests::chance::Chance;
use vb_tests::fuzz::{Inputs, peak_memory_kib};

const INPUTS: u64 = 40_000;
const MOST_MEMORY_KIB: u64 = 400 << 10;

/// Rows of a file with all columns, and of one with a single column, of which there are many more.
const ROWS: [usize; 2] = [300, 60];

/// How a file is written: the encoding of texts and bytes, whether with dictionaries, and the compression of pages.
const FORMS: [(Encoding, bool, Compression); 3] = [
    (Encoding::DELTA_LENGTH_BYTE_ARRAY, false, Compression::UNCOMPRESSED),
    (Encoding::DELTA_BYTE_ARRAY, false, Compression::SNAPPY),
    (Encoding::PLAIN, true, Compression::UNCOMPRESSED),
];

fn columns(rows: usize) -> Result<Vec<ArrayRef>, ArrowError> {
    let some = |row: usize| !row.is_multiple_of(7);
    let whole = |row: usize| i64::try_from(row).unwrap_or_default() * 37;
    let texts: StringArray = (0..rows).map(|row| some(row).then(|| format!("text {}", row % 50))).collect();
    let bytes: BinaryArray = (0..rows).map(|row| some(row).then(|| vec![7_u8; row % 20])).collect();
    let uuids = (0..rows).map(|row| some(row).then_some([row.to_le_bytes()[0]; 16]));
    let mut lists = ListBuilder::new(Int32Builder::new());
    let mut names = ListBuilder::new(StringBuilder::new());
    for row in 0..rows {
        (0..row % 4).for_each(|item| lists.values().append_option(some(item).then_some(1)));
        lists.append(some(row));
        (0..row % 3).for_each(|_| names.values().append_value("name"));
        names.append(true);
    }
    let floats: ArrayRef = Arc::new((0..rows).map(|row| some(row).then_some(row as f64)).collect::<Float64Array>());
    let point = |name: &str| (Arc::new(Field::new(name, floats.data_type().clone(), true)), floats.clone());
    Ok(vec![
        Arc::new((0..rows).map(|row| some(row).then(|| whole(row))).collect::<Int64Array>()),
        Arc::new((0..rows).map(|row| Some(row % 3 == 0)).collect::<BooleanArray>()),
        Arc::new((0..rows).map(|row| i32::try_from(row).ok()).collect::<Date32Array>()),
        Arc::new((0..rows).map(|row| Some(whole(row))).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        Arc::new(
            (0..rows)
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

/// A file as the export writes them.
fn file(
    columns: &[(usize, ArrayRef)],
    rows: usize,
    form: (Encoding, bool, Compression),
) -> Result<Vec<u8>, ParquetError> {
    let (encoding, dictionary, compression) = form;
    let field =
        |(number, column): &(usize, ArrayRef)| Field::new(format!("c{number}"), column.data_type().clone(), true);
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(compression)
        .set_dictionary_enabled(dictionary)
        .set_max_row_group_row_count(Some(rows / 2));
    for name in ["c0", "c2", "c3"] {
        builder = builder.set_column_encoding(name.into(), Encoding::DELTA_BINARY_PACKED);
    }
    for name in ["c5", "c6"] {
        builder = builder.set_column_encoding(name.into(), encoding);
    }
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(builder.build()))?;
    let columns = columns.iter().map(|(_, column)| column.clone()).collect();
    writer.write(&RecordBatch::try_new(schema, columns)?)?;
    writer.into_inner()
}

/// What is damaged: in each form a file of all columns, and one of each of them.
fn whole_files() -> Result<[Vec<Vec<u8>>; 2], ParquetError> {
    let [all, one] = ROWS.map(|rows| columns(rows).map(|columns| columns.into_iter().enumerate().collect::<Vec<_>>()));
    let (all, one) = (all?, one?);
    let large = FORMS.iter().map(|form| file(&all, ROWS[0], *form)).collect::<Result<_, _>>()?;
    let small = FORMS.iter().flat_map(|form| one.chunks(1).map(|column| file(column, ROWS[1], *form)));
    Ok([large, small.collect::<Result<_, _>>()?])
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

/// What became of the files.
#[derive(Debug, Default)]
struct Tally {
    read: u64,
    refused: u64,
    /// The numbers of those at which the reader panicked, and of those that are whole and were refused.
    panics: Vec<u64>,
    misjudged: Vec<u64>,
}

/// Reads the file of this number and those that are `step` further.
fn read_from(first: u64, step: usize, made: &Inputs, whole: &[Vec<Vec<u8>>; 2]) -> std::io::Result<Tally> {
    let mut place = tempfile::tempfile()?;
    let mut tally = Tally::default();
    for input in (first..made.count).step_by(step) {
        let mut chance = made.chance(input);
        let files = &whole[usize::from(chance.below(32) > 0)];
        let mut bytes = files[chance.below(files.len())].clone();
        let damaged = input % 16 != 0;
        if damaged {
            damage(&mut bytes, &mut chance);
        }
        place.rewind()?;
        place.write_all(&bytes)?;
        place.set_len(bytes.len() as u64)?;
        let file = place.try_clone()?;
        match catch_unwind(AssertUnwindSafe(|| read(file))) {
            Ok(true) => tally.read += 1,
            Ok(false) if damaged => tally.refused += 1,
            Ok(false) => tally.misjudged.push(input),
            Err(_) => tally.panics.push(input),
        }
    }
    Ok(tally)
}

#[test]
fn whatever_is_read_ends_in_rows_or_in_an_error() {
    let (made, whole) = (Inputs::from_environment(INPUTS), whole_files().unwrap());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let start = |first: u64| {
            let (made, whole) = (&made, &whole);
            scope.spawn(move || read_from(first, threads, made, whole))
        };
        let running: Vec<_> = (0..threads as u64).map(start).collect();
        running.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
    });
    let sum = |count: fn(&Tally) -> u64| tallies.iter().map(count).sum::<u64>();
    let (read, refused, memory) = (sum(|tally| tally.read), sum(|tally| tally.refused), peak_memory_kib());
    println!(
        "{} files of seed {}, {read} read, {refused} refused, {} MiB at most",
        made.count,
        made.seed,
        memory >> 10
    );
    let wrong: Vec<&Tally> =
        tallies.iter().filter(|tally| !(tally.panics.is_empty() && tally.misjudged.is_empty())).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(read + refused, made.count);
    assert!(memory < MOST_MEMORY_KIB, "{memory} KiB");
}
