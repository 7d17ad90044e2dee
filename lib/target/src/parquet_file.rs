//! A Parquet file: its footer, the description of the table that it came from, and its row groups one after the other.

use crate::pages::CheckedGroup;
use crate::window::Window;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, ParquetMetaData, RowGroupMetaData};
use serde::de::DeserializeOwned;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use vb_core::label::{Kind, LABEL_KEY, Label};
use vb_core::{Error, Result};
use vb_postgres::aside::{ASIDE_KEY, Aside};
use vb_postgres::keys::{self, Deletes};
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
    file: Window,
    name: String,
    metadata: ArrowReaderMetadata,
    description: Option<TableDescription>,
    row_hash: Option<RowHash>,
    state_hash: Option<RowHash>,
    stored: Option<StoredSchema>,
    asides: Vec<Aside>,
    has_deletes: bool,
    kind: Option<Kind>,
    rows: u64,
}

impl ParquetFile {
    /// Reads the footer, which proves that the file was written to its end. `name` names it in errors.
    ///
    /// # Errors
    /// An integrity error for a file without a footer, or with one that contradicts itself.
    pub fn open(file: File, name: &str) -> Result<Self> {
        Self::in_window(Window::whole(file, name)?, name)
    }

    /// The same for a part of a file.
    ///
    /// # Errors
    /// As for [`ParquetFile::open`].
    pub fn in_window(file: Window, name: &str) -> Result<Self> {
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
        let state_hash = ours(footer, row_hash::STATE_KEY, name, "hash of the table")?;
        let asides = ours(footer, ASIDE_KEY, name, "list of values kept aside")?.unwrap_or_default();
        let has_deletes = text_of(footer, keys::METADATA_KEY).is_some();
        let label: Option<Label> = ours(footer, LABEL_KEY, name, "label")?;
        // One of other rows was kept by a program that took some away.
        let kind = label.filter(|label| label.records == Some(rows)).map(|label| label.kind);
        // What the footer says is known now; of a long chain, many files are open.
        let metadata = without_texts(&metadata).map_err(|cause| without_footer(name, &cause))?;
        let name = name.to_owned();
        Ok(Self { file, name, metadata, description, row_hash, state_hash, stored, asides, has_deletes, kind, rows })
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

    /// The server's hash of all rows of the table at that time, where the file holds only those that were new.
    #[must_use]
    pub fn state_hash(&self) -> Option<&RowHash> {
        self.state_hash.as_ref()
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

    /// Whether it holds everything or what changed, where it says so itself.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// Whether it says which rows are gone.
    #[must_use]
    pub fn has_deletes(&self) -> bool {
        self.has_deletes
    }

    /// Which rows of its base are gone, if it says so: read again each time, because the list may be long.
    ///
    /// # Errors
    /// An integrity error if the list is broken.
    pub fn deletes(&self) -> Result<Option<Deletes>> {
        if !self.has_deletes {
            return Ok(None);
        }
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata =
            contained(|| ArrowReaderMetadata::load(&self.file, options)).map_err(|cause| self.broken(&cause))?;
        text_of(metadata.metadata().file_metadata(), keys::METADATA_KEY).map(Deletes::parse).transpose()
    }

    /// The number of its row groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// The number of a group's first row in the file.
    #[must_use]
    pub fn first_row(&self, group: usize) -> u64 {
        let before = self.metadata.metadata().row_groups().iter().take(group);
        before.map(|group| u64::try_from(group.num_rows()).unwrap_or_default()).sum()
    }

    /// The rows of one group: these columns of it, in the file's order.
    ///
    /// # Errors
    /// If the group cannot be read.
    pub fn group(&self, index: usize, columns: &[usize]) -> Result<Batches> {
        let open = || {
            let schema = self.metadata.parquet_schema();
            let wanted = ProjectionMask::roots(schema, columns.iter().copied());
            let fields = parquet_to_arrow_field_levels(schema, wanted, None)?;
            let group = CheckedGroup { file: &self.file, metadata: self.metadata.metadata(), index };
            let rows = batch_rows(self.metadata.metadata().row_group(index));
            ParquetRecordBatchReader::try_new_with_row_groups(&fields, &group, rows, None)
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
    let broken = |cause| Error::integrity(format!("reading {name}: its {what} is broken: {cause}"));
    text_of(footer, key).map(serde_json::from_str).transpose().map_err(broken)
}

fn text_of<'footer>(footer: &'footer FileMetaData, key: &str) -> Option<&'footer str> {
    let values = footer.key_value_metadata().into_iter().flatten();
    values.filter(|pair| pair.key == key).find_map(|pair| pair.value.as_deref())
}

/// The same footer without the texts in it.
fn without_texts(metadata: &ArrowReaderMetadata) -> std::result::Result<ArrowReaderMetadata, ParquetError> {
    let footer = metadata.metadata().file_metadata();
    let (creator, orders) = (footer.created_by().map(str::to_owned), footer.column_orders().cloned());
    let schema = footer.schema_descr_ptr();
    let bare = FileMetaData::new(footer.version(), footer.num_rows(), creator, None, schema, orders);
    let groups = metadata.metadata().row_groups().to_vec();
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    contained(|| ArrowReaderMetadata::try_new(Arc::new(ParquetMetaData::new(bare, groups)), options))
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
