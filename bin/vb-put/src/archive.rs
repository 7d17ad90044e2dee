//! Many files as one stream: a tar archive, written by a thread into a pipe while the other end is stored. Its good end
//! is the thread's result: a file that cannot be read, or that changes its size meanwhile, spoils the whole.

use crate::archive_names::{self, Root};
use std::fs::{File, Metadata};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use tar::{Builder, EntryType, Header, HeaderMode};
use vb_core::{Error, Result};
use vb_pipe::Session;

/// An archive being written.
pub(crate) struct Archiving(JoinHandle<Result<u64>>);

impl Archiving {
    /// Starts writing; the archive comes out of the file.
    ///
    /// # Errors
    /// If the paths make no archive, or the thread cannot be started.
    pub(crate) fn start(session: &Session, paths: &[PathBuf]) -> Result<(Self, File)> {
        let roots = archive_names::roots(paths)?;
        let step = "starting the archive";
        let (reader, writer) = std::io::pipe().map_err(|cause| Error::io(step, cause))?;
        let session = session.clone();
        let write = move || Archive::new(writer, session).write(&roots);
        let thread = std::thread::Builder::new().name("archive".to_owned()).spawn(write);
        let thread = thread.map_err(|cause| Error::io(step, cause))?;
        Ok((Self(thread), File::from(OwnedFd::from(reader))))
    }

    /// How many files there are in it.
    ///
    /// # Errors
    /// What kept the archive from being whole.
    pub(crate) fn finish(self) -> Result<u64> {
        self.0.join().map_err(|_| Error::failure("the thread of the archive ended early"))?
    }
}

struct Archive<W: Write> {
    builder: Builder<W>,
    session: Session,
    files: u64,
}

impl<W: Write> Archive<W> {
    fn new(writer: W, session: Session) -> Self {
        Self { builder: Builder::new(writer), session, files: 0 }
    }

    /// In the order of names, so that the same files make the same archive.
    fn write(mut self, roots: &[Root]) -> Result<u64> {
        for root in roots {
            let mut waiting = vec![(root.path.clone(), root.name.clone())];
            while let Some((path, name)) = waiting.pop() {
                if self.add(&path, &name)? {
                    let names = names_in(&path)?;
                    waiting.extend(names.into_iter().rev().map(|entry| (path.join(&entry), name.join(&entry))));
                }
            }
        }
        self.builder.finish().map_err(|cause| Error::io("writing the archive", cause))?;
        Ok(self.files)
    }

    /// Whether it is a folder, whose contents are to follow.
    fn add(&mut self, path: &Path, name: &Path) -> Result<bool> {
        let metadata = std::fs::symlink_metadata(path).map_err(|cause| reading(path, cause))?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            // The folder that the names are relative to has none itself.
            if !name.as_os_str().is_empty() {
                let mut header = header(&metadata, EntryType::Directory, 0);
                let appended = self.builder.append_data(&mut header, name.join(""), std::io::empty());
                appended.map_err(|cause| writing(path, cause))?;
            }
            return Ok(true);
        }
        if kind.is_symlink() {
            let target = std::fs::read_link(path).map_err(|cause| reading(path, cause))?;
            let mut header = header(&metadata, EntryType::Symlink, 0);
            self.builder.append_link(&mut header, name, target).map_err(|cause| writing(path, cause))?;
        } else if kind.is_file() {
            self.add_file(path, name)?;
        } else {
            self.session.warn(&format!("{} is neither a file nor a folder nor a link: left out", path.display()));
            return Ok(false);
        }
        self.files += 1;
        Ok(false)
    }

    fn add_file(&mut self, path: &Path, name: &Path) -> Result<()> {
        let file = File::open(path).map_err(|cause| reading(path, cause))?;
        // Of what was opened: the name may be another file's by now.
        let metadata = file.metadata().map_err(|cause| reading(path, cause))?;
        let mut header = header(&metadata, EntryType::Regular, metadata.len());
        let mut exact = Exact { file, left: metadata.len() };
        let appended = self.builder.append_data(&mut header, name, &mut exact);
        let changed = || {
            Error::integrity(format!("reading {}: it changed its size meanwhile", path.display()))
                .with_hint("Nothing was stored; run it again when nothing writes to this file.")
        };
        match appended {
            Err(cause) if cause.kind() == std::io::ErrorKind::UnexpectedEof => Err(changed()),
            Err(cause) => Err(writing(path, cause)),
            Ok(()) if exact.has_grown().map_err(|cause| reading(path, cause))? => Err(changed()),
            Ok(()) => Ok(()),
        }
    }
}

/// A file of a promised length.
struct Exact {
    file: File,
    left: u64,
}

impl Exact {
    fn has_grown(&mut self) -> std::io::Result<bool> {
        Ok(self.file.read(&mut [0])? > 0)
    }
}

impl Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read(&mut buffer[..most])?;
        if count == 0 && most > 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// Mode, owner and time as they are.
fn header(metadata: &Metadata, entry_type: EntryType, size_bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_metadata_in_mode(metadata, HeaderMode::Complete);
    header.set_entry_type(entry_type);
    header.set_size(size_bytes);
    header
}

fn names_in(folder: &Path) -> Result<Vec<std::ffi::OsString>> {
    let entries = std::fs::read_dir(folder).map_err(|cause| reading(folder, cause))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<std::io::Result<Vec<_>>>();
    let mut names = names.map_err(|cause| reading(folder, cause))?;
    names.sort();
    Ok(names)
}

fn reading(path: &Path, cause: std::io::Error) -> Error {
    Error::io(format!("reading {}", path.display()), cause)
}

fn writing(path: &Path, cause: std::io::Error) -> Error {
    Error::io(format!("writing {} to the archive", path.display()), cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_as_long_as_it_was_when_it_was_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"12345").unwrap();
        let exact = |left| Exact { file: File::open(&path).unwrap(), left };
        let mut content = Vec::new();
        assert_eq!(exact(5).read_to_end(&mut content).unwrap(), 5);
        let mut grown = exact(4);
        assert_eq!(grown.read_to_end(&mut content).unwrap(), 4);
        assert!(grown.has_grown().unwrap());
        let shrunk = exact(6).read_to_end(&mut content).unwrap_err();
        assert_eq!(shrunk.kind(), std::io::ErrorKind::UnexpectedEof);
    }
}
