//! The name of an object in a store: a path of plain segments, the same on every provider.

use crate::{Error, Result};
use std::fmt;

/// An object's key: one to 900 bytes of `/`-separated segments, none of them empty, `.` or `..`.
///
/// 900 bytes leave room for a prefix below S3's limit of 1,024.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Key(String);

impl Key {
    /// Checks a key that came from outside: a listing, a manifest or a command line.
    ///
    /// # Errors
    /// A usage error that names the key, if it would mean something else on some provider.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |why: &str| Err(Error::usage(format!("the key {text:?} {why}")));
        if text.is_empty() || text.len() > 900 {
            return refuse("must have between 1 and 900 bytes");
        }
        if text.chars().any(char::is_control) {
            return refuse("holds a control character");
        }
        if text.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return refuse("has an empty segment, \".\" or \"..\"");
        }
        if text.split('/').any(|segment| segment.len() > 250) {
            return refuse("has a segment of more than 250 bytes");
        }
        Ok(Self(text.to_owned()))
    }

    /// The key as text, without a leading slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the last slash.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

impl<'text> serde::Deserialize<'text> for Key {
    fn deserialize<D: serde::Deserializer<'text>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_could_leave_the_store_are_refused() {
        for bad in ["", "/a", "a/", "a//b", "../a", "a/./b", "a\nb"] {
            assert!(Key::parse(bad).is_err(), "{bad:?} was accepted");
        }
        for good in ["a", "weather/naïve station_20261121_031500.parquet.gz"] {
            assert_eq!(Key::parse(good).unwrap().as_str(), good);
        }
    }
}
