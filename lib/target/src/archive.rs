//! The members of a tar archive in a file: where each lies, and whether the archive has its end.

use crate::window::Window;
use std::io::Read;
use tar::EntryType;
use vb_core::{Error, Result};

const BLOCK: u64 = 512;
/// Two blocks of zeros end an archive.
const END_BYTES: u64 = 2 * BLOCK;
/// A file of facts is small.
const MOST_TEXT_BYTES: u64 = 64 << 20;

/// A file in an archive.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its path in the archive.
    pub name: String,
    /// Its contents.
    pub content: Window,
}

/// All files of an archive, in its order.
#[derive(Debug, Clone, Default)]
pub struct Archive {
    /// The files.
    pub members: Vec<Member>,
}

impl Member {
    /// The contents of a file of facts.
    ///
    /// # Errors
    /// If it is larger than such a file may be, or cannot be read.
    pub fn text(&self) -> Result<Vec<u8>> {
        if self.content.length() > MOST_TEXT_BYTES {
            return Err(Error::integrity(format!("reading {}: it is too large for what it is", self.name)));
        }
        let mut bytes = Vec::new();
        let read = self.content.reader().read_to_end(&mut bytes);
        read.map(|_| bytes).map_err(|cause| Error::io(format!("reading {}", self.name), cause))
    }
}

impl Archive {
    /// Whether a stream that begins with these bytes is a tar archive: POSIX or GNU, which have a magic.
    #[must_use]
    pub fn is_one(head: &[u8]) -> bool {
        head.get(257..262) == Some(b"ustar")
    }

    /// Finds the members. Folders and links are passed over.
    ///
    /// # Errors
    /// An integrity error if the archive is cut off or damaged.
    pub fn index(window: &Window, name: &str) -> Result<Self> {
        let broken = |why: String| {
            Error::integrity(format!("reading {name}: {why}"))
                .with_hint("Fetch the archive again with vb-get; nothing was changed.")
        };
        // The cause would show the damaged bytes.
        let damaged = |_: std::io::Error| broken("the archive is cut off or damaged".to_owned());
        let (mut members, mut end) = (Vec::new(), 0);
        let mut archive = tar::Archive::new(Seekable { window: window.clone(), at: 0 });
        for entry in archive.entries_with_seek().map_err(damaged)? {
            let entry = entry.map_err(damaged)?;
            let (start, length) = (entry.raw_file_position(), entry.size());
            if start.checked_add(length).is_none_or(|end| end > window.length()) {
                return Err(broken("the archive is cut off".to_owned()));
            }
            end = (start + length).next_multiple_of(BLOCK);
            if matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous) {
                let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                let name = path.strip_prefix("./").map_or(path.clone(), str::to_owned);
                members.push(Member { name, content: window.part(start, length) });
            }
        }
        if !ends(&window.part(end, u64::MAX)).map_err(damaged)? {
            return Err(broken("the archive has no end, so it was cut off".to_owned()));
        }
        Ok(Self { members })
    }

    /// The member of this name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }
}

/// Whether nothing but the end follows: two blocks of zeros, and more of them.
fn ends(rest: &Window) -> std::io::Result<bool> {
    let (mut reader, mut block) = (rest.reader(), vec![0; 64 << 10]);
    loop {
        match reader.read(&mut block)? {
            0 => return Ok(rest.length() >= END_BYTES),
            count if block[..count].iter().any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

/// A window with a place in it.
struct Seekable {
    window: Window,
    at: u64,
}

impl Read for Seekable {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.window.part(self.at, u64::MAX).reader().read(buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl std::io::Seek for Seekable {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        let at = match to {
            std::io::SeekFrom::Start(at) => Some(at),
            std::io::SeekFrom::End(offset) => self.window.length().checked_add_signed(offset),
            std::io::SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = at.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn archive() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in [("w/a".to_owned(), &b"one"[..]), (format!("w/{}", "b".repeat(200)), &[7; 1000])] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn index(bytes: &[u8]) -> Result<Archive> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Archive::index(&Window::whole(file, "x").unwrap(), "x")
    }

    #[test]
    fn members_are_where_they_are() {
        let bytes = archive();
        assert!(Archive::is_one(&bytes));
        let archive = index(&bytes).unwrap();
        assert_eq!(archive.member("w/a").unwrap().text().unwrap(), b"one");
        assert_eq!(archive.members[1].text().unwrap(), [7; 1000]);
        assert_eq!(archive.members[1].name.len(), 202);
    }

    #[test]
    fn only_a_whole_archive_is_read() {
        let bytes = archive();
        for cut in (0..bytes.len()).step_by(100) {
            assert!(index(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let followed = [&bytes[..], b"more"].concat();
        assert!(index(&followed).is_err());
        let mut damaged = bytes;
        damaged[3] ^= 1;
        assert!(index(&damaged).is_err());
    }
}
