//! The label: what a stream is. It travels with the seal from the exporter to the manifest.

use crate::position::Position;
use crate::time::{self, Instant};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whether a stream holds everything or only what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Everything the source held.
    Full,
    /// What changed since the base.
    Incremental,
}

impl Kind {
    /// The word in manifests and status lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incremental => "incremental",
        }
    }
}

/// How we know that the stream is whole, from its first producer on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The stage before announced its end with the same count and digest.
    Sealed,
    /// The stream's own format ends in a proof of its end.
    Format,
    /// A foreign producer exited with status 0.
    ExitStatus,
    /// A regular file, read to its end.
    File,
    /// Nobody knows: passed on or stored because the user insisted.
    #[default]
    Unproven,
}

/// What [`Source::source_type`] is where a whole database was dumped.
pub const DATABASE: &str = "database";

/// The key in a Parquet footer under which a stream says what it is, as JSON, where no seal goes with it.
pub const LABEL_KEY: &str = "vb.label";

/// The last member of a database's archive, which says the same of it.
pub const LABEL_MEMBER: &str = "label.json";

/// The first member of a database's archive, by which it is known.
pub const DATABASE_HEAD: &str = "dump.json";

/// Where a stream came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    /// `table`, `query`, `database`, `command`, `file` or `stream`.
    #[serde(rename = "type")]
    pub source_type: String,
    /// The table's full name, or whatever names the source to people.
    pub name: String,
    /// The server's own version, such as `15.18`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// The cluster's identity: two clusters never share it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_identifier: Option<String>,
    /// The database's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Whether it is some of the source's rows only, such as those of a condition, of some days, or after a time.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub part: bool,
    /// Of a command, a digest of its words without the passwords in them: what tells it from others of the same program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_digest: Option<String>,
}

/// What a stream is, so that whoever stores it need not be told. Unknown fields are ignored, missing ones are empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// The set that the stream suggests it belongs to, such as `verification`; empty where nobody knows, or not yet.
    pub set: String,
    /// The file extension so far, such as `parquet` or `parquet.gz`.
    pub extension: String,
    /// Where it came from.
    pub source: Source,
    /// Everything, or what changed.
    pub kind: Kind,
    /// The id of the backup that an incremental stands on.
    #[serde(default)]
    pub base: Option<String>,
    /// The lower end of what is covered, or none from the beginning.
    #[serde(default, with = "time::optional")]
    pub since: Option<Instant>,
    /// The watermark: the next export starts here.
    #[serde(default, with = "time::optional")]
    pub until: Option<Instant>,
    /// Whether the next incremental may start at `until`: not so for a query, a `--where` or a `--range`.
    #[serde(default)]
    pub continues: bool,
    /// How far it reaches, beside the time: of a table by a time column or by `xmin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// In how many buckets of keys some are gone since the base; none where nobody looked. Of a database, also in how many other
    /// ways it has changed without a record that shows it: tables that are carried whole, sequences, large objects, its schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletes: Option<u64>,
    /// The records in the stream, where the producer counts them.
    #[serde(default)]
    pub records: Option<u64>,
    /// The SHA-256 of the columns' names and types: another one means another shape.
    #[serde(default)]
    pub schema_sha256: Option<String>,
    /// What the user calls it: short words without commas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// How the first of our commands in the pipe knew that what it read was whole. A seal proves no more than that.
    #[serde(default)]
    pub proof: Proof,
    /// The `done` line of every stage that the stream has passed, first the producer's.
    #[serde(default)]
    pub stages: Vec<Value>,
}

impl Label {
    /// A stream of which nothing is known but where it came from.
    #[must_use]
    pub fn of_stream(source_type: &str, name: &str, set: &str, extension: &str) -> Self {
        let source = Source { source_type: source_type.to_owned(), name: name.to_owned(), ..Source::default() };
        Self {
            set: set.to_owned(),
            extension: extension.to_owned(),
            source,
            kind: Kind::Full,
            base: None,
            since: None,
            until: None,
            continues: false,
            position: None,
            deletes: None,
            records: None,
            schema_sha256: None,
            tags: Vec::new(),
            proof: Proof::Unproven,
            stages: Vec::new(),
        }
    }

    /// The label after a further stage, whose `done` line is added.
    #[must_use]
    pub fn through(mut self, stage: Value) -> Self {
        self.stages.push(stage);
        self
    }

    /// Whether nobody knows more of it than its bytes and perhaps a file's name.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        matches!(self.source.source_type.as_str(), "file" | "stream")
    }

    /// Whether there is nothing in it that an earlier backup does not hold.
    #[must_use]
    pub fn is_nothing_new(&self) -> bool {
        self.kind == Kind::Incremental && self.records == Some(0) && self.deletes.unwrap_or_default() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_of_a_newer_version_is_read() {
        let text =
            r#"{"set":"a","extension":"parquet","source":{"type":"table","name":"public.a"},"kind":"full","new":1}"#;
        let label: Label = serde_json::from_str(text).unwrap();
        assert_eq!(label.source.name, "public.a");
        assert_eq!(label.until, None);
    }

    #[test]
    fn only_an_empty_incremental_is_nothing_new() {
        let mut label = Label::of_stream("table", "a", "a", "parquet");
        label.records = Some(0);
        assert!(!label.is_nothing_new());
        label.kind = Kind::Incremental;
        assert!(label.is_nothing_new());
        label.deletes = Some(0);
        assert!(label.is_nothing_new());
        label.deletes = Some(1);
        assert!(!label.is_nothing_new(), "rows are gone");
    }
}
