//! Row groups in, a Parquet file out.

use crate::group::{Group, Shape};
use crate::properties::Compression;
use crate::refused;
use arrow_schema::SchemaRef;
use parquet::file::metadata::KeyValue;
use parquet::file::writer::SerializedFileWriter;
use std::io::Write;
use vb_core::{Error, Result};

/// A Parquet file while it is written. Nothing is written before the first group, which brings the encodings.
pub struct ParquetSink<W: Write + Send> {
    stage: Stage<W>,
    schema: SchemaRef,
}

enum Stage<W: Write + Send> {
    /// Waits for the first group.
    Waiting(W),
    /// Writes.
    Writing(Box<SerializedFileWriter<W>>),
    /// An error has ended it.
    Broken,
}

impl<W: Write + Send> ParquetSink<W> {
    /// A file of this schema.
    pub fn new(output: W, schema: SchemaRef) -> Self {
        Self { stage: Stage::Waiting(output), schema }
    }

    /// Appends a row group.
    ///
    /// # Errors
    /// If the output takes no more.
    pub fn append(&mut self, group: Group) -> Result<()> {
        let file = self.file(|_| Ok(group.shape.clone()))?;
        let mut writer = file.next_row_group().map_err(refused)?;
        for column in group.columns {
            column.append_to_row_group(&mut writer).map_err(refused)?;
        }
        writer.close().map(drop).map_err(refused)
    }

    /// Writes the footer with these keys and values in it, and gives the output back.
    ///
    /// # Errors
    /// If the output takes no more.
    pub fn finish(mut self, metadata: Vec<(String, String)>) -> Result<W> {
        let file = self.file(|schema| Shape::new(schema, &[], Compression::None))?;
        for (key, value) in metadata {
            file.append_key_value_metadata(KeyValue::new(key, value));
        }
        match self.stage {
            Stage::Writing(file) => file.into_inner().map_err(refused),
            Stage::Waiting(_) | Stage::Broken => Err(broken()),
        }
    }

    /// The file, opened by now.
    fn file(&mut self, shape: impl FnOnce(&SchemaRef) -> Result<Shape>) -> Result<&mut SerializedFileWriter<W>> {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Broken) {
            Stage::Waiting(output) => {
                let Shape { root, properties } = shape(&self.schema)?;
                Stage::Writing(Box::new(SerializedFileWriter::new(output, root, properties).map_err(refused)?))
            }
            stage => stage,
        };
        match &mut self.stage {
            Stage::Writing(file) => Ok(file),
            Stage::Waiting(_) | Stage::Broken => Err(broken()),
        }
    }
}

fn broken() -> Error {
    Error::failure("writing Parquet: it has failed before")
}
