//! An object as the JSON API describes it (Objects resource): what we send with a new one, and what the answers say.

use crate::GcsConfig;
use crate::checksum::{self, Sent};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use vb_core::time::Instant;
use vb_core::{Error, Result};
use vb_store::Facts;

/// What an answer says. Servers leave out what they do not know.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Resource {
    pub(crate) name: String,
    /// The API writes 64-bit numbers as texts.
    pub(crate) size: String,
    pub(crate) crc32c: String,
    pub(crate) generation: String,
    pub(crate) metageneration: String,
    pub(crate) storage_class: String,
    pub(crate) time_created: Option<Instant>,
    pub(crate) metadata: BTreeMap<String, Value>,
    pub(crate) retention: Option<Retention>,
}

/// Until when an object must not be deleted.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Retention {
    pub(crate) retain_until_time: Instant,
}

impl Resource {
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size.parse().unwrap_or_default()
    }

    /// The class by its name; none if the server names none.
    pub(crate) fn storage_class(&self) -> Option<String> {
        Some(self.storage_class.clone()).filter(|class| !class.is_empty())
    }

    pub(crate) fn is_locked_at(&self, now: Instant) -> bool {
        self.retention.as_ref().is_some_and(|retention| retention.retain_until_time > now)
    }

    /// Whether these are the bytes that were sent.
    ///
    /// # Errors
    /// `Integrity` with both lengths or checksums.
    pub(crate) fn must_be(&self, step: &str, sent: &Sent) -> Result<()> {
        if self.size.parse() != Ok(sent.stored.size_bytes) {
            let (sent, found) = (sent.stored.size_bytes, &self.size);
            return Err(Error::integrity(format!("{step}: {sent} bytes were sent, {found:?} are stored")));
        }
        let (sent, found) = (checksum::encode(sent.crc32c), &self.crc32c);
        if sent != *found {
            return Err(Error::integrity(format!(
                "{step}: what was sent has the CRC-32C {sent}, what is stored {found:?}"
            ))
            .worth_another_try());
        }
        Ok(())
    }
}

/// The description of a new object. `data` says that it holds a backup's data, and what is to be known of it; without it the
/// object is one of the small ones that stay at hand. `sent` is known beforehand only if the object is sent whole.
pub(crate) fn description(
    config: &GcsConfig,
    name: &str,
    data: Option<&Facts>,
    sent: Option<&Sent>,
    now: Instant,
) -> Value {
    let mut fields = Map::new();
    fields.insert("name".to_owned(), json!(name));
    fields.insert("contentType".to_owned(), json!("application/octet-stream"));
    if let Some(facts) = data.filter(|facts| !facts.is_empty()) {
        fields.insert("metadata".to_owned(), json!(facts));
    }
    if let Some(class) = config.storage_class.as_ref().filter(|_| data.is_some()) {
        fields.insert("storageClass".to_owned(), json!(class));
    }
    if let Some(sent) = sent {
        fields.insert("crc32c".to_owned(), json!(checksum::encode(sent.crc32c)));
    }
    if let Some(days) = config.lock_days {
        let until = now + chrono::Duration::days(days.into());
        let until = until.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        fields.insert("retention".to_owned(), json!({"mode": "Locked", "retainUntilTime": until}));
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vb_core::ErrorKind;

    fn config(values: &[(&str, &str)]) -> GcsConfig {
        crate::config::tests::config(values).unwrap()
    }

    #[test]
    fn only_data_gets_a_class_and_metadata() {
        let config = config(&[("VB_STORAGE_CLASS", "NEARLINE")]);
        let facts = Facts::from([("set".to_owned(), "weather".to_owned())]);
        let data = description(&config, "p/a", Some(&facts), None, Instant::default());
        let octets = "application/octet-stream";
        assert_eq!(
            data,
            json!({"name": "p/a", "contentType": octets, "metadata": {"set": "weather"}, "storageClass": "NEARLINE"})
        );
        let small = description(&config, "p/a", None, Some(&Sent::of(b"123456789")), Instant::default());
        assert_eq!(small, json!({"name": "p/a", "contentType": octets, "crc32c": "4waSgw=="}));
    }

    #[test]
    fn a_lock_ends_so_many_days_from_now() {
        let config = config(&[("VB_LOCK_DAYS", "30")]);
        let small = description(&config, "a", None, None, Instant::default());
        assert_eq!(small["retention"], json!({"mode": "Locked", "retainUntilTime": "1970-01-31T00:00:00.000Z"}));
    }

    #[test]
    fn other_bytes_than_sent_are_noticed() {
        let sent = Sent::of(b"123456789");
        let answer =
            |size: &str, crc32c: &str| Resource { size: size.into(), crc32c: crc32c.into(), ..Resource::default() };
        answer("9", "4waSgw==").must_be("storing a", &sent).unwrap();
        for (wrong, words) in [
            (answer("8", "4waSgw=="), "storing a: 9 bytes were sent, \"8\" are stored"),
            (answer("9", "4waSgg=="), "storing a: what was sent has the CRC-32C 4waSgw==, what is stored \"4waSgg==\""),
            (answer("9", ""), "storing a: what was sent has the CRC-32C 4waSgw==, what is stored \"\""),
        ] {
            let error = wrong.must_be("storing a", &sent).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Integrity, words));
        }
    }
}
