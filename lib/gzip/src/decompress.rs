//! Decompression: ours in parallel and to its seal, any other gzip in one stream.

use crate::error::{GzipError, Result};
use crate::format::{
    BLOCK_BYTES, HEAD, KIND_BYTES, MEMBER_HEADER_BYTES, SEAL_ID, little_endian_u32, member_bytes, starts_as_vb,
};
use crate::inflate::{Inflater, Room};
use crate::pipeline::{self, Block, Feed};
use crate::seal::{SEAL_BYTES_MOST, Seal, parse_seal};
use crate::source::{Source, fill};
use crate::tally::Tally;
use libdeflater::Decompressor;
use std::io::{Cursor, Read, Write};

/// How a stream ended that was decompressed without an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decompressed {
    /// One of ours, whole, and everything is as its seal says.
    Sealed(Seal),
    /// Somebody else's, complete to the end of its last member. It cannot be known whether a member is missing.
    Foreign,
}

/// Decompresses any gzip. The output counts only if this returns without an error: the seal comes last.
///
/// # Errors
/// If the input is not gzip, is truncated or altered, is one of ours with anything before or after it, or if reading or
/// writing fails. Zero bytes after a foreign gzip are padding, as they are for gunzip.
pub fn decompress(mut input: impl Read + Send, output: &mut impl Write, threads: usize) -> Result<Decompressed> {
    let mut uncompressed = Tally::default();
    let produce = |feed: &Feed| {
        let mut first = [0; KIND_BYTES];
        let count = fill(&mut input, &mut first)?;
        let input = Cursor::new(&first[..count]).chain(input);
        if starts_as_vb(&first[..count]) {
            read_members(input, feed).map(Some)
        } else {
            inflate(input, feed).map(|()| None)
        }
    };
    let worker = || {
        let mut decompressor = Decompressor::new();
        move |block: &mut Block| open_member(&mut decompressor, block)
    };
    let consume = |block: &Block| {
        uncompressed.update(&block.result);
        output.write_all(&block.result).map_err(GzipError::Write)
    };
    let Some(seal) = pipeline::run(threads.max(1), produce, worker, consume)? else {
        return Ok(Decompressed::Foreign);
    };
    if uncompressed.finish() != (seal.totals.uncompressed_bytes, seal.totals.uncompressed_sha256) {
        let offset = seal.totals.compressed_bytes;
        return Err(GzipError::SealMismatch { offset, cause: "it is about other data" });
    }
    Ok(Decompressed::Sealed(seal))
}

/// Hands the members of one of our streams to the workers and returns its seal.
fn read_members(input: impl Read, feed: &Feed) -> Result<Seal> {
    let mut source = Source::new(input);
    loop {
        let offset = source.offset();
        let before = source.tally().clone();
        let mut header = [0; MEMBER_HEADER_BYTES];
        source.exact(&mut header[..KIND_BYTES])?;
        if header.starts_with(&HEAD) && header[12..KIND_BYTES] == SEAL_ID {
            return read_seal(source, &header[..KIND_BYTES], before);
        }
        source.exact(&mut header[KIND_BYTES..])?;
        let member_bytes = member_bytes(&header, offset)?;
        let mut block = feed.block()?;
        block.offset = offset;
        block.source.resize(member_bytes, 0);
        block.source[..MEMBER_HEADER_BYTES].copy_from_slice(&header);
        source.exact(&mut block.source[MEMBER_HEADER_BYTES..])?;
        feed.work(block)?;
    }
}

/// Reads the rest of the stream, which must be a seal about everything before.
fn read_seal(mut source: Source<impl Read>, kind: &[u8], before: Tally) -> Result<Seal> {
    let offset = before.bytes();
    let extra_bytes = usize::from(u16::from_le_bytes([kind[10], kind[11]]));
    let mut member = vec![0; SEAL_BYTES_MOST - 65_535 + extra_bytes];
    let known = kind.len().min(member.len());
    member[..known].copy_from_slice(&kind[..known]);
    source.exact(&mut member[known..])?;
    let seal = parse_seal(&member).filter(|seal| seal.member_bytes() == member.len());
    let seal = seal.ok_or(GzipError::Corrupt { offset, cause: "damaged seal" })?;
    if before.finish() != (seal.totals.compressed_bytes, seal.totals.compressed_sha256) {
        return Err(GzipError::SealMismatch { offset, cause: "it is about other members" });
    }
    if !source.is_at_end()? {
        return Err(GzipError::Corrupt { offset: source.offset(), cause: "something follows the seal" });
    }
    Ok(seal)
}

/// Decodes one member of ours; libdeflate checks its CRC-32 and its length.
fn open_member(decompressor: &mut Decompressor, block: &mut Block) -> Result<()> {
    let damaged = |cause| GzipError::Corrupt { offset: block.offset, cause };
    let declared = usize::try_from(little_endian_u32(&block.source[block.source.len() - 4..])).unwrap_or(usize::MAX);
    if declared > BLOCK_BYTES {
        return Err(damaged("impossible length of a member's data"));
    }
    block.result.resize(declared, 0);
    match decompressor.gzip_decompress(&block.source, &mut block.result) {
        Ok(count) if count == declared => Ok(()),
        _ => Err(damaged("damaged member")),
    }
}

/// Inflates a foreign gzip while the consumer writes what came before.
fn inflate(mut input: impl Read, feed: &Feed) -> Result<()> {
    let mut inflater = Inflater::default();
    let mut buffer = vec![0; 1 << 18];
    let mut room = Blocks { feed, block: feed.block()?, filled: 0 };
    room.block.result.resize(BLOCK_BYTES, 0);
    loop {
        let count = fill(&mut input, &mut buffer)?;
        inflater.update(&buffer[..count], &mut room)?;
        if count < buffer.len() {
            inflater.finish()?;
            return room.flush();
        }
    }
}

/// Room for inflated data: blocks that leave when they are full.
struct Blocks<'feed> {
    feed: &'feed Feed,
    block: Block,
    filled: usize,
}

impl Room for Blocks<'_> {
    fn room(&mut self) -> Result<&mut [u8]> {
        if self.filled == self.block.result.len() {
            let mut next = self.feed.block()?;
            next.result.resize(BLOCK_BYTES, 0);
            self.feed.ready(std::mem::replace(&mut self.block, next))?;
            self.filled = 0;
        }
        Ok(&mut self.block.result[self.filled..])
    }

    fn filled(&mut self, count: usize) {
        self.filled += count;
    }
}

impl Blocks<'_> {
    fn flush(mut self) -> Result<()> {
        self.block.result.truncate(self.filled);
        self.feed.ready(self.block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::seal_member;
    use crate::{Level, compress};

    #[test]
    fn a_seal_that_is_wrong_about_the_data_alone() {
        let mut stream = Vec::new();
        let unsealed = compress(&b"data"[..], &mut stream, Level::default(), 1).unwrap();
        stream.truncate(stream.len() - HEAD.len());
        let mut totals = *unsealed.totals();
        for (bytes, sha256_byte, is_right) in [(0, 0, true), (1, 0, false), (0, 1, false)] {
            totals.uncompressed_bytes = 4 + bytes;
            totals.uncompressed_sha256[31] = unsealed.totals().uncompressed_sha256[31] ^ sha256_byte;
            let forged = [&stream[..], &seal_member(&totals, b"").unwrap()].concat();
            let outcome = decompress(&forged[..], &mut Vec::new(), 1);
            assert_eq!(outcome.is_ok(), is_right, "{outcome:?}");
            assert!(is_right || matches!(outcome, Err(GzipError::SealMismatch { .. })), "{outcome:?}");
        }
    }
}
