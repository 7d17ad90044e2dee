//! Large objects: made by their statements, then filled.

use super::chain::DatabaseChain;
use super::restore::Options;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type};
use arrow_array::{Array, RecordBatch};
use postgres::Client;
use vb_core::{Error, Result};
use vb_postgres::connection::from_postgres;
use vb_postgres::database::format;
use vb_postgres::script::statements;

const STEP: &str = "restoring the large objects";
/// What is sent at once.
const PIECE_BYTES: usize = 1 << 20;

/// Bytes that follow each other in one object.
#[derive(Debug, Default)]
struct Piece {
    object: u32,
    start: i64,
    bytes: Vec<u8>,
}

/// Restores them within the caller's transaction.
///
/// # Errors
/// Whatever the server refuses.
pub(super) fn restore(client: &mut Client, chain: &DatabaseChain, options: &Options) -> Result<()> {
    let Some((archive, member)) = chain.large_objects() else { return Ok(()) };
    let wanted = |statement: &&String| {
        !options.no_owner || statement.starts_with("SELECT ") || statement.starts_with("COMMENT ")
    };
    let all = statements(&archive.text(format::LARGE_OBJECTS_SQL)?);
    for statement in all.iter().filter(wanted) {
        client.batch_execute(statement).map_err(|cause| from_postgres(format!("{STEP} ({statement})"), cause))?;
    }
    let file = archive.parquet(member)?;
    let columns: Vec<usize> = (0..file.schema().fields().len()).collect();
    let mut piece = Piece::default();
    for group in 0..file.groups() {
        for batch in file.group(group, &columns)? {
            let batch = batch.map_err(|cause| file.broken(&cause))?;
            pages(&batch).ok_or_else(|| file.broken(&"it holds no pages"))?.try_for_each(
                |(object, start, bytes)| {
                    let follows = piece.object == object && piece.start + piece.bytes.len() as i64 == start;
                    if !follows || piece.bytes.len() + bytes.len() > PIECE_BYTES {
                        piece.put(client)?;
                        (piece.object, piece.start) = (object, start);
                    }
                    piece.bytes.extend_from_slice(bytes);
                    Ok::<_, Error>(())
                },
            )?;
        }
    }
    piece.put(client)
}

impl Piece {
    fn put(&mut self, client: &mut Client) -> Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let put = client.execute("SELECT pg_catalog.lo_put($1, $2, $3)", &[&self.object, &self.start, &self.bytes]);
        put.map_err(|cause| from_postgres(STEP, cause))?;
        self.bytes.clear();
        Ok(())
    }
}

/// Object, offset and bytes of each row; none where the columns are others.
fn pages(batch: &RecordBatch) -> Option<impl Iterator<Item = (u32, i64, &[u8])>> {
    let [objects, starts, bytes] = batch.columns() else { return None };
    let objects = objects.as_primitive_opt::<UInt32Type>()?;
    let starts = starts.as_primitive_opt::<Int64Type>()?;
    let bytes = bytes.as_binary_opt::<i32>()?;
    let whole = objects.null_count() + starts.null_count() + bytes.null_count() == 0;
    whole.then(|| (0..batch.num_rows()).map(move |row| (objects.value(row), starts.value(row), bytes.value(row))))
}
