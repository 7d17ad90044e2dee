//! The files of a store in the order of their keys, holding the names of one folder at a time.

use crate::error::Answer;
use crate::folder::{Root, folders_of, look};
use crate::names::{is_temporary, open_upload};
use crate::session::Session;
use crate::wire::{Attributes, Entry, FileKind, Request, Status};
use vb_core::Result;
use vb_core::key::Key;
use vb_core::time::Instant;
use vb_store::{ObjectInfo, OpenUpload};

/// How many answers about one folder are on their way at once: OpenSSH gives a hundred names in each.
const ASKED_AT_ONCE: usize = 4;

/// A regular file below the root.
pub(crate) enum Found {
    /// A committed one.
    Object(ObjectInfo),
    /// An upload under way, or what a killed one left.
    Temporary(OpenUpload),
}

type Each<'each> = &'each mut dyn FnMut(Found) -> Result<()>;

/// Calls `each` for every object, and every upload, whose key begins with `prefix`.
pub(crate) fn walk(session: &Session, root: &Root, prefix: &str, each: Each<'_>) -> Result<()> {
    let folders = folders_of(prefix);
    if folders.split('/').any(|segment| matches!(segment, "." | ".."))
        || prefix.contains("//")
        || prefix.starts_with('/')
    {
        return Ok(());
    }
    let walk = Walk { session, root, prefix };
    if folders.is_empty() {
        return walk.folder("", each);
    }
    // Straight to the only folder that can hold a match.
    match look(session, root, folders, &format!("listing {prefix}"))?.map(|found| found.kind()) {
        Some(Some(FileKind::Folder) | None) => walk.folder(&format!("{folders}/"), each),
        _ => Ok(()),
    }
}

struct Walk<'walk> {
    session: &'walk Session,
    root: &'walk Root,
    prefix: &'walk str,
}

impl Walk<'_> {
    /// `path` is the folder's below the root: empty, or ending in a slash.
    fn folder(&self, path: &str, each: Each<'_>) -> Result<()> {
        let step = || format!("listing /{path}");
        let mut files = match self.names(path) {
            Ok(files) => files,
            // Removed since its name was read; or the store does not exist yet.
            Err(fault) if fault.is(Status::NO_SUCH_FILE) => return Ok(()),
            Err(fault) => return Err(fault.explain(&step())),
        };
        files.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        for (name, attributes) in files {
            if name.ends_with('/') {
                self.folder(&format!("{path}{name}"), each)?;
            } else if let Some(found) = self.file(path, &name, &attributes) {
                each(found)?;
            }
        }
        Ok(())
    }

    /// The names that can lead to a match, folders with a slash at their end: so sorted, their keys come in order.
    fn names(&self, path: &str) -> Answer<Vec<(String, Attributes)>> {
        let folder = self.root.path(path.trim_end_matches('/'));
        let handle = self.session.ask(&Request::OpenFolder { path: &folder })?.handle(self.session)?;
        let entries = self.entries(&handle);
        let _closed_with_the_session = self.session.finish(&Request::Close { handle: &handle });
        let mut names = Vec::new();
        for entry in entries? {
            if let Some(found) = self.match_entry(path, &folder, entry)? {
                names.push(found);
            }
        }
        Ok(names)
    }

    fn entries(&self, handle: &[u8]) -> Answer<Vec<Entry>> {
        let mut entries = Vec::new();
        loop {
            let ask = |_| self.session.ask(&Request::ReadFolder { handle });
            let tickets = (0..ASKED_AT_ONCE).map(ask).collect::<Answer<Vec<_>>>()?;
            let mut ended = false;
            for ticket in tickets {
                match ticket.names(self.session)? {
                    Some(more) => entries.extend(more),
                    None => ended = true,
                }
            }
            if ended {
                return Ok(entries);
            }
        }
    }

    fn match_entry(&self, path: &str, folder: &str, entry: Entry) -> Answer<Option<(String, Attributes)>> {
        // Names that are no UTF-8 are no keys, nor is anything below them.
        let Ok(mut name) = String::from_utf8(entry.name) else { return Ok(None) };
        if matches!(name.as_str(), "." | "..") || name.contains('/') {
            return Ok(None);
        }
        let mut attributes = entry.attributes;
        if attributes.kind().is_none() || attributes.size_bytes.is_none() {
            let ticket = self.session.ask(&Request::LookAt { path: &format!("{folder}/{name}") })?;
            let Some(found) = ticket.attributes(self.session)? else { return Ok(None) };
            attributes = found;
        }
        match attributes.kind() {
            Some(FileKind::Folder) => name.push('/'),
            Some(FileKind::Regular) | None => {}
            Some(FileKind::Link | FileKind::Other) => return Ok(None),
        }
        let full = format!("{path}{name}");
        let leads_on = name.ends_with('/') && self.prefix.starts_with(&full);
        let matches = full.starts_with(self.prefix) || leads_on || is_temporary(&name);
        Ok(matches.then_some((name, attributes)))
    }

    fn file(&self, path: &str, name: &str, attributes: &Attributes) -> Option<Found> {
        if is_temporary(name) {
            let upload = open_upload(path, name, modified_at(attributes))?;
            return upload.key.as_str().starts_with(self.prefix).then_some(Found::Temporary(upload));
        }
        let key = Key::parse(&format!("{path}{name}")).ok()?;
        Some(Found::Object(object(key, attributes)))
    }
}

/// What the server says of an object.
pub(crate) fn object(key: Key, attributes: &Attributes) -> ObjectInfo {
    let size_bytes = attributes.size_bytes.unwrap_or_default();
    ObjectInfo { key, size_bytes, modified_at: modified_at(attributes), crc32: None, storage_class: None }
}

fn modified_at(attributes: &Attributes) -> Instant {
    Instant::from_timestamp(i64::from(attributes.modified.unwrap_or_default()), 0).unwrap_or_default()
}
