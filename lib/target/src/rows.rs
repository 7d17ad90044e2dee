//! Rows from Parquet to the server: row groups are read, rows are encoded, and blocks are sent, on a thread each.

use crate::errors::{not_sent, refused};
use crate::parquet_file::ParquetFile;
use crate::plan::Plan;
use arrow_array::RecordBatch;
use postgres::Client;
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use vb_core::{Error, Result};
use vb_postgres::encode::{BLOCK_BYTES, CopyEncoder, HEADER, TRAILER};

/// Batches that may wait for the encoder, and blocks that may wait for the socket.
const WAITING: usize = 2;

/// What was read, and what was sent of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) read: u64,
    pub(crate) sent: u64,
}

/// Sends the file's rows into the plan's COPY. The server must report as many as were sent.
pub(crate) fn copy(
    client: &mut Client,
    file: &ParquetFile,
    plan: &Plan,
    encoder: &CopyEncoder,
    passed: &(dyn Fn(u64) + Sync),
) -> Result<Counts> {
    let step = format!("restoring {}", plan.table);
    let mut writer = client.copy_in(&plan.copy).map_err(|cause| refused(&step, cause))?;
    let (batch_sender, batches) = sync_channel(WAITING);
    let (block_sender, blocks) = sync_channel::<Vec<u8>>(WAITING);
    let (used_sender, used) = sync_channel(WAITING + 2);
    let (counts, sent) = std::thread::scope(|scope| {
        let reading = scope.spawn(move || read(file, &batch_sender));
        let encoding = scope.spawn(move || encode(&batches, plan, encoder, &block_sender, &used));
        let mut sent = Ok(());
        for mut block in &blocks {
            sent = writer.write_all(&block);
            if sent.is_err() {
                break;
            }
            passed(block.len() as u64);
            block.clear();
            let _more_than_needed = used_sender.try_send(block);
        }
        // If sending failed, the other two must not wait for it.
        drop(blocks);
        (join(reading).and_then(|()| join(encoding)), sent)
    });
    // The server's own refusal says more than that nobody takes blocks any more.
    sent.map_err(|cause| not_sent(&step, cause))?;
    let counts = counts?;
    let taken = writer.finish().map_err(|cause| refused(&step, cause))?;
    check(&step, file, counts, taken)
}

fn check(step: &str, file: &ParquetFile, counts: Counts, taken: u64) -> Result<Counts> {
    if counts.read != file.rows() {
        return Err(Error::integrity(format!(
            "{step}: the file's footer says {} rows, but {} were read",
            file.rows(),
            counts.read
        )));
    }
    if taken != counts.sent {
        return Err(Error::integrity(format!("{step}: {} rows were sent, but the server took {taken}", counts.sent)));
    }
    Ok(counts)
}

fn join<T>(thread: std::thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(Error::failure("restoring rows: a thread ended unexpectedly")))
}

/// Reads row group after row group, until all is read or nobody wants more.
fn read(file: &ParquetFile, batches: &SyncSender<RecordBatch>) -> Result<()> {
    for group in 0..file.groups() {
        for batch in file.group(group)? {
            let batch = batch.map_err(|cause| file.broken(&cause))?;
            if batches.send(batch).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Encodes the wanted rows of every batch. The trailer alone ends nothing: the COPY counts only when [`copy`] finishes it.
fn encode(
    batches: &Receiver<RecordBatch>,
    plan: &Plan,
    encoder: &CopyEncoder,
    blocks: &SyncSender<Vec<u8>>,
    used: &Receiver<Vec<u8>>,
) -> Result<Counts> {
    let fresh = || used.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 4));
    let mut pass_on = |block: &mut Vec<u8>| {
        let full = std::mem::replace(block, fresh());
        blocks.send(full).map_err(|_| Error::failure("restoring rows: the server takes no more"))
    };
    let mut counts = Counts::default();
    let mut block = HEADER.to_vec();
    for batch in batches {
        let arrays: Vec<_> = plan.sent.iter().map(|sent| batch.column(sent.index).clone()).collect();
        counts.sent += match &plan.selection {
            None => encoder.encode(&arrays, 0..batch.num_rows(), counts.read, &mut block, &mut pass_on)?,
            Some(selection) => {
                encoder.encode(&arrays, selection.rows(&batch).into_iter(), counts.read, &mut block, &mut pass_on)?
            }
        };
        counts.read += batch.num_rows() as u64;
    }
    block.extend_from_slice(&TRAILER);
    pass_on(&mut block)?;
    Ok(counts)
}
