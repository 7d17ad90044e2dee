//! What only gcp-storage-emulator can show: it knows how far an upload is, compares checksums, keeps lifecycle rules and takes
//! metadata away. It ignores conditions and ends no upload, so the contract is checked in `fakegcs.rs`.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::faults::{FLIP_END, KEEP_HALF, nth};
use common::{PART, Server, key, must_be, must_hold, sample, stream};
use serde_json::json;
use std::sync::LazyLock;
use vb_core::ErrorKind;
use vb_store::{Facts, Lifecycle, Store, unrecorded};
use vb_store_gcs::GcsStore;
use vb_tests::proxy::{Fault, UNAVAILABLE};
use vb_tests::warnings::heard;

static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start("gcpemulator"));

const SESSION: &[&str] = &["PUT ", "upload_id"];

#[test]
fn a_broken_session_goes_on_where_the_server_is() {
    for (name, fault, passed) in [
        ("first part lost", Fault::LoseAnswer, 0),
        ("part lost", Fault::LoseAnswer, 1),
        ("part refused", UNAVAILABLE, 1),
        ("last part lost", Fault::LoseAnswer, 3),
        ("last part refused", UNAVAILABLE, 3),
    ] {
        let mut config = SERVER.behind("broken", nth(passed, 1, SESSION, fault));
        let warnings = heard(&mut config.warn);
        let store = GcsStore::open(config).unwrap();
        let bytes = sample(3 * PART + 100);
        stream(&store, name, &bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(warnings.lock().unwrap().len(), 1, "{name}: {warnings:?}");
        must_hold(&store, name, &bytes);
    }
}

#[test]
fn what_the_server_did_not_keep_is_sent_again() {
    for (name, passed) in [("first", 0), ("second", 1), ("third", 2)] {
        let mut config = SERVER.behind("half", nth(passed, 1, SESSION, KEEP_HALF));
        let warnings = heard(&mut config.warn);
        let store = GcsStore::open(config).unwrap();
        let bytes = sample(4 * PART);
        stream(&store, name, &bytes).unwrap();
        assert_eq!(*warnings.lock().unwrap(), [""; 0], "the server's progress is no failure");
        must_hold(&store, name, &bytes);
    }
}

#[test]
fn a_part_is_tried_as_often_as_allowed() {
    let mut config = SERVER.behind("never", nth(1, 99, SESSION, UNAVAILABLE));
    let warnings = heard(&mut config.warn);
    let store = GcsStore::open(config).unwrap();
    let error = stream(&store, "large", &sample(3 * PART)).unwrap_err();
    must_be(&error, ErrorKind::Unavailable, "storing bytes 524288 to 1048576 of large: the server answered 503");
    let warnings = warnings.lock().unwrap();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].ends_with("(try 2 of 4)"), "{warnings:?}");
}

#[test]
fn the_server_compares_the_checksum_that_is_sent() {
    let store = GcsStore::open(SERVER.behind("flip", nth(0, 1, &["POST ", "multipart"], FLIP_END))).unwrap();
    let error = store.put_new(&key("small"), &[5; 1000]).unwrap_err();
    must_be(&error, ErrorKind::Integrity, "doesn't match calculated CRC32C");
}

#[test]
fn a_lock_that_the_server_drops_is_an_error_and_leaves_nothing() {
    let store = GcsStore::open(SERVER.config("lock", &[("VB_LOCK_DAYS", "30")])).unwrap();
    let small = store.put_new(&key("small"), b"x").unwrap_err();
    must_be(&small, ErrorKind::Usage, "storing small: the server does not lock objects");
    let large = stream(&store, "large", &sample(3 * PART)).unwrap_err();
    must_be(&large, ErrorKind::Usage, "committing large: the server does not lock objects");
    store.list("", &mut |found| panic!("{} is there", found.key)).unwrap();
}

#[test]
fn tags_replace_tags_and_leave_the_facts() {
    let store = SERVER.store("tags");
    let facts = |pairs: &[(&str, &str)]| -> Facts {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    store.upload(&key("a"), &facts(&[("set", "weather")]), unrecorded()).unwrap().commit().unwrap();
    store.tag(&key("a"), &facts(&[("state", "new"), ("keep", "30 days")])).unwrap();
    store.tag(&key("a"), &facts(&[("state", "verified")])).unwrap();
    let mut kept = SERVER.says("/test/o/tags%2Fa")["metadata"].as_object().unwrap().clone();
    // Which upload has made it.
    assert!(kept.remove("upload").is_some());
    // Google takes away what is set to null; this server keeps it so.
    kept.retain(|_, value| !value.is_null());
    assert_eq!(json!(kept), json!({"set": "weather", "tag-state": "verified"}));
    must_be(&store.tag(&key("none"), &Facts::new()).unwrap_err(), ErrorKind::NotFound, "tagging none: no such object");
}

#[test]
fn lifecycle_rules_are_installed_beside_those_of_others() {
    let (one, other) = (SERVER.store("one"), SERVER.store("other"));
    let rules = |days| Lifecycle { transition: Some(("NEARLINE".to_owned(), days)), abort_uploads_after_days: 7 };
    other.install_lifecycle(&rules(60)).unwrap();
    one.install_lifecycle(&rules(30)).unwrap();
    one.install_lifecycle(&rules(90)).unwrap();
    let kept = SERVER.says("/test")["lifecycle"]["rule"].as_array().unwrap().clone();
    assert_eq!(kept.len(), 4, "{kept:?}");
    let move_after = |prefix: &str, days: u32| json!({"action": {"type": "SetStorageClass", "storageClass": "NEARLINE"}, "condition": {"age": days, "matchesPrefix": [prefix]}});
    assert!(kept.contains(&move_after("one/", 90)) && kept.contains(&move_after("other/", 60)), "{kept:?}");
}
