//! Lifecycle rules of the bucket for what lies under our prefix. Google's rules have no names: ours are those of our two
//! actions whose only conditions are an age and exactly our prefix.

use crate::error::of_bucket;
use crate::object::Place;
use reqwest::Method;
use serde_json::{Map, Value, json};
use vb_core::{Error, ErrorKind, Result};
use vb_store::Lifecycle;

const TRANSITION: &str = "SetStorageClass";
const ABORT: &str = "AbortIncompleteMultipartUpload";

/// Puts our rules in place of those that were installed so before.
pub(crate) async fn install(place: &Place, lifecycle: &Lifecycle) -> Result<()> {
    let (step, bucket) = ("installing lifecycle rules", &place.config.bucket);
    let explain = |error| of_bucket(error, step, bucket);
    let fields = ("fields", "lifecycle,metageneration");
    let found: Value =
        place.client.ask(step, Method::GET, &place.client.bucket_url(&[fields]), None).await.map_err(explain)?;
    let rules =
        merged(found["lifecycle"]["rule"].as_array().map_or(&[], Vec::as_slice), &place.config.prefix, lifecycle);
    let condition = ("ifMetagenerationMatch", found["metageneration"].as_str().unwrap_or_default());
    let url = place.client.bucket_url(&[condition, fields]);
    let body = json!({"lifecycle": {"rule": rules}});
    let kept: Value =
        place.client.ask(step, Method::PATCH, &url, Some(&body)).await.map_err(|error| match error.kind() {
            ErrorKind::Conflict => Error::unavailable(format!("{step}: somebody else changes the bucket")),
            _ => explain(error),
        })?;
    if kept["lifecycle"]["rule"].as_array().map(Vec::len) != Some(rules.len()) {
        return Err(Error::failure(format!("{step}: the server does not keep them")));
    }
    Ok(())
}

/// All rules that the bucket has afterwards.
fn merged(existing: &[Value], prefix: &str, lifecycle: &Lifecycle) -> Vec<Value> {
    let prefix = if prefix.is_empty() { None } else { Some(json!([format!("{prefix}/")])) };
    let rule = |action: Value, days: u32| {
        let mut condition = Map::from_iter([("age".to_owned(), json!(days))]);
        if let Some(prefix) = &prefix {
            condition.insert("matchesPrefix".to_owned(), prefix.clone());
        }
        json!({"action": action, "condition": condition})
    };
    let transition = lifecycle
        .transition
        .as_ref()
        .map(|(class, days)| rule(json!({"type": TRANSITION, "storageClass": class}), *days));
    let abort = rule(json!({"type": ABORT}), lifecycle.abort_uploads_after_days);
    let others = existing.iter().filter(|rule| !is_ours(rule, prefix.as_ref())).cloned();
    others.chain(transition).chain([abort]).collect()
}

fn is_ours(rule: &Value, prefix: Option<&Value>) -> bool {
    let of_our_kind = matches!(rule["action"]["type"].as_str(), Some(TRANSITION | ABORT));
    let Some(condition) = rule["condition"].as_object() else { return false };
    let set: Vec<&str> =
        condition.iter().filter(|(_, value)| !is_empty(value)).map(|(name, _)| name.as_str()).collect();
    let only = |names: &[&str]| set.len() == names.len() && names.iter().all(|name| set.contains(name));
    of_our_kind
        && match prefix {
            Some(prefix) => only(&["age", "matchesPrefix"]) && condition.get("matchesPrefix") == Some(prefix),
            None => only(&["age"]),
        }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(days: u32) -> Lifecycle {
        Lifecycle { transition: Some(("COLDLINE".to_owned(), days)), abort_uploads_after_days: 7 }
    }

    #[test]
    fn other_rules_stay_and_ours_are_replaced() {
        let others = [
            json!({"action": {"type": "Delete"}, "condition": {"age": 30, "matchesPrefix": ["a/"]}}),
            json!({"action": {"type": TRANSITION, "storageClass": "NEARLINE"}, "condition": {"age": 30}}),
            json!({"action": {"type": ABORT}, "condition": {"age": 3, "matchesPrefix": ["a/", "b/"]}}),
            json!({"action": {"type": ABORT}, "condition": {"age": 3, "matchesPrefix": ["a/"], "matchesSuffix": ["x"]}}),
        ];
        let first = merged(&others, "a", &rules(30));
        assert_eq!(first[..4], others);
        assert_eq!(
            first[4..],
            [
                json!({"action": {"type": TRANSITION, "storageClass": "COLDLINE"}, "condition": {"age": 30, "matchesPrefix": ["a/"]}}),
                json!({"action": {"type": ABORT}, "condition": {"age": 7, "matchesPrefix": ["a/"]}}),
            ]
        );
        let second = merged(&first, "a", &rules(60));
        assert_eq!((second.len(), &second[4]["condition"]["age"]), (6, &json!(60)));
        let none = merged(&second, "a", &Lifecycle { transition: None, abort_uploads_after_days: 1 });
        assert_eq!(none.len(), 5);
    }

    #[test]
    fn without_a_prefix_they_are_the_buckets() {
        let first = merged(&[], "", &rules(30));
        assert_eq!(first[1], json!({"action": {"type": ABORT}, "condition": {"age": 7}}));
        assert_eq!(merged(&first, "", &rules(30)), first);
        assert_eq!(merged(&first, "a", &rules(30)).len(), 4);
    }
}
