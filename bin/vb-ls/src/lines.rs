//! The status line of a backup.

use crate::inventory::{Backup, Inventory};
use serde::Serialize;
use std::borrow::Cow;
use vb_core::label::{Kind, Proof, Source};
use vb_core::position::Reach;
use vb_core::time::{self, Instant};

/// What `null` and empty are left out of where a field is new, so that lines stay short.
#[derive(Serialize)]
pub(crate) struct Line<'all> {
    id: &'all str,
    set: &'all str,
    kind: Kind,
    base: Option<&'all str>,
    created_at: String,
    age_seconds: i64,
    since: Option<String>,
    until: Option<String>,
    continues: bool,
    records: Option<u64>,
    size_bytes: u64,
    level: u8,
    verified_at: Option<String>,
    damaged: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<&'all str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pinned: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'all [String],
    stores: Vec<&'all str>,
    missing_from: Vec<&'all str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differs_in: Vec<&'all str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_class: Option<&'all str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dollars_month: Option<f64>,
    objects: Vec<Object<'all>>,
    proof: Proof,
    source: &'all Source,
    schema_sha256: Option<&'all str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<&'all Reach>,
}

#[derive(Serialize)]
struct Object<'all> {
    key: String,
    size_bytes: u64,
    sha256: Cow<'all, str>,
    md5: Cow<'all, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crc32: Option<Cow<'all, str>>,
}

pub(crate) fn line<'all>(
    inventory: &'all Inventory,
    backup: &'all Backup,
    now: Instant,
    dollars_month: Option<f64>,
) -> Line<'all> {
    let (entry, row) = (&backup.entry, &backup.entry.row);
    let health = entry.health();
    let objects = row.objects.iter().map(|object| Object {
        key: row.key_of(object),
        size_bytes: object.size_bytes,
        sha256: object.digests.sha256(),
        md5: object.digests.md5(),
        crc32: object.digests.crc32(),
    });
    Line {
        id: &row.id,
        set: &row.set,
        kind: row.kind,
        base: row.base.as_deref(),
        created_at: time::seconds(row.created_at),
        age_seconds: (now - row.created_at).num_seconds(),
        since: row.since.map(time::exact),
        until: row.until.map(time::exact),
        continues: row.continues,
        records: row.records,
        size_bytes: row.size_bytes(),
        level: backup.level.number(),
        verified_at: entry.checked_at(vb_core::fact::Level::Stored).map(time::seconds),
        damaged: backup.damaged,
        incomplete: backup.incomplete.as_deref(),
        pinned: health.pinned,
        tags: &row.tags,
        stores: inventory.holders(backup),
        missing_from: inventory.lacking(backup),
        differs_in: inventory.differing(backup),
        storage_class: entry.storage_class.as_deref(),
        dollars_month,
        objects: objects.collect(),
        proof: row.proof,
        source: &row.source,
        schema_sha256: row.schema_sha256.as_deref(),
        position: row.position.as_deref(),
    }
}
