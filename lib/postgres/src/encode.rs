//! Arrow to COPY BINARY: the inverse of [`crate::decode`].
//!
//! Each column of a batch gets an encoder of its own, chosen from the array's type and the target column's; rows are then
//! written one after the other. What the target would round or cut is refused here, because the server would not say so.

use crate::aside::Aside;
use crate::longest::first_longer;
use crate::types::ColumnType;
use arrow_array::{Array, ArrayRef, new_empty_array};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;
use std::collections::BTreeMap;
use vb_core::{Error, Result};

/// The signature, no flags, and an extension of no bytes.
pub const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What follows the last row.
pub const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// A block is handed over with the row that fills it beyond this.
pub const BLOCK_BYTES: usize = 1 << 20;

/// Writes the values of one column of one batch.
pub trait Encoder {
    /// Appends the value of this row as a field: its length and its bytes, or -1 for NULL.
    ///
    /// # Errors
    /// Why the target could not hold the value exactly: a clause that follows the value's name.
    fn write(&self, row: usize, out: &mut Vec<u8>) -> std::result::Result<(), String>;
}

/// An encoder that borrows its batch.
pub type BoxedEncoder<'batch> = Box<dyn Encoder + 'batch>;

/// Values that `write` appends, given their row; NULLs apart.
struct Values<'batch, F> {
    nulls: Option<&'batch NullBuffer>,
    write: F,
}

impl<F: Fn(usize, &mut Vec<u8>) -> std::result::Result<(), String>> Encoder for Values<'_, F> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> std::result::Result<(), String> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            return Ok(());
        }
        (self.write)(row, out)
    }
}

/// An encoder of this array, of which `write` appends the field of a row that is not NULL.
pub(crate) fn values<'batch>(
    array: &'batch dyn Array,
    write: impl Fn(usize, &mut Vec<u8>) -> std::result::Result<(), String> + 'batch,
) -> BoxedEncoder<'batch> {
    Box::new(Values { nulls: array.nulls(), write })
}

/// Whether values of this Arrow type can become values of this type.
#[must_use]
pub fn fits(data_type: &DataType, column_type: &ColumnType) -> bool {
    column_type.encoder(&new_empty_array(data_type)).is_some()
}

/// Encodes batches as rows of one table.
#[derive(Debug, Clone)]
pub struct CopyEncoder {
    table: String,
    columns: Vec<(String, ColumnType)>,
    /// By column and row of the file: values that their arrays do not hold.
    asides: BTreeMap<(usize, u64), Vec<u8>>,
    /// By column: how many characters a text may have.
    longest: BTreeMap<usize, usize>,
}

/// A column some of whose values stand elsewhere.
struct WithAsides<'batch> {
    array: BoxedEncoder<'batch>,
    asides: BTreeMap<usize, &'batch [u8]>,
}

impl Encoder for WithAsides<'_> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> std::result::Result<(), String> {
        match self.asides.get(&row) {
            Some(value) => field(value, out),
            None => self.array.write(row, out),
        }
    }
}

impl CopyEncoder {
    /// An encoder of rows that are made of these columns; `table` names them in errors.
    #[must_use]
    pub fn new(table: String, columns: Vec<(String, ColumnType)>) -> Self {
        Self { table, columns, asides: BTreeMap::new(), longest: BTreeMap::new() }
    }

    /// The same, for columns whose texts may have so many characters, by place: those of a file that does not promise it.
    #[must_use]
    pub fn with_longest(self, longest: BTreeMap<usize, usize>) -> Self {
        Self { longest, ..self }
    }

    /// The same, with values that the file keeps aside.
    ///
    /// # Errors
    /// A value that is none of its column's type.
    pub fn with_asides(mut self, asides: &[Aside]) -> Result<Self> {
        for aside in asides {
            // A column that is not restored needs none.
            let Some(index) = self.columns.iter().position(|(name, _)| *name == aside.column) else { continue };
            let mut value = aside.value.clone();
            let adopted = self.columns[index].1.adopt(&mut value);
            adopted.map_err(|why| self.refusal(&aside.column, aside.row + 1, &why))?;
            self.asides.insert((index, aside.row), value);
        }
        Ok(self)
    }

    /// Appends these rows of a batch, whose first row is the `rows_before`th of the file, and hands over every full block.
    ///
    /// # Errors
    /// A value that the target cannot hold exactly, by table, column and row; and whatever `full` fails with.
    pub fn encode(
        &self,
        arrays: &[ArrayRef],
        rows: impl Iterator<Item = usize>,
        rows_before: u64,
        out: &mut Vec<u8>,
        full: &mut dyn FnMut(&mut Vec<u8>) -> Result<()>,
    ) -> Result<u64> {
        self.check_lengths(arrays, rows_before)?;
        let encoders = self.encoders(arrays, rows_before)?;
        let count = i16::try_from(encoders.len()).map_err(|_| Error::failure("restoring: too many columns"))?;
        let mut written = 0;
        for row in rows {
            out.extend_from_slice(&count.to_be_bytes());
            for (encoder, (column, _)) in encoders.iter().zip(&self.columns) {
                encoder.write(row, out).map_err(|why| self.refusal(column, rows_before + row as u64 + 1, &why))?;
            }
            written += 1;
            if out.len() >= BLOCK_BYTES {
                full(out)?;
            }
        }
        Ok(written)
    }

    fn check_lengths(&self, arrays: &[ArrayRef], rows_before: u64) -> Result<()> {
        for (column, most) in &self.longest {
            let (Some((name, _)), Some(array)) = (self.columns.get(*column), arrays.get(*column)) else { continue };
            if let Some(row) = first_longer(array, *most) {
                let why = format!("has more than the {most} characters of its column, even if those beyond are spaces");
                return Err(self.refusal(name, rows_before + row as u64 + 1, &why));
            }
        }
        Ok(())
    }

    fn encoders<'batch>(
        &'batch self,
        arrays: &'batch [ArrayRef],
        rows_before: u64,
    ) -> Result<Vec<BoxedEncoder<'batch>>> {
        let pairs = self.columns.iter().zip(arrays).enumerate();
        let encoders = pairs.map(|(index, ((column, column_type), array))| {
            let encoder = column_type.encoder(array).ok_or_else(|| {
                let found = array.data_type();
                Error::failure(format!("restoring {}: column {column:?} cannot be made from {found}", self.table))
            })?;
            let rows = (index, rows_before)..(index, rows_before + array.len() as u64);
            let asides = self.asides.range(rows).map(|((_, row), value)| (row - rows_before, value.as_slice()));
            let asides: BTreeMap<usize, &[u8]> =
                asides.filter_map(|(row, value)| Some((usize::try_from(row).ok()?, value))).collect();
            if asides.is_empty() {
                Ok(encoder)
            } else {
                Ok(Box::new(WithAsides { array: encoder, asides }) as BoxedEncoder<'batch>)
            }
        });
        encoders.collect()
    }

    fn refusal(&self, column: &str, row: u64, why: &str) -> Error {
        let message = format!("restoring {}: column {column:?}, row {row} of the file: the value {why}", self.table);
        Error::failure(message).with_hint("Nothing was changed. Restore into a table whose column can hold it.")
    }
}

/// Appends a value with its length.
pub(crate) fn field(bytes: &[u8], out: &mut Vec<u8>) -> std::result::Result<(), String> {
    let length = i32::try_from(bytes.len()).map_err(|_| "is too long".to_owned())?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// Appends a value that `write` writes, and puts its length before it.
pub(crate) fn measured(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> std::result::Result<(), String>,
) -> std::result::Result<(), String> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out)?;
    let length = i32::try_from(out.len() - start - 4).map_err(|_| "is too long".to_owned())?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}
