//! Values that the type of their column cannot hold, such as NaN in a decimal: kept aside, in the server's own binary form.
//!
//! Their column says NULL, and the file's footer says what they are, under the key [`ASIDE_KEY`]. So a column keeps the type that
//! suits all of its other values, and nothing has to be read twice to know that there are none. A column full of them would fill
//! the footer; beyond [`MOST_BYTES`] the export is refused, with the name of the value.

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use vb_core::{Error, Result};

/// The footer's key for values kept aside. On its way there, a batch carries its own under the same key of its schema.
pub const ASIDE_KEY: &str = "vb.aside";

/// The most bytes of values that one file keeps aside.
pub const MOST_BYTES: usize = 1 << 20;

/// What a value takes in the footer besides itself, about.
const OVERHEAD_BYTES: usize = 100;

/// A value kept aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// Its column's name.
    pub column: String,
    /// Its row, counted from 0: of the batch, and in the footer of the file.
    pub row: u64,
    /// Why it is here: a clause that follows the value's name.
    pub why: String,
    /// Its bytes in COPY BINARY, in hexadecimal.
    #[serde(with = "hexadecimal")]
    pub value: Vec<u8>,
}

/// The values of a batch that are kept aside, while it is made.
#[derive(Debug, Default)]
pub(crate) struct Asides {
    of_batch: Vec<Aside>,
    bytes: usize,
}

impl Asides {
    /// Keeps one, if there is still room.
    pub(crate) fn keep(&mut self, column: &str, row: usize, why: String, value: &[u8]) -> bool {
        self.bytes += value.len() + OVERHEAD_BYTES;
        self.of_batch.push(Aside { column: column.to_owned(), row: row as u64, why, value: value.to_vec() });
        self.bytes <= MOST_BYTES
    }

    /// The schema of a batch with all that was kept since the last.
    ///
    /// # Errors
    /// If they cannot be written down.
    pub(crate) fn schema(&mut self, schema: &SchemaRef) -> Result<SchemaRef> {
        if self.of_batch.is_empty() {
            return Ok(schema.clone());
        }
        let text = serde_json::to_string(&std::mem::take(&mut self.of_batch)).map_err(|cause| failed(&cause))?;
        let metadata = HashMap::from([(ASIDE_KEY.to_owned(), text)]);
        Ok(Arc::new(Schema::new_with_metadata(schema.fields().clone(), metadata)))
    }
}

/// What the batches of a file carry, gathered in their order.
#[derive(Debug, Default)]
pub struct Gathered {
    asides: Vec<Aside>,
    rows: u64,
}

impl Gathered {
    /// Takes what the next batch carries.
    ///
    /// # Errors
    /// If the batch carries something else under the key.
    pub fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        if let Some(text) = batch.schema_ref().metadata().get(ASIDE_KEY) {
            let asides: Vec<Aside> = serde_json::from_str(text).map_err(|cause| failed(&cause))?;
            self.asides.extend(asides.into_iter().map(|aside| Aside { row: self.rows + aside.row, ..aside }));
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Adds what the next piece of the file carries.
    ///
    /// # Errors
    /// If all together take more than [`MOST_BYTES`].
    pub fn append(&mut self, next: Self) -> Result<()> {
        self.asides.extend(next.asides.into_iter().map(|aside| Aside { row: self.rows + aside.row, ..aside }));
        self.rows += next.rows;
        let bytes: usize = self.asides.iter().map(|aside| aside.value.len() + OVERHEAD_BYTES).sum();
        match self.asides.last() {
            Some(last) if bytes > MOST_BYTES => Err(Error::failure(format!(
                "keeping values aside: there are too many of them; the last, in column {:?}, {}",
                last.column, last.why
            ))
            .with_hint("Export the column as text: vb-export query 'SELECT …, COLUMN::text AS COLUMN FROM …'.")),
            _ => Ok(()),
        }
    }

    /// The rows of all batches.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.asides.len() as u64
    }

    /// What the footer says under [`ASIDE_KEY`]; none where nothing is aside.
    ///
    /// # Errors
    /// If it cannot be said.
    pub fn footer(&self) -> Result<Option<String>> {
        let text = (!self.asides.is_empty()).then(|| serde_json::to_string(&self.asides)).transpose();
        text.map_err(|cause| failed(&cause))
    }
}

fn failed(cause: &serde_json::Error) -> Error {
    Error::failure(format!("keeping values aside: {cause}"))
}

mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&value.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
        bytes.filter(|_| text.len() % 2 == 0).ok_or_else(|| D::Error::custom("no hexadecimal"))
    }
}
