//! A Parquet file: its footer, the description of the table that it came from, and its row groups one after the other.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, RowGroupMetaData};
use serde::de::DeserializeOwned;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use vb_core::{Error, Result};
use vb_postgres::aside::{ASIDE_KEY, Aside};
use vb_postgres::row_hash::{self, RowHash};
use vb_postgres::schema::{self, TableDescription};
use vb_postgres::stored_schema::{SCHEMA_KEY, StoredSchema};

/// Rows in a batch, at most.
const BATCH_ROWS: usize = 8 << 10;
/// A batch of large rows is smaller, so that memory stays flat.
const BATCH_BYTES: usize = 4 << 20;

/// A file whose footer was read.
#[derive(Debug)]
pub struct ParquetFile {
    file: File,
    name: String,
    metadata: ArrowReaderMetadata,
    description: Option<TableDescription>,
    row_hash: Option<RowHash>,
    stored: Option<StoredSchema>,
    asides: Vec<Aside>,
    rows: u64,
}

impl ParquetFile {
    /// Reads the footer, which proves that the file was written to its end. `name` names it in errors.
    ///
    /// # Errors
    /// An integrity error for a file without a footer, or with one that contradicts itself.
    pub fn open(file: File, name: &str) -> Result<Self> {
        // The writer's own Arrow types would bring kinds of arrays that no column of a table needs.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let loaded = contained(|| ArrowReaderMetadata::load(&file, options));
        let metadata = loaded.map_err(|cause| without_footer(name, &cause))?;
        let footer = metadata.metadata().file_metadata();
        let rows = u64::try_from(footer.num_rows()).unwrap_or_default();
        let in_groups: i64 = metadata.metadata().row_groups().iter().map(RowGroupMetaData::num_rows).sum();
        if u64::try_from(in_groups) != Ok(rows) {
            return Err(Error::integrity(format!(
                "reading {name}: its footer says {rows} rows, its row groups {in_groups}"
            )));
        }
        let description = ours(footer, schema::METADATA_KEY, name, "description of the table")?;
        let stored = ours(footer, SCHEMA_KEY, name, "schema")?;
        let row_hash = ours(footer, row_hash::METADATA_KEY, name, "hash of the rows")?;
        let asides = ours(footer, ASIDE_KEY, name, "list of values kept aside")?.unwrap_or_default();
        Ok(Self { file, name: name.to_owned(), metadata, description, row_hash, stored, asides, rows })
    }

    /// What it is to people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its rows, by the footer.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Its columns.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// The table that it came from, if `vb-export` made it.
    #[must_use]
    pub fn description(&self) -> Option<&TableDescription> {
        self.description.as_ref()
    }

    /// The server's hash of the rows when they were exported, if it was asked for.
    #[must_use]
    pub fn row_hash(&self) -> Option<&RowHash> {
        self.row_hash.as_ref()
    }

    /// How that table was made, if that travelled with it.
    #[must_use]
    pub fn stored(&self) -> Option<&StoredSchema> {
        self.stored.as_ref()
    }

    /// Values that its columns do not hold.
    #[must_use]
    pub fn asides(&self) -> &[Aside] {
        &self.asides
    }

    /// The number of its row groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// The rows of one group.
    ///
    /// # Errors
    /// If the group cannot be read.
    pub fn group(&self, index: usize) -> Result<Batches> {
        let file = self.file.try_clone().map_err(|cause| Error::io(format!("reading {}", self.name), cause))?;
        let open = || {
            let rows = batch_rows(self.metadata.metadata().row_group(index));
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_row_groups(vec![index])
                .with_batch_size(rows)
                .build()
        };
        contained(open).map(|reader| Batches(Some(reader))).map_err(|cause| self.broken(&cause))
    }

    /// The error for rows that cannot be read.
    #[must_use]
    pub fn broken(&self, cause: &dyn std::fmt::Display) -> Error {
        Error::integrity(format!("reading {}: {}", self.name, one_line(cause)))
            .with_hint("The file is damaged: fetch it again, or restore an older backup. Nothing was changed.")
    }
}

/// What we have put into the footer under this key.
fn ours<T: DeserializeOwned>(footer: &FileMetaData, key: &str, name: &str, what: &str) -> Result<Option<T>> {
    let values = footer.key_value_metadata().into_iter().flatten();
    let text = values.filter(|pair| pair.key == key).find_map(|pair| pair.value.as_deref());
    let broken = |cause| Error::integrity(format!("reading {name}: its {what} is broken: {cause}"));
    text.map(serde_json::from_str).transpose().map_err(broken)
}

/// The rows of one group.
pub struct Batches(Option<ParquetRecordBatchReader>);

impl Iterator for Batches {
    type Item = std::result::Result<RecordBatch, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.0.as_mut()?;
        let next = contained(|| reader.next().transpose().map_err(ParquetError::from));
        if next.is_err() {
            self.0 = None;
        }
        next.transpose()
    }
}

/// The parser panics on some damaged files, about one in two hundred: that is damage like any other, and no fault of ours.
fn contained<T>(parse: impl FnOnce() -> std::result::Result<T, ParquetError>) -> std::result::Result<T, ParquetError> {
    let damaged = |_| Err(ParquetError::General("its parts contradict each other".to_owned()));
    catch_unwind(AssertUnwindSafe(parse)).unwrap_or_else(damaged)
}

/// As many rows as fit into a batch, by what the values take when they are no longer encoded.
fn batch_rows(group: &RowGroupMetaData) -> usize {
    let plain = |column: &parquet::file::metadata::ColumnChunkMetaData| {
        column.unencoded_byte_array_data_bytes().unwrap_or_default().max(column.uncompressed_size())
    };
    let bytes: i64 = group.columns().iter().map(plain).sum();
    let (bytes, rows) =
        (usize::try_from(bytes).unwrap_or_default(), usize::try_from(group.num_rows()).unwrap_or_default());
    let row = bytes / rows.max(1) + 1;
    (BATCH_BYTES / row).clamp(1, BATCH_ROWS)
}

fn without_footer(name: &str, cause: &ParquetError) -> Error {
    Error::integrity(format!(
        "reading {name}: it has no Parquet footer, so it was cut off or damaged ({})",
        one_line(cause)
    ))
    .with_hint("Fetch the backup again with vb-get; nothing was changed.")
}

fn one_line(cause: &dyn std::fmt::Display) -> String {
    cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
