//! The pieces in which a stream passes, shared by the thread that stores them and the one that hashes them.

use std::io::Read;
use std::ops::Range;
use std::sync::Arc;
use vb_pipe::digest::Digest;

/// The length of a full piece: as much as a pipe's buffer holds.
pub const CHUNK_BYTES: usize = 1 << 20;

/// The pieces whose memory is used again: one is being read, one held back, two wait for a store, one is being stored, one
/// hashed, two wait for that.
const MOST: usize = 8;

/// A piece of a stream.
#[derive(Debug, Clone)]
pub struct Chunk {
    bytes: Arc<Vec<u8>>,
    range: Range<usize>,
    so_far: Option<Digest>,
}

impl Chunk {
    /// The same, with what whoever reads the stream knows anyway: the digest of everything up to the end of this piece.
    #[must_use]
    pub fn with_digest(self, so_far: Digest) -> Self {
        Self { so_far: Some(so_far), ..self }
    }

    /// The digest of the stream up to the end of this piece, where it is known.
    pub(crate) fn digest(&self) -> Option<&Digest> {
        self.so_far.as_ref()
    }

    /// The bytes before and from this index on.
    #[must_use]
    pub fn split_at(&self, index: usize) -> (Self, Self) {
        let middle = self.range.start + index.min(self.range.len());
        let part = |range, so_far| Self { bytes: Arc::clone(&self.bytes), range, so_far };
        let before = if middle == self.range.end { self.so_far.clone() } else { None };
        (part(self.range.start..middle, before), part(middle..self.range.end, self.so_far.clone()))
    }
}

impl std::ops::Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.range.clone()).unwrap_or_default()
    }
}

impl From<Vec<u8>> for Chunk {
    fn from(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { bytes: Arc::new(bytes), range, so_far: None }
    }
}

/// Cuts a stream into pieces, in a few buffers that are used again.
#[derive(Debug, Default)]
pub struct ChunkReader {
    buffers: Vec<Arc<Vec<u8>>>,
    next: usize,
}

impl ChunkReader {
    /// The next piece: full, unless the stream ends in it. Empty at the end.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn read(&mut self, input: &mut impl Read) -> std::io::Result<Chunk> {
        let buffer = self.buffer();
        let mut count = 0;
        // Nobody else holds this buffer.
        if let Some(space) = Arc::get_mut(buffer) {
            while let Some(rest) = space.get_mut(count..).filter(|rest| !rest.is_empty()) {
                match input.read(rest) {
                    Ok(0) => break,
                    Ok(more) => count += more,
                    Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(cause) => return Err(cause),
                }
            }
        }
        Ok(Chunk { bytes: Arc::clone(buffer), range: 0..count, so_far: None })
    }

    fn buffer(&mut self) -> &mut Arc<Vec<u8>> {
        let place = self.next % MOST;
        self.next += 1;
        if place == self.buffers.len() {
            self.buffers.push(Arc::new(vec![0; CHUNK_BYTES]));
        }
        let buffer = &mut self.buffers[place];
        if Arc::get_mut(buffer).is_none() {
            *buffer = Arc::new(vec![0; CHUNK_BYTES]);
        }
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that hands out a few bytes at a time, as a pipe does.
    struct Slow<'bytes>(&'bytes [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let few = buffer.len().min(70_001);
            self.0.read(&mut buffer[..few])
        }
    }

    #[test]
    fn pieces_are_full_and_kept_ones_are_not_overwritten() {
        let all: Vec<u8> = (0..CHUNK_BYTES * 10 + 10).map(|index| (index / 7) as u8).collect();
        let (mut reader, mut input, mut kept) = (ChunkReader::default(), Slow(&all), Vec::new());
        loop {
            let chunk = reader.read(&mut input).unwrap();
            if chunk.is_empty() {
                break;
            }
            kept.push(chunk);
        }
        assert_eq!(kept.iter().map(|chunk| chunk.len()).collect::<Vec<_>>()[9..], [CHUNK_BYTES, 10]);
        let joined: Vec<u8> = kept.iter().flat_map(|chunk| chunk.to_vec()).collect();
        assert!(joined == all);
    }

    #[test]
    fn a_piece_is_cut_without_copying() {
        let (left, right) = Chunk::from(b"abcdef".to_vec()).split_at(2);
        let (middle, end) = right.split_at(3);
        assert_eq!((&*left, &*middle, &*end), (&b"ab"[..], &b"cde"[..], &b"f"[..]));
        assert_eq!(&*end.split_at(9).1, b"");
    }
}
