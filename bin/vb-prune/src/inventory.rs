//! What is judged: the backups of a store, or those that lines of `vb-ls` tell, and the digest of either.

use crate::words;
use serde::Deserialize;
use std::collections::HashSet;
use std::io::BufRead;
use std::sync::Arc;
use vb_core::label::Source;
use vb_core::location::Location;
use vb_core::retention::Backup;
use vb_core::time::Instant;
use vb_core::{Error, Result};
use vb_pipe::Session;
use vb_pipe::digest::Digest;
use vb_repository::{Cache, catalogue};
use vb_store::Store;

/// What a store has.
pub(crate) struct Known {
    /// The backups with the later facts about them.
    pub(crate) backups: Vec<Backup>,
    /// When the newest object was stored, by the store's clock.
    pub(crate) newest_at: Option<Instant>,
    /// Keys that belong to a backup whose name they do not bear, and so are nobody's to remove.
    pub(crate) strangers: HashSet<String>,
}

impl Known {
    /// Lists the whole store: what is in one set may stand on what is in another.
    ///
    /// # Errors
    /// Those of the store; and an integrity error if a manifest cannot be read: a policy that does not see every backup must
    /// not decide about any.
    pub(crate) fn take(session: &Session, store: &dyn Store, location: &Location) -> Result<Self> {
        let cache = Cache::of(&location.to_string(), session.environment());
        let catalogue = catalogue(store, None, &cache, session.now())?;
        catalogue.warnings.iter().for_each(|words| session.warn(words));
        catalogue.unreadable.iter().for_each(|error| session.warn(&error.to_string()));
        if !catalogue.unreadable.is_empty() {
            let count = words::count(catalogue.unreadable.len(), "manifest");
            return Err(Error::integrity(format!("{count} could not be read, so nothing was removed"))
                .with_hint("Restore or delete what the warnings name, then run it again."));
        }
        let (strangers, newest_at) = (catalogue.strangers(), catalogue.newest_at);
        let mut backups: Vec<Backup> = catalogue.entries.into_iter().map(Backup::from).collect();
        backups.shrink_to_fit(); // made in the room of the entries, which are larger
        Ok(Self { backups, newest_at, strangers })
    }
}

/// The digest of everything that a plan depends on: the same for a store and for the lines of its `vb-ls`.
pub(crate) fn sha256(backups: &[&Backup]) -> Result<String> {
    let mut order = backups.to_vec();
    order.sort_by(|left, right| left.id.cmp(&right.id));
    let mut digest = Digest::default();
    for backup in order {
        let line =
            serde_json::to_vec(backup).map_err(|cause| Error::failure(format!("hashing the listing: {cause}")))?;
        digest.update(&line);
        digest.update(b"\n");
    }
    Ok(digest.sha256())
}

/// What every line of `vb-ls` has, and what its last one has.
#[derive(Deserialize)]
struct Line<'text> {
    event: &'text str,
    count: Option<usize>,
    message: Option<String>,
}

/// Reads the lines of `vb-ls`, up to its `done` line, which proves that none is missing.
///
/// # Errors
/// An integrity error if they end early, are not those of a whole listing, or name a backup twice.
pub(crate) fn of_lines(input: impl BufRead) -> Result<Vec<Backup>> {
    let (mut backups, mut told, mut pool) = (Vec::new(), None, Pool::default());
    for (number, line) in input.lines().enumerate() {
        let line = line.map_err(|cause| Error::io("reading the listing", cause))?;
        let broken = |cause: serde_json::Error| refused(&format!("line {}: {cause}", number + 1));
        let head: Line = serde_json::from_str(&line).map_err(broken)?;
        match head.event {
            "backup" => backups.push(pool.shared(serde_json::from_str(&line).map_err(broken)?)),
            "done" => told = head.count,
            "failed" => return Err(refused(&format!("vb-ls failed: {}", head.message.unwrap_or_default()))),
            _ => {}
        }
    }
    let Some(told) = told else { return Err(refused("it ends without the done line of vb-ls")) };
    if told != backups.len() {
        return Err(refused(&format!("it has {} of the {told} backups that its done line counts", backups.len())));
    }
    let mut ids = HashSet::new();
    match backups.iter().find(|backup: &&Backup| !ids.insert(backup.id.as_str())) {
        Some(twice) => Err(refused(&format!("it names {} twice", twice.id))),
        None => Ok(backups),
    }
}

/// What many backups have in common is held once.
#[derive(Default)]
struct Pool {
    sources: HashSet<Arc<Source>>,
    /// Sets and digests of columns.
    texts: HashSet<Arc<str>>,
}

impl Pool {
    fn shared(&mut self, mut backup: Backup) -> Backup {
        match self.sources.get(&backup.source) {
            Some(known) => backup.source = known.clone(),
            None => drop(self.sources.insert(backup.source.clone())),
        }
        for text in std::iter::once(&mut backup.set).chain(&mut backup.schema_sha256) {
            match self.texts.get(text) {
                Some(known) => *text = known.clone(),
                None => drop(self.texts.insert(text.clone())),
            }
        }
        backup
    }
}

fn refused(why: &str) -> Error {
    Error::integrity(format!("reading the listing: {why}"))
        .with_hint("Pipe all that vb-ls prints, as in vb-ls | vb-prune --plan, or name the store with --store.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: &str = r#"{"command":"vb-ls","event":"done","count":2,"size_bytes":7}"#;

    fn line(id: &str) -> String {
        format!(
            r#"{{"event":"backup","id":"{id}","set":"w","kind":"full","created_at":"2026-11-21T03:15:00Z","objects":[]}}"#
        )
    }

    fn read(lines: &[&str]) -> std::result::Result<usize, String> {
        of_lines(lines.join("\n").as_bytes()).map(|backups| backups.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_listing_counts_only_whole() {
        let (one, two, warning) = (line("w_1"), line("w_2"), r#"{"event":"warning","message":"slow"}"#);
        assert_eq!(read(&[warning, &one, &two, DONE]), Ok(2));
        let failed = r#"{"event":"failed","message":"no such bucket"}"#;
        for (lines, words) in [
            (vec![one.as_str(), &two], "without the done line"),
            (vec![&one, DONE], "1 of the 2"),
            (vec![&one, &one, DONE], "w_1 twice"),
            (vec![&one, failed], "vb-ls failed: no such bucket"),
            (vec![&one, &two[..40]], "line 2"),
            (vec![], "without the done line"),
        ] {
            let error = read(&lines).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn the_digest_depends_on_content_and_not_on_order() {
        let read = |lines: &[&str]| of_lines(lines.join("\n").as_bytes()).unwrap();
        let (one, two) = (line("w_1"), line("w_2"));
        let sha256 = |backups: Vec<Backup>| sha256(&backups.iter().collect::<Vec<_>>()).unwrap();
        let digest = sha256(read(&[&one, &two, DONE]));
        assert_eq!(digest, sha256(read(&[&two, &one, DONE])));
        let pinned = one.replace("\"set\"", "\"pinned\":true,\"set\"");
        assert_ne!(digest, sha256(read(&[&pinned, &two, DONE])));
    }
}
