//! The contract on moto, whose order, errors and tolerance differ from SeaweedFS's. It checks no signature or checksum.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::{Server, key};
use std::sync::{Arc, LazyLock};
use vb_core::ErrorKind;
use vb_store::{Facts, RetryPolicy, Retrying, Store, no_warning, unrecorded};
use vb_store_s3::S3Store;
use vb_tests::proxy::{Fault, Request, first};

static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start("moto"));

#[test]
fn conformance() {
    // As vb_stores opens it: moto's threads do not lock, and two aborts at once may be answered with 500.
    let store = Retrying::new(Arc::new(SERVER.store("conformance")), RetryPolicy::default(), no_warning());
    vb_store::conformance::run(&store, "run", &mut |_, _| {}).unwrap_or_else(|error| panic!("{error}"));
}

fn drop_condition(request: &mut Request, _body: &mut Vec<u8>) {
    request.change_headers(|name, value| (name != "if-none-match").then(|| value.to_owned()));
}

#[test]
fn a_server_that_ignores_conditions_is_asked_first() {
    let plan = first(usize::MAX, &[], Fault::Alter(drop_condition));
    let store = S3Store::open(SERVER.behind("conditions", plan)).unwrap();
    let early = store.upload(&key("a"), &Facts::new(), unrecorded()).unwrap();
    store.put_new(&key("a"), b"first").unwrap();
    assert_eq!(store.put_new(&key("a"), b"second").unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(early.commit().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.read_small(&key("a"), 10).unwrap(), b"first");
}
