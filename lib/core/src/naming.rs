//! Names in a store: sets, ids, and the keys that follow from them.

use crate::key::Key;
use crate::time::Instant;
use crate::{Error, Result};
use chrono::{NaiveDate, NaiveDateTime};

/// The table that is exported when none is named: the one this tool was first written for.
pub const DEFAULT_TABLE: &str = "verification_scores";

/// That table's set keeps the name under which the older program stored it.
const DEFAULT_SET: &str = "verification";

/// What follows an id in its manifest's key.
const MANIFEST_ENDING: &str = "_metadata.json";

pub(crate) const ID_TIME: &str = "%Y%m%d_%H%M%S";
const ID_TIME_LENGTH: usize = "YYYYMMDD_HHMMSS".len();

/// The set of a table: its name, with its schema unless that is `public`.
#[must_use]
pub fn set_of_table(schema: &str, table: &str) -> String {
    match (schema, table) {
        ("public", DEFAULT_TABLE) => DEFAULT_SET.to_owned(),
        ("public", _) => set_from(table),
        _ => set_from(&format!("{schema}.{table}")),
    }
}

/// A set's name from any text: what could not stand in a key becomes `-`.
#[must_use]
pub fn set_from(text: &str) -> String {
    let name: String = text.chars().map(|letter| if is_plain(letter) { letter } else { '-' }).collect();
    let name = name.trim_matches(['.', '-']);
    let mut end = name.len().min(120);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    if end == 0 { "backup".to_owned() } else { name[..end].to_owned() }
}

/// Checks a set's name that the user gave.
///
/// # Errors
/// A usage error if it could not be part of a key as it stands.
pub fn check_set(name: &str) -> Result<()> {
    if set_from(name) == name {
        return Ok(());
    }
    Err(Error::usage(format!("the set {name:?} cannot be part of an object's name"))
        .with_hint(format!("Use letters, digits, \".\", \"_\" and \"-\", for example {:?}.", set_from(name))))
}

fn is_plain(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '.' | '_' | '-')
}

/// A backup's id: `<set>_YYYYMMDD_HHMMSS`, in UTC.
#[must_use]
pub fn id(set: &str, created_at: Instant) -> String {
    format!("{set}_{}", created_at.format(ID_TIME))
}

/// The set and the time in an id.
#[must_use]
pub fn parse_id(id: &str) -> Option<(&str, Instant)> {
    let split = id.len().checked_sub(ID_TIME_LENGTH)?;
    let (set, time) = (id.get(..split)?, id.get(split..)?);
    let set = set.strip_suffix('_').filter(|set| !set.is_empty())?;
    Some((set, time_of(time)?.and_utc()))
}

/// The inverse of [`ID_TIME`], by hand: a listing asks several times for each of two hundred thousand objects.
pub(crate) fn time_of(text: &str) -> Option<NaiveDateTime> {
    let number = |digits: std::ops::Range<usize>| {
        let digits = &text.as_bytes()[digits];
        let all = digits.iter().all(u8::is_ascii_digit);
        all.then(|| digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    };
    if text.len() != ID_TIME_LENGTH || text.as_bytes()[8] != b'_' {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(number(0..4)?.cast_signed(), number(4..6)?, number(6..8)?)?;
    date.and_hms_opt(number(9..11)?, number(11..13)?, number(13..15)?)
}

/// The key of a backup's object. `number` 0 is the first; a backup larger than one object may be goes on in `.2`, `.3`, …
///
/// # Errors
/// If set and extension make no valid key.
pub fn object_key(set: &str, id: &str, extension: &str, number: usize) -> Result<Key> {
    let further = if number == 0 { String::new() } else { format!(".{}", number + 1) };
    let dot = if extension.is_empty() { "" } else { "." };
    Key::parse(&format!("{set}/{id}{dot}{extension}{further}"))
}

/// The key of a backup's manifest.
///
/// # Errors
/// If set and id make no valid key.
pub fn manifest_key(set: &str, id: &str) -> Result<Key> {
    Key::parse(&format!("{set}/{id}{MANIFEST_ENDING}"))
}

/// Whether it ends as a manifest's key does: cheaper than asking which one it is.
#[must_use]
pub fn looks_like_manifest(key: &Key) -> bool {
    key.as_str().ends_with(MANIFEST_ENDING)
}

/// The id of which this key is the manifest's, or none for any other object.
#[must_use]
pub fn id_of_manifest(key: &Key) -> Option<&str> {
    let id = key.file_name().strip_suffix(MANIFEST_ENDING)?;
    parse_id(id).map(|_| id)
}

/// The id to which any object of ours belongs: data or manifest, finished or not.
#[must_use]
pub fn id_of_object(key: &Key) -> Option<&str> {
    let name = key.file_name();
    // Right behind the set's name, which is the folder's and may look like an id itself.
    let folder = key.as_str().strip_suffix(name).and_then(|folder| folder.strip_suffix('/')).unwrap_or_default();
    let set = folder.rsplit_once('/').map_or(folder, |(_, last)| last);
    let own = name.get(..set.len() + 1 + ID_TIME_LENGTH).filter(|id| parse_id(id).is_some_and(|(of, _)| of == set));
    own.filter(|id| !continues_number(name, id))
}

fn continues_number(name: &str, id: &str) -> bool {
    name[id.len()..].starts_with(|letter: char| letter.is_ascii_digit())
}

/// The extension of a backup's object: `parquet.gz` of `x_20261121_031500.parquet.gz`.
#[must_use]
pub fn extension_of<'key>(id: &str, key: &'key Key) -> Option<&'key str> {
    key.file_name().strip_prefix(id)?.strip_prefix('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Instant {
        "2026-11-21T03:15:00Z".parse().unwrap()
    }

    #[test]
    fn the_main_job_is_named_as_ever() {
        let set = set_of_table("public", DEFAULT_TABLE);
        let id = id(&set, at());
        assert_eq!(id, "verification_20261121_031500");
        let key = object_key(&set, &id, "parquet.gz", 0).unwrap();
        assert_eq!(key.as_str(), "verification/verification_20261121_031500.parquet.gz");
        let manifest = manifest_key(&set, &id).unwrap();
        assert_eq!(manifest.as_str(), "verification/verification_20261121_031500_metadata.json");
        assert_eq!(id_of_manifest(&manifest), Some(id.as_str()));
        assert_eq!(id_of_object(&key), Some(id.as_str()));
        assert_eq!(extension_of(&id, &key), Some("parquet.gz"));
    }

    #[test]
    fn a_set_may_look_like_an_id() {
        for set in ["events_20260101_000000", "x_20250101_000000-old", "a.b", "é_1"] {
            let id = id(set, at());
            for key in [object_key(set, &id, "csv.gz", 0), object_key(set, &id, "csv", 2), manifest_key(set, &id)] {
                assert_eq!(id_of_object(&key.unwrap()), Some(id.as_str()));
            }
        }
    }

    #[test]
    fn ids_come_apart_again() {
        assert_eq!(parse_id("a_b_20261121_031500"), Some(("a_b", at())));
        for other in ["", "20261121_031500", "_20261121_031500", "a_20261321_031500", "naïve"] {
            assert_eq!(parse_id(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_time_is_read_as_chrono_reads_it() {
        let texts = ["20261121_031500", "20240229_235959", "20250229_000000", "00000101_000000", "99991231_235959"];
        let odd = [
            "20261121-031500",
            "20261121_241500",
            "20261121_036000",
            "2026112 _031500",
            "20261121_0315é",
            "+2026121_031500",
        ];
        for text in texts.into_iter().chain(odd) {
            assert_eq!(time_of(text), NaiveDateTime::parse_from_str(text, ID_TIME).ok(), "{text}");
        }
        assert_eq!(time_of("20261121_031560"), None, "no clock of ours shows a leap second");
    }

    #[test]
    fn odd_tables_get_plain_sets() {
        assert_eq!(set_of_table("weather", "a b/c"), "weather.a-b-c");
        assert_eq!(set_from("../.."), "backup");
        assert_eq!(set_from("Größe"), "Größe");
        assert!(check_set("a/b").is_err());
    }
}
