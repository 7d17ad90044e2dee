//! The mark: the file that says where the next export starts, and on which backup it will stand.

use crate::manifest::Manifest;
use crate::position::Position;
use crate::time::{self, Instant};
use crate::watermark::instant;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// What the file of `--mark` holds. Fields that an older program did not write are none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The watermark of the last stored export.
    #[serde(serialize_with = "exactly")]
    pub until: Instant,
    /// The backup's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What was exported, as in the manifest's source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The cluster that it was exported from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_identifier: Option<String>,
    /// The database that it was exported from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The digest of the columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_sha256: Option<String>,
    /// How far it reached, beside the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

impl Mark {
    /// A time that stands on no backup.
    #[must_use]
    pub fn of_time(until: Instant) -> Self {
        Self {
            until,
            id: None,
            source: None,
            system_identifier: None,
            database: None,
            schema_sha256: None,
            position: None,
        }
    }

    /// Where the next export starts after this backup; none if no increment can continue it.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Option<Self> {
        let until = manifest.until.filter(|_| manifest.continues)?;
        let position = manifest.position.clone().map(|position| Position { since_xid: None, ..position });
        Some(Self {
            until,
            id: Some(manifest.id.clone()),
            source: Some(manifest.source.name.clone()),
            system_identifier: manifest.source.system_identifier.clone(),
            database: manifest.source.database.clone(),
            schema_sha256: manifest.schema_sha256.clone(),
            position,
        })
    }

    /// Reads the file: one JSON object, or a bare time as older programs left it.
    ///
    /// # Errors
    /// A usage error that names the file.
    pub fn parse(text: &str, path: &str) -> Result<Self> {
        let text = text.trim();
        if text.starts_with('{') {
            return serde_json::from_str(text)
                .map_err(|cause| Error::usage(format!("reading the watermark in {path}: {cause}")));
        }
        instant(text).map(Self::of_time).ok_or_else(|| {
            Error::usage(format!("reading the watermark in {path}: {text:?} is no time")).with_hint(
                "Remove the file to make a full export; it holds the JSON that --mark wrote, or one RFC 3339 time.",
            )
        })
    }

    /// The line to write into the file.
    ///
    /// # Errors
    /// None in practice: every field can be written as JSON.
    pub fn to_line(&self) -> Result<String> {
        let line = serde_json::to_string(self).map_err(|cause| Error::failure(format!("writing the mark: {cause}")))?;
        Ok(line + "\n")
    }
}

/// What became of a mark that was held against the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement {
    /// It is what the store says, or both say nothing.
    Kept,
    /// It is written anew, for this reason.
    Written(String),
    /// It is removed, for this reason.
    Removed(String),
}

impl Agreement {
    /// Of a mark, and the one that the store's newest backup would leave.
    #[must_use]
    pub fn of(mark: Option<&Mark>, newest: Option<&Mark>) -> Self {
        let name = |mark: &Mark| mark.id.clone().unwrap_or_else(|| "a time and no backup".to_owned());
        match (mark, newest) {
            (None, None) => Self::Kept,
            (Some(mark), Some(newest)) if mark.id == newest.id => Self::Kept,
            (None, Some(_)) => Self::Written("it was missing".to_owned()),
            (Some(mark), Some(_)) => Self::Written(format!("it named {}", name(mark))),
            (Some(mark), None) => {
                Self::Removed(format!("it named {}, and the store has no backup to continue", name(mark)))
            }
        }
    }

    /// Why it was changed.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Kept => None,
            Self::Written(why) | Self::Removed(why) => Some(why),
        }
    }
}

fn exactly<S: serde::Serializer>(at: &Instant, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&time::exact(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    #[test]
    fn a_mark_is_read_back_and_so_is_an_older_programs() {
        let text = r#"{"until":"2026-11-21T03:15:00.123456Z","id":"verification_20261121_031500"}"#;
        let mark = Mark::parse(text, "x").unwrap();
        assert_eq!(mark.to_line().unwrap().trim_end(), text);
        let old = Mark::parse("2026-11-21T03:15:00Z\n", "x").unwrap();
        assert_eq!(old, Mark::of_time(at("2026-11-21T03:15:00Z")));
        assert!(Mark::parse("", "data/.last_backup").unwrap_err().to_string().contains("data/.last_backup"));
    }

    #[test]
    fn the_position_stands_in_it() {
        let text = r#"{"until":"2026-11-21T03:15:00Z","position":{"by":"xmin","until_xid":4294967299,"timeline":1,"storage":"cn4 6:cnk"}}"#;
        let mark = Mark::parse(text, "x").unwrap();
        assert_eq!(mark.position.as_ref().unwrap().until_xid, Some((1 << 32) + 3));
        assert_eq!(mark.to_line().unwrap().trim_end(), text);
    }

    #[test]
    fn a_backup_that_nothing_can_continue_leaves_no_mark() {
        let mut manifest = crate::chain::tests::backup(3, Some(2));
        assert_eq!(Mark::of(&manifest), None);
        manifest.continues = true;
        assert_eq!(Mark::of(&manifest).unwrap().id.as_deref(), Some(manifest.id.as_str()));
    }

    #[test]
    fn the_store_is_the_truth() {
        let mark = |id: &str| Mark { id: Some(id.to_owned()), ..Mark::of_time(at("2026-11-21T03:15:00Z")) };
        let (one, other, bare) = (mark("w_1"), mark("w_2"), Mark::of_time(at("2026-11-21T03:15:00Z")));
        assert_eq!(Agreement::of(None, None), Agreement::Kept);
        assert_eq!(Agreement::of(Some(&one), Some(&one)), Agreement::Kept);
        for (mark, newest, reason) in [
            (None, Some(&other), "it was missing"),
            (Some(&one), Some(&other), "it named w_1"),
            (Some(&bare), Some(&other), "it named a time and no backup"),
            (Some(&one), None, "it named w_1, and the store has no backup to continue"),
        ] {
            let agreement = Agreement::of(mark, newest);
            assert_eq!(agreement.reason(), Some(reason));
            assert_eq!(matches!(agreement, Agreement::Removed(_)), newest.is_none());
        }
    }
}
