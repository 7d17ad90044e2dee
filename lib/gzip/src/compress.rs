//! Compression: blocks of the input become members in parallel and leave in order, without the seal.

use crate::error::{GzipError, Result};
use crate::format::{BLOCK_BYTES, HEAD, MEMBER_HEADER_BYTES, TRAILER_BYTES, member_header};
use crate::pipeline::{self, Block, Feed};
use crate::seal::{Totals, seal_member};
use crate::source::fill;
use crate::tally::Tally;
use libdeflater::{CompressionLvl, Compressor};
use std::io::{Read, Write};
use std::thread::available_parallelism;

/// How hard to try: 0 stores, 1 is fastest, 12 is smallest and very slow.
#[derive(Debug, Clone, Copy)]
pub struct Level(CompressionLvl);

impl Level {
    /// The level with this number, if it is one of 0 to 12.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        CompressionLvl::new(number.into()).ok().map(Self)
    }
}

impl Default for Level {
    /// Level 6.
    fn default() -> Self {
        Self(CompressionLvl::default())
    }
}

/// A thread for each core, but at most 16: they keep up with any pipe, and memory stays below 100 MB.
#[must_use]
pub fn default_threads() -> usize {
    available_parallelism().map_or(1, |cores| cores.get().min(16))
}

/// A stream whose data is complete but which no gunzip accepts yet: its end must be proven first.
#[must_use = "without its seal the stream counts as truncated"]
#[derive(Debug)]
pub struct Unsealed {
    totals: Totals,
}

impl Unsealed {
    /// What the seal will say.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Ends the stream. Call it only once the input is known to be whole; otherwise drop this, and the stream stays
    /// refused by every reader.
    ///
    /// # Errors
    /// If the label is too long or the output cannot be written.
    pub fn seal(self, output: &mut impl Write, label: &[u8]) -> Result<Totals> {
        let member = seal_member(&self.totals, label)?;
        output.write_all(&member[HEAD.len()..]).map_err(GzipError::Write)?;
        Ok(self.totals)
    }
}

/// Compresses `input` to its end on `threads` worker threads, which hold about `2 * threads + 2` blocks of 1 MiB each,
/// before and after. The same input and level give the same bytes, whatever the number of threads.
///
/// # Errors
/// If the input cannot be read or the output cannot be written. What was written then is a truncated stream.
pub fn compress(input: impl Read + Send, output: &mut impl Write, level: Level, threads: usize) -> Result<Unsealed> {
    let mut compressed = Tally::default();
    output.write_all(&HEAD).map_err(GzipError::Write)?;
    let consume = |block: &Block| {
        compressed.update(&block.result[..block.result.len() - HEAD.len()]);
        output.write_all(&block.result[HEAD.len()..]).map_err(GzipError::Write)
    };
    let worker = || {
        let mut compressor = Compressor::new(level.0);
        move |block: &mut Block| make_member(&mut compressor, block)
    };
    let uncompressed = pipeline::run(threads.max(1), |feed| read_blocks(input, feed), worker, consume)?;
    let (uncompressed_bytes, uncompressed_sha256) = uncompressed.finish();
    let (compressed_bytes, compressed_sha256) = compressed.finish();
    let totals = Totals { uncompressed_bytes, uncompressed_sha256, compressed_bytes, compressed_sha256 };
    Ok(Unsealed { totals })
}

fn read_blocks(mut input: impl Read, feed: &Feed) -> Result<Tally> {
    let mut tally = Tally::default();
    loop {
        let mut block = feed.block()?;
        block.source.resize(BLOCK_BYTES, 0);
        let count = fill(&mut input, &mut block.source)?;
        block.source.truncate(count);
        tally.update(&block.source);
        if count > 0 {
            feed.work(block)?;
        }
        if count < BLOCK_BYTES {
            return Ok(tally);
        }
    }
}

/// The member of one block, followed by the beginning of whatever member comes next.
fn make_member(compressor: &mut Compressor, block: &mut Block) -> Result<()> {
    let Block { source, result, offset } = block;
    let impossible = GzipError::Corrupt { offset: *offset, cause: "a block grew beyond its bound" };
    result.resize(MEMBER_HEADER_BYTES + compressor.deflate_compress_bound(BLOCK_BYTES), 0);
    let Ok(deflated) = compressor.deflate_compress(source, &mut result[MEMBER_HEADER_BYTES..]) else {
        return Err(impossible);
    };
    let member_bytes = MEMBER_HEADER_BYTES + deflated + TRAILER_BYTES;
    let (Ok(declared), Ok(source_bytes)) = (u32::try_from(member_bytes), u32::try_from(source.len())) else {
        return Err(impossible);
    };
    result.truncate(MEMBER_HEADER_BYTES + deflated);
    result[..MEMBER_HEADER_BYTES].copy_from_slice(&member_header(declared));
    result.extend(libdeflater::crc32(source).to_le_bytes());
    result.extend(source_bytes.to_le_bytes());
    result.extend(HEAD);
    Ok(())
}
