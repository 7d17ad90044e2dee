//! One line of a cache: its checksum, and a source or a manifest as a JSON array.

use super::Stamp;
use crate::packed::Digests;
use crate::row::{Row, RowObject, Shared};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{Result, Write};
use std::sync::Arc;
use vb_core::label::{Kind, Proof, Source};
use vb_core::position::Reach;
use vb_core::time::Instant;

/// A cached manifest.
pub(super) struct Line {
    pub(super) key: String,
    pub(super) stamp: Stamp,
    pub(super) row: Row,
}

/// Size, time, id, set, kind, base, created, since, until, continues, records, columns, source's number, proof, objects, tags,
/// position, deletes.
#[derive(Serialize, Deserialize)]
struct Fields<'text>(
    u64,
    i64,
    #[serde(borrow)] Cow<'text, str>,
    #[serde(borrow)] Cow<'text, str>,
    Kind,
    Option<Cow<'text, str>>,
    i64,
    Option<i64>,
    Option<i64>,
    bool,
    Option<u64>,
    Option<Cow<'text, str>>,
    usize,
    Proof,
    #[serde(borrow)] Vec<ObjectFields<'text>>,
    Vec<String>,
    Option<Reach<Cow<'text, str>>>,
    Option<u64>,
);

/// Ending, size, SHA-256, MD5, CRC-32.
#[derive(Serialize, Deserialize)]
struct ObjectFields<'text>(
    #[serde(borrow)] Cow<'text, str>,
    u64,
    #[serde(borrow)] Cow<'text, str>,
    #[serde(borrow)] Cow<'text, str>,
    Option<Cow<'text, str>>,
);

/// Reads lines; knows the sources that stood before.
#[derive(Default)]
pub(super) struct Manifests(Vec<Arc<Source>>);

impl Manifests {
    /// A manifest, or nothing for a source; none at all for a damaged line.
    pub(super) fn parse(&mut self, text: &str, shared: &mut Shared) -> Option<Option<Line>> {
        let (checksum, json) = text.split_once(' ')?;
        if u32::from_str_radix(checksum, 16).ok()? != crc32fast::hash(json.as_bytes()) {
            return None;
        }
        if json.starts_with('{') {
            self.0.push(shared.source(&serde_json::from_str(json).ok()?));
            return Some(None);
        }
        let fields: Fields<'_> = serde_json::from_str(json).ok()?;
        self.line(&fields, shared).map(Some)
    }

    fn line(&self, fields: &Fields<'_>, shared: &mut Shared) -> Option<Line> {
        let time = |micros: i64| Instant::from_timestamp_micros(micros);
        let optional = |micros: Option<i64>| match micros {
            Some(micros) => time(micros).map(Some),
            None => Some(None),
        };
        let objects = fields.14.iter().map(|object| RowObject {
            ending: shared.text(&object.0),
            size_bytes: object.1,
            digests: Digests::new(&object.2, &object.3, object.4.as_deref()),
        });
        let objects = objects.collect();
        let row = Row {
            id: fields.2.as_ref().into(),
            set: shared.text(&fields.3),
            kind: fields.4,
            base: fields.5.as_deref().map(Box::from),
            created_at: time(fields.6)?,
            since: optional(fields.7)?,
            until: optional(fields.8)?,
            continues: fields.9,
            position: fields.16.as_ref().map(|reach| shared.position(reach.borrowed())),
            deletes: fields.17,
            records: fields.10,
            schema_sha256: fields.11.as_deref().map(|text| shared.text(text)),
            source: Arc::clone(self.0.get(fields.12)?),
            proof: fields.13,
            tags: shared.tags(&fields.15),
            objects,
        };
        let stamp = Stamp { size_bytes: fields.0, modified_at: fields.1 };
        Some(Line { key: key_of(&row), stamp, row })
    }
}

/// The key of a row's manifest: [`crate::listing::read`] has seen to it that it has no other.
fn key_of(row: &Row) -> String {
    format!("{}/{}_metadata.json", row.set, row.id)
}

/// Writes lines, each source before the first manifest that has it.
pub(super) struct Writer<W> {
    output: W,
    sources: HashMap<*const Source, usize>,
    /// Held, so that no address is used twice.
    held: Vec<Arc<Source>>,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(mut output: W, title: &str) -> Result<Self> {
        writeln!(output, "{title}")?;
        Ok(Self { output, sources: HashMap::new(), held: Vec::new() })
    }

    pub(super) fn add(&mut self, stamp: Stamp, row: &Row) -> Result<()> {
        let number = match self.sources.get(&Arc::as_ptr(&row.source)) {
            Some(number) => *number,
            None => {
                self.push(&*row.source)?;
                self.held.push(Arc::clone(&row.source));
                self.sources.insert(Arc::as_ptr(&row.source), self.held.len() - 1);
                self.held.len() - 1
            }
        };
        let objects = row.objects.iter().map(|object| {
            let (ending, size_bytes, digests) = ((&*object.ending).into(), object.size_bytes, &object.digests);
            ObjectFields(ending, size_bytes, digests.sha256(), digests.md5(), digests.crc32())
        });
        let fields = Fields(
            stamp.size_bytes,
            stamp.modified_at,
            (&*row.id).into(),
            (&*row.set).into(),
            row.kind,
            row.base.as_deref().map(Cow::Borrowed),
            row.created_at.timestamp_micros(),
            row.since.map(|at| at.timestamp_micros()),
            row.until.map(|at| at.timestamp_micros()),
            row.continues,
            row.records,
            row.schema_sha256.as_deref().map(Cow::Borrowed),
            number,
            row.proof,
            objects.collect(),
            row.tags.to_vec(),
            row.position.as_deref().map(|reach| reach.with(Cow::Borrowed(&*reach.by))),
            row.deletes,
        );
        self.push(&fields)
    }

    fn push(&mut self, value: &impl Serialize) -> Result<()> {
        let json = serde_json::to_string(value)?;
        writeln!(self.output, "{:08x} {json}", crc32fast::hash(json.as_bytes()))
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.output.flush()
    }
}
