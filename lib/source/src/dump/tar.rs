//! The archive as it is written: members one after the other, at its end the list of them all, and what the archive is.

use super::member::{Spooled, hexadecimal};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use tar::{Builder, EntryType, Header};
use vb_core::label::{LABEL_MEMBER, Label};
use vb_core::time::Instant;
use vb_core::{Error, Result};
use vb_postgres::database::format::MANIFEST;
use vb_postgres::database::{Manifest, Member, TableState};

/// An archive that is being written. Only [`Writing::finish`] makes it whole.
pub(super) struct Writing<W: Write> {
    builder: Builder<W>,
    at: Instant,
    manifest: Manifest,
}

impl<W: Write> Writing<W> {
    /// All members bear the snapshot's time.
    pub(super) fn new(output: W, at: Instant, format: u32) -> Self {
        Self { builder: Builder::new(output), at, manifest: Manifest { format, ..Manifest::default() } }
    }

    /// A member whose bytes are at hand.
    pub(super) fn text(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let sha256 = hexadecimal(&Sha256::digest(bytes));
        let member = Member { name: name.to_owned(), size_bytes: bytes.len() as u64, sha256, ..Member::default() };
        self.append(member, bytes)
    }

    /// The same of what is written as JSON.
    pub(super) fn json(&mut self, name: &str, value: &impl serde::Serialize) -> Result<()> {
        self.text(name, &to_json(name, value)?)
    }

    /// A member that was spooled; its name and what is in it are given.
    pub(super) fn spooled(&mut self, member: Member, spooled: Spooled) -> Result<()> {
        let Spooled { file, sha256, size_bytes } = spooled;
        self.append(Member { sha256, size_bytes, ..member }, file)
    }

    fn append(&mut self, member: Member, bytes: impl Read) -> Result<()> {
        self.write(&member.name, member.size_bytes, bytes)?;
        if member.table.is_some() {
            self.manifest.records += member.rows.unwrap_or_default();
        }
        self.manifest.members.push(member);
        Ok(())
    }

    fn write(&mut self, name: &str, size_bytes: u64, bytes: impl Read) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(size_bytes);
        header.set_mode(0o644);
        header.set_mtime(u64::try_from(self.at.timestamp()).unwrap_or_default());
        let written = self.builder.append_data(&mut header, name, bytes);
        written.map_err(|cause| Error::io("writing the output", cause))
    }

    /// The list of members. An increment lists the tables too.
    pub(super) fn list(&mut self, tables: Vec<TableState>) -> Result<Manifest> {
        self.manifest.tables = tables;
        let bytes = to_json(MANIFEST, &self.manifest)?;
        self.write(MANIFEST, bytes.len() as u64, bytes.as_slice())?;
        Ok(self.manifest.clone())
    }

    /// The label, for whoever comes upon the archive without its seal, and the end.
    pub(super) fn finish(mut self, label: &Label) -> Result<()> {
        let bytes = to_json(LABEL_MEMBER, label)?;
        self.write(LABEL_MEMBER, bytes.len() as u64, bytes.as_slice())?;
        let mut output = self.builder.into_inner().map_err(|cause| Error::io("writing the output", cause))?;
        output.flush().map_err(|cause| Error::io("writing the output", cause))
    }
}

/// As it stands in the archive.
pub(super) fn to_json(name: &str, value: &impl serde::Serialize) -> Result<Vec<u8>> {
    let bytes = serde_json::to_vec_pretty(value);
    bytes.map_err(|cause| Error::failure(format!("writing {name}: {cause}")))
}
