//! Batches in, a Parquet file out, one row group after the other in flat memory.

use crate::choice::{self, ColumnChoice, DICTIONARY_BYTES};
use crate::trial;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression as ParquetCompression, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use std::io::Write;
use vb_core::{Error, Result};

/// Rows in a row group, at most.
const GROUP_ROWS: usize = 512 << 10;
/// A row group ends early when it holds this many bytes, so that memory stays flat.
const GROUP_BYTES: usize = 24 << 20;
/// The encodings are chosen from this many rows.
const SAMPLE_ROWS: usize = 32 << 10;
/// Fewer where rows are large.
const SAMPLE_BYTES: usize = 8 << 20;
/// Of which this many are tried out.
const TRIAL_ROWS: usize = 16 << 10;

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

/// A Parquet file while it is written.
pub struct ParquetSink<W: Write + Send> {
    stage: Stage<W>,
    schema: SchemaRef,
    compression: Compression,
    metadata: Vec<KeyValue>,
}

enum Stage<W: Write + Send> {
    /// Gathers the sample.
    Sampling { output: W, batches: Vec<RecordBatch>, rows: usize, bytes: usize },
    /// Writes.
    Writing(Box<ArrowWriter<W>>),
    /// An error has ended it.
    Broken,
}

impl<W: Write + Send> ParquetSink<W> {
    /// A file of this schema, whose footer will carry these keys and values.
    pub fn new(output: W, schema: SchemaRef, compression: Compression, metadata: &[(String, String)]) -> Self {
        let metadata = metadata.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
        let stage = Stage::Sampling { output, batches: Vec::new(), rows: 0, bytes: 0 };
        Self { stage, schema, compression, metadata }
    }

    /// Takes the next batch.
    ///
    /// # Errors
    /// If the output takes no more.
    pub fn write(&mut self, batch: RecordBatch) -> Result<()> {
        match &mut self.stage {
            Stage::Writing(writer) => write(writer, &batch),
            Stage::Sampling { batches, rows, bytes, .. } => {
                *rows += batch.num_rows();
                *bytes += batch.get_array_memory_size();
                batches.push(batch);
                if *rows >= SAMPLE_ROWS || *bytes >= SAMPLE_BYTES { self.open() } else { Ok(()) }
            }
            Stage::Broken => Err(Error::failure("writing Parquet: it has failed before")),
        }
    }

    /// Lets the footer carry this too, which was not known at the beginning.
    pub fn say(&mut self, key: &str, value: String) {
        let pair = KeyValue::new(key.to_owned(), value);
        match &mut self.stage {
            Stage::Writing(writer) => writer.append_key_value_metadata(pair),
            Stage::Sampling { .. } | Stage::Broken => self.metadata.push(pair),
        }
    }

    /// Writes the rest and the footer, and gives the output back.
    ///
    /// # Errors
    /// If the output takes no more.
    pub fn finish(mut self) -> Result<W> {
        self.open()?;
        match self.stage {
            Stage::Writing(writer) => writer.into_inner().map_err(refused),
            _ => Err(Error::failure("writing Parquet: it has failed before")),
        }
    }

    /// Chooses the encodings and writes what was gathered, unless that was done.
    fn open(&mut self) -> Result<()> {
        let (output, batches) = match std::mem::replace(&mut self.stage, Stage::Broken) {
            Stage::Sampling { output, batches, .. } => (output, batches),
            writing => {
                self.stage = writing;
                return Ok(());
            }
        };
        let choices = choose(&self.schema, &batches)?;
        let properties = properties(&self.schema, &choices, self.compression, self.metadata.clone());
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let mut writer =
            Box::new(ArrowWriter::try_new_with_options(output, self.schema.clone(), options).map_err(refused)?);
        for batch in &batches {
            write(&mut writer, batch)?;
        }
        self.stage = Stage::Writing(writer);
        Ok(())
    }
}

fn write<W: Write + Send>(writer: &mut ArrowWriter<W>, batch: &RecordBatch) -> Result<()> {
    writer.write(batch).map_err(refused)?;
    if writer.in_progress_size() >= GROUP_BYTES { writer.flush().map_err(refused) } else { Ok(()) }
}

/// One choice for each column for which there is one.
fn choose(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<(String, ColumnChoice)>> {
    let Some(sample) = batches.first() else { return Ok(Vec::new()) };
    let sample = sample.slice(0, sample.num_rows().min(TRIAL_ROWS));
    let mut choices = Vec::new();
    for (field, column) in schema.fields().iter().zip(sample.columns()) {
        let (trials, growth) = trial::measure(field, column)?;
        if let Some(choice) = choice::choose(&trials, &growth, GROUP_ROWS) {
            choices.push((field.name().clone(), choice));
        }
    }
    Ok(choices)
}

fn properties(
    schema: &SchemaRef,
    choices: &[(String, ColumnChoice)],
    compression: Compression,
    metadata: Vec<KeyValue>,
) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_created_by(concat!("vb ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(inside(compression))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_key_value_metadata((!metadata.is_empty()).then_some(metadata));
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

/// The output's own error, dug out of Parquet's, so that a broken pipe stays one.
fn refused(cause: ParquetError) -> Error {
    let step = "writing Parquet";
    match cause {
        ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
            Ok(cause) => Error::io(step, *cause),
            Err(cause) => Error::failure(format!("{step}: {cause}")),
        },
        cause => Error::failure(format!("{step}: {cause}")),
    }
}
