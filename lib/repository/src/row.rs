//! A backup as a listing needs it: all of its manifest but the stages, small enough to hold a hundred thousand.
//!
//! What many backups share (the set, the source, the columns' digest, the ending of a key) is held once.

use crate::packed::Digests;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use vb_core::chain::{Link, Linked};
use vb_core::label::{Kind, Label, Proof, Source};
use vb_core::manifest::{Manifest, Object};
use vb_core::position::{Position, Reach};
use vb_core::time::Instant;
use vb_core::{Result, key::Key};

/// One backup.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its id.
    pub id: Box<str>,
    /// Its set.
    pub set: Arc<str>,
    /// Everything, or what changed.
    pub kind: Kind,
    /// The id of the backup that it stands on.
    pub base: Option<Box<str>>,
    /// When its upload began.
    pub created_at: Instant,
    /// The lower end of what is covered.
    pub since: Option<Instant>,
    /// The watermark.
    pub until: Option<Instant>,
    /// Whether an incremental may stand on it.
    pub continues: bool,
    /// How far it reaches, as far as a chain's proof needs it.
    pub position: Option<Arc<Reach>>,
    /// In how many buckets of keys some are gone.
    pub deletes: Option<u64>,
    /// Records, where the producer counted them.
    pub records: Option<u64>,
    /// The digest of the columns' names and types.
    pub schema_sha256: Option<Arc<str>>,
    /// Where the data came from.
    pub source: Arc<Source>,
    /// How we know that it is whole.
    pub proof: Proof,
    /// What the user calls it.
    pub tags: Arc<[String]>,
    /// Its objects, in order.
    pub objects: Box<[RowObject]>,
}

/// One object of a [`Row`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowObject {
    /// What follows `<set>/<id>` in its key; a key of another form stands whole, behind a slash.
    pub ending: Arc<str>,
    /// Its length.
    pub size_bytes: u64,
    /// As in the manifest.
    pub digests: Digests,
}

impl Row {
    /// The bytes of all its objects.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.size_bytes).sum()
    }

    /// The key of one of its objects, as text.
    #[must_use]
    pub fn key_of(&self, object: &RowObject) -> String {
        match object.ending.strip_prefix('/') {
            Some(whole) => whole.to_owned(),
            None => format!("{}/{}{}", self.set, self.id, object.ending),
        }
    }

    /// The manifest again, without its stages: for the pure functions that judge manifests.
    ///
    /// # Errors
    /// None in practice: the keys come from a manifest.
    pub fn manifest(&self) -> Result<Manifest> {
        let object = |object: &RowObject| {
            let (key, size_bytes, digests) = (Key::parse(&self.key_of(object))?, object.size_bytes, &object.digests);
            let (sha256, md5) = (digests.sha256().into_owned(), digests.md5().into_owned());
            Ok(Object { key, size_bytes, sha256, md5, crc32: digests.crc32().map(Cow::into_owned) })
        };
        let mut label = Label::of_stream("", "", &self.set, "");
        label.source = (*self.source).clone();
        (label.kind, label.base) = (self.kind, self.base.as_deref().map(str::to_owned));
        (label.since, label.until, label.continues) = (self.since, self.until, self.continues);
        (label.records, label.schema_sha256) = (self.records, self.schema_sha256.as_deref().map(str::to_owned));
        (label.position, label.deletes) = (self.position.as_deref().map(Position::from), self.deletes);
        label.tags = self.tags.to_vec();
        let objects = self.objects.iter().map(object).collect::<Result<_>>()?;
        Ok(Manifest::new(&self.id, self.created_at, label, objects, self.proof))
    }
}

impl Linked for Row {
    fn link(&self) -> Link<'_> {
        let (schema_sha256, reach) = (self.schema_sha256.as_deref(), self.position.as_deref().map(Reach::borrowed));
        Link { source: &self.source, since: self.since, until: self.until, schema_sha256, reach }
    }
}

/// What many rows share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    texts: HashSet<Arc<str>>,
    sources: HashMap<String, Arc<Source>>,
    positions: HashSet<Arc<Reach>>,
    tags: HashSet<Arc<[String]>>,
}

impl Shared {
    /// The one copy of this text.
    pub(crate) fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(text);
        self.texts.insert(Arc::clone(&new));
        new
    }

    /// The one copy of how far a backup reaches.
    pub(crate) fn position(&mut self, reach: Reach<&str>) -> Arc<Reach> {
        let reach = reach.with(self.text(reach.by));
        if let Some(known) = self.positions.get(&reach) {
            return Arc::clone(known);
        }
        let new = Arc::new(reach);
        self.positions.insert(Arc::clone(&new));
        new
    }

    /// The one copy of these tags.
    pub(crate) fn tags(&mut self, tags: &[String]) -> Arc<[String]> {
        if let Some(known) = self.tags.get(tags) {
            return Arc::clone(known);
        }
        let new: Arc<[String]> = Arc::from(tags);
        self.tags.insert(Arc::clone(&new));
        new
    }

    /// The one copy of this source.
    pub(crate) fn source(&mut self, source: &Source) -> Arc<Source> {
        let name = serde_json::to_string(source).unwrap_or_default();
        Arc::clone(self.sources.entry(name).or_insert_with(|| Arc::new(source.clone())))
    }

    /// The row of a manifest.
    pub(crate) fn row<Stages>(&mut self, manifest: &Manifest<Stages>) -> Row {
        let own = format!("{}/{}", manifest.set, manifest.id);
        let objects = manifest.objects.iter().map(|object| {
            let ending = match object.key.as_str().strip_prefix(&own) {
                Some(ending) => self.text(ending),
                None => self.text(&format!("/{}", object.key)),
            };
            let digests = Digests::new(&object.sha256, &object.md5, object.crc32.as_deref());
            RowObject { ending, size_bytes: object.size_bytes, digests }
        });
        Row {
            objects: objects.collect(),
            id: manifest.id.as_str().into(),
            set: self.text(&manifest.set),
            kind: manifest.kind,
            base: manifest.base.as_deref().map(Box::from),
            created_at: manifest.created_at,
            since: manifest.since,
            until: manifest.until,
            continues: manifest.continues,
            position: manifest.position.as_ref().map(|position| self.position(position.reach())),
            deletes: manifest.deletes,
            records: manifest.records,
            schema_sha256: manifest.schema_sha256.as_deref().map(|text| self.text(text)),
            source: self.source(&manifest.source),
            proof: manifest.proof,
            tags: self.tags(&manifest.tags),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_its_manifest_without_the_stages() {
        let mut label = Label::of_stream("table", "public.w", "w", "parquet.gz");
        (label.kind, label.base, label.records) = (Kind::Incremental, Some("w_20261120_000000".to_owned()), Some(7));
        label.until = Some("2026-11-21T00:00:00.123456Z".parse().unwrap());
        label.tags = vec!["nightly".to_owned()];
        label.position = Some(Position { by: "xmin".to_owned(), since_xid: Some(7), ..Position::default() });
        label.deletes = Some(0);
        label.stages = vec![serde_json::json!({"command": "vb-export"})];
        let object = |key: &str| Object {
            key: Key::parse(key).unwrap(),
            size_bytes: 5,
            sha256: "ab".to_owned(),
            md5: "cd".to_owned(),
            crc32: Some("cbf43926".to_owned()),
        };
        let objects = vec![object("w/w_20261121_000000.parquet.gz"), object("elsewhere/x")];
        let at = "2026-11-21T00:00:00Z".parse().unwrap();
        let mut manifest = Manifest::new("w_20261121_000000", at, label, objects, Proof::Sealed);
        let mut shared = Shared::default();
        let (row, again) = (shared.row(&manifest), shared.row(&manifest));
        assert!(Arc::ptr_eq(&row.source, &again.source) && Arc::ptr_eq(&row.set, &again.set));
        manifest.stages.clear();
        assert_eq!(row.manifest().unwrap(), manifest);
    }
}
