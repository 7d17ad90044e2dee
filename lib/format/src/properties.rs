//! How a file is written: what was chosen for its columns, as the Parquet writer takes it.

use crate::choice::{ColumnChoice, DICTIONARY_BYTES};
use crate::group::GROUP_ROWS;
use arrow_schema::SchemaRef;
use parquet::basic::{Compression as ParquetCompression, GzipLevel, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

/// Compression inside the file. None is the default: the gzip comes after, and on all cores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// Encoded only.
    #[default]
    None,
    /// Zstandard, level 3.
    Zstd,
    /// Snappy.
    Snappy,
    /// Gzip, level 6.
    Gzip,
}

/// The writer's properties for columns written as chosen; the others by the writer's own rules.
pub(crate) fn of(schema: &SchemaRef, choices: &[(String, ColumnChoice)], compression: Compression) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_created_by(concat!("vb ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(inside(compression))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true);
    // Smallest and largest help whoever looks for a time or a number; for texts they cost more than their encoding.
    for field in schema.fields().iter().filter(|field| field.data_type().is_primitive()) {
        let path = ColumnPath::new(vec![field.name().clone()]);
        builder = builder.set_column_statistics_enabled(path, EnabledStatistics::Chunk);
    }
    for (name, choice) in choices {
        // Not parsed: a column's name may hold dots.
        let path = ColumnPath::new(vec![name.clone()]);
        builder = builder.set_column_dictionary_enabled(path.clone(), choice.dictionary);
        builder = builder.set_column_encoding(path, choice.encoding);
    }
    builder.build()
}

fn inside(compression: Compression) -> ParquetCompression {
    match compression {
        Compression::None => ParquetCompression::UNCOMPRESSED,
        Compression::Zstd => ParquetCompression::ZSTD(ZstdLevel::default()),
        Compression::Snappy => ParquetCompression::SNAPPY,
        Compression::Gzip => ParquetCompression::GZIP(GzipLevel::default()),
    }
}
