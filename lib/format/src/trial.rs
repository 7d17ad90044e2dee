//! Trials: a sample of a column, written in each encoding that suits its type, and compressed.

use crate::choice::{ColumnChoice, DICTIONARY_BYTES, Growth, Trial};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use libdeflater::{CompressionLvl, Compressor};
use parquet::arrow::ArrowWriter;
use parquet::basic::Encoding;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use std::sync::Arc;
use vb_core::{Error, Result};

/// The encodings worth trying for a type, the usual one first.
fn encodings(data_type: &DataType) -> &'static [Encoding] {
    match data_type {
        DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Date32
        | DataType::Time64(_)
        | DataType::Timestamp(..) => &[Encoding::DELTA_BINARY_PACKED, Encoding::PLAIN],
        DataType::Decimal128(precision, _) if *precision <= 18 => &[Encoding::DELTA_BINARY_PACKED, Encoding::PLAIN],
        DataType::Float32 | DataType::Float64 => &[Encoding::PLAIN, Encoding::BYTE_STREAM_SPLIT],
        DataType::Utf8 | DataType::Binary => &[Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY],
        _ => &[],
    }
}

/// Every choice for a column, measured on this sample; empty where there is nothing to choose.
pub(crate) fn measure(field: &Field, sample: &ArrayRef) -> Result<(Vec<Trial>, Growth)> {
    let growth = Growth {
        rows: sample.len(),
        distinct_half: distinct(&sample.slice(0, sample.len() / 2)),
        distinct: distinct(sample),
    };
    let encodings = encodings(field.data_type());
    let dictionary = encodings.first().map(|encoding| ColumnChoice { dictionary: true, encoding: *encoding });
    let plain = encodings.iter().map(|encoding| ColumnChoice { dictionary: false, encoding: *encoding });
    let trials: Result<Vec<Trial>> = plain.chain(dictionary).map(|choice| try_out(field, sample, choice)).collect();
    Ok((trials?, growth))
}

fn try_out(field: &Field, sample: &ArrayRef, choice: ColumnChoice) -> Result<Trial> {
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_dictionary_enabled(choice.dictionary)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_encoding(choice.encoding)
        .build();
    let schema = Arc::new(Schema::new(vec![field.clone()]));
    let write = || -> parquet::errors::Result<(Vec<u8>, ParquetMetaData)> {
        let batch = RecordBatch::try_new(schema.clone(), vec![sample.clone()])?;
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, schema.clone(), Some(properties))?;
        writer.write(&batch)?;
        let metadata = writer.close()?;
        Ok((file, metadata))
    };
    let (file, metadata) = write().map_err(|cause| Error::failure(format!("trying encodings: {cause}")))?;
    let column = metadata.row_group(0).column(0);
    let position = |offset: i64| usize::try_from(offset).unwrap_or_default().min(file.len());
    let values = position(column.data_page_offset());
    let start = column.dictionary_page_offset().map_or(values, position);
    let end = position(i64::try_from(start).unwrap_or_default() + column.compressed_size()).max(values);
    Ok(Trial { choice, value_bytes: cost(&file[values..end]), dictionary_bytes: cost(&file[start..values]) })
}

/// The lowest level that ends a block where the kind of bytes changes: without that, bytes side by side look worse than they are.
const LEVEL: i32 = 2;

/// Bytes that gzip has to read cost something too: so many of them as much as one that is stored.
const READ_FOR_ONE: usize = 10;

/// The size after a fast gzip, which says what the usual level would make of it, and what the way there costs.
fn cost(bytes: &[u8]) -> usize {
    if bytes.is_empty() {
        return 0;
    }
    let mut compressor = Compressor::new(CompressionLvl::new(LEVEL).unwrap_or_default());
    let mut packed = vec![0; compressor.deflate_compress_bound(bytes.len())];
    compressor.deflate_compress(bytes, &mut packed).unwrap_or(bytes.len()) + bytes.len() / READ_FOR_ONE
}

/// How many values differ.
fn distinct(sample: &ArrayRef) -> usize {
    use std::collections::HashSet;
    use std::hash::{DefaultHasher, Hash, Hasher};
    let data = sample.to_data();
    let hash = |bytes: &[u8]| {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        hasher.finish()
    };
    let hashes: HashSet<u64> = match (sample.data_type(), data.buffers()) {
        (DataType::Utf8 | DataType::Binary, [_, values]) => {
            let ends = &data.buffer::<i32>(0)[..=sample.len()];
            ends.windows(2).map(|ends| hash(&values[ends[0] as usize..ends[1] as usize])).collect()
        }
        (data_type, [values]) => match data_type.primitive_width() {
            Some(width) => {
                let bytes = &values[data.offset() * width..];
                bytes.chunks_exact(width).take(sample.len()).map(hash).collect()
            }
            None => HashSet::new(),
        },
        _ => HashSet::new(),
    };
    hashes.len()
}
