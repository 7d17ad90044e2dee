//! The input in pieces: read one ahead, so that the last one is known as such, and watched by a prover where nobody
//! announced a seal.

use crate::conclusion::End;
use crate::naming::Seen;
use crate::producer::Running;
use vb_core::{Error, Result};
use vb_pipe::{Input, Progress};
use vb_proof::{Format, Prover, SNIFF_BYTES, TAIL_BYTES, label_at_end};
use vb_repository::chunk::CHUNK_BYTES;
use vb_repository::{Chunk, ChunkReader};

/// The input, and the piece that was read last.
pub(crate) struct Stream {
    input: Input,
    /// What writes to it, if that is our own doing.
    producer: Option<Running>,
    reader: ChunkReader,
    ahead: Chunk,
    prover: Option<Prover>,
    progress: Progress,
}

/// A stream that has ended.
pub(crate) struct Ended {
    /// How.
    pub(crate) end: End,
    /// Its last piece: only when the end has been judged may it be stored.
    pub(crate) last: Chunk,
    /// How many files it holds, where we made it of files.
    pub(crate) files: Option<u64>,
}

impl Stream {
    /// Reads the first piece: only then has the stage before announced itself.
    pub(crate) fn open(input: Input, producer: Option<Running>, progress: Progress) -> Result<Self> {
        let (reader, ahead) = (ChunkReader::default(), Chunk::from(Vec::new()));
        let mut stream = Self { input, producer, reader, ahead, prover: Some(Prover::default()), progress };
        stream.ahead = stream.read()?;
        if let Some(total) = stream.input.expected()? {
            stream.progress.expect(total);
        }
        Ok(stream)
    }

    /// What can be said before the rest has passed. Whoever announced a label will seal it, and needs no other proof.
    pub(crate) fn seen(&mut self, file: Seen) -> Result<Seen> {
        let announced = self.input.announced()?;
        if announced.is_some() {
            self.prover = None;
        }
        let mut promised = announced.or(file.promised);
        // A file that is standard input has a label at its end like any other.
        if promised.is_none()
            && let Some((first, last)) = self.input.ends(SNIFF_BYTES, TAIL_BYTES)?
        {
            promised = label_at_end(&first, &last);
        }
        Ok(Seen { promised, format: Format::sniff(&self.ahead) })
    }

    /// The next piece, unless it is the last: that one comes with the end.
    pub(crate) fn next_but_last(&mut self) -> Result<Option<Chunk>> {
        if self.ahead.len() < CHUNK_BYTES {
            return Ok(None);
        }
        let next = self.read()?;
        Ok(Some(std::mem::replace(&mut self.ahead, next)))
    }

    /// The end: what wrote the stream must have ended well.
    pub(crate) fn finish(self) -> Result<Ended> {
        let name = self.input.name().to_owned();
        let written = self.producer.map(Running::finish).transpose()?;
        let end = self.input.finish()?;
        let verdict = self.prover.map(Prover::finish);
        let (producer, files) = written.map_or((None, None), |written| (Some(written.producer), written.files));
        let end = End { name, size_bytes: end.digest.bytes(), origin: end.origin, producer, verdict };
        Ok(Ended { end, last: self.ahead, files })
    }

    fn read(&mut self) -> Result<Chunk> {
        let chunk = self.reader.read(&mut self.input);
        let chunk = chunk.map_err(|cause| Error::io(format!("reading {}", self.input.name()), cause))?;
        let chunk = chunk.with_digest(self.input.digest().clone());
        if let Some(prover) = &mut self.prover {
            prover.update(&chunk);
        }
        self.progress.add(chunk.len() as u64);
        Ok(chunk)
    }
}
