//! What goes wrong on the way: servers that end, stall or fill up, connections that break, and what is left then.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::{Server, key, must_be, names, signal, until};
use rustix::process::Signal;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vb_core::{Error, ErrorKind, Result};
use vb_store::{Facts, RetryPolicy, Retrying, Store, Upload, no_warning, unrecorded};
use vb_store_sftp::SftpStore;

fn begin(store: &SftpStore, name: &str) -> Box<dyn Upload + Send> {
    let mut upload = store.upload(&key(name), &Facts::new(), unrecorded()).unwrap();
    upload.write(&vec![7; 3 << 20]).unwrap();
    upload
}

/// The error that ends an upload which goes on and on.
fn first_error(upload: &mut dyn Upload) -> Error {
    let piece = vec![7; 1 << 20];
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        if let Err(error) = upload.write(&piece) {
            return error;
        }
    }
    panic!("the upload goes on without a server");
}

#[test]
fn a_server_killed_in_mid_upload_is_unavailable_and_reached_again() {
    let server = Server::start();
    let store = server.store("killed");
    let mut upload = begin(&store, "set/object");
    let sessions = server.sessions();
    assert!(!sessions.is_empty());
    signal(server.pid(), Signal::KILL);
    sessions.iter().for_each(|session| signal(*session, Signal::KILL));
    must_be(&first_error(&mut *upload), ErrorKind::Unavailable, "storing set/object: the connection was lost");
    drop(upload);
    must_be(&store.put_new(&key("b"), b"x").unwrap_err(), ErrorKind::Unavailable, "Connection refused");

    let mut words = server.variable("VB_TEST_SFTP_START").split(' ');
    let mut again = Command::new(words.next().unwrap()).args(words).stderr(Stdio::null()).spawn().unwrap();
    until("the server", || store.put_new(&key("b"), b"x").is_ok());
    let open = store.open_uploads("set/").unwrap();
    assert_eq!(open.iter().map(|open| open.key.as_str()).collect::<Vec<_>>(), ["set/object"]);
    store.abort_upload(&open[0]).unwrap();
    assert_eq!(names(&server.folder("killed")), ["b"]);
    again.kill().unwrap();
    again.wait().unwrap();
}

#[test]
fn a_session_that_breaks_is_followed_by_another_one() {
    let server = Server::start();
    let store = Retrying::new(Arc::new(server.store("broken")), RetryPolicy::default(), no_warning());
    store.put_new(&key("a"), b"x").unwrap();
    for _ in 0..3 {
        server.sessions().iter().for_each(|session| signal(*session, Signal::KILL));
        assert_eq!(store.read_small(&key("a"), 10).unwrap(), b"x");
    }
}

#[test]
fn what_a_broken_session_leaves_is_removed_over_another_one() {
    let server = Server::start();
    let store = server.store("left");
    let mut upload = begin(&store, "set/object");
    server.sessions().iter().for_each(|session| signal(*session, Signal::KILL));
    must_be(&first_error(&mut *upload), ErrorKind::Unavailable, "the connection was lost");
    upload.abort().unwrap();
    assert_eq!(names(&server.folder("left")), [""; 0]);
}

#[test]
fn a_server_that_stalls_does_not_hang_us() {
    let server = Server::start();
    let mut config = server.config("stalled");
    config.time_limits.silence = Duration::from_secs(1);
    let store = SftpStore::open(config).unwrap();
    store.put_new(&key("a"), b"x").unwrap();
    let mut upload = begin(&store, "b");
    let sessions = server.sessions();
    sessions.iter().for_each(|session| signal(*session, Signal::STOP));
    let begun = Instant::now();
    must_be(&first_error(&mut *upload), ErrorKind::Unavailable, "storing b: ");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    // The listener still runs, so that another session serves.
    assert_eq!(store.read_small(&key("a"), 10).unwrap(), b"x");
    upload.abort().unwrap();
    assert_eq!(names(&server.folder("stalled")), ["a"]);
    sessions.iter().for_each(|session| signal(*session, Signal::CONT));
}

#[test]
fn a_server_that_never_greets_is_unavailable() {
    let server = Server::start();
    let listener = server.pid();
    signal(listener, Signal::STOP);
    for (connect, login, words) in
        [(1, 30, "onnection timed out during banner exchange"), (30, 1, "no login within 1 s")]
    {
        let mut config = server.config("silent");
        config.time_limits.connect = Duration::from_secs(connect);
        config.time_limits.login = Duration::from_secs(login);
        let error = common::refusal(&SftpStore::open(config).unwrap());
        must_be(&error, ErrorKind::Unavailable, "connecting to 127.0.0.1: ");
        assert!(error.to_string().contains(words), "{error}");
    }
    signal(listener, Signal::CONT);
}

#[test]
fn no_process_of_ours_stays() {
    let server = Server::start();
    let before = server.sessions();
    let store = server.store("processes");
    store.put_new(&key("a"), b"x").unwrap();
    assert!(server.sessions().len() > before.len());
    drop(store);
    // A session of the server's own beginning may have ended since.
    until("the end of the sessions", || server.sessions().iter().all(|session| before.contains(session)));
}

#[test]
fn a_full_disk_is_said_in_words_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let server = Server::start_with_small_disk(&path);
    let url = format!("sftp://{}{}", server.variable("VB_TEST_SFTP"), path.display());
    let store = SftpStore::open(server.config_of(&url, &[])).unwrap();
    let fill = || -> Result<()> {
        let mut upload = store.upload(&key("set/large"), &Facts::new(), unrecorded())?;
        upload.write(&vec![7; 5 << 20])?;
        upload.commit().map(|_| ())
    };
    let error = fill().unwrap_err();
    must_be(&error, ErrorKind::Failure, "storing set/large: no space left on the server");
    assert!(error.hint().unwrap().contains("Free some space"));
    assert_eq!(store.open_uploads("").unwrap(), []);
    store.put_new(&key("small"), b"x").unwrap();
}
