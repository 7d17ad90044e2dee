//! The contract on SeaweedFS, a server that checks signatures, permissions, conditions and checksums; and what the store
//! says when they do not hold.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::{Server, key};
use std::sync::{Arc, LazyLock};
use vb_core::{Error, ErrorKind};
use vb_store::{Facts, RetryPolicy, Retrying, Store, no_warning, unrecorded};
use vb_store_s3::S3Store;
use vb_tests::proxy::{Fault, Request, UNAVAILABLE, first};
use vb_tests::warnings::heard;

static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start("seaweedfs"));

/// More than two parts of [`Server::config`].
const THREE_PARTS: usize = 11 << 20;

fn store(store: &S3Store, name: &str, bytes: &[u8]) -> Result<vb_store::Stored, Error> {
    let mut upload = store.upload(&key(name), &Facts::new(), unrecorded())?;
    upload.write(bytes)?;
    upload.commit()
}

fn must_be(error: &Error, kind: ErrorKind, words: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert!(!error.to_string().contains('\n') && !error.to_string().contains("seaweedfs-secret"), "{error}");
}

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
fn the_server_keeps_the_whole_objects_checksum() {
    let (place, bytes) = (SERVER.store("checksum"), vec![7; THREE_PARTS]);
    let stored = store(&place, "large", &bytes).unwrap();
    assert_eq!(place.head(&key("large")).unwrap().unwrap().crc32, Some(stored.crc32));
    assert_eq!(stored.crc32, crc32fast::hash(&bytes));
}

#[test]
fn wrong_keys_are_denied_with_a_hint() {
    for (name, value) in [("AWS_SECRET_ACCESS_KEY", "wrong"), ("AWS_ACCESS_KEY_ID", "nobody")] {
        let place = S3Store::open(SERVER.config_with("denied", &[(name, value)])).unwrap();
        let error = place.list("", &mut |_| Ok(())).unwrap_err();
        must_be(&error, ErrorKind::Denied, "listing s3://test/denied/: ");
        assert!(error.hint().unwrap().contains("AWS_SECRET_ACCESS_KEY"), "{:?}", error.hint());
    }
}

#[test]
fn a_reader_may_not_write() {
    let (id, secret) = (SERVER.variable("VB_TEST_READER_KEY"), SERVER.variable("VB_TEST_READER_SECRET"));
    let config = SERVER.config_with("reader", &[("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret)]);
    let place = S3Store::open(config).unwrap();
    must_be(&place.put_new(&key("a"), b"x").unwrap_err(), ErrorKind::Denied, "storing a: ");
    must_be(&store(&place, "b", &vec![0; THREE_PARTS]).unwrap_err(), ErrorKind::Denied, "beginning the upload of b: ");
}

#[test]
fn a_bucket_that_does_not_exist_is_not_found_with_a_hint() {
    let place = S3Store::open(SERVER.config_with("", &[("S3_BUCKET_NAME", "no-such-bucket")])).unwrap();
    for error in [place.list("", &mut |_| Ok(())).unwrap_err(), place.put_new(&key("a"), b"x").unwrap_err()] {
        must_be(&error, ErrorKind::NotFound, "NoSuchBucket");
        assert!(error.hint().unwrap().starts_with("Make the bucket first"), "{:?}", error.hint());
    }
}

#[test]
fn nobody_there_is_unavailable() {
    let config = SERVER.config_with("", &[("AWS_ENDPOINT_URL", "http://127.0.0.1:9")]);
    let error = S3Store::open(config).unwrap().put_new(&key("a"), b"x").unwrap_err();
    must_be(&error, ErrorKind::Unavailable, "storing a: connection refused");
}

#[test]
fn a_bit_flipped_on_its_way_is_noticed_by_the_server() {
    let place = S3Store::open(SERVER.behind("flip", first(1, &["PUT "], Fault::FlipUp))).unwrap();
    must_be(&place.put_new(&key("small"), &[5; 1000]).unwrap_err(), ErrorKind::Integrity, "storing small: ");
    let place = S3Store::open(SERVER.behind("flip", first(99, &["PUT ", "partNumber=2"], Fault::FlipUp))).unwrap();
    let error = store(&place, "large", &vec![5; THREE_PARTS]).unwrap_err();
    must_be(&error, ErrorKind::Integrity, "storing part 2 of flip/large: ");
    place.list("", &mut |found| panic!("{} is there", found.key)).unwrap();
    assert_eq!(place.open_uploads("").unwrap(), []);
}

#[test]
fn a_part_that_changed_on_its_way_is_sent_again() {
    let mut config = SERVER.behind("flip-once", first(1, &["PUT ", "partNumber=2"], Fault::FlipUp));
    let warnings = heard(&mut config.warn);
    let (place, bytes) = (S3Store::open(config).unwrap(), vec![5; THREE_PARTS]);
    let stored = store(&place, "large", &bytes).unwrap();
    assert_eq!((stored.crc32, warnings.lock().unwrap().len()), (crc32fast::hash(&bytes), 1));
}

#[test]
fn an_upload_whose_beginning_was_not_answered_is_ended() {
    for (name, fault) in [("orphan", Fault::LoseAnswer), ("cut", Fault::CutLastByte)] {
        let place = S3Store::open(SERVER.behind(name, first(1, &["POST ", "?uploads"], fault))).unwrap();
        store(&place, "large", &vec![5; THREE_PARTS]).unwrap();
        assert_eq!(place.open_uploads("").unwrap(), []);
    }
}

#[test]
fn it_is_ended_although_the_listing_that_shows_it_is_cut_off() {
    for fault in [Fault::CutAnswer, Fault::CutLastByte] {
        let (mut begun, mut listed) = (0, 0);
        let plan = move |request: &Request| {
            begun += usize::from(request.has(&["POST ", "?uploads"]));
            listed += usize::from(request.has(&["GET ", "uploads"]));
            let is_first = begun == 1 && request.has(&["POST ", "?uploads"]);
            (is_first || listed == 1 && request.has(&["GET ", "uploads"])).then_some(fault)
        };
        let mut config = SERVER.behind("cut-twice", Box::new(plan));
        let warnings = heard(&mut config.warn);
        let place = S3Store::open(config).unwrap();
        store(&place, &format!("large {fault:?}"), &vec![5; THREE_PARTS]).unwrap();
        assert_eq!(place.open_uploads("").unwrap(), []);
        assert_eq!(warnings.lock().unwrap().len(), 2, "{warnings:?}");
    }
}

#[test]
fn a_commit_that_changed_on_its_way_is_sent_again() {
    let place = S3Store::open(SERVER.behind("flip-commit", first(1, &["POST ", "uploadId="], Fault::FlipUp))).unwrap();
    let bytes = vec![5; THREE_PARTS];
    assert_eq!(store(&place, "large", &bytes).unwrap().crc32, crc32fast::hash(&bytes));
    assert_eq!(place.open_uploads("").unwrap(), []);
}

#[test]
fn a_part_is_sent_again_with_a_warning() {
    let mut config = SERVER.behind("again", first(2, &["PUT ", "partNumber=2"], UNAVAILABLE));
    let warnings = heard(&mut config.warn);
    let place = S3Store::open(config).unwrap();
    store(&place, "large", &vec![5; THREE_PARTS]).unwrap();
    let warnings = warnings.lock().unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("storing part 2 of again/large: the server answered 503; trying"), "{warnings:?}");
}

#[test]
fn a_part_that_never_arrives_fails_the_upload_and_leaves_nothing() {
    let place = S3Store::open(SERVER.behind("never", first(99, &["PUT ", "partNumber=2"], UNAVAILABLE))).unwrap();
    let error = store(&place, "large", &vec![5; THREE_PARTS]).unwrap_err();
    must_be(&error, ErrorKind::Unavailable, "storing part 2 of never/large: ");
    assert_eq!(place.open_uploads("").unwrap(), []);
}

#[test]
fn commits_whose_answers_are_lost_know_their_own_objects() {
    for (name, words, length) in [("large", &["POST ", "uploadId="], THREE_PARTS), ("small", &["PUT ", "/small"], 10)] {
        let mut config = SERVER.behind("lost", first(1, words, Fault::LoseAnswer));
        let warnings = heard(&mut config.warn);
        let place = S3Store::open(config).unwrap();
        assert_eq!(store(&place, name, &vec![5; length]).unwrap().size_bytes, length as u64);
        assert_eq!(warnings.lock().unwrap().len(), 1, "the answer was not lost");
        assert_eq!(place.open_uploads("").unwrap(), []);
    }
}

#[test]
fn a_put_whose_answer_is_lost_knows_its_own_object() {
    let config = SERVER.behind("lost-put", first(1, &["PUT "], Fault::LoseAnswer));
    let policy = config.policy;
    let place = Retrying::new(Arc::new(S3Store::open(config).unwrap()), policy, no_warning());
    assert_eq!(place.put_new(&key("a"), b"mine").unwrap().size_bytes, 4);
    assert_eq!(place.put_new(&key("a"), b"mine").unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn a_download_that_breaks_off_is_unavailable_and_tried_again() {
    SERVER.store("cut").put_new(&key("a"), &[9; 100_000]).unwrap();
    let place = S3Store::open(SERVER.behind("cut", first(1, &["GET "], Fault::CutAnswer))).unwrap();
    assert_eq!(place.read(&key("a"), 0..100_000).unwrap_err().kind(), ErrorKind::Unavailable);
    let config = SERVER.behind("cut", first(1, &["GET "], Fault::CutAnswer));
    let policy = config.policy;
    let place = Retrying::new(Arc::new(S3Store::open(config).unwrap()), policy, no_warning());
    assert_eq!(place.read(&key("a"), 0..100_000).unwrap(), [9; 100_000]);
}

#[test]
fn open_uploads_are_listed_over_several_pages() {
    let place = SERVER.store("pages");
    let begin = |number| {
        let mut upload = place.upload(&key(&format!("upload {number:02}")), &Facts::new(), unrecorded()).unwrap();
        upload.write(&vec![1; THREE_PARTS]).unwrap();
        upload
    };
    let uploads: Vec<_> = (0..12).map(begin).collect();
    let open = place.open_uploads("upload ").unwrap();
    assert_eq!(open.len(), 12);
    assert!(open.iter().all(|upload| (chrono::Utc::now() - upload.begun_at).num_seconds().abs() < 60), "{open:?}");
    drop(uploads);
    assert_eq!(place.open_uploads("").unwrap(), []);
}

#[test]
fn an_object_longer_than_its_parts_allow_is_refused() {
    let mut config = SERVER.config("long");
    config.limits.most_parts = 2;
    let place = S3Store::open(config).unwrap();
    must_be(&store(&place, "a", &vec![1; THREE_PARTS]).unwrap_err(), ErrorKind::Failure, "longer than 10485760 bytes");
    assert_eq!(place.open_uploads("").unwrap(), []);
}
