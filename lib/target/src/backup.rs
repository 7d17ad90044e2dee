//! A chain out of an archive: the manifests in it prove the order and that nothing is missing; what they name is decompressed,
//! compared with its digest, and can then be read: as Parquet, or as the dump of a database.

use crate::archive::{Archive, Member};
use crate::database::{DatabaseArchive, DatabaseChain, pg_restore};
use crate::parquet_file::ParquetFile;
use crate::unpacking::{Content, unpack};
use crate::window::Window;
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use vb_core::label::Kind;
use vb_core::manifest::Manifest;
use vb_core::{Error, Result, chain};

/// What the names of manifests end in.
const MANIFEST: &str = "_metadata.json";

/// As much as tells what a backup is of.
const HEAD_BYTES: u64 = 512;

pub(crate) const HINT: &str = "Fetch the chain again with vb-get --chain; nothing was changed.";

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

/// What a chain is of.
#[derive(Debug)]
pub enum Chain {
    /// Backups of one table, the full one first.
    Table(Vec<Backup>),
    /// Dumps of one database.
    Database(Box<DatabaseChain>),
    /// One archive of `pg_dump`.
    Custom(File),
}

/// The chain in an archive. What is decompressed goes to a file without a name in this folder.
///
/// # Errors
/// Integrity errors for a hole, for a backup that does not belong to the chain, and for bytes that are not what a manifest says.
pub fn of_chain(archive: &Archive, folder: &Path) -> Result<Chain> {
    let manifests = manifests(archive)?;
    let chain = proven(&manifests)?;
    let step = format!("decompressing in {}", folder.display());
    let mut spool = tempfile::tempfile_in(folder).map_err(|cause| Error::io(&step, cause))?;
    let mut contents = Vec::new();
    for manifest in &chain {
        contents.push(unpack(archive, manifest, &spool, &step)?);
    }
    let again = spool.try_clone().map_err(|cause| Error::io(&step, cause))?;
    let whole = Window::whole(again, &step)?;
    let window = |content| match content {
        Content::Member(window) => window,
        Content::Spooled(start, length) => whole.part(start, length),
    };
    let windows: Vec<Window> = contents.into_iter().map(window).collect();
    let mut head = Vec::new();
    let first = windows.first().map(|first| first.reader().take(HEAD_BYTES).read_to_end(&mut head)).transpose();
    first.map_err(|cause| Error::io(&step, cause))?;
    if Archive::is_one(&head) {
        let link = |(manifest, window): (&&Manifest, &Window)| {
            let archive = Archive::index(window, &manifest.id)?;
            Ok((manifest.id.clone(), DatabaseArchive::open(archive, &manifest.id)?))
        };
        let links = chain.iter().zip(&windows).map(link).collect::<Result<_>>()?;
        return DatabaseChain::of(links).map(|chain| Chain::Database(Box::new(chain)));
    }
    if head.starts_with(pg_restore::MAGIC) && chain.len() == 1 {
        // It is alone in there.
        spool.rewind().map_err(|cause| Error::io(&step, cause))?;
        return Ok(Chain::Custom(spool));
    }
    chain
        .iter()
        .zip(windows)
        .map(|(manifest, window)| backup(manifest, window))
        .collect::<Result<_>>()
        .map(Chain::Table)
}

fn backup(manifest: &Manifest, window: Window) -> Result<Backup> {
    let file = ParquetFile::in_window(window, &manifest.id)?;
    if manifest.records.is_some_and(|records| records != file.rows()) {
        let (id, rows, said) = (&manifest.id, file.rows(), manifest.records.unwrap_or_default());
        let message = format!("reading {id}: its manifest says {said} records, its footer {rows}");
        return Err(Error::integrity(message).with_hint(HINT));
    }
    Ok(Backup { id: Some(manifest.id.clone()), kind: Some(manifest.kind), file })
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

#[cfg(test)]
mod tests {
    use super::*;
    use vb_core::key::Key;
    use vb_core::label::Label;
    use vb_core::manifest::{Object, Proof};
    use vb_core::naming;

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
