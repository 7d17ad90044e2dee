//! COPY BINARY to Arrow: rows are located first, then decoded column by column in tight loops.
//!
//! The format is in the PostgreSQL manual under COPY, "Binary Format": a signature, flags, an extension; then for each row
//! the number of fields and each field as a length and its bytes; at the end -1.

use crate::aside::Asides;
use crate::fields::{Fields, Place};
use crate::schema::TableDescription;
use crate::types::Decoder;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use vb_core::{Error, Result};

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
const TRAILER: i16 = -1;

/// Rows located before they are decoded: few enough to stay in the processor's cache.
const ROWS_AT_ONCE: usize = 2048;
/// Rows in a batch.
const BATCH_ROWS: usize = 16 << 10;
/// A batch ends early when its rows are this large, so that memory stays flat.
const BATCH_BYTES: usize = 8 << 20;

/// Decodes a COPY's data, however it is cut into blocks.
pub struct CopyDecoder {
    name: String,
    columns: Vec<(String, Box<dyn Decoder>)>,
    schema: SchemaRef,
    places: Vec<Place>,
    /// What was left of the last block: the beginning of a row.
    carried: Vec<u8>,
    state: Stage,
    rows_before: u64,
    batch_rows: usize,
    batch_bytes: usize,
    asides: Asides,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header,
    Rows,
    Ended,
}

/// What the walk over a block's rows found.
struct Located {
    rows: usize,
    bytes: usize,
    ended: bool,
}

impl CopyDecoder {
    /// A decoder of rows that are made of these columns.
    #[must_use]
    pub fn new(table: &TableDescription) -> Self {
        let columns: Vec<(String, Box<dyn Decoder>)> = table
            .columns
            .iter()
            .filter_map(|column| Some((column.name.clone(), column.column_type.as_ref()?.decoder())))
            .collect();
        let places = vec![Place { offset: 0, length: -1 }; columns.len() * ROWS_AT_ONCE];
        Self {
            name: table.full_name(),
            columns,
            schema: table.arrow(),
            places,
            carried: Vec::new(),
            state: Stage::Header,
            rows_before: 0,
            batch_rows: 0,
            batch_bytes: 0,
            asides: Asides::default(),
        }
    }

    /// The schema of the batches.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Takes the next block, and hands over every batch that it fills.
    ///
    /// # Errors
    /// A value that cannot be stored exactly, by table, column, row and value; a stream that is not COPY BINARY.
    pub fn push(&mut self, block: &[u8], each: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<()> {
        if self.carried.is_empty() {
            let used = self.take_rows(block, each)?;
            self.carried.extend_from_slice(&block[used..]);
            return Ok(());
        }
        let mut joined = std::mem::take(&mut self.carried);
        joined.extend_from_slice(block);
        let used = self.take_rows(&joined, each)?;
        joined.drain(..used);
        self.carried = joined;
        Ok(())
    }

    /// After the last block: hands over what is left, and returns the number of rows.
    ///
    /// # Errors
    /// If the stream did not come to its end.
    pub fn finish(mut self, each: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<u64> {
        if self.state != Stage::Ended || !self.carried.is_empty() {
            return Err(Error::integrity(format!("reading {}: the rows end in the middle", self.name)));
        }
        self.emit(each)?;
        Ok(self.rows_before)
    }

    /// Decodes the whole rows at the block's beginning and returns their length.
    fn take_rows(&mut self, block: &[u8], each: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<usize> {
        let mut used = 0;
        if self.state == Stage::Header {
            match header_length(block).map_err(|why| self.broken(why))? {
                Some(length) => used = length,
                None => return Ok(0),
            }
            self.state = Stage::Rows;
        }
        loop {
            let rest = &block[used..];
            if self.state == Stage::Ended {
                return if rest.is_empty() { Ok(used) } else { Err(self.broken("bytes follow the end")) };
            }
            let located = self.locate(rest)?;
            self.decode(rest, located.rows)?;
            used += located.bytes;
            self.batch_rows += located.rows;
            let decoded: usize = self.columns.iter().map(|(_, decoder)| decoder.size_bytes()).sum();
            self.batch_bytes = decoded.max(self.batch_bytes + located.bytes);
            if located.ended {
                self.state = Stage::Ended;
            }
            if self.batch_rows >= BATCH_ROWS || self.batch_bytes >= BATCH_BYTES {
                self.emit(each)?;
            }
            if !located.ended && located.rows < ROWS_AT_ONCE {
                return Ok(used);
            }
        }
    }

    /// Finds the fields of as many whole rows as there are, at most [`ROWS_AT_ONCE`].
    fn locate(&mut self, block: &[u8]) -> Result<Located> {
        let mut located = Located { rows: 0, bytes: 0, ended: false };
        let columns = self.columns.len();
        if u32::try_from(block.len()).is_err() {
            return Err(self.broken("a row is too large"));
        }
        while located.rows < ROWS_AT_ONCE {
            let Some(count) = block.get(located.bytes..).and_then(|rest| rest.first_chunk()) else { break };
            let count = i16::from_be_bytes(*count);
            if count == TRAILER {
                located.bytes += 2;
                located.ended = true;
                break;
            }
            if usize::try_from(count) != Ok(columns) {
                return Err(self.broken("a row has another number of columns"));
            }
            match locate_row(block, located.bytes + 2, &mut self.places[located.rows..], columns) {
                Ok(Some(end)) => located.bytes = end,
                Ok(None) => break,
                Err(why) => return Err(self.broken(why)),
            }
            located.rows += 1;
        }
        Ok(located)
    }

    fn decode(&mut self, block: &[u8], rows: usize) -> Result<()> {
        for (index, (column, decoder)) in self.columns.iter_mut().enumerate() {
            let mut places = &self.places[index * ROWS_AT_ONCE..][..rows];
            let mut before = self.batch_rows;
            // What its type cannot hold is kept aside, and NULL in its column.
            while let Err(bad) = decoder.append(&Fields::new(block, places)) {
                let row = before + bad.row;
                let value = Fields::new(block, &places[bad.row..]).iter().next().flatten().unwrap_or_default();
                if !self.asides.keep(column, row, bad.why.clone(), value) {
                    return Err(refusal(&self.name, column, self.rows_before + row as u64 + 1, &bad.why, Some(value)));
                }
                decoder.truncate(row);
                let taken = decoder.append(&Fields::new(block, &[Place { offset: 0, length: -1 }]));
                taken.map_err(|bad| refusal(&self.name, column, self.rows_before + row as u64 + 1, &bad.why, None))?;
                places = &places[bad.row + 1..];
                before = row + 1;
            }
        }
        Ok(())
    }

    /// Hands the collected rows over.
    fn emit(&mut self, each: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<()> {
        if self.batch_rows == 0 {
            return Ok(());
        }
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (column, decoder) in &mut self.columns {
            let array = decoder
                .finish()
                .map_err(|bad| refusal(&self.name, column, self.rows_before + bad.row as u64 + 1, &bad.why, None))?;
            arrays.push(array);
        }
        let schema = self.asides.schema(&self.schema)?;
        let batch = batch(&schema, arrays, self.batch_rows)
            .map_err(|cause| Error::failure(format!("decoding {}: {cause}", self.name)))?;
        self.rows_before += self.batch_rows as u64;
        (self.batch_rows, self.batch_bytes) = (0, 0);
        each(batch)
    }

    fn broken(&self, why: &str) -> Error {
        Error::integrity(format!("reading {}: {why}", self.name))
    }
}

/// A batch, whose number of rows is known even if it has no columns.
fn batch(
    schema: &SchemaRef,
    arrays: Vec<ArrayRef>,
    rows: usize,
) -> std::result::Result<RecordBatch, arrow_schema::ArrowError> {
    debug_assert!(
        arrays
            .iter()
            .zip(schema.fields())
            .all(|(array, field)| { array.data_type() == field.data_type() || field.data_type().is_nested() })
    );
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), arrays, &options)
}

/// The header's length, once it has arrived.
fn header_length(block: &[u8]) -> std::result::Result<Option<usize>, &'static str> {
    let Some((head, _)) = block.split_first_chunk::<19>() else { return Ok(None) };
    let (signature, numbers) = head.split_at(SIGNATURE.len());
    let number = |at: usize| u32::from_be_bytes([numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]]);
    if signature != SIGNATURE {
        return Err("this is no COPY in binary form");
    }
    // The lower half of the flags may be ignored; the upper half changes the format.
    if number(0) >> 16 != 0 {
        return Err("the COPY uses a format that is not known here");
    }
    let length = 19 + number(4) as usize;
    Ok((block.len() >= length).then_some(length))
}

/// Notes where the fields of one row lie, one column every [`ROWS_AT_ONCE`] places. Returns where the row ends.
fn locate_row(
    block: &[u8],
    mut at: usize,
    places: &mut [Place],
    columns: usize,
) -> std::result::Result<Option<usize>, &'static str> {
    for column in 0..columns {
        let Some(length) = block.get(at..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
        let length = i32::from_be_bytes(*length);
        at += 4;
        #[allow(clippy::cast_possible_truncation)] // the caller checked that the block is shorter than 4 GiB
        let place = Place { offset: at as u32, length };
        places[column * ROWS_AT_ONCE] = place;
        match usize::try_from(length) {
            Ok(length) => at += length,
            Err(_) if length == -1 => {}
            Err(_) => return Err("a field has a negative length"),
        }
    }
    Ok((at <= block.len()).then_some(at))
}

fn refusal(table: &str, column: &str, row: u64, why: &str, value: Option<&[u8]>) -> Error {
    let shown = value.map(|value| {
        let bytes: String = value.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!(" (0x{bytes}{})", if value.len() > 16 { "…" } else { "" })
    });
    let message =
        format!("exporting {table}: column {column:?}, row {row}: the value{} {why}", shown.unwrap_or_default());
    Error::failure(message).with_hint(format!(
        "The file has room for a few such values only. Export the column as text, for example: vb-export query 'SELECT …, {column}::text AS {column} FROM {table}'."
    ))
}
