//! The contract on Azurite, which checks keys, signatures, conditions and MD5s; and what the store says when they do not
//! hold.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::{CONNECTION, PART, Server, ask, key};
use std::sync::{Arc, LazyLock};
use vb_core::{Error, ErrorKind};
use vb_store::{Facts, OpenUpload, RetryPolicy, Retrying, Store, Stored, Upload, no_warning, unrecorded};
use vb_store_azure::AzureStore;
use vb_tests::proxy::{Fault, UNAVAILABLE, first, some};
use vb_tests::warnings::heard;

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

fn begin(place: &dyn Store, name: &str, bytes: &[u8]) -> Result<Box<dyn Upload + Send>, Error> {
    let mut upload = place.upload(&key(name), &Facts::new(), unrecorded())?;
    upload.write(bytes)?;
    Ok(upload)
}

fn store(place: &dyn Store, name: &str, bytes: &[u8]) -> Result<Stored, Error> {
    begin(place, name, bytes)?.commit()
}

fn must_be(error: &Error, kind: ErrorKind, words: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert!(!error.to_string().contains('\n') && !error.to_string().contains("sig="), "{error}");
}

#[test]
fn conformance() {
    let place = SERVER.store("conformance");
    vb_store::conformance::run(&place, "run", &mut |_, _| {}).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn conformance_without_a_prefix_and_wrapped_and_with_a_signature() {
    let endpoint = SERVER.variable("VB_TEST_AZURE_ENDPOINT");
    let text = format!("BlobEndpoint={endpoint};SharedAccessSignature={}", SERVER.variable("VB_TEST_AZURE_SAS"));
    let place = AzureStore::open(SERVER.config_with("", &[(CONNECTION, &text)])).unwrap();
    let place = Retrying::new(Arc::new(place), RetryPolicy::default(), no_warning());
    vb_store::conformance::run(&place, "wrapped", &mut |_, _| {}).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn large_and_small_objects_keep_their_checksum_metadata_and_tier() {
    let place = AzureStore::open(SERVER.config_with("kept", &[("VB_STORAGE_CLASS", "Cool")])).unwrap();
    let facts = Facts::from([("data-kind".to_owned(), "weiß".to_owned())]);
    for (name, length) in [("large", 3 * PART), ("small", 10), ("empty", 0)] {
        let mut upload = place.upload(&key(name), &facts, unrecorded()).unwrap();
        upload.write(&vec![7; length]).unwrap();
        let stored = upload.commit().unwrap();
        assert_eq!(place.head(&key(name)).unwrap().unwrap().crc32, Some(stored.crc32));
        let head = ask(&SERVER, "HEAD", &format!("test/kept/{name}"));
        for expected in ["x-ms-access-tier: Cool", "x-ms-meta-data_kind: wei%C3%9F"] {
            assert!(head.contains(expected), "{name}: {head}");
        }
    }
    place.put_new(&key("manifest"), b"{}").unwrap();
    let head = ask(&SERVER, "HEAD", "test/kept/manifest");
    assert!(head.contains("x-ms-access-tier: Hot") && !head.contains("x-ms-meta-"), "{head}");
}

#[test]
fn tags_are_put_and_replaced() {
    let place = SERVER.store("tags");
    place.put_new(&key("a"), b"x").unwrap();
    for value in ["first", "a=b"] {
        place.tag(&key("a"), &Facts::from([("data-kind".to_owned(), value.to_owned())])).unwrap();
    }
    let tags = ask(&SERVER, "GET", "test/tags/a?comp=tags");
    assert!(tags.contains("<Key>data-kind</Key><Value>a=3Db</Value>"), "{tags}");
    assert!(!tags.contains("first"), "{tags}");
    must_be(&place.tag(&key("b"), &Facts::new()).unwrap_err(), ErrorKind::NotFound, "tagging b: ");
}

#[test]
fn a_wrong_key_is_denied_with_a_hint_and_without_the_key() {
    let wrong = "d3Jvbmcga2V5IHRoYXQgbXVzdCBub3QgYmUgc2hvd24=";
    let endpoint = SERVER.variable("VB_TEST_AZURE_ENDPOINT");
    let text = format!("AccountName=testaccount;AccountKey={wrong};BlobEndpoint={endpoint}");
    let place = AzureStore::open(SERVER.config_with("denied", &[(CONNECTION, &text)])).unwrap();
    for error in [place.list("", &mut |_| Ok(())).unwrap_err(), place.put_new(&key("a"), b"x").unwrap_err()] {
        must_be(&error, ErrorKind::Denied, "Server failed to authenticate".to_lowercase().as_str());
        assert!(error.hint().is_some() && !format!("{error:?}").contains(wrong), "{error:?}");
    }
}

#[test]
fn a_reader_may_not_write() {
    let endpoint = SERVER.variable("VB_TEST_AZURE_ENDPOINT");
    let sas = SERVER.variable("VB_TEST_AZURE_READER_SAS");
    let text = format!("BlobEndpoint={endpoint};SharedAccessSignature={sas}");
    let place = AzureStore::open(SERVER.config_with("reader", &[(CONNECTION, &text)])).unwrap();
    place.list("", &mut |_| Ok(())).unwrap();
    must_be(&place.put_new(&key("a"), b"x").unwrap_err(), ErrorKind::Denied, "storing a: ");
    let error = store(&place, "b", &vec![0; 3 * PART]).unwrap_err();
    must_be(&error, ErrorKind::Denied, "storing block 0 of reader/b: ");
    assert!(!format!("{error:?}").contains(sas), "{error:?}");
}

#[test]
fn a_container_that_does_not_exist_is_not_found_with_a_hint() {
    let place = AzureStore::open(SERVER.config_with("", &[("AZURE_CONTAINER_NAME", "no-such-container")])).unwrap();
    let failures = [
        place.list("", &mut |_| Ok(())).unwrap_err(),
        place.put_new(&key("a"), b"x").unwrap_err(),
        place.head(&key("a")).unwrap_err(),
        place.delete(&key("a")).unwrap_err(),
    ];
    for error in failures {
        must_be(&error, ErrorKind::NotFound, "ContainerNotFound");
        assert!(error.hint().unwrap().starts_with("Make the container first"), "{:?}", error.hint());
    }
}

#[test]
fn nobody_there_is_unavailable() {
    let text = SERVER.connection("http://127.0.0.1:9/testaccount");
    let error = AzureStore::open(SERVER.config_with("", &[(CONNECTION, &text)])).unwrap();
    must_be(&error.put_new(&key("a"), b"x").unwrap_err(), ErrorKind::Unavailable, "storing a: connection refused");
}

#[test]
fn a_bit_flipped_on_its_way_is_noticed_by_the_server() {
    let place = AzureStore::open(SERVER.behind("flip", first(1, &["PUT "], Fault::FlipUp))).unwrap();
    must_be(&place.put_new(&key("small"), &[5; 1000]).unwrap_err(), ErrorKind::Integrity, "storing small: ");
    // Every try of the commit, but not the abort after it, which is such a request too.
    for (times, plan) in [(99, &["PUT ", "blockid="]), (4, &["PUT ", "comp=blocklist"])] {
        let place = AzureStore::open(SERVER.behind("flip", first(times, plan, Fault::FlipUp))).unwrap();
        store(&place, "large", &vec![5; 3 * PART]).unwrap_err();
        place.list("", &mut |found| panic!("{} is there", found.key)).unwrap();
        assert_eq!(place.open_uploads("").unwrap(), []);
    }
}

#[test]
fn a_block_is_sent_again_with_a_warning() {
    let mut config = SERVER.behind("again", first(2, &["PUT ", "blockid="], UNAVAILABLE));
    let warnings = heard(&mut config.warn);
    store(&AzureStore::open(config).unwrap(), "large", &vec![5; 3 * PART]).unwrap();
    let warnings = warnings.lock().unwrap();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("storing block 0 of again/large: the server answered 503; trying"), "{warnings:?}");
}

#[test]
fn a_block_that_never_arrives_fails_the_upload_and_leaves_nothing() {
    let plan = some(2, usize::MAX, UNAVAILABLE, |request| request.has(&["blockid="]));
    let place = AzureStore::open(SERVER.behind("never", plan)).unwrap();
    let error = store(&place, "large", &vec![5; 5 * PART]).unwrap_err();
    must_be(&error, ErrorKind::Unavailable, "storing block ");
    assert_eq!(place.open_uploads("").unwrap(), []);
    assert!(!ask(&SERVER, "GET", "test?restype=container&comp=list&include=uncommittedblobs").contains("never/"));
}

#[test]
fn commits_whose_answers_are_lost_know_their_own_objects() {
    for (name, words, length) in [("large", ["PUT ", "comp=blocklist"], 3 * PART), ("small", ["PUT ", "small"], 10)] {
        let words: &'static [&'static str] = Box::leak(Box::new(words));
        let mut config = SERVER.behind("lost", first(1, words, Fault::LoseAnswer));
        let warnings = heard(&mut config.warn);
        let place = AzureStore::open(config).unwrap();
        assert_eq!(store(&place, name, &vec![5; length]).unwrap().size_bytes, length as u64);
        assert_eq!(warnings.lock().unwrap().len(), 1, "the answer was not lost");
        assert_eq!(place.open_uploads("").unwrap(), []);
    }
}

#[test]
fn a_download_that_breaks_off_is_unavailable_and_tried_again() {
    SERVER.store("cut").put_new(&key("a"), &[9; 100_000]).unwrap();
    let place = AzureStore::open(SERVER.behind("cut", first(1, &["GET "], Fault::CutAnswer))).unwrap();
    assert_eq!(place.read(&key("a"), 0..100_000).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(place.read(&key("a"), 0..100_000).unwrap(), [9; 100_000]);
}

#[test]
fn an_object_longer_than_its_blocks_allow_is_refused() {
    let mut config = SERVER.config("long");
    config.limits.most_parts = 2;
    let place = AzureStore::open(config).unwrap();
    assert_eq!(store(&place, "fits", &vec![1; 2 * PART]).unwrap().size_bytes, 2 * PART as u64);
    let error = store(&place, "a", &vec![1; 2 * PART + 1]).unwrap_err();
    must_be(&error, ErrorKind::Failure, &format!("longer than {} bytes", 2 * PART));
    assert_eq!(place.open_uploads("").unwrap(), []);
}

#[test]
fn of_ten_large_writers_one_wins_and_nothing_is_listed_after() {
    let place = SERVER.store("race");
    let barrier = std::sync::Barrier::new(10);
    let results: Vec<Result<Stored, Error>> = std::thread::scope(|scope| {
        let write = |number: u8| {
            let (place, barrier) = (&place, &barrier);
            scope.spawn(move || {
                let upload = begin(place, "object", &vec![number; 3 * PART]);
                barrier.wait();
                upload.and_then(Upload::commit)
            })
        };
        let writers: Vec<_> = (0..10).map(write).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let won: Vec<_> = results.iter().flatten().collect();
    assert_eq!(won.len(), 1, "{results:?}");
    results.iter().filter_map(|result| result.as_ref().err()).for_each(|error| must_be(error, ErrorKind::Conflict, ""));
    assert_eq!(crc32fast::hash(&place.read(&key("object"), 0..3 * PART as u64).unwrap()), won[0].crc32);
    assert_eq!(place.open_uploads("").unwrap(), []);
}

#[test]
fn an_upload_that_ends_itself_spares_another_of_the_same_name() {
    let place = SERVER.store("spare");
    let (one, other) = (vec![1; 3 * PART], vec![2; 3 * PART]);
    let (first, second) = (begin(&place, "object", &one).unwrap(), begin(&place, "object", &other).unwrap());
    assert_eq!(place.open_uploads("").unwrap().len(), 2);
    must_be(&first.abort().unwrap_err(), ErrorKind::Failure, "its blocks stay until another upload");
    second.commit().unwrap();
    assert_eq!(place.read(&key("object"), 0..3 * PART as u64).unwrap(), other);
    assert_eq!(place.open_uploads("").unwrap(), []);
}

#[test]
fn an_abort_frees_the_blocks_that_come_after_it() {
    blocks_after_an_abort("late", &SERVER.store("late"));
}

#[test]
fn an_abort_frees_them_although_a_look_failed() {
    let second_and_third = some(1, 2, UNAVAILABLE, |request| request.has(&["GET ", "comp=blocklist"]));
    let config = SERVER.behind("late-look", second_and_third);
    let policy = config.policy;
    let aborting = Retrying::new(Arc::new(AzureStore::open(config).unwrap()), policy, no_warning());
    blocks_after_an_abort("late-look", &aborting);
}

fn blocks_after_an_abort(folder: &str, aborting: &(impl Store + ?Sized)) {
    let place = SERVER.store(folder);
    let mut upload = begin(&place, "object", &vec![1; 3 * PART]).unwrap();
    let token = place.open_uploads("").unwrap().remove(0);
    std::thread::scope(|scope| {
        let abort = scope.spawn(|| aborting.abort_upload(&token));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !place.open_uploads("").unwrap().is_empty() {
            assert!(std::time::Instant::now() < deadline, "the abort does nothing");
        }
        // The next look is half a second after the first one.
        std::thread::sleep(std::time::Duration::from_millis(700));
        // When this returns, at least two of these blocks have arrived.
        upload.write(&vec![2; 5 * PART]).unwrap();
        abort.join().unwrap().unwrap();
    });
    assert_eq!(place.open_uploads("").unwrap(), []);
    must_be(&upload.commit().unwrap_err(), ErrorKind::Failure, "its blocks are gone, as after an abort");
    assert_eq!(place.open_uploads("").unwrap(), []);
}

#[test]
fn an_abort_that_died_half_way_leaves_a_marker_that_only_open_uploads_show() {
    let place = AzureStore::open(SERVER.behind("marker", first(1, &["DELETE "], UNAVAILABLE))).unwrap();
    let upload = begin(&place, "object", &vec![1; 3 * PART]).unwrap();
    must_be(&upload.abort().unwrap_err(), ErrorKind::Unavailable, "aborting the upload of object: ");
    assert!(place.head(&key("object")).unwrap().is_none());
    assert_eq!(place.read_small(&key("object"), 10).unwrap_err().kind(), ErrorKind::NotFound);
    place.list("", &mut |found| panic!("{} is there", found.key)).unwrap();
    let open: Vec<OpenUpload> = place.open_uploads("").unwrap();
    assert_eq!((open.len(), open[0].key.as_str(), open[0].id.as_str()), (1, "object", ""));
    place.abort_upload(&open[0]).unwrap();
    assert_eq!(place.open_uploads("").unwrap(), []);
    place.put_new(&key("object"), b"x").unwrap();
    place.abort_upload(&open[0]).unwrap();
    assert_eq!(place.read_small(&key("object"), 10).unwrap(), b"x");
}

#[test]
fn rules_are_refused_with_a_hint() {
    let lifecycle = vb_store::Lifecycle { transition: None, abort_uploads_after_days: 1 };
    let error = SERVER.store("rules").install_lifecycle(&lifecycle).unwrap_err();
    must_be(&error, ErrorKind::Usage, "az://test/rules takes no lifecycle rules");
    assert!(error.hint().unwrap().contains("management-policy"));
}
