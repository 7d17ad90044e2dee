//! Row groups: encoded on any thread, and appended to the file by [`crate::ParquetSink`] on one.

use crate::properties::{self, Compression};
use crate::{choice::ColumnChoice, refused};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::TypePtr;
use std::sync::Arc;
use vb_core::Result;

/// Rows in a row group, at most.
pub(crate) const GROUP_ROWS: usize = 512 << 10;
/// Bytes of the row groups that are encoded at the same time, all together, so that memory stays flat.
const GROUPS_BYTES: usize = 24 << 20;

/// Makes the encoders of one file's row groups.
pub struct GroupFactory {
    factory: ArrowRowGroupWriterFactory,
    shape: Shape,
    most_bytes: usize,
}

/// What a file must have been opened with to take a group.
#[derive(Clone)]
pub(crate) struct Shape {
    pub(crate) root: TypePtr,
    pub(crate) properties: WriterPropertiesPtr,
}

impl Shape {
    /// # Errors
    /// If Parquet has no form for a column's type.
    pub(crate) fn new(
        schema: &SchemaRef,
        choices: &[(String, ColumnChoice)],
        compression: Compression,
    ) -> Result<Self> {
        let properties = Arc::new(properties::of(schema, choices, compression));
        let descriptor = ArrowSchemaConverter::new().convert(schema).map_err(refused)?;
        Ok(Self { root: descriptor.root_schema_ptr(), properties })
    }
}

impl GroupFactory {
    /// A factory for groups of this schema, whose columns are written as chosen; `encoders` of them work side by side.
    ///
    /// # Errors
    /// If Parquet has no form for a column's type.
    pub fn new(
        schema: &SchemaRef,
        choices: &[(String, ColumnChoice)],
        compression: Compression,
        encoders: usize,
    ) -> Result<Self> {
        let shape = Shape::new(schema, choices, compression)?;
        // Only a file can make a factory, but nothing of that file is needed but its shape.
        let file = SerializedFileWriter::new(Vec::new(), shape.root.clone(), shape.properties.clone());
        let factory = ArrowRowGroupWriterFactory::new(&file.map_err(refused)?, schema.clone());
        Ok(Self { factory, shape, most_bytes: GROUPS_BYTES / encoders.max(1) })
    }

    fn columns(&self) -> Result<Vec<ArrowColumnWriter>> {
        self.factory.create_column_writers(0).map_err(refused)
    }
}

/// A whole row group, encoded.
pub struct Group {
    pub(crate) columns: Vec<ArrowColumnChunk>,
    pub(crate) shape: Shape,
}

/// Encodes batches to row groups.
pub struct GroupEncoder {
    factory: Arc<GroupFactory>,
    columns: Vec<ArrowColumnWriter>,
    rows: usize,
}

impl GroupEncoder {
    /// An encoder whose first group is empty.
    ///
    /// # Errors
    /// None in practice.
    pub fn new(factory: Arc<GroupFactory>) -> Result<Self> {
        let columns = factory.columns()?;
        Ok(Self { factory, columns, rows: 0 })
    }

    /// Takes the next batch, and gives out the group that it fills.
    ///
    /// # Errors
    /// If a value cannot be written.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<Option<Group>> {
        let mut writers = self.columns.iter_mut();
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            for leaf in compute_leaves(field, column).map_err(refused)? {
                if let Some(writer) = writers.next() {
                    writer.write(&leaf).map_err(refused)?;
                }
            }
        }
        self.rows += batch.num_rows();
        let bytes: usize = self.columns.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum();
        let full = self.rows >= GROUP_ROWS || bytes >= self.factory.most_bytes;
        if full { self.take() } else { Ok(None) }
    }

    /// The last group, unless it would be empty.
    ///
    /// # Errors
    /// None in practice.
    pub fn finish(mut self) -> Result<Option<Group>> {
        self.take()
    }

    fn take(&mut self) -> Result<Option<Group>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let full = std::mem::replace(&mut self.columns, self.factory.columns()?);
        self.rows = 0;
        let columns: parquet::errors::Result<Vec<_>> = full.into_iter().map(ArrowColumnWriter::close).collect();
        Ok(Some(Group { columns: columns.map_err(refused)?, shape: self.factory.shape.clone() }))
    }
}
