//! What a file's name says of what is in it: a set, and an extension. A pure function.

use crate::naming;

/// Extensions that say what a file holds; anything else after a dot belongs to the name.
const EXTENSIONS: &[&str] = &[
    "7z", "avro", "br", "bz2", "csv", "db", "dump", "gz", "json", "jsonl", "lz4", "ndjson", "orc", "parquet", "sql",
    "sqlite", "tar", "tgz", "tsv", "txt", "xml", "xz", "zip", "zst",
];

/// `("weather.2026", "csv.gz")` of `weather.2026.csv.gz`, and `("weather", "parquet")` of the id in `weather_20261121_031500.parquet`.
/// The set may be empty, and is any text.
#[must_use]
pub fn set_and_extension(name: &str) -> (&str, &str) {
    let mut stem = name;
    while let Some((before, last)) = stem.rsplit_once('.')
        && !before.is_empty()
        && EXTENSIONS.contains(&last)
    {
        stem = before;
    }
    let extension = name[stem.len()..].trim_start_matches('.');
    (naming::parse_id(stem).map_or(stem, |(set, _)| set), extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_of_the_contents_belongs_to_the_set() {
        for (name, set, extension) in [
            ("weather 2026.v2.csv.gz", "weather 2026.v2", "csv.gz"),
            ("w_20261121_031500.parquet", "w", "parquet"),
            (".profile", ".profile", ""),
            (".gz", ".gz", ""),
            ("data", "data", ""),
            ("", "", ""),
        ] {
            assert_eq!(set_and_extension(name), (set, extension));
        }
    }
}
