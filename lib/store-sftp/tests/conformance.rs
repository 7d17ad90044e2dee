//! The contract, on a real sshd: bare, wrapped as the commands open it, in the home, and without OpenSSH's extensions.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::Server;
use std::sync::{Arc, LazyLock};
use vb_store::{RetryPolicy, Retrying, Store, no_warning};
use vb_store_sftp::SftpStore;

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

fn must_pass(store: &dyn Store, folder: &str) {
    vb_store::conformance::run(store, folder, &mut |_, _| {}).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn bare() {
    must_pass(&SERVER.store("made/when/needed"), "run");
}

#[test]
fn wrapped() {
    must_pass(&Retrying::new(Arc::new(SERVER.store("wrapped")), RetryPolicy::default(), no_warning()), "run");
}

#[test]
fn in_the_home() {
    let url = format!("sftp://{}/~", SERVER.variable("VB_TEST_SFTP"));
    must_pass(&SftpStore::open(SERVER.config_of(&url, &[])).unwrap(), "below-home");
}

#[test]
fn on_a_server_without_extensions() {
    let url = format!("sftp://{}/~/plain", SERVER.variable("VB_TEST_SFTP_PLAIN"));
    must_pass(&SftpStore::open(SERVER.config_of(&url, &[])).unwrap(), "run");
}
