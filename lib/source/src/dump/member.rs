//! A member while it is made: in a file without a name, because a tar header says the length first. Nothing of it is left, however
//! we end.

use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use vb_core::{Error, Result};

const BUFFER_BYTES: usize = 256 << 10;

/// A file that counts and hashes what goes into it.
pub(super) struct Spool {
    file: BufWriter<File>,
    sha256: Sha256,
    size_bytes: u64,
}

/// A member that is complete.
pub(super) struct Spooled {
    pub(super) file: File,
    pub(super) sha256: String,
    pub(super) size_bytes: u64,
}

impl Spool {
    pub(super) fn new() -> Result<Self> {
        let file = tempfile::tempfile().map_err(|cause| step(&cause.to_string()))?;
        Ok(Self { file: BufWriter::with_capacity(BUFFER_BYTES, file), sha256: Sha256::new(), size_bytes: 0 })
    }

    pub(super) fn finish(self) -> Result<Spooled> {
        let mut file = self.file.into_inner().map_err(|cause| step(&cause.to_string()))?;
        file.rewind().map_err(|cause| step(&cause.to_string()))?;
        Ok(Spooled { file, sha256: hexadecimal(&self.sha256.finalize()), size_bytes: self.size_bytes })
    }
}

fn step(cause: &str) -> Error {
    let folder = std::env::temp_dir();
    Error::failure(format!("keeping a table in {} until it is complete: {cause}", folder.display()))
        .with_hint("Set TMPDIR to a folder with more room.")
}

/// Bytes as lower-case hexadecimal.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.sha256.update(&bytes[..count]);
        self.size_bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
