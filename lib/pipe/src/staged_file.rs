//! A file that appears whole or not at all: staged without a name, linked and renamed when it is complete.

use crate::cleanup::{self, Undo};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use vb_core::{Error, Result};

/// The file while it is being written.
#[derive(Debug)]
pub(crate) struct StagedFile {
    file: File,
    path: PathBuf,
    /// Set where the file system knows no file without a name.
    named: Option<Undo>,
}

impl StagedFile {
    /// Stages a file that will replace whatever is at `path`.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let step = || format!("writing {}", path.display());
        let mode = Mode::from_raw_mode(0o666);
        let nameless = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        // A killed process leaves nothing: the system frees a file that has no name.
        if let Ok(file) = rustix::fs::open(folder_of(path), nameless, mode) {
            return Ok(Self { file: File::from(file), path: path.to_owned(), named: None });
        }
        let temporary = temporary_name(path);
        let file = File::create_new(&temporary).map_err(|cause| Error::io(step(), cause))?;
        let named = cleanup::on_failure(move || drop(std::fs::remove_file(temporary)));
        Ok(Self { file, path: path.to_owned(), named: Some(named) })
    }

    /// Gives the file its name, after its bytes are on the disk.
    pub(crate) fn persist(mut self) -> Result<()> {
        let step = format!("writing {}", self.path.display());
        self.link_and_rename().map_err(|cause| Error::io(step, cause))?;
        if let Some(named) = self.named.take() {
            named.disarm();
        }
        Ok(())
    }

    fn link_and_rename(&self) -> std::io::Result<()> {
        self.file.sync_all()?;
        let temporary = temporary_name(&self.path);
        if self.named.is_none() {
            let nameless = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            rustix::fs::linkat(CWD, nameless, CWD, &temporary, AtFlags::SYMLINK_FOLLOW)?;
        }
        std::fs::rename(&temporary, &self.path).inspect_err(|_| drop(std::fs::remove_file(&temporary)))?;
        File::open(folder_of(&self.path))?.sync_all()
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Replaces a small file by these bytes, whole or not at all. Its folder is made when missing.
///
/// # Errors
/// If the folder or the file cannot be written; then the old file is as it was.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder)
        .map_err(|cause| Error::io(format!("making the folder {}", folder.display()), cause))?;
    let mut file = StagedFile::create(path)?;
    file.write_all(bytes).map_err(|cause| Error::io(format!("writing {}", path.display()), cause))?;
    file.persist()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn temporary_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deeper/mark");
        write_atomically(&path, b"one").unwrap();
        let mut staged = StagedFile::create(&path).unwrap();
        staged.write_all(b"two").unwrap();
        drop(staged);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        write_atomically(&path, b"three").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
