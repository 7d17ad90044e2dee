//! Rows from Parquet to the server: row groups are read, rows are encoded, and blocks are sent, on a thread each. Several connections
//! may share the groups of a file.

use crate::errors::{not_sent, refused};
use crate::load::{Load, select_from};
use crate::parquet_file::ParquetFile;
use arrow_array::RecordBatch;
use postgres::types::Type;
use postgres::{Client, Column};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use vb_core::{Error, Result};
use vb_postgres::connection::from_postgres;
use vb_postgres::encode::{BLOCK_BYTES, CopyEncoder, HEADER, TRAILER, fits};
use vb_postgres::resolve::Resolver;

/// Batches that may wait for the encoder, and blocks that may wait for the socket.
const WAITING: usize = 2;

/// What was read, and what was sent of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) read: u64,
    pub(crate) sent: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.read += more.read;
        self.sent += more.sent;
    }
}

/// The row groups of a file that nobody has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Groups(AtomicUsize);

impl Groups {
    /// Leaves nothing for anybody.
    pub(crate) fn end(&self) {
        self.0.store(usize::MAX / 2, Ordering::Relaxed);
    }

    fn take(&self, file: &ParquetFile) -> Option<usize> {
        Some(self.0.fetch_add(1, Ordering::Relaxed)).filter(|group| *group < file.groups())
    }
}

/// The rows of one file on their way.
pub(crate) struct Sending<'run> {
    /// The table's name for people.
    pub(crate) table: &'run str,
    pub(crate) file: &'run ParquetFile,
    pub(crate) load: &'run Load,
    /// Which row groups: whatever no other connection takes.
    pub(crate) groups: &'run Groups,
    /// Which rows, by their number in the file; all where nothing is said.
    pub(crate) wanted: Option<&'run (dyn Fn(u64) -> bool + Sync)>,
}

/// Sends a file's rows by the load's statements, all of them. The server must report as many as were sent.
pub(crate) fn send(client: &mut Client, sending: &Sending<'_>, passed: &(dyn Fn(u64) + Sync)) -> Result<Counts> {
    let counts = send_share(client, sending, passed)?;
    check_all(sending.table, sending.file, counts)?;
    Ok(counts)
}

/// A file's rows are all read, by one connection or by several.
pub(crate) fn check_all(table: &str, file: &ParquetFile, Counts { read, .. }: Counts) -> Result<()> {
    if read == file.rows() {
        return Ok(());
    }
    let rows = file.rows();
    Err(Error::integrity(format!("restoring {table}: the file's footer says {rows} rows, but {read} were read")))
}

/// Sends what other connections leave of a file's rows.
pub(crate) fn send_share(client: &mut Client, sending: &Sending<'_>, passed: &(dyn Fn(u64) + Sync)) -> Result<Counts> {
    let step = format!("restoring {}", sending.table);
    let run = |client: &mut Client, statement: &Option<String>| match statement {
        Some(statement) => client.execute(statement, &[]).map(Some).map_err(|cause| refused(&step, cause)),
        None => Ok(None),
    };
    run(client, &sending.load.waiting)?;
    let encoder = sending.encoder(client)?;
    let counts = sending.copy(client, &encoder, &step, passed)?;
    match run(client, &sending.load.home)? {
        Some(moved) if moved != counts.sent => {
            Err(Error::integrity(format!("{step}: {} rows were sent, but {moved} were taken", counts.sent)))
        }
        _ => Ok(counts),
    }
}

impl Sending<'_> {
    /// The encoder for the types that the server itself names.
    fn encoder(&self, client: &mut Client) -> Result<CopyEncoder> {
        let (table, load) = (self.table, self.load);
        let select = select_from(&load.destination, &load.sent);
        let statement = client.prepare(&select).map_err(|cause| from_postgres(format!("restoring {table}"), cause))?;
        let mut resolver = Resolver::new(client);
        let mut columns = Vec::new();
        for (column, sent) in statement.columns().iter().zip(&load.sent) {
            let name = &sent.name;
            let column_type = resolver.column_type(column.type_().oid(), column.type_modifier())?;
            let found = self.file.schema().field(sent.index).data_type();
            if !fits(found, &column_type) {
                let wanted = column.type_();
                return Err(Error::usage(format!(
                    "column {name:?} is {found} in the file, which cannot become {wanted} in the table {table}"
                ))
                .with_hint(
                    "Nothing was changed. Change the column's type, or restore into another table with --table.",
                ));
            }
            columns.push((name.clone(), column_type));
        }
        let longest = if self.file.description().is_some() { BTreeMap::new() } else { longest(statement.columns()) };
        CopyEncoder::new(table.to_owned(), columns).with_longest(longest).with_asides(self.file.asides())
    }

    fn copy(
        &self,
        client: &mut Client,
        encoder: &CopyEncoder,
        step: &str,
        passed: &(dyn Fn(u64) + Sync),
    ) -> Result<Counts> {
        let mut writer = client.copy_in(&self.load.copy).map_err(|cause| refused(step, cause))?;
        let (batch_sender, batches) = sync_channel(WAITING);
        let (block_sender, blocks) = sync_channel::<Vec<u8>>(WAITING);
        let (used_sender, used) = sync_channel(WAITING + 2);
        let columns = self.load.read(self.file.schema().fields().len());
        let columns = &columns;
        let (counts, sent) = std::thread::scope(|scope| {
            let reading = scope.spawn(move || self.read(columns, &batch_sender));
            let encoding = scope.spawn(move || self.encode(&batches, columns, encoder, &block_sender, &used));
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
        sent.map_err(|cause| not_sent(step, cause))?;
        let counts = counts?;
        let taken = writer.finish().map_err(|cause| refused(step, cause))?;
        if taken != counts.sent {
            return Err(Error::integrity(format!(
                "{step}: {} rows were sent, but the server took {taken}",
                counts.sent
            )));
        }
        Ok(counts)
    }

    /// Reads row group after row group, until all is read or nobody wants more. Each batch comes with the number of its first row.
    fn read(&self, columns: &[usize], batches: &SyncSender<(u64, RecordBatch)>) -> Result<()> {
        while let Some(group) = self.groups.take(self.file) {
            let mut first = self.file.first_row(group);
            for batch in self.file.group(group, columns)? {
                let batch = batch.map_err(|cause| self.file.broken(&cause))?;
                let rows = batch.num_rows() as u64;
                if batches.send((first, batch)).is_err() {
                    return Ok(());
                }
                first += rows;
            }
        }
        Ok(())
    }

    /// Encodes the wanted rows of every batch. The trailer alone ends nothing: the COPY counts only when it is finished.
    fn encode(
        &self,
        batches: &Receiver<(u64, RecordBatch)>,
        columns: &[usize],
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
        for (before, batch) in batches {
            let column = |index: usize| batch.column(columns.binary_search(&index).unwrap_or_default());
            let arrays: Vec<_> = self.load.sent.iter().map(|sent| column(sent.index).clone()).collect();
            let times = self.load.selection.as_ref().map(|selection| selection.rows(column(selection.index)));
            let wanted = |row: &usize| self.wanted.is_none_or(|wanted| wanted(before + *row as u64));
            counts.sent += match times {
                None => {
                    let rows = (0..batch.num_rows()).filter(wanted);
                    encoder.encode(&arrays, rows, before, &mut block, &mut pass_on)?
                }
                Some(rows) => {
                    let rows = rows.into_iter().filter(wanted);
                    encoder.encode(&arrays, rows, before, &mut block, &mut pass_on)?
                }
            };
            counts.read += batch.num_rows() as u64;
        }
        block.extend_from_slice(&TRAILER);
        pass_on(&mut block)?;
        Ok(counts)
    }
}

/// How many characters a text may have, by the place of the column, which may also be of arrays of them.
fn longest(columns: &[Column]) -> BTreeMap<usize, usize> {
    let is_limited = |column: &Column| [Type::VARCHAR, Type::VARCHAR_ARRAY].contains(column.type_());
    let limited = columns.iter().enumerate().filter(|(_, column)| is_limited(column));
    // A modifier counts from four, as all of the server's do.
    limited.filter_map(|(place, column)| Some((place, usize::try_from(column.type_modifier() - 4).ok()?))).collect()
}

pub(crate) fn join<T>(thread: std::thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(Error::failure("restoring rows: a thread ended unexpectedly")))
}
