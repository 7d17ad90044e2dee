//! The store's folder and those below it: looked at name by name, so that no symbolic link leads out; made and removed.
//!
//! The protocol has no way to hold on to a folder, so a link that somebody puts there between the look and the use is not
//! seen. Whoever can do that can write to the store anyway.

use crate::error::{Answer, Fault};
use crate::session::Session;
use crate::wire::{Attributes, FileKind, Opening, Request, Status};
use vb_core::key::Key;
use vb_core::{Error, Result};

/// The folder as the server knows it.
#[derive(Debug, Clone)]
pub(crate) struct Root(pub(crate) String);

impl Root {
    /// A path below the root as the server knows it.
    pub(crate) fn path(&self, below: &str) -> String {
        let slash = if below.is_empty() || self.0.ends_with('/') { "" } else { "/" };
        format!("{}{slash}{below}", self.0)
    }
}

/// What follows the last slash is left out; no slash at the end.
pub(crate) fn folders_of(key: &str) -> &str {
    key.rsplit_once('/').map_or("", |(folders, _)| folders)
}

/// `a/b/c` -> `a`, `a/b`, `a/b/c`.
fn beginnings(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.char_indices().filter(|(at, letter)| *letter == '/' && *at > 0).map(|(at, _)| at);
    ends.chain((!path.is_empty()).then_some(path.len())).map(|end| &path[..end])
}

/// What lies at a path below the root; `None` if it or a folder on the way does not exist. All is asked for at once.
///
/// # Errors
/// A usage error if a folder on the way is none.
pub(crate) fn look(session: &Session, root: &Root, below: &str, step: &str) -> Result<Option<Attributes>> {
    let failed = |fault: Fault| fault.explain(step);
    let tickets = beginnings(below).map(|below| session.ask(&Request::LookAt { path: &root.path(below) }));
    let mut tickets = tickets.collect::<Answer<Vec<_>>>().map_err(failed)?;
    let Some(last) = tickets.pop() else { return Ok(None) };
    for ticket in tickets {
        match ticket.attributes(session).map_err(failed)?.map(|found| found.kind()) {
            Some(Some(FileKind::Folder) | None) => {}
            Some(_) => return Err(in_the_way(step)),
            None => return Ok(None),
        }
    }
    last.attributes(session).map_err(failed)
}

/// The object under this key, or `None`: a folder or a device is none.
///
/// # Errors
/// A usage error if it is a symbolic link, or a folder on the way is none.
pub(crate) fn look_for_object(session: &Session, root: &Root, key: &Key, step: &str) -> Result<Option<Attributes>> {
    let Some(found) = look(session, root, key.as_str(), step)? else { return Ok(None) };
    match found.kind() {
        Some(FileKind::Regular) | None => Ok(Some(found)),
        Some(FileKind::Link) => Err(in_the_way(step)),
        Some(FileKind::Folder | FileKind::Other) => Ok(None),
    }
}

fn in_the_way(step: &str) -> Error {
    Error::usage(format!("{step}: it or a folder of it is a symbolic link, or a file stands where a folder must be"))
        .with_hint("Links below the store's folder are not followed; make the link the store's folder itself.")
}

/// Makes the folders on the way to an object, the root and those above it too. Others may make or remove them meanwhile:
/// whether they are there in the end, shows when the file is opened.
pub(crate) fn make(session: &Session, root: &Root, key: &Key) -> Result<()> {
    let whole = root.path(folders_of(key.as_str()));
    let failed = |path: &str, fault: &Fault| fault.explain(&format!("making the folder {path}"));
    let ask = |path| session.ask(&Request::Follow { path }).map(|ticket| (path, ticket));
    let tickets = beginnings(&whole).map(ask).collect::<Answer<Vec<_>>>();
    let mut missing = Vec::new();
    for (path, ticket) in tickets.map_err(|fault| failed(&whole, &fault))? {
        match ticket.attributes(session) {
            Ok(None) => missing.push(path),
            // One that may not be looked at may still be passed.
            Ok(Some(_)) | Err(Fault::Refused(_)) => {}
            Err(fault) => return Err(failed(path, &fault)),
        }
    }
    for path in missing {
        match session.finish(&Request::MakeFolder { path }) {
            Ok(()) => sync(session, parent(path)),
            Err(fault) if fault.is(Status::NO_SUCH_FILE) => return Ok(()),
            Err(fault) => match session.ask(&Request::Follow { path }).and_then(|ticket| ticket.attributes(session)) {
                Ok(Some(_)) => {}
                _ => {
                    return Err(explain_refusal(
                        session,
                        folders_of(path),
                        &fault,
                        &format!("making the folder {path}"),
                    ));
                }
            },
        }
    }
    Ok(())
}

/// The folder that holds this one, both as the server knows them.
fn parent(path: &str) -> &str {
    match folders_of(path) {
        "" if path.starts_with('/') => "/",
        "" => ".",
        parent => parent,
    }
}

/// Removes the folders of a key as far as they are empty, but not the root. A nicety, so failures are no errors.
pub(crate) fn remove_empty(session: &Session, root: &Root, below: &str) {
    let mut folders: Vec<&str> = beginnings(folders_of(below)).collect();
    folders.reverse();
    for folder in folders {
        if session.finish(&Request::RemoveFolder { path: &root.path(folder) }).is_err() {
            return;
        }
    }
}

/// Brings the names in a folder to the server's disk, where it lets a folder be opened like a file, as OpenSSH does.
pub(crate) fn sync(session: &Session, path: &str) {
    if !session.features.sync {
        return;
    }
    let opened = session.ask(&Request::Open { path, how: Opening::Read }).and_then(|ticket| ticket.handle(session));
    let Ok(handle) = opened else { return };
    let synced = session.ask(&Request::Sync { handle: &handle });
    let _best_effort = synced.and_then(|ticket| ticket.within(session.sync_limit).done(session));
    let _closed_with_the_session = session.finish(&Request::Close { handle: &handle });
}

/// Why the server did not write: its "failure" stands for a full disk and for much else, so the disk is looked at.
pub(crate) fn explain_refusal(session: &Session, folder: &str, fault: &Fault, step: &str) -> Error {
    if !fault.is(Status::FAILURE) || !session.features.file_system {
        return fault.explain(step);
    }
    let asked = session.ask(&Request::FileSystem { path: folder }).and_then(|ticket| ticket.extended(session));
    let Ok(found) = asked.and_then(|bytes| Ok(crate::wire::FileSystem::parse(&bytes)?)) else {
        return fault.explain(step);
    };
    if found.read_only {
        return Error::denied(format!("{step}: the server's file system is read-only"))
            .with_hint("Choose another place, or make this one writable, then run it again.");
    }
    if found.no_more_files || found.free_bytes < u64::from(session.features.write_bytes) {
        return Error::failure(format!("{step}: no space left on the server"))
            .with_hint("Free some space or choose another place, then run it again; nothing was stored.");
    }
    fault.explain(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_a_root() {
        assert_eq!(Root("/srv".to_owned()).path("a/b"), "/srv/a/b");
        assert_eq!(Root(".".to_owned()).path("a"), "./a");
        assert_eq!(Root("x/y".to_owned()).path(""), "x/y");
    }

    #[test]
    fn beginnings_of_a_path() {
        assert_eq!(beginnings("/srv/x/y").collect::<Vec<_>>(), ["/srv", "/srv/x", "/srv/x/y"]);
        assert_eq!(beginnings("a/b").collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(beginnings("./a").collect::<Vec<_>>(), [".", "./a"]);
        assert_eq!(beginnings("").count(), 0);
        assert_eq!(["/srv", "/srv/x", "x", "x/y"].map(parent), ["/", "/srv", ".", "x"]);
    }
}
