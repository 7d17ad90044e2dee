//! What retention knows of a backup: little enough to hold a hundred thousand, and all of it stands in a line of `vb-ls`.

use crate::chain::{Link, Linked};
use crate::fact::{Fact, Health, Level};
use crate::label::{DATABASE, Kind, Source};
use crate::manifest::Manifest;
use crate::position::{Position, Reach};
use crate::time::{self, Instant};
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// One complete backup and the later facts about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Its id, unique within the store.
    pub id: String,
    /// What it is a backup of.
    pub set: Arc<str>,
    /// Where the data came from: other things may have come into the same set.
    #[serde(default)]
    pub source: Arc<Source>,
    /// Everything, or what changed since the base.
    pub kind: Kind,
    /// The id of the backup that it stands on.
    #[serde(default)]
    pub base: Option<String>,
    /// When it was made.
    pub created_at: Instant,
    /// The lower end of what it covers.
    #[serde(default, with = "time::optional")]
    pub since: Option<Instant>,
    /// The upper end.
    #[serde(default, with = "time::optional")]
    pub until: Option<Instant>,
    /// The digest of the columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_sha256: Option<Arc<str>>,
    /// How far it reaches, beside the time: what a chain's proof needs of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Arc<Reach>>,
    /// What the user calls it.
    #[serde(default)]
    pub tags: Vec<String>,
    /// How far it was verified.
    #[serde(default)]
    pub level: Level,
    /// Whether it was found damaged, and not found whole since.
    #[serde(default)]
    pub damaged: bool,
    /// Which of its objects is not there, or not as long as it was, if the store shows that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
    /// Whether it must not be removed.
    #[serde(default)]
    pub pinned: bool,
    /// The bytes of its objects.
    #[serde(default)]
    pub size_bytes: u64,
}

impl Backup {
    /// From its manifest and what was found out later.
    #[must_use]
    pub fn new(manifest: &Manifest, facts: &[Fact]) -> Self {
        let Health { level, damaged, pinned } = Health::of(facts);
        Self {
            id: manifest.id.clone(),
            set: manifest.set.as_str().into(),
            source: Arc::new(manifest.source.clone()),
            kind: manifest.kind,
            base: manifest.base.clone(),
            created_at: manifest.created_at,
            since: manifest.since,
            until: manifest.until,
            schema_sha256: manifest.schema_sha256.as_deref().map(Arc::from),
            position: manifest
                .position
                .as_ref()
                .map(Position::reach)
                .map(|reach| Arc::new(reach.with(reach.by.into()))),
            tags: manifest.tags.clone(),
            level,
            damaged,
            incomplete: None,
            pinned,
            size_bytes: manifest.size_bytes(),
        }
    }
}

impl Linked for Backup {
    fn link(&self) -> Link<'_> {
        let (schema_sha256, reach) = (self.schema_sha256.as_deref(), self.position.as_deref().map(Reach::borrowed));
        Link { source: &self.source, since: self.since, until: self.until, schema_sha256, reach }
    }
}

/// The same number for backups that can take each other's place: of one table or database, whole or in part; of one command with the same
/// arguments; and of all streams and files of which nothing is known but their set. Queries and files change their names with the day.
#[must_use]
pub(super) fn origin(source: &Source) -> u64 {
    let Source { source_type, name, database, part, command_digest, .. } = source;
    let mut hasher = DefaultHasher::new();
    match source_type.as_str() {
        "table" | DATABASE => (source_type, name, database, part).hash(&mut hasher),
        "query" => (source_type, database).hash(&mut hasher),
        "command" => (source_type, name, command_digest).hash(&mut hasher),
        _ => {}
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::tests::backup;

    fn at(day: u32) -> Instant {
        format!("2026-11-{day:02}T00:00:00Z").parse().unwrap()
    }

    #[test]
    fn damage_lasts_until_a_verification_that_looked_as_far() {
        let damage = Fact::Damaged(Level::Decoded, at(3));
        let damaged = |facts: &[Fact]| Backup::new(&backup(1, None), facts).damaged;
        assert!(damaged(&[Fact::Verified(Level::Identical, at(2)), damage]));
        assert!(damaged(&[damage, Fact::Verified(Level::Stored, at(4))]));
        assert!(!damaged(&[damage, Fact::Verified(Level::Decoded, at(4))]));
        assert!(damaged(&[damage, Fact::Verified(Level::Decoded, at(4)), Fact::Damaged(Level::Stored, at(5))]));
    }

    #[test]
    fn facts_raise_the_level_and_pin() {
        let facts = [Fact::Verified(Level::Restored, at(2)), Fact::Verified(Level::Stored, at(4)), Fact::Pinned];
        let found = Backup::new(&backup(1, None), &facts);
        assert_eq!((found.level, found.pinned, found.damaged), (Level::Restored, true, false));
        assert_eq!(Backup::new(&backup(1, None), &[]).level, Level::Listed);
    }

    #[test]
    fn a_line_with_only_the_necessary_is_enough() {
        let line = r#"{"id":"w_20261121_031500","set":"w","kind":"full","created_at":"2026-11-21T03:15:00Z","new":1}"#;
        let found: Backup = serde_json::from_str(line).unwrap();
        assert_eq!((found.level, found.pinned, found.base), (Level::Listed, false, None));
    }

    #[test]
    fn commands_are_told_apart_by_their_words() {
        let of = |sha256: Option<&str>, name: &str| {
            let command_digest = sha256.map(str::to_owned);
            origin(&Source {
                source_type: "command".to_owned(),
                name: name.to_owned(),
                command_digest,
                ..Source::default()
            })
        };
        assert_eq!(of(Some("a"), "pg_dump"), of(Some("a"), "pg_dump"));
        assert_ne!(of(Some("a"), "pg_dump"), of(Some("b"), "pg_dump"));
        assert_ne!(of(None, "pg_dump"), of(None, "mysqldump"));
    }
}
