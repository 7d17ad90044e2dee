//! Rows as Parquet: the socket is read, rows are decoded, and columns are encoded, on a thread each.

use crate::export::Exported;
use arrow_array::RecordBatch;
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use vb_core::{Error, Result};
use vb_format::parquet_sink::{Compression, ParquetSink};
use vb_postgres::aside::{ASIDE_KEY, Gathered};
use vb_postgres::connection::CopyOut;
use vb_postgres::copy_out::Blocks;
use vb_postgres::decode::CopyDecoder;
use vb_postgres::schema::{METADATA_KEY, TableDescription};

/// Batches that may wait for the encoder.
const BATCHES_WAITING: usize = 2;

/// Writes the rows of a COPY as one Parquet file.
pub(crate) fn to_parquet<W: Write + Send>(
    stream: CopyOut,
    description: &TableDescription,
    compression: Compression,
    output: W,
) -> Result<Exported> {
    let blocks = Blocks::start(stream)?;
    let decoder = CopyDecoder::new(description);
    let table =
        serde_json::to_string(description).map_err(|cause| Error::failure(format!("describing the table: {cause}")))?;
    let mut sink = ParquetSink::new(output, decoder.schema(), compression, &[(METADATA_KEY.to_owned(), table)]);
    let (sender, batches) = sync_channel(BATCHES_WAITING);
    std::thread::scope(|scope| {
        let decoding = scope.spawn(move || decode(blocks, decoder, &sender));
        let encoded = encode(&batches, &mut sink);
        // If encoding failed, the decoder must not wait for it.
        drop(batches);
        let decoded =
            decoding.join().unwrap_or_else(|_| Err(Error::failure("decoding rows: the thread ended unexpectedly")));
        let asides = encoded?;
        let exported = Exported { records: decoded?, kept_aside: asides.count() };
        if let Some(asides) = asides.footer()? {
            sink.say(ASIDE_KEY, asides);
        }
        sink.finish()?.flush().map_err(|cause| Error::io("writing the output", cause))?;
        Ok(exported)
    })
}

fn encode<W: Write + Send>(batches: &Receiver<RecordBatch>, sink: &mut ParquetSink<W>) -> Result<Gathered> {
    let mut asides = Gathered::default();
    batches.iter().try_for_each(|batch| {
        asides.take(&batch)?;
        sink.write(batch)
    })?;
    Ok(asides)
}

/// Decodes every block, and demands as many rows as the server says it sent.
fn decode(blocks: Blocks, mut decoder: CopyDecoder, batches: &SyncSender<RecordBatch>) -> Result<u64> {
    let mut pass_on = |batch| batches.send(batch).map_err(|_| Error::failure("writing the output failed"));
    while let Some(block) = blocks.next_block() {
        decoder.push(&block, &mut pass_on)?;
        blocks.give_back(block);
    }
    let sent = blocks.finish()?;
    let rows = decoder.finish(&mut pass_on)?;
    if rows == sent {
        return Ok(rows);
    }
    Err(Error::integrity(format!("reading rows: the server sent {sent}, but {rows} arrived")))
}
