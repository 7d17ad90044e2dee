//! Listings: in order, over pages, by prefix.

use super::{Named, Place, ensure, must_fail};
use vb_core::{Error, ErrorKind, Result};

pub(super) const CASES: &[Named] = &[
    ("a listing is in order of bytes over several pages", order),
    ("a listing is by prefix of the text", prefixes),
    ("a listing says size and time", details),
    ("a listing ends with its reader's error", ended),
];

/// The names on which servers disagree: '/' sorts after ' ' and '-' but before letters, upper case before lower case.
const NAMES: [&str; 11] =
    ["a b", "a-b", "a/b", "a/b-c", "a0", "aa", "Z", "z", "é", "日", "set/set_20261121_031500_metadata.json"];

fn fill(place: &Place<'_>) -> Result<Vec<String>> {
    let numbered = (0..25).map(|number| format!("many/{number:03}"));
    let names = NAMES.iter().map(|name| (*name).to_owned()).chain(numbered);
    let mut keys = Vec::new();
    for name in names {
        place.store.put_new(&place.key(&name)?, name.as_bytes())?;
        keys.push(format!("{}/{name}", place.folder));
    }
    keys.sort();
    Ok(keys)
}

fn order(place: &Place<'_>) -> Result<()> {
    let expected = fill(place)?;
    let listed = place.keys(&format!("{}/", place.folder))?;
    ensure!(listed == expected, "listed as {listed:?}");
    Ok(())
}

fn prefixes(place: &Place<'_>) -> Result<()> {
    let all = fill(place)?;
    for prefix in ["a", "a/", "a/b", "many/01", "many/024", "many/024x", "s", "é", "none/"] {
        let prefix = format!("{}/{prefix}", place.folder);
        let expected: Vec<String> = all.iter().filter(|key| key.starts_with(&prefix)).cloned().collect();
        let listed = place.keys(&prefix)?;
        ensure!(listed == expected, "{prefix:?} lists {listed:?}");
    }
    Ok(())
}

fn details(place: &Place<'_>) -> Result<()> {
    place.store.put_new(&place.key("object")?, &[7; 1234])?;
    let mut found = Vec::new();
    place.store.list(&place.folder, &mut |object| {
        found.push(object);
        Ok(())
    })?;
    ensure!(found.len() == 1 && found[0].size_bytes == 1234, "listed as {found:?}");
    let age = chrono::Utc::now() - found[0].modified_at;
    ensure!(age.num_seconds().abs() < 120, "it was stored {age} ago");
    Ok(())
}

fn ended(place: &Place<'_>) -> Result<()> {
    for name in ["a", "b", "c"] {
        place.store.put_new(&place.key(name)?, b"")?;
    }
    let mut seen = 0;
    let result = place.store.list(&format!("{}/", place.folder), &mut |_| {
        seen += 1;
        if seen == 2 { Err(Error::denied("enough")) } else { Ok(()) }
    });
    must_fail(result, ErrorKind::Denied, "the listing")?;
    ensure!(seen == 2, "the reader was called {seen} times");
    Ok(())
}
