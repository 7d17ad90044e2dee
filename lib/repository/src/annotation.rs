//! What is said about stored objects to whoever looks at the store without us: metadata with the upload, tags after the
//! commit. Nothing of ours reads them; the manifest alone counts.

use vb_core::label::{Kind, Label};
use vb_core::manifest::{Manifest, Object};
use vb_core::time;
use vb_store::{Facts, Lifecycle, Store};

/// As many characters as a provider takes of a value.
const MOST_CHARACTERS: usize = 256;

/// When data is old enough for a class that costs less to keep and more to read. S3 refuses earlier moves to STANDARD_IA.
const COOLER_AFTER_DAYS: u32 = 30;

/// What is known before the first byte: a label that the stage before announced, or none.
#[must_use]
pub fn metadata(set: &str, label: Option<&Label>) -> Facts {
    let mut facts = Facts::new();
    let mut add = |name: &str, value: &str| drop(facts.insert(name.to_owned(), clip(value)));
    add("set", set);
    add("kind", label.map_or(Kind::Full, |label| label.kind).name());
    add("lifecycle-hint", &format!("cooler-after-{COOLER_AFTER_DAYS}-days"));
    if let Some(label) = label {
        add("source", &label.source.name);
        label.base.iter().for_each(|base| add("base", base));
        label.since.iter().for_each(|since| add("since", &time::exact(*since)));
    }
    facts
}

/// What is known after the commit.
#[must_use]
pub fn tags(manifest: &Manifest, object: &Object) -> Facts {
    let since = manifest.since.map(time::exact);
    let until = manifest.until.map(time::exact);
    let records = manifest.records.map(|records| records.to_string());
    let tags = [
        ("set", Some(manifest.set.clone())),
        ("kind", Some(manifest.kind.name().to_owned())),
        ("records", records),
        ("since", since),
        ("until", until),
        ("sha256", Some(object.sha256.clone())),
    ];
    tags.into_iter().filter_map(|(name, value)| Some((name.to_owned(), clip(&value?)))).collect()
}

/// Tags every object of a backup that exists: what fails costs no backup, so `warn` hears of it, once.
pub fn tag(store: &dyn Store, manifest: &Manifest, warn: impl FnOnce(&str)) {
    let result = manifest.objects.iter().try_for_each(|object| store.tag(&object.key, &tags(manifest, object)));
    if let Err(error) = result {
        warn(&format!("{} is stored in {}, but without its tags: {error}", manifest.id, store.describe()));
    }
}

/// The rules that fit backups: cooler after a month, and no upload left open for longer than a day.
#[must_use]
pub fn lifecycle(cooler_class: &str) -> Lifecycle {
    Lifecycle { transition: Some((cooler_class.to_owned(), COOLER_AFTER_DAYS)), abort_uploads_after_days: 1 }
}

fn clip(value: &str) -> String {
    value.chars().take(MOST_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_says_what_is_known_before_the_first_byte() {
        assert_eq!(metadata("w", None).keys().collect::<Vec<_>>(), ["kind", "lifecycle-hint", "set"]);
        let mut label = Label::of_stream("table", &"x".repeat(300), "w", "parquet");
        label.kind = Kind::Incremental;
        label.base = Some("w_20261120_031500".to_owned());
        label.since = Some("2026-11-20T03:15:00Z".parse().unwrap());
        let facts = metadata("w", Some(&label));
        assert_eq!((facts["kind"].as_str(), facts["base"].as_str()), ("incremental", "w_20261120_031500"));
        assert_eq!((facts["since"].as_str(), facts["source"].len()), ("2026-11-20T03:15:00Z", 256));
    }
}
