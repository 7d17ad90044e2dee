//! What runs that did not finish have left: objects without a manifest, and uploads that nobody will commit.
//!
//! A pure function of the store's content and the time. A day is given to whatever is still running.

use crate::listing::{id_of, is_manifest};
use chrono::TimeDelta;
use std::collections::HashSet;
use vb_core::time::Instant;
use vb_store::{ObjectInfo, OpenUpload};

/// How old litter must be to be swept.
pub const SWEPT_AFTER: TimeDelta = TimeDelta::days(1);

/// What to sweep.
#[derive(Debug, Default, PartialEq)]
pub struct Litter<'store> {
    /// Objects to delete.
    pub objects: Vec<&'store ObjectInfo>,
    /// Uploads to abort.
    pub uploads: Vec<&'store OpenUpload>,
}

/// The time against which ages are counted: no later than what the store shows, since this machine's clock may be wrong and a sweep
/// would take what another run is storing. So in a store in which nothing has happened for a day nothing grows old.
#[must_use]
pub fn clock(now: Instant, newest_at: Option<Instant>, uploads: &[OpenUpload]) -> Instant {
    let newest = newest_at.max(uploads.iter().map(|upload| upload.begun_at).max());
    newest.map_or(now, |newest| newest.min(now))
}

/// Finds the litter. Objects that are not named like ours are nobody's business.
#[must_use]
pub fn find<'store>(objects: &'store [ObjectInfo], uploads: &'store [OpenUpload], now: Instant) -> Litter<'store> {
    let is_old = |at: Instant| now - at > SWEPT_AFTER;
    let manifests = objects.iter().filter(|object| is_manifest(&object.key));
    let young_uploads = uploads.iter().filter(|upload| !is_old(upload.begun_at));
    let young_objects = objects.iter().filter(|object| !is_old(object.modified_at));
    // An object that was completed long ago may belong to a backup whose next object is still under way.
    let alive: HashSet<&str> = manifests
        .chain(young_objects)
        .filter_map(|object| id_of(&object.key))
        .chain(young_uploads.filter_map(|upload| id_of(&upload.key)))
        .collect();
    let is_litter = |object: &&ObjectInfo| id_of(&object.key).is_some_and(|id| !alive.contains(id));
    let is_dead = |upload: &&OpenUpload| is_old(upload.begun_at) && is_ours(upload);
    Litter { objects: objects.iter().filter(is_litter).collect(), uploads: uploads.iter().filter(is_dead).collect() }
}

/// By its key, or in a local store by the temporary file's name.
fn is_ours(upload: &OpenUpload) -> bool {
    let name = upload.key.file_name();
    id_of(&upload.key).is_some() || (name.starts_with(".vb-") && name.ends_with(".tmp"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vb_core::key::Key;

    fn at(hours_ago: i64) -> Instant {
        now() - TimeDelta::hours(hours_ago)
    }

    fn now() -> Instant {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn object(key: &str, hours_ago: i64) -> ObjectInfo {
        let (key, modified_at) = (Key::parse(key).unwrap(), at(hours_ago));
        ObjectInfo { key, size_bytes: 1, modified_at, crc32: None, storage_class: None }
    }

    fn upload(key: &str, hours_ago: i64) -> OpenUpload {
        OpenUpload { key: Key::parse(key).unwrap(), id: "1".to_owned(), begun_at: at(hours_ago) }
    }

    fn found(objects: &[ObjectInfo], uploads: &[OpenUpload]) -> Vec<String> {
        let litter = find(objects, uploads, now());
        let objects = litter.objects.iter().map(|object| object.key.to_string());
        objects.chain(litter.uploads.iter().map(|upload| upload.key.to_string())).collect()
    }

    #[test]
    fn an_object_without_a_manifest_is_litter_after_a_day() {
        let objects = [
            object("w/w_20261101_000000.parquet", 400),
            object("w/w_20261102_000000.parquet", 400),
            object("w/w_20261102_000000_metadata.json", 400),
            object("w/w_20261121_000000.parquet", 12),
        ];
        assert_eq!(found(&objects, &[]), ["w/w_20261101_000000.parquet"]);
    }

    #[test]
    fn other_peoples_objects_are_left_alone() {
        let objects = [
            object("notes.txt", 400),
            object("w/readme", 400),
            object("other/w/w_20261101_000000.parquet", 400),
            object("v/w_20261101_000000.parquet", 400),
        ];
        assert!(found(&objects, &[upload("films/one.mkv", 400)]).is_empty());
    }

    #[test]
    fn a_clock_that_is_ahead_makes_nothing_old() {
        let objects = [object("w/w_20261121_113000.parquet", 1)];
        let ahead = now() + TimeDelta::days(2);
        assert_eq!(find(&objects, &[], ahead).objects.len(), 1);
        let newest = objects.iter().map(|object| object.modified_at).max();
        assert!(find(&objects, &[], clock(ahead, newest, &[])).objects.is_empty());
        let young = [upload("w/w_20261121_113000.parquet.2", 0)];
        assert_eq!((clock(ahead, newest, &young), clock(at(5), newest, &young)), (now(), at(5)));
        assert_eq!(clock(ahead, None, &[]), ahead);
    }

    #[test]
    fn uploads_are_litter_after_a_day_and_keep_their_backup_alive_before() {
        let objects = [object("w/w_20261119_000000.parquet", 50), object("w/w_20261118_000000.parquet", 70)];
        let uploads =
            [upload("w/w_20261119_000000.parquet.2", 20), upload("w/.vb-1.tmp", 30), upload("w/.vb-2.tmp", 3)];
        assert_eq!(found(&objects, &uploads), ["w/w_20261118_000000.parquet", "w/.vb-1.tmp"]);
    }
}
