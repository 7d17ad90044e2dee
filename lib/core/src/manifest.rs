//! The manifest: a backup exists when its manifest does. Written last, never changed.

use crate::key::Key;
pub use crate::label::Proof;
use crate::label::{Kind, Label, Source};
use crate::position::Position;
use crate::time::{self, Instant};
use crate::{Error, Result};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the manifest's form that this program writes.
pub const FORMAT: u32 = 1;

/// One object that belongs to a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// The key below the store's prefix.
    pub key: Key,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// SHA-256 of its bytes, lower-case hexadecimal.
    pub sha256: String,
    /// MD5 of its bytes, for comparison with what servers report.
    pub md5: String,
    /// CRC-32 of its bytes as eight hexadecimal digits, for the same; older manifests have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32: Option<String>,
}

/// A committed backup. The fields and their order are design section 5's. A listing reads [`Brief`] ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest<Stages = Vec<Value>> {
    /// The version of this form.
    pub format: u32,
    /// `<set>_YYYYMMDD_HHMMSS`, unique within the store.
    pub id: String,
    /// What it is a backup of.
    pub set: String,
    /// Everything, or what changed since the base.
    pub kind: Kind,
    /// The id of the backup that an incremental stands on.
    pub base: Option<String>,
    /// When the upload began; the id shows the same second.
    #[serde(serialize_with = "to_the_second")]
    pub created_at: Instant,
    /// Where the data came from.
    pub source: Source,
    /// The lower end of what is covered.
    #[serde(default, with = "time::optional")]
    pub since: Option<Instant>,
    /// The watermark: the next incremental starts here.
    #[serde(default, with = "time::optional")]
    pub until: Option<Instant>,
    /// Whether an incremental may stand on it.
    #[serde(default)]
    pub continues: bool,
    /// How far it reaches, beside the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// In how many buckets of keys some are gone since the base; none where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletes: Option<u64>,
    /// Records, where the producer counted them.
    pub records: Option<u64>,
    /// The SHA-256 of the columns' names and types.
    #[serde(default)]
    pub schema_sha256: Option<String>,
    /// The objects, in the order in which they make up the stream.
    pub objects: Vec<Object>,
    /// What the user calls it, for retention by tag.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// How we know that it is whole.
    pub proof: Proof,
    /// The `done` line of every stage.
    #[serde(default)]
    pub stages: Stages,
    /// Always true; its absence tells a manifest of other programs.
    pub complete: bool,
}

/// A manifest of whose stages, which are most of its text, no more is kept than that they are a list.
pub type Brief = Manifest<Vec<IgnoredAny>>;

impl<Stages: DeserializeOwned + Default> Manifest<Stages> {
    /// Reads a manifest, with its stages or without. `place` names it in errors.
    ///
    /// # Errors
    /// An integrity error if it is not one, or of a form that this program does not know.
    pub fn parse_as(bytes: &[u8], place: &str) -> Result<Self> {
        let broken = |why: String| {
            Error::integrity(format!("reading the manifest {place}: {why}"))
                .with_hint("This manifest is damaged, so its backup cannot be used; vb-ls shows the others.")
        };
        // What is passed over is looked at all the same: one bit too many there, and nobody restores the backup.
        let text = str::from_utf8(bytes).map_err(|cause| broken(cause.to_string()))?;
        let manifest: Self = serde_json::from_str(text).map_err(|cause| broken(cause.to_string()))?;
        if manifest.format != FORMAT {
            return Err(broken(format!("it has format {}, this program reads format {FORMAT}", manifest.format))
                .with_hint("Use the version of vb that wrote it, or a newer one."));
        }
        if !manifest.complete || manifest.objects.is_empty() {
            return Err(broken("it names no complete backup".to_owned()));
        }
        Ok(manifest)
    }
}

impl Manifest {
    /// Reads a whole manifest.
    ///
    /// # Errors
    /// As for [`Manifest::parse_as`].
    pub fn parse(bytes: &[u8], place: &str) -> Result<Self> {
        Self::parse_as(bytes, place)
    }

    /// The manifest of a stream that was stored as these objects.
    #[must_use]
    pub fn new(id: &str, created_at: Instant, label: Label, objects: Vec<Object>, proof: Proof) -> Self {
        Self {
            format: FORMAT,
            id: id.to_owned(),
            set: label.set,
            kind: label.kind,
            base: label.base,
            created_at,
            source: label.source,
            since: label.since,
            until: label.until,
            continues: label.continues,
            position: label.position,
            deletes: label.deletes,
            records: label.records,
            schema_sha256: label.schema_sha256,
            objects,
            tags: label.tags,
            proof,
            stages: label.stages,
            complete: true,
        }
    }

    /// The bytes to store: JSON on one line, and a line feed.
    ///
    /// # Errors
    /// None in practice: every field can be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes =
            serde_json::to_vec(self).map_err(|cause| Error::failure(format!("writing the manifest: {cause}")))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The bytes of all its objects.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.size_bytes).sum()
    }

    /// The label that the stored stream has again when it is read: what was stored, without a vb command's guess.
    #[must_use]
    pub fn label(&self) -> Label {
        let extension = self.objects.first().and_then(|object| crate::naming::extension_of(&self.id, &object.key));
        Label {
            set: self.set.clone(),
            extension: extension.unwrap_or_default().to_owned(),
            source: self.source.clone(),
            kind: self.kind,
            base: self.base.clone(),
            since: self.since,
            until: self.until,
            continues: self.continues,
            position: self.position.clone(),
            deletes: self.deletes,
            records: self.records,
            schema_sha256: self.schema_sha256.clone(),
            tags: self.tags.clone(),
            proof: self.proof,
            stages: self.stages.clone(),
        }
    }
}

fn to_the_second<S: serde::Serializer>(at: &Instant, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&time::seconds(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_is_so_without_its_stages_too() {
        let mut label = Label::of_stream("table", "public.w", "w", "parquet");
        label.stages = vec![serde_json::json!({"command": "vb-export", "note": "\u{e9}", "size_bytes": 5})];
        let mut whole = example();
        whole.stages = label.stages;
        let bytes = whole.to_bytes().unwrap();
        let both = |bytes: &[u8]| (Manifest::parse(bytes, "x").is_ok(), Brief::parse_as(bytes, "x").is_ok());
        assert_eq!(both(&bytes), (true, true));
        let text = String::from_utf8(bytes.clone()).unwrap();
        for other in ["null", "5", "{}", "[1"] {
            let (before, _) = text.split_once("\"stages\":").unwrap();
            let other = format!("{before}\"stages\":{other},\"complete\":true}}\n");
            assert_eq!(both(other.as_bytes()), (false, false), "{other}");
        }
        // A flipped high bit is no UTF-8, or another letter to both.
        for place in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place] ^= 0x80;
            assert_eq!(both(&flipped), (false, false), "byte {place}");
        }
    }

    fn example() -> Manifest {
        let object = Object {
            key: Key::parse("verification/verification_20261121_031500.parquet.gz").unwrap(),
            size_bytes: 91234,
            sha256: "ab".repeat(32),
            md5: "cd".repeat(16),
            crc32: None,
        };
        let label = Label::of_stream("table", "public.verification_scores", "verification", "parquet.gz");
        let at = "2026-11-21T03:15:00Z".parse().unwrap();
        Manifest::new("verification_20261121_031500", at, label, vec![object], Proof::Sealed)
    }

    #[test]
    fn what_is_written_is_read() {
        let manifest = example();
        let bytes = manifest.to_bytes().unwrap();
        assert_eq!(Manifest::parse(&bytes, "here").unwrap(), manifest);
        assert_eq!(manifest.label().extension, "parquet.gz");
    }

    #[test]
    fn other_json_is_not_a_backup() {
        for other in ["{}", "[]", r#"{"format":2}"#, r#"{"timestamp":"2026","records_exported":3}"#] {
            assert_eq!(Manifest::parse(other.as_bytes(), "x").unwrap_err().kind(), crate::ErrorKind::Integrity);
        }
        let mut newer = example();
        newer.format = 2;
        let error = Manifest::parse(&newer.to_bytes().unwrap(), "x").unwrap_err();
        assert!(error.to_string().contains("format 2"), "{error}");
    }
}
