//! Rows as Parquet. Pieces of the table are read side by side, each over a connection of its own, and written in order as
//! one file; for each connection the socket is read, rows are decoded, and columns are encoded, on a thread each.

use crate::in_order::{InOrder, StopUnlessDone};
use crate::pieces::Piece;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::ScopedJoinHandle;
use vb_core::{Error, Result};
use vb_format::{Compression, Group, GroupEncoder, GroupFactory, ParquetSink, Sample};
use vb_postgres::aside::{ASIDE_KEY, Gathered};
use vb_postgres::connection::{Parameters, RawConnection};
use vb_postgres::copy_out::{Blocks, Sent};
use vb_postgres::decode::CopyDecoder;
use vb_postgres::schema::{METADATA_KEY, TableDescription};
use vb_postgres::snapshot;

/// Batches that may wait for the encoder.
const BATCHES_WAITING: usize = 2;
/// How many pieces a connection may be ahead of the writer, on average.
const PIECES_AHEAD: usize = 2;

/// What is read, and how.
pub(crate) struct Reading<'plan> {
    pub(crate) parameters: &'plan Parameters,
    /// The snapshot that all connections share.
    pub(crate) token: &'plan str,
    pub(crate) pieces: &'plan [Piece],
    pub(crate) description: &'plan TableDescription,
    /// What is exported, for messages.
    pub(crate) name: &'plan str,
    /// Connections.
    pub(crate) jobs: usize,
    /// Whether the rows that row-level security shows are enough.
    pub(crate) row_security: bool,
}

type Order = InOrder<Group, GroupFactory>;

/// Writes all pieces as one Parquet file, whose footer also gets what `metadata` gives for so many rows. Returns what was read.
pub(crate) fn to_parquet<W: Write + Send>(
    reading: &Reading<'_>,
    compression: Compression,
    output: W,
    metadata: impl FnOnce(u64) -> Result<Vec<(String, String)>>,
) -> Result<Read> {
    let jobs = reading.jobs.clamp(1, reading.pieces.len().max(1));
    let order = Order::new(reading.pieces.len(), jobs * PIECES_AHEAD);
    let mut sink = ParquetSink::new(output, reading.description.arrow());
    let read = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..jobs).map(|_| scope.spawn(|| read_pieces(reading, compression, &order))).collect();
        let stop = StopUnlessDone::new(&order);
        let written = std::iter::from_fn(|| order.next_group()).try_for_each(|group| sink.append(group));
        if written.is_ok() {
            stop.done();
        } else {
            drop(stop);
        }
        let read = join(readers);
        written.and(read)
    })?;
    let table = serde_json::to_string(reading.description)
        .map_err(|cause| Error::failure(format!("describing the table: {cause}")))?;
    let mut footer = vec![(METADATA_KEY.to_owned(), table)];
    footer.extend(read.asides.footer()?.map(|asides| (ASIDE_KEY.to_owned(), asides)));
    footer.extend(metadata(read.rows)?);
    sink.finish(footer)?.flush().map_err(|cause| Error::io("writing the output", cause))?;
    Ok(read)
}

/// What was read in all.
#[derive(Default)]
pub(crate) struct Read {
    pub(crate) rows: u64,
    /// Values that their columns cannot hold.
    pub(crate) asides: Gathered,
}

/// What one connection has read: of each of its pieces, its number and what it keeps aside.
type Pieces = Vec<(usize, Gathered)>;

/// All rows; or the failure that came first, which is the one that is no consequence of another.
fn join(readers: Vec<ScopedJoinHandle<'_, Result<Pieces>>>) -> Result<Read> {
    let (mut pieces, mut failure) = (Pieces::new(), None);
    for reader in readers {
        match reader.join().unwrap_or_else(|_| Err(Error::failure("reading rows: a thread ended unexpectedly"))) {
            Ok(some) => pieces.extend(some),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    pieces.sort_by_key(|(number, _)| *number);
    let mut asides = Gathered::default();
    pieces.into_iter().try_for_each(|(_, more)| asides.append(more))?;
    failure.map_or(Ok(Read { rows: asides.rows(), asides }), Err)
}

/// Reads pieces over one connection until none is left, or another one has failed.
fn read_pieces(reading: &Reading<'_>, compression: Compression, order: &Order) -> Result<Pieces> {
    let stop = StopUnlessDone::new(order);
    let during = |error: Error| error.during(format!("exporting {}", reading.name));
    let (mut connection, mut pieces) = (None, Pieces::new());
    while let Some(number) = order.take() {
        let open = match connection.take() {
            Some(connection) => connection,
            None => join_snapshot(reading)?,
        };
        let statement = format!("COPY {} TO STDOUT (FORMAT binary)", reading.pieces[number].copy);
        let stream = open.copy_out(&statement).map_err(during)?;
        let piece = read_piece(reading, compression, order, number, Blocks::start(stream)?);
        let (sent, asides) = match piece {
            Err(_) if order.is_stopped() => return Ok(pieces),
            piece => piece.map_err(|error| reading.pieces[number].locate(error))?,
        };
        pieces.push((number, asides));
        connection = Some(sent.connection);
    }
    stop.done();
    Ok(pieces)
}

pub(crate) fn join_snapshot(reading: &Reading<'_>) -> Result<RawConnection> {
    join_moment(reading.parameters, reading.token, reading.row_security)
}

/// A connection that sees the snapshot of this token.
pub(crate) fn join_moment(parameters: &Parameters, token: &str, row_security: bool) -> Result<RawConnection> {
    let mut connection = RawConnection::open(parameters)?;
    connection.execute(&snapshot::join(token))?;
    if row_security {
        connection.execute(snapshot::ROW_SECURITY)?;
    }
    Ok(connection)
}

fn read_piece(
    reading: &Reading<'_>,
    compression: Compression,
    order: &Order,
    number: usize,
    blocks: Blocks,
) -> Result<(Sent, Gathered)> {
    let decoder = CopyDecoder::new(reading.description);
    let encoding =
        Encoding { order, number, compression, jobs: reading.jobs.min(reading.pieces.len()), schema: decoder.schema() };
    let (sender, batches) = sync_channel(BATCHES_WAITING);
    std::thread::scope(|scope| {
        let decoding = scope.spawn(move || decode(blocks, decoder, &sender));
        let encoded = encoding.run(&batches);
        // If encoding failed, the decoder must not wait for it.
        drop(batches);
        let decoded =
            decoding.join().unwrap_or_else(|_| Err(Error::failure("decoding rows: the thread ended unexpectedly")));
        let asides = encoded?;
        let sent = decoded?;
        order.end(number, sent.rows == 0);
        Ok((sent, asides))
    })
}

/// Makes row groups of one piece's batches.
struct Encoding<'order> {
    order: &'order Order,
    number: usize,
    compression: Compression,
    jobs: usize,
    schema: SchemaRef,
}

impl Encoding<'_> {
    fn run(&self, batches: &Receiver<RecordBatch>) -> Result<Gathered> {
        let mut encoder = self.order.choice().map(GroupEncoder::new).transpose()?;
        let (mut sample, mut asides) = (Sample::default(), Gathered::default());
        for batch in batches {
            asides.take(&batch)?;
            match &mut encoder {
                Some(encoder) => self.push(encoder.write(&batch)?)?,
                None if sample.add(batch) => encoder = Some(self.begin(std::mem::take(&mut sample))?),
                None => {}
            }
        }
        if encoder.is_none() && !sample.is_empty() {
            encoder = Some(self.begin(sample)?);
        }
        if let Some(encoder) = encoder {
            self.push(encoder.finish()?)?;
        }
        Ok(asides)
    }

    /// An encoder that has taken the sample, by the choice that it or an earlier piece has led to.
    fn begin(&self, sample: Sample) -> Result<GroupEncoder> {
        let choose = || GroupFactory::new(&self.schema, &sample.choices()?, self.compression, self.jobs);
        let mut encoder = GroupEncoder::new(self.order.decide(self.number, choose)?)?;
        for batch in sample.into_batches() {
            self.push(encoder.write(&batch)?)?;
        }
        Ok(encoder)
    }

    fn push(&self, group: Option<Group>) -> Result<()> {
        group.map_or(Ok(()), |group| self.order.push(self.number, group))
    }
}

/// Decodes every block, and demands as many rows as the server says it sent.
fn decode(blocks: Blocks, mut decoder: CopyDecoder, batches: &SyncSender<RecordBatch>) -> Result<Sent> {
    let mut pass_on = |batch| batches.send(batch).map_err(|_| Error::failure("writing the output failed"));
    while let Some(block) = blocks.next_block() {
        decoder.push(&block, &mut pass_on)?;
        blocks.give_back(block);
    }
    let sent = blocks.finish()?;
    let rows = decoder.finish(&mut pass_on)?;
    if rows == sent.rows {
        return Ok(sent);
    }
    Err(Error::integrity(format!("reading rows: the server sent {}, but {rows} arrived", sent.rows)))
}
