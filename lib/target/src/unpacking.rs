//! The contents of one backup of a chain: its objects, compared with their digests, and decompressed.

use crate::archive::Archive;
use crate::backup::HINT;
use crate::window::{Window, WindowReader};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek};
use vb_core::manifest::{Manifest, Object};
use vb_core::{Error, Result, naming};
use vb_gzip::GzipError;

/// Where a backup's contents are.
pub(crate) enum Content {
    /// As it came.
    Member(Window),
    /// From here on in the file of what was decompressed, and so long.
    Spooled(u64, u64),
}

/// Forms that are restored, by their extensions without `.gz`; what has none is what its first bytes say.
const FORMS: [&str; 4] = ["parquet", "tar", "dump", ""];

/// Reads all objects of a backup, whose bytes one after the other are one stream, and compares them with their digests.
pub(crate) fn unpack(archive: &Archive, manifest: &Manifest, mut spool: &File, step: &str) -> Result<Content> {
    let id = &manifest.id;
    let start = spool.stream_position().map_err(|cause| Error::io(step, cause))?;
    let extension = manifest.objects.first().and_then(|object| naming::extension_of(id, &object.key));
    let mut joined = Joined::of(archive, &manifest.objects)?;
    let mut member = None;
    let extension = extension.unwrap_or_default();
    let outcome = match (extension.strip_suffix("gz"), extension) {
        (Some(form), _) if FORMS.contains(&form.trim_end_matches('.')) => {
            vb_gzip::decompress(&mut joined, &mut spool, vb_gzip::default_threads()).map(drop)
        }
        (None, "parquet" | "tar") if manifest.objects.len() == 1 => {
            member = joined.first();
            std::io::copy(&mut joined, &mut std::io::sink()).map(drop).map_err(GzipError::Read)
        }
        (None, form) if FORMS.contains(&form) => {
            std::io::copy(&mut joined, &mut spool).map(drop).map_err(GzipError::Read)
        }
        (_, other) => {
            return Err(Error::usage(format!("{id} is stored as {other:?}, of which no chain is restored"))
                .with_hint("Restore it by hand: vb-get, a decompressor, vb-import."));
        }
    };
    if let Some(error) = joined.wrong {
        return Err(error);
    }
    outcome.map_err(|cause| match cause {
        GzipError::Read(cause) => Error::io(format!("reading {id}"), cause),
        GzipError::Write(cause) => Error::io(step, cause),
        GzipError::Thread => Error::failure(format!("{step}: {cause}")),
        cause => Error::integrity(format!("reading {id}: {cause}")).with_hint(HINT),
    })?;
    let end = spool.stream_position().map_err(|cause| Error::io(step, cause))?;
    Ok(member.map_or(Content::Spooled(start, end - start), Content::Member))
}

/// The objects of a backup, read one after the other.
struct Joined<'manifest> {
    parts: VecDeque<(&'manifest Object, Window)>,
    reader: Option<WindowReader>,
    sha256: Sha256,
    /// What was found wrong, for which the reader then fails.
    wrong: Option<Error>,
}

impl<'manifest> Joined<'manifest> {
    fn of(archive: &Archive, objects: &'manifest [Object]) -> Result<Self> {
        let part = |object: &'manifest Object| {
            let broken = |why: String| Error::integrity(format!("reading {}: {why}", object.key)).with_hint(HINT);
            let member = archive.member(object.key.as_str());
            let member =
                member.ok_or_else(|| broken("the manifest names it, but it is not in the archive".to_owned()))?;
            let (found, named) = (member.content.length(), object.size_bytes);
            if found != named {
                return Err(broken(format!("it has {found} bytes instead of {named}")));
            }
            Ok((object, member.content.clone()))
        };
        let parts = objects.iter().map(part).collect::<Result<_>>()?;
        Ok(Self { parts, reader: None, sha256: Sha256::new(), wrong: None })
    }

    fn first(&self) -> Option<Window> {
        self.parts.front().map(|(_, window)| window.clone())
    }

    /// At the end of the first part: its digest must be the manifest's.
    fn next_part(&mut self) -> std::io::Result<()> {
        self.reader = None;
        let Some((object, _)) = self.parts.pop_front() else { return Ok(()) };
        let digest = std::mem::replace(&mut self.sha256, Sha256::new()).finalize();
        let found: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        if found == object.sha256 {
            return Ok(());
        }
        let message = format!("reading {}: its SHA-256 is {found} instead of {}", object.key, object.sha256);
        self.wrong = Some(Error::integrity(message).with_hint(HINT));
        Err(std::io::Error::other("other bytes than the manifest says"))
    }
}

impl Read for Joined<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let Some((_, window)) = self.parts.front() else { return Ok(0) };
            let count = self.reader.get_or_insert_with(|| window.reader()).read(buffer)?;
            if count > 0 || buffer.is_empty() {
                self.sha256.update(&buffer[..count]);
                return Ok(count);
            }
            self.next_part()?;
        }
    }
}
