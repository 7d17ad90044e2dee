//! What is said about an object: metadata that comes with it, and tags that are put on it later.

use crate::call::call;
use crate::store::Shared;
use aws_sdk_s3::types::{Tag, Tagging};
use std::collections::HashMap;
use vb_core::key::Key;
use vb_core::{Error, Result};
use vb_store::Facts;

/// The most that S3 takes of names and values together (PutObject, "user-defined metadata"), and some way below.
const MOST_METADATA_BYTES: usize = 1900;

/// The most tags of an object (PutObjectTagging).
const MOST_TAGS: usize = 10;

/// Headers carry US-ASCII: anything else is written as `%C3%A9`. What exceeds the limit is left out.
pub(crate) fn metadata(facts: &Facts) -> HashMap<String, String> {
    let mut used = 0;
    let escaped = facts.iter().map(|(name, value)| (name.clone(), escape(value)));
    let fitting = escaped.filter(|(name, value)| {
        let fits = used + name.len() + value.len() <= MOST_METADATA_BYTES;
        used += if fits { name.len() + value.len() } else { 0 };
        fits
    });
    fitting.collect()
}

fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'%' | 0..=0x1F | 0x7F..=0xFF => escaped.push_str(&format!("%{byte:02X}")),
            plain => escaped.push(char::from(plain)),
        }
    }
    escaped
}

/// Letters, numbers, blanks and `+ - = . _ : / @` (PutObjectTagging); anything else becomes `_`.
fn tag_value(value: &str) -> String {
    let allowed = |letter: char| letter.is_alphanumeric() || letter == ' ' || "+-=._:/@".contains(letter);
    value.chars().map(|letter| if allowed(letter) { letter } else { '_' }).collect()
}

/// Replaces the object's tags. A server that knows none answers 501, which is no failure.
pub(crate) async fn tag(shared: &Shared, key: &Key, tags: &Facts) -> Result<()> {
    let step = format!("tagging {key}");
    let tag = |(name, value): (&String, &String)| Tag::builder().key(name).value(tag_value(value)).build();
    let tags = tags.iter().take(MOST_TAGS).map(tag).collect::<std::result::Result<Vec<_>, _>>();
    let tagging = tags.and_then(|tags| Tagging::builder().set_tag_set(Some(tags)).build());
    let tagging = tagging.map_err(|cause| Error::failure(format!("{step}: {cause}")))?;
    let request = shared.client.put_object_tagging().bucket(&shared.config.bucket);
    let request = request.key(shared.full_key(key.as_str())).tagging(tagging);
    match call(&step, shared.config.policy.limit(0), request.send()).await {
        Err(error) if error.to_string().contains("NotImplemented") => Ok(()),
        answer => answer.map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_as_each_place_wants_it() {
        assert_eq!(escape("Größe 50%\n"), "Gr%C3%B6%C3%9Fe 50%25%0A");
        assert_eq!(tag_value("a\"b/Größe, 1"), "a_b/Größe_ 1");
    }

    #[test]
    fn metadata_stays_within_what_a_request_may_carry() {
        let facts: Facts = (0..9).map(|number| (format!("name-{number}"), "ü".repeat(100))).collect();
        assert_eq!(metadata(&facts).len(), 3);
    }
}
