//! The archive of a whole database in a file: its list of members, each of which must be there and be what the list says.

use crate::Archive;
use crate::parquet_file::ParquetFile;
use crate::window::Window;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::io::Read;
use vb_core::{Error, Result};
use vb_postgres::database::format::{self, FORMAT_OF_INCREMENT};
use vb_postgres::database::{Head, Manifest, Member};

/// What is hashed at once.
const BLOCK_BYTES: usize = 256 << 10;

/// An archive whose list was read.
#[derive(Debug, Clone)]
pub struct DatabaseArchive {
    /// What it is of.
    pub head: Head,
    /// Its members.
    pub manifest: Manifest,
    archive: Archive,
    name: String,
}

impl DatabaseArchive {
    /// Whether an archive is one of a whole database.
    #[must_use]
    pub fn is_one(archive: &Archive) -> bool {
        archive.members.first().is_some_and(|member| member.name == format::HEAD)
    }

    /// Reads its first and its last member. `name` names it in errors.
    ///
    /// # Errors
    /// An integrity error if a member is missing, or the list is; a usage error for a newer form.
    pub fn open(archive: Archive, name: &str) -> Result<Self> {
        let head: Head = parsed(&archive, format::HEAD, name)?;
        if head.format > FORMAT_OF_INCREMENT {
            let known = format!("this program reads formats up to {FORMAT_OF_INCREMENT}");
            return Err(Error::usage(format!("{name} has format {}, {known}", head.format))
                .with_hint("Use the version of vb that wrote it, or a newer one."));
        }
        let manifest: Manifest = parsed(&archive, format::MANIFEST, name)?;
        for member in &manifest.members {
            let length = archive.member(&member.name).map(|found| found.content.length());
            if length != Some(member.size_bytes) {
                return Err(Error::integrity(format!(
                    "reading {name}: {} has {} bytes, and its list says {}",
                    member.name,
                    length.unwrap_or_default(),
                    member.size_bytes
                )));
            }
        }
        Ok(Self { head, manifest, archive, name: name.to_owned() })
    }

    /// A member's contents, which are what the list says. None where there is no such member.
    ///
    /// # Errors
    /// An integrity error if they are not.
    fn content(&self, member: &Member) -> Result<Window> {
        let missing = || Error::integrity(format!("reading {}: there is no {}", self.name, member.name));
        let content = self.archive.member(&member.name).ok_or_else(missing)?.content.clone();
        let failed = |cause| Error::io(format!("reading {}", member.name), cause);
        let (mut sha256, mut reader, mut block) = (Sha256::new(), content.reader(), vec![0; BLOCK_BYTES]);
        loop {
            match reader.read(&mut block).map_err(failed)? {
                0 => break,
                count => sha256.update(&block[..count]),
            }
        }
        let found: String = sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if found == member.sha256 {
            return Ok(content);
        }
        Err(Error::integrity(format!("reading {}: {} has another SHA-256 than its list says", self.name, member.name))
            .with_hint("Fetch the backup again, or restore an older one."))
    }

    fn listed(&self, name: &str) -> Option<&Member> {
        self.manifest.members.iter().find(|member| member.name == name)
    }

    /// A member of text.
    ///
    /// # Errors
    /// If it is not there, or is not what the list says.
    pub(super) fn text(&self, name: &str) -> Result<String> {
        let missing = || Error::integrity(format!("reading {}: there is no {name}", self.name));
        let mut text = String::new();
        let read = self.content(self.listed(name).ok_or_else(missing)?)?.reader().read_to_string(&mut text);
        read.map(|_| text).map_err(|cause| Error::io(format!("reading {name}"), cause))
    }

    /// A member of Parquet.
    ///
    /// # Errors
    /// If it is not what the list says.
    pub(super) fn parquet(&self, member: &Member) -> Result<ParquetFile> {
        let file = ParquetFile::in_window(self.content(member)?, &member.name)?;
        if member.rows == Some(file.rows()) {
            return Ok(file);
        }
        Err(Error::integrity(format!(
            "reading {}: {} has {} rows, and its list says {}",
            self.name,
            member.name,
            file.rows(),
            member.rows.unwrap_or_default()
        )))
    }

    /// Whether it holds only what has changed since another one.
    pub(super) fn is_increment(&self) -> bool {
        self.head.format == FORMAT_OF_INCREMENT
    }

    /// The bytes of large objects, if there are any.
    pub(super) fn large_objects(&self) -> Option<&Member> {
        self.listed(format::LARGE_OBJECTS)
    }
}

fn parsed<T: DeserializeOwned>(archive: &Archive, member: &str, name: &str) -> Result<T> {
    let missing = || Error::integrity(format!("reading {name}: there is no {member}, so it was cut off"));
    let text = archive.member(member).ok_or_else(missing)?.text()?;
    serde_json::from_slice(&text)
        .map_err(|cause| Error::integrity(format!("reading {name}: its {member} is broken: {cause}")))
}
