//! The contract on fake-gcs-server, a server that keeps conditions and ends uploads on request; and what the store says when
//! something does not hold. It compares no checksum and does not know how far an upload is: those are in `gcpemulator.rs`.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::faults::{FLIP_END, LIE, nth};
use common::{PART, Server, key, must_be, must_be_empty, must_hold, sample, stream};
use std::sync::{Arc, LazyLock};
use vb_core::ErrorKind;
use vb_store::{Facts, Lifecycle, OpenUpload, RetryPolicy, Retrying, Store, no_warning, unrecorded};
use vb_store_gcs::GcsStore;
use vb_tests::proxy::{Fault, Request};
use vb_tests::warnings::heard;

static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start("fakegcs"));

#[test]
fn conformance() {
    let store = SERVER.store("conformance");
    vb_store::conformance::run(&store, "run", &mut |_, _| {}).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn conformance_without_a_prefix_and_wrapped() {
    let store = Retrying::new(Arc::new(SERVER.store("")), RetryPolicy::default(), no_warning());
    vb_store::conformance::run(&store, "wrapped", &mut |_, _| {}).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn lengths_around_a_part_come_back() {
    let store = SERVER.store("lengths");
    for length in [0, 1, PART - 1, PART, PART + 1, 2 * PART, 5 * PART + 7] {
        let (name, bytes) = (format!("{length}"), sample(length));
        let stored = stream(&store, &name, &bytes).unwrap();
        assert_eq!((stored.size_bytes, stored.crc32), (length as u64, crc32fast::hash(&bytes)));
        must_hold(&store, &name, &bytes);
    }
    assert_eq!(store.open_uploads("").unwrap(), []);
}

#[test]
fn data_has_its_class_and_facts_and_the_rest_has_not() {
    let store = GcsStore::open(SERVER.config("class", &[("VB_STORAGE_CLASS", "COLDLINE")])).unwrap();
    let facts = Facts::from([("set".to_owned(), "weather – Zürich".to_owned())]);
    store.upload(&key("data"), &facts, unrecorded()).unwrap().commit().unwrap();
    store.put_new(&key("manifest"), b"{}").unwrap();
    let data = SERVER.says("/test/o/class%2Fdata");
    assert_eq!(
        (data["storageClass"].as_str(), data["metadata"]["set"].as_str()),
        (Some("COLDLINE"), Some("weather – Zürich"))
    );
    let manifest = SERVER.says("/test/o/class%2Fmanifest");
    assert_eq!((manifest["storageClass"].as_str(), manifest["metadata"].as_object()), (Some("STANDARD"), None));
}

#[test]
fn a_class_that_the_server_drops_is_told() {
    let mut config = SERVER.config("dropped", &[("VB_STORAGE_CLASS", "COLDLINE")]);
    let warnings = heard(&mut config.warn);
    stream(&GcsStore::open(config).unwrap(), "large", &sample(3 * PART)).unwrap();
    assert_eq!(*warnings.lock().unwrap(), ["committing large: the server stored it as STANDARD, not as COLDLINE"]);
}

#[test]
fn everything_is_locked_for_so_many_days() {
    let store = GcsStore::open(SERVER.config("lock", &[("VB_LOCK_DAYS", "30")])).unwrap();
    store.put_new(&key("manifest"), b"{}").unwrap();
    stream(&store, "data", b"x").unwrap();
    for name in ["manifest", "data"] {
        let retention = SERVER.says(&format!("/test/o/lock%2F{name}"))["retention"].clone();
        assert_eq!(retention["mode"], "Locked");
        let until: chrono::DateTime<chrono::Utc> = retention["retainUntilTime"].as_str().unwrap().parse().unwrap();
        assert!(((until - chrono::Utc::now()).num_minutes() - 30 * 24 * 60).abs() < 5, "{until}");
    }
}

#[test]
fn a_bucket_that_does_not_exist_is_not_found_with_a_hint() {
    let store = GcsStore::open(SERVER.config("", &[("BACKUP_BUCKET", "no-such-bucket")])).unwrap();
    let large = stream(&store, "large", &sample(3 * PART)).map(|_| ()).unwrap_err();
    for error in [store.list("", &mut |_| Ok(())).unwrap_err(), store.put_new(&key("a"), b"x").unwrap_err(), large] {
        must_be(&error, ErrorKind::NotFound, "there is no bucket no-such-bucket");
        assert!(error.hint().unwrap().starts_with("Make the bucket first"), "{:?}", error.hint());
    }
}

#[test]
fn nobody_there_is_unavailable() {
    let store = GcsStore::open(SERVER.config("", &[("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")])).unwrap();
    must_be(&store.put_new(&key("a"), b"x").unwrap_err(), ErrorKind::Unavailable, "storing a: connection refused");
}

#[test]
fn bytes_that_change_on_their_way_are_integrity_and_go_again() {
    let store = GcsStore::open(SERVER.behind("flip", nth(0, 9, &["POST ", "multipart"], FLIP_END))).unwrap();
    must_be(
        &store.put_new(&key("small"), &[5; 1000]).unwrap_err(),
        ErrorKind::Integrity,
        "storing small: what was sent",
    );
    must_be_empty(&store);
    let store = GcsStore::open(SERVER.behind("flip", nth(1, 1, &["PUT ", "upload_id"], FLIP_END))).unwrap();
    let error = stream(&store, "large", &sample(3 * PART)).unwrap_err();
    must_be(&error, ErrorKind::Integrity, "committing large: what was sent has the CRC-32C");
    must_be_empty(&store);
}

#[test]
fn a_server_that_lies_about_what_it_stored_is_integrity() {
    let store = GcsStore::open(SERVER.behind("lie", nth(0, 9, &["POST ", "multipart"], LIE))).unwrap();
    must_be(
        &store.put_new(&key("small"), &[5; 1000]).unwrap_err(),
        ErrorKind::Integrity,
        "storing small: what was sent",
    );
    let store = GcsStore::open(SERVER.behind("lie", nth(2, 1, &["PUT ", "upload_id"], LIE))).unwrap();
    must_be(
        &stream(&store, "large", &sample(3 * PART)).unwrap_err(),
        ErrorKind::Integrity,
        "committing large: what was",
    );
    must_be_empty(&store);
}

/// Asked how far an upload is, this server ends the object there: that must never pass for a commit.
#[test]
fn an_object_that_the_server_ends_early_is_integrity_and_goes_again() {
    let store = GcsStore::open(SERVER.behind("early", nth(1, 1, &["PUT ", "upload_id"], Fault::LoseAnswer))).unwrap();
    let error = stream(&store, "large", &sample(4 * PART)).unwrap_err();
    must_be(&error, ErrorKind::Integrity, "the server ended the object after 1048576 bytes");
    must_be_empty(&store);
}

#[test]
fn commits_whose_answers_are_lost_know_their_own_objects() {
    let (post, put) = (&["POST ", "multipart"], &["PUT ", "upload_id"]);
    for (name, plan, length) in
        [("small", nth(0, 1, post, Fault::LoseAnswer), 10), ("large", nth(2, 1, put, Fault::LoseAnswer), 3 * PART)]
    {
        let mut config = SERVER.behind("lost", plan);
        let warnings = heard(&mut config.warn);
        let store = GcsStore::open(config).unwrap();
        assert_eq!(stream(&store, name, &sample(length)).unwrap().size_bytes, length as u64);
        assert_eq!(warnings.lock().unwrap().len(), 1, "the answer was not lost");
        must_hold(&store, name, &sample(length));
        assert_eq!(store.open_uploads("").unwrap(), []);
    }
}

/// fake-gcs-server takes the question how far it is for the end of the upload, and makes an object of what it has.
#[test]
fn an_object_that_a_question_has_made_is_taken_back() {
    for first in [Fault::Reset, Fault::LoseAnswer, Fault::Answer(429, "retry-after: 1\r\n", "")] {
        let mut puts = 0;
        let plan = move |request: &Request| {
            puts += usize::from(request.line.starts_with("PUT "));
            [Some(first), Some(Fault::LoseAnswer)].get(puts.wrapping_sub(1)).copied().flatten()
        };
        let store = GcsStore::open(SERVER.behind("question", Box::new(plan))).unwrap();
        let error = stream(&store, "a", &sample(2 * PART)).unwrap_err();
        must_be(&error, ErrorKind::Failure, "storing bytes 0 to ");
        assert_eq!(store.head(&key("a")).unwrap(), None, "{first:?}");
    }
}

#[test]
fn a_put_whose_answer_is_lost_knows_its_own_object() {
    let config = SERVER.behind("lost-put", nth(0, 1, &["POST ", "multipart"], Fault::LoseAnswer));
    let policy = config.policy;
    let store = Retrying::new(Arc::new(GcsStore::open(config).unwrap()), policy, no_warning());
    assert_eq!(store.put_new(&key("a"), b"mine").unwrap().size_bytes, 4);
    assert_eq!(store.put_new(&key("a"), b"mine").unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn a_download_that_breaks_off_is_unavailable_and_tried_again() {
    SERVER.store("cut").put_new(&key("a"), &[9; 100_000]).unwrap();
    let once = || nth(0, 1, &["GET ", "alt=media"], Fault::CutAnswer);
    let store = GcsStore::open(SERVER.behind("cut", once())).unwrap();
    must_be(&store.read(&key("a"), 0..100_000).unwrap_err(), ErrorKind::Unavailable, "reading a: ");
    let config = SERVER.behind("cut", once());
    let policy = config.policy;
    let store = Retrying::new(Arc::new(GcsStore::open(config).unwrap()), policy, no_warning());
    assert_eq!(store.read(&key("a"), 0..100_000).unwrap(), [9; 100_000]);
}

#[test]
fn a_session_is_ended_by_its_name_alone() {
    let ended = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = ended.clone();
    let config = SERVER.behind(
        "guard",
        Box::new(move |request| {
            if request.line.starts_with("DELETE ") {
                seen.lock().unwrap().push(request.line.clone());
            }
            None
        }),
    );
    let (store, guard) = (GcsStore::open(config.clone()).unwrap(), GcsStore::open(config).unwrap());
    let told = Arc::new(std::sync::Mutex::new(None::<OpenUpload>));
    let record = told.clone();
    let on_open = move |open: &OpenUpload| {
        *record.lock().unwrap() = Some(open.clone());
        Ok(())
    };
    let mut upload = store.upload(&key("large"), &Facts::new(), Box::new(on_open)).unwrap();
    upload.write(&sample(3 * PART)).unwrap();
    let open = told.lock().unwrap().clone().unwrap();
    guard.abort_upload(&open).unwrap();
    assert!(ended.lock().unwrap()[0].contains("upload_id="), "{:?}", ended.lock().unwrap());
    assert_eq!(guard.open_uploads("").unwrap(), []);
}

#[test]
fn an_object_longer_than_its_parts_allow_is_refused() {
    let mut config = SERVER.config("long", &[]);
    config.limits.most_parts = 2;
    let store = GcsStore::open(config).unwrap();
    must_be(&stream(&store, "a", &sample(3 * PART)).unwrap_err(), ErrorKind::Failure, "longer than 1048576 bytes");
    must_be_empty(&store);
}

#[test]
fn lifecycle_rules_that_the_server_drops_are_an_error() {
    let rules = Lifecycle { transition: None, abort_uploads_after_days: 7 };
    let error = SERVER.store("rules").install_lifecycle(&rules).unwrap_err();
    must_be(&error, ErrorKind::Failure, "installing lifecycle rules: the server does not keep them");
}
