//! A part of a file as a file of its own, which any number of threads read at once.

use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use vb_core::{Error, Result};

/// What is read from the file at once.
const BUFFER_BYTES: usize = 64 << 10;

/// A part of a file.
#[derive(Debug, Clone)]
pub struct Window {
    file: Arc<File>,
    start: u64,
    length: u64,
}

impl Window {
    /// All of a file.
    ///
    /// # Errors
    /// If the system does not tell its length.
    pub fn whole(file: File, name: &str) -> Result<Self> {
        let metadata = file.metadata().map_err(|cause| Error::io(format!("reading {name}"), cause))?;
        Ok(Self { file: Arc::new(file), start: 0, length: metadata.len() })
    }

    /// A part of this part, or as much of it as there is.
    #[must_use]
    pub fn part(&self, start: u64, length: u64) -> Self {
        let start = start.min(self.length);
        Self { file: Arc::clone(&self.file), start: self.start + start, length: length.min(self.length - start) }
    }

    /// Its length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads it from the beginning.
    #[must_use]
    pub fn reader(&self) -> WindowReader {
        self.reader_at(0)
    }

    fn reader_at(&self, start: u64) -> WindowReader {
        WindowReader { window: self.part(start, u64::MAX) }
    }
}

/// Reads a window once.
#[derive(Debug, Clone)]
pub struct WindowReader {
    /// What is still to be read.
    window: Window,
}

impl WindowReader {
    /// How much of the file, from its beginning, lies before what is read next.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.window.start
    }
}

impl Read for WindowReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.window.length).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.window.file.read_at(&mut buffer[..most], self.window.start)?;
        if count == 0 && most > 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.window.start += count as u64;
        self.window.length -= count as u64;
        Ok(count)
    }
}

impl Length for Window {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Window {
    type T = BufReader<WindowReader>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::with_capacity(BUFFER_BYTES, self.reader_at(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<bytes::Bytes> {
        // A damaged file may name any length: no memory is taken for what is not there.
        if self.length.saturating_sub(start) < length as u64 {
            return Err(ParquetError::EOF(format!("the file ends before byte {start} + {length}")));
        }
        let mut bytes = vec![0; length];
        self.reader_at(start).read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_part_begins_and_ends_where_it_should() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let whole = Window::whole(file, "x").unwrap();
        let read = |window: &Window| {
            let mut text = String::new();
            window.reader().read_to_string(&mut text).unwrap();
            text
        };
        assert_eq!((read(&whole).as_str(), read(&whole.part(2, 3)).as_str()), ("0123456789", "234"));
        assert_eq!(read(&whole.part(2, 5).part(1, 90)), "3456");
        assert_eq!(&whole.part(5, 5).get_bytes(1, 2).unwrap()[..], b"67");
        assert!(whole.part(5, 2).get_bytes(1, 2).is_err());
        assert_eq!(whole.part(90, 2).length(), 0);
    }
}
