//! A chain as one tar archive: of every backup, the full one first, its manifest as it is stored, then its objects, each under its own
//! key. Unpacked it is a store again.

use std::collections::VecDeque;
use std::io::Write;
use std::mem::ManuallyDrop;
use tar::{Builder, EntryType, Header};
use vb_core::label::{Kind, Label};
use vb_core::manifest::Manifest;
use vb_core::{Error, Result, naming};
use vb_repository::listing::Stored;

/// Contents are filled up to whole blocks.
const BLOCK: u64 = 512;

/// What the archive is: all of the table at the time of the newest backup, which stands on nothing that is not in it.
pub(crate) fn label(chain: &[Stored]) -> Option<Label> {
    let newest = &chain.last()?.manifest;
    let records = chain.iter().map(|stored| stored.manifest.records).sum();
    let label = newest.label();
    // What would go on from it is incremental to the newest of its backups, not to the archive.
    Some(Label {
        extension: "tar".to_owned(),
        kind: Kind::Full,
        base: None,
        since: None,
        continues: false,
        records,
        ..label
    })
}

/// A member of the archive.
struct Member<'chain> {
    name: String,
    modified: u64,
    content: Content<'chain>,
}

enum Content<'chain> {
    /// It is here.
    Manifest(&'chain [u8]),
    /// So many bytes, which come.
    Object(u64),
}

/// Writes the archive while the objects' bytes come, in the order of the chain.
pub(crate) struct Archive<'chain, W: Write> {
    /// Dropped, it would write the blocks that end an archive, and so make a whole one of what broke off.
    builder: ManuallyDrop<Builder<W>>,
    members: VecDeque<Member<'chain>>,
    /// What is still to come of the object that is being written, and the zeros behind it.
    left: u64,
    padding: u64,
}

impl<'chain, W: Write> Archive<'chain, W> {
    pub(crate) fn new(chain: &'chain [Stored], output: W) -> Result<Self> {
        let mut members = VecDeque::new();
        for Stored { manifest, bytes } in chain {
            let modified = u64::try_from(manifest.created_at.timestamp()).unwrap_or_default();
            let member = |name: &str, content| Member { name: name.to_owned(), modified, content };
            let key = naming::manifest_key(&manifest.set, &manifest.id)?;
            members.push_back(member(key.as_str(), Content::Manifest(bytes)));
            let objects = manifest.objects.iter();
            members.extend(objects.map(|object| member(object.key.as_str(), Content::Object(object.size_bytes))));
        }
        Ok(Self { builder: ManuallyDrop::new(Builder::new(output)), members, left: 0, padding: 0 })
    }

    /// Takes the next bytes of an object: all of one.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        while self.left == 0 && self.begin_next()? {}
        self.builder.get_mut().write_all(bytes)?;
        self.left = self.left.saturating_sub(bytes.len() as u64);
        if self.left == 0 { self.pad() } else { Ok(()) }
    }

    /// After the last object: what has no bytes, and the blocks that end an archive.
    pub(crate) fn finish(mut self) -> std::io::Result<()> {
        while self.begin_next()? {}
        self.builder.finish()
    }

    fn begin_next(&mut self) -> std::io::Result<bool> {
        let Some(Member { name, modified, content }) = self.members.pop_front() else { return Ok(false) };
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_mtime(modified);
        match content {
            Content::Manifest(bytes) => {
                header.set_size(bytes.len() as u64);
                self.builder.append_data(&mut header, name, bytes)?;
            }
            Content::Object(size_bytes) => {
                header.set_size(size_bytes);
                // Only the header, with a long name before it if need be: the contents are not here yet.
                self.builder.append_data(&mut header, name, std::io::empty())?;
                self.left = size_bytes;
                self.padding = size_bytes.next_multiple_of(BLOCK) - size_bytes;
            }
        }
        Ok(true)
    }

    fn pad(&mut self) -> std::io::Result<()> {
        let zeros = [0; BLOCK as usize];
        let padding = usize::try_from(std::mem::take(&mut self.padding)).unwrap_or_default();
        self.builder.get_mut().write_all(&zeros[..padding])
    }
}

/// The bytes of all objects.
pub(crate) fn size_bytes(chain: &[Stored]) -> u64 {
    chain.iter().map(|stored| stored.manifest.size_bytes()).sum()
}

/// The ids, the full backup's first.
pub(crate) fn ids(chain: &[Stored]) -> Vec<&str> {
    chain.iter().map(|stored| stored.manifest.id.as_str()).collect()
}

/// The newest backup.
///
/// # Errors
/// Never in practice: a chain that was proven has one.
pub(crate) fn newest(chain: &[Stored]) -> Result<&Manifest> {
    chain.last().map(|stored| &stored.manifest).ok_or_else(|| Error::failure("a chain without backups"))
}
