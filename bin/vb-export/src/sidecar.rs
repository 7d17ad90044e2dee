//! What the next export needs beside a mark, such as the digests of keys: `<mark>.keys/<sha256>`, one file for each export that may still
//! be continued.
//!
//! A file is named by what is in it and never changed. Which one counts, the mark says, and that moves only when the store has the
//! backup: so the file that it names is never removed before.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use vb_core::mark::Mark;
use vb_core::{Error, Result};
use vb_postgres::keys::name_of;

/// The folder of the digests that go with one mark.
#[derive(Debug, Clone)]
pub(crate) struct Sidecar {
    folder: PathBuf,
    /// The name of the file that was read.
    read: Option<String>,
}

impl Sidecar {
    /// Beside this mark.
    pub(crate) fn beside(mark: &Path) -> Self {
        let mut folder = mark.as_os_str().to_owned();
        folder.push(".keys");
        Self { folder: PathBuf::from(folder), read: None }
    }

    /// What the mark's export has remembered, or why that is of no use.
    ///
    /// # Errors
    /// If a file is there but cannot be read.
    pub(crate) fn read<T>(
        &mut self,
        mark: &Mark,
        parse: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<std::result::Result<T, String>> {
        let Some(name) = mark.position.as_ref().and_then(|position| position.keys_sha256.clone()) else {
            return Ok(Err("the last export did not look at the keys".to_owned()));
        };
        let path = self.folder.join(&name);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                return Ok(Err(format!("the digests of the keys are gone ({})", path.display())));
            }
            Err(cause) => return Err(Error::io(format!("reading {}", path.display()), cause)),
        };
        let kept = if name_of(&bytes) == name { parse(&bytes).ok() } else { None };
        let kept = kept.ok_or_else(|| format!("the digests of the keys are damaged ({})", path.display()));
        self.read = kept.is_ok().then_some(name);
        Ok(kept)
    }

    /// Keeps what the next export needs, under the name of its SHA-256; to be called before the stream is sealed. Where the last
    /// export's file was read, all other files are those of exports that came to nothing, or of older ones, and go.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn keep(&self, sha256: &str, bytes: &[u8]) -> Result<()> {
        vb_pipe::write_atomically(&self.folder.join(sha256), bytes)?;
        let Some(read) = &self.read else { return Ok(()) };
        let refused = |cause| Error::io(format!("sweeping {}", self.folder.display()), cause);
        for entry in std::fs::read_dir(&self.folder).map_err(refused)? {
            let entry = entry.map_err(refused)?;
            let name = entry.file_name();
            let is_ours = name.len() == read.len() && name.to_str().is_some_and(is_digest);
            if is_ours && name != read.as_str() && name != sha256 {
                std::fs::remove_file(entry.path()).map_err(refused)?;
            }
        }
        Ok(())
    }
}

fn is_digest(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use vb_core::position::Position;
    use vb_postgres::keys::Buckets;

    fn mark(name: &str) -> Mark {
        let position = Position { keys_sha256: Some(name.to_owned()), ..Position::default() };
        Mark { position: Some(position), ..Mark::of_time("2026-11-21T03:15:00Z".parse().unwrap()) }
    }

    /// A name, and the bytes that it is of.
    fn remembered(buckets: u32) -> (String, Vec<u8>) {
        let bytes = Buckets::new(Vec::new(), buckets).to_bytes();
        (name_of(&bytes), bytes)
    }

    #[test]
    fn the_file_that_the_mark_names_stays_until_the_mark_has_moved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deeper/mark");
        let [first, failed, second, third] = [1, 2, 4, 8].map(remembered);
        let mut sidecar = Sidecar::beside(&path);
        sidecar.keep(&first.0, &first.1).unwrap();
        // An export that came to nothing leaves its file, and the mark where it was.
        for (kept, there) in [(&failed, 2), (&second, 2), (&second, 2)] {
            assert!(sidecar.read(&mark(&first.0), Buckets::parse).unwrap().is_ok());
            sidecar.keep(&kept.0, &kept.1).unwrap();
            assert_eq!(std::fs::read_dir(folder.path().join("deeper/mark.keys")).unwrap().count(), there);
        }
        assert_eq!(sidecar.read(&mark(&second.0), Buckets::parse).unwrap().unwrap().number(), 4);
        sidecar.keep(&third.0, &third.1).unwrap();
        assert!(sidecar.read(&mark(&first.0), Buckets::parse).unwrap().unwrap_err().contains("are gone"));
    }

    #[test]
    fn a_damaged_file_is_of_no_use() {
        let folder = tempfile::tempdir().unwrap();
        let mut sidecar = Sidecar::beside(&folder.path().join("mark"));
        let first = remembered(1);
        sidecar.keep(&first.0, &first.1).unwrap();
        std::fs::write(folder.path().join("mark.keys").join(&first.0), "other bytes").unwrap();
        assert!(sidecar.read(&mark(&first.0), Buckets::parse).unwrap().unwrap_err().contains("are damaged"));
        assert!(
            sidecar.read(&Mark::of_time("2026-11-21T03:15:00Z".parse().unwrap()), Buckets::parse).unwrap().is_err()
        );
    }
}
