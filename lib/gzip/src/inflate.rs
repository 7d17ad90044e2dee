//! Any gzip as it arrives: member after member, each checked against its CRC-32 and its length.

use crate::error::{GzipError, Result};
use crate::foreign_header::header_bytes;
use crate::format::{TRAILER_BYTES, little_endian_u32};
use flate2::{Decompress, FlushDecompress, Status};
use libdeflater::Crc;

/// Where inflated data goes.
pub(crate) trait Room {
    /// Some free room, never none.
    fn room(&mut self) -> Result<&mut [u8]>;

    /// That many bytes of it now hold data.
    fn filled(&mut self, count: usize);
}

/// A decoder that is handed the stream in pieces.
pub(crate) struct Inflater {
    state: State,
    /// A header or trailer that has arrived in part.
    partial: Vec<u8>,
    deflate: Decompress,
    crc: Crc,
    /// Bytes of data in this member, modulo 2^32 as in its trailer.
    length: u32,
    offset: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Header,
    Data,
    Trailer,
    /// After a member: another one, padding, or the end.
    Between,
    Padding,
}

impl Default for Inflater {
    fn default() -> Self {
        let deflate = Decompress::new(false);
        Self { state: State::Header, partial: Vec::new(), deflate, crc: Crc::new(), length: 0, offset: 0 }
    }
}

impl Inflater {
    /// Takes the next bytes of the stream.
    ///
    /// # Errors
    /// If they cannot belong to a gzip stream there, or `room` fails.
    pub(crate) fn update(&mut self, mut bytes: &[u8], room: &mut impl Room) -> Result<()> {
        while !bytes.is_empty() {
            let used = match self.state {
                State::Header => self.header(bytes)?,
                State::Data => self.data(bytes, room)?,
                State::Trailer => self.trailer(bytes)?,
                State::Between => self.between(bytes[0]),
                State::Padding => self.padding(bytes)?,
            };
            self.offset += used as u64;
            bytes = &bytes[used..];
        }
        Ok(())
    }

    /// Says that the stream ends here.
    ///
    /// # Errors
    /// If it must not.
    pub(crate) fn finish(&self) -> Result<()> {
        match self.state {
            State::Between | State::Padding => Ok(()),
            State::Header | State::Data | State::Trailer => Err(GzipError::Truncated { offset: self.offset }),
        }
    }

    fn header(&mut self, bytes: &[u8]) -> Result<usize> {
        let before = self.partial.len();
        self.partial.extend(bytes.iter().take(1 << 12));
        let Some(end) = header_bytes(&self.partial, self.offset - before as u64)? else {
            return Ok(self.partial.len() - before);
        };
        self.partial.clear();
        self.deflate.reset(false);
        self.crc = Crc::new();
        self.length = 0;
        self.state = State::Data;
        Ok(end - before)
    }

    /// Inflates until the bytes are used up. What is then held back for want of room comes with the next bytes, and there
    /// are some: a trailer follows.
    fn data(&mut self, bytes: &[u8], room: &mut impl Room) -> Result<usize> {
        let corrupt = GzipError::Corrupt { offset: self.offset, cause: "damaged data" };
        let mut used = 0;
        loop {
            let free = room.room()?;
            let (read_before, made_before) = (self.deflate.total_in(), self.deflate.total_out());
            let Ok(status) = self.deflate.decompress(&bytes[used..], free, FlushDecompress::None) else {
                return Err(corrupt);
            };
            let read = progress(read_before, self.deflate.total_in());
            let made = progress(made_before, self.deflate.total_out());
            self.crc.update(&free[..made]);
            // The remainder modulo 2^32 is what the trailer holds.
            self.length = self.length.wrapping_add(made as u32);
            room.filled(made);
            used += read;
            if status == Status::StreamEnd {
                self.state = State::Trailer;
                return Ok(used);
            }
            if used == bytes.len() {
                return Ok(used);
            }
            if read == 0 && made == 0 {
                return Err(corrupt);
            }
        }
    }

    fn trailer(&mut self, bytes: &[u8]) -> Result<usize> {
        let used = bytes.len().min(TRAILER_BYTES - self.partial.len());
        self.partial.extend(&bytes[..used]);
        if self.partial.len() == TRAILER_BYTES {
            let expected = (little_endian_u32(&self.partial), little_endian_u32(&self.partial[4..]));
            if expected != (self.crc.sum(), self.length) {
                return Err(GzipError::Corrupt {
                    offset: self.offset,
                    cause: "checksum or length of the data differs",
                });
            }
            self.partial.clear();
            self.state = State::Between;
        }
        Ok(used)
    }

    fn between(&mut self, first: u8) -> usize {
        self.state = if first == 0 { State::Padding } else { State::Header };
        0
    }

    fn padding(&self, bytes: &[u8]) -> Result<usize> {
        match bytes.iter().position(|byte| *byte != 0) {
            None => Ok(bytes.len()),
            Some(at) => {
                let offset = self.offset + at as u64;
                Err(GzipError::Corrupt { offset, cause: "something follows the padding" })
            }
        }
    }
}

/// What a counter of bytes in one buffer has grown by.
fn progress(before: u64, after: u64) -> usize {
    usize::try_from(after - before).unwrap_or(usize::MAX)
}
