//! A chain out of an archive: the manifests in it prove the order and that nothing is missing; what they name is decompressed,
//! compared with its digest, and can then be read as Parquet.

use crate::archive::{Archive, Member};
use crate::parquet_file::ParquetFile;
use crate::window::{Window, WindowReader};
use sha2::{Digest, Sha256};
use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use vb_core::label::Kind;
use vb_core::manifest::{Manifest, Object};
use vb_core::{Error, Result, chain, naming};
use vb_gzip::GzipError;

/// What the names of manifests end in.
const MANIFEST: &str = "_metadata.json";

const HINT: &str = "Fetch the chain again with vb-get --chain; nothing was changed.";

/// One backup of a table.
#[derive(Debug)]
pub struct Backup {
    /// Its id; none for a file that is no backup's.
    pub id: Option<String>,
    /// Whether it holds everything or what changed, where that is known.
    pub kind: Option<Kind>,
    /// Its rows.
    pub file: ParquetFile,
}

impl Backup {
    /// A file of which nothing else is known.
    #[must_use]
    pub fn alone(file: ParquetFile, kind: Option<Kind>) -> Self {
        Self { id: None, kind, file }
    }
}

/// Whether there are manifests in an archive. It may have been packed by other hands, in any order.
#[must_use]
pub fn is_chain(archive: &Archive) -> bool {
    archive.members.iter().any(|member| member.name.ends_with(MANIFEST))
}

/// The chain in an archive, the full backup first. What is decompressed goes to a file without a name in this folder.
///
/// # Errors
/// Integrity errors for a hole, for a backup that does not belong to the chain, and for bytes that are not what a manifest says.
pub fn of_chain(archive: &Archive, folder: &Path) -> Result<Vec<Backup>> {
    let manifests = manifests(archive)?;
    let chain = proven(&manifests)?;
    let step = format!("decompressing in {}", folder.display());
    let spool = tempfile::tempfile_in(folder).map_err(|cause| Error::io(&step, cause))?;
    let mut ranges = Vec::new();
    for manifest in &chain {
        ranges.push(unpack(archive, manifest, &spool, &step)?);
    }
    let spool = Window::whole(spool, &step)?;
    let backup = |(manifest, content): (&&Manifest, Content)| {
        let window = match content {
            Content::Member(window) => window,
            Content::Spooled(start, length) => spool.part(start, length),
        };
        let file = ParquetFile::in_window(window, &manifest.id)?;
        if manifest.records.is_some_and(|records| records != file.rows()) {
            let (id, rows, said) = (&manifest.id, file.rows(), manifest.records.unwrap_or_default());
            let message = format!("reading {id}: its manifest says {said} records, its footer {rows}");
            return Err(Error::integrity(message).with_hint(HINT));
        }
        Ok(Backup { id: Some(manifest.id.clone()), kind: Some(manifest.kind), file })
    };
    chain.iter().zip(ranges).map(backup).collect()
}

fn manifests(archive: &Archive) -> Result<Vec<Manifest>> {
    let is_manifest = |member: &&Member| member.name.ends_with(MANIFEST);
    archive.members.iter().filter(is_manifest).map(|member| Manifest::parse(&member.text()?, &member.name)).collect()
}

/// The one chain that these manifests make, all of them in it, and all of one source.
fn proven(manifests: &[Manifest]) -> Result<Vec<&Manifest>> {
    let of = |manifest: &Manifest| (manifest.source.source_type.clone(), manifest.source.name.clone());
    let pairs = manifests.iter().zip(manifests.iter().skip(1));
    if let Some((one, other)) = pairs.into_iter().find(|(one, other)| of(one) != of(other)) {
        let (first, second) = (&one.source.name, &other.source.name);
        let message = format!("the chain is broken: {} is a backup of {first}, {} of {second}", one.id, other.id);
        return Err(Error::integrity(message).with_hint(HINT));
    }
    // A hole is told as such, and not as two chains.
    manifests.iter().try_for_each(|manifest| chain::resolve(manifests, &manifest.id).map(drop))?;
    let bases: HashSet<&str> = manifests.iter().filter_map(|manifest| manifest.base.as_deref()).collect();
    let mut newest = manifests.iter().filter(|manifest| !bases.contains(manifest.id.as_str()));
    let (first, second) = (newest.next(), newest.next());
    let Some(first) = first else {
        return Err(Error::integrity("the archive holds no chain of backups").with_hint(HINT));
    };
    if let Some(second) = second {
        let message =
            format!("{} does not belong to the chain of {}, and both are in the archive", second.id, first.id);
        return Err(Error::integrity(message).with_hint("Let the archive hold one chain, as vb-get --chain writes it."));
    }
    let chain = chain::resolve(manifests, &first.id)?;
    if chain.len() < manifests.len() {
        let message = format!("the archive holds backups that do not belong to the chain of {}", first.id);
        return Err(Error::integrity(message).with_hint("Let the archive hold one chain, as vb-get --chain writes it."));
    }
    Ok(chain)
}

/// Where a backup's Parquet is.
enum Content {
    /// As it came.
    Member(Window),
    /// From here on in the file of what was decompressed, and so long.
    Spooled(u64, u64),
}

/// Reads all objects of a backup, whose bytes one after the other are one stream, and compares them with their digests.
fn unpack(archive: &Archive, manifest: &Manifest, mut spool: &File, step: &str) -> Result<Content> {
    let id = &manifest.id;
    let start = spool.stream_position().map_err(|cause| Error::io(step, cause))?;
    let extension = manifest.objects.first().and_then(|object| naming::extension_of(id, &object.key));
    let mut joined = Joined::of(archive, &manifest.objects)?;
    let mut member = None;
    let outcome = match extension.unwrap_or_default() {
        "parquet" if manifest.objects.len() == 1 => {
            member = joined.first();
            std::io::copy(&mut joined, &mut std::io::sink()).map(drop).map_err(GzipError::Read)
        }
        "parquet" => std::io::copy(&mut joined, &mut spool).map(drop).map_err(GzipError::Read),
        "parquet.gz" => vb_gzip::decompress(&mut joined, &mut spool, vb_gzip::default_threads()).map(drop),
        other => {
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

#[cfg(test)]
mod tests {
    use super::*;
    use vb_core::key::Key;
    use vb_core::label::Label;
    use vb_core::manifest::Proof;

    fn manifest(table: &str, hour: u32, base: Option<u32>) -> Manifest {
        let at = |hour: u32| format!("2026-11-21T{hour:02}:00:00Z").parse().unwrap();
        let mut label = Label::of_stream("table", table, "w", "parquet");
        label.kind = if base.is_some() { Kind::Incremental } else { Kind::Full };
        label.base = base.map(|base| naming::id("w", at(base)));
        (label.since, label.until, label.continues) = (base.map(at), Some(at(hour)), true);
        let key = Key::parse(&format!("w/{hour}")).unwrap();
        let object = Object { key, size_bytes: 1, sha256: String::new(), md5: String::new(), crc32: None };
        Manifest::new(&naming::id("w", at(hour)), at(hour), label, vec![object], Proof::Sealed)
    }

    #[test]
    fn one_chain_of_one_source() {
        let (full, next) = (manifest("t", 1, None), manifest("t", 2, Some(1)));
        assert_eq!(proven(&[next.clone(), full.clone()]).unwrap()[0].id, full.id);
        for (manifests, words) in [
            (vec![], "no chain"),
            (vec![next.clone()], "hole"),
            (vec![full.clone(), manifest("other", 2, Some(1))], "other"),
            (vec![full.clone(), next.clone(), manifest("t", 3, Some(1))], "both are in the archive"),
            (vec![full.clone(), next.clone(), manifest("t", 3, None)], "both are in the archive"),
        ] {
            let error = proven(&manifests).unwrap_err();
            assert_eq!(error.kind(), vb_core::ErrorKind::Integrity);
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
