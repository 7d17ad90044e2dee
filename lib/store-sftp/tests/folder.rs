//! What only a store of files must do: leave nothing behind, follow no links, bear the files of others, refuse in words.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::{Server, key, must_be, names};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use vb_core::ErrorKind;
use vb_store::{Facts, Store, unrecorded};

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

/// A folder of the server's, which the account may write.
fn folder(name: &str) -> PathBuf {
    let path = SERVER.folder(name);
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
    path
}

#[test]
fn a_temporary_file_is_an_upload_until_its_commit() {
    let (place, store) = (SERVER.folder("temporary"), SERVER.store("temporary"));
    let upload = store.upload(&key("set/object"), &Facts::new(), unrecorded()).unwrap();
    let open = store.open_uploads("set/obj").unwrap();
    assert_eq!(names(&place.join("set")), [open[0].id.clone()]);
    assert!(open[0].id.starts_with(".vb-") && open[0].id.ends_with("-object.tmp"), "{open:?}");
    assert_eq!(open[0].key, key("set/object"));
    assert!((chrono::Utc::now() - open[0].begun_at).num_seconds().abs() < 60);
    assert_eq!(store.open_uploads("set/x").unwrap(), []);
    let hidden = key(&format!("set/{}", open[0].id));
    store.list("", &mut |found| panic!("{} is listed", found.key)).unwrap();
    assert!(store.head(&hidden).unwrap().is_none());
    assert_eq!(store.put_new(&hidden, b"").unwrap_err().kind(), ErrorKind::Usage);
    upload.commit().unwrap();
    assert_eq!(names(&place.join("set")), ["object"]);
}

#[test]
fn an_upload_is_aborted_from_another_process() {
    let (ours, theirs) = (SERVER.store("aborted"), SERVER.store("aborted"));
    let mut upload = ours.upload(&key("set/object"), &Facts::new(), unrecorded()).unwrap();
    upload.write(&vec![1; 2 << 20]).unwrap();
    let open = theirs.open_uploads("set/object").unwrap();
    assert_eq!(open.len(), 1);
    theirs.abort_upload(&open[0]).unwrap();
    assert_eq!(names(&SERVER.folder("aborted")), [""; 0]);
    must_be(&upload.commit().unwrap_err(), ErrorKind::NotFound, "its temporary file was removed");
    assert_eq!(names(&SERVER.folder("aborted")), [""; 0]);
}

#[test]
fn links_below_the_root_are_not_followed() {
    let (place, outside) = (folder("links"), folder("outside"));
    std::fs::write(outside.join("secret"), "x").unwrap();
    symlink(&outside, place.join("link")).unwrap();
    symlink(outside.join("secret"), place.join("file")).unwrap();
    let store = SERVER.store("links");
    for text in ["link/secret", "file"] {
        assert_eq!(store.read_small(&key(text), 10).unwrap_err().kind(), ErrorKind::Usage, "{text}");
    }
    assert_eq!(store.put_new(&key("link/new"), b"x").unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(store.delete(&key("link/secret")).unwrap_err().kind(), ErrorKind::Usage);
    for prefix in ["", "link/"] {
        store.list(prefix, &mut |found| panic!("{} is listed", found.key)).unwrap();
    }
    assert_eq!(names(&outside), ["secret"]);
}

#[test]
fn the_root_may_be_a_link() {
    let place = folder("real");
    symlink(&place, SERVER.folder("linked-root")).unwrap();
    SERVER.store("linked-root").put_new(&key("a/b"), b"x").unwrap();
    assert!(place.join("a/b").exists());
}

#[test]
fn the_files_of_others_are_borne() {
    let place = folder("others");
    for name in [&b"\xff\xfe.gz"[..], b"line\nbreak", b"plain"] {
        std::fs::write(place.join(OsStr::from_bytes(name)), "x").unwrap();
    }
    std::fs::create_dir(place.join(OsStr::from_bytes(b"\xff"))).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, place.join("fifo"), rustix::fs::FileType::Fifo, 0o666.into(), 0).unwrap();
    let (store, mut listed) = (SERVER.store("others"), Vec::new());
    let mut each = |found: vb_store::ObjectInfo| {
        listed.push(found.key.to_string());
        Ok(())
    };
    store.list("", &mut each).unwrap();
    assert_eq!(listed, ["plain"]);
    // Opening it would hang the server.
    assert_eq!(store.read_small(&key("fifo"), 1).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_folder_that_cannot_be_written_is_denied() {
    let place = folder("read-only");
    std::fs::set_permissions(&place, PermissionsExt::from_mode(0o555)).unwrap();
    // Not the account's own, so that no mode of its own counts.
    let store = SERVER.store("read-only");
    must_be(&store.put_new(&key("a"), b"x").unwrap_err(), ErrorKind::Denied, "storing a: permission denied");
    let error = store.put_new(&key("set/a"), b"x").unwrap_err();
    must_be(&error, ErrorKind::Denied, "read-only/set: permission denied");
    assert!(error.hint().is_some());
    std::fs::set_permissions(&place, PermissionsExt::from_mode(0o311)).unwrap();
    must_be(&store.list("", &mut |_| Ok(())).unwrap_err(), ErrorKind::Denied, "listing /: permission denied");
    std::fs::set_permissions(&place, PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn the_last_delete_removes_empty_folders_but_not_the_root() {
    let (place, store) = (SERVER.folder("emptied"), SERVER.store("emptied"));
    store.put_new(&key("a/b/c/one"), b"").unwrap();
    store.put_new(&key("a/two"), b"").unwrap();
    store.delete(&key("a/b/c/one")).unwrap();
    assert_eq!(names(&place.join("a")), ["two"]);
    store.delete(&key("a/two")).unwrap();
    assert!(Path::new(&place).is_dir());
    assert_eq!(names(&place), [""; 0]);
}

#[test]
fn makers_and_removers_of_a_folder_bear_each_other() {
    let run = |number: usize| {
        let store = SERVER.store("contested");
        for round in 0..25 {
            let name = key(&format!("set/below/{number}-{round}"));
            store.put_new(&name, b"x").unwrap();
            store.delete(&name).unwrap();
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|number| drop(scope.spawn(move || run(number)))));
    assert_eq!(names(&SERVER.folder("contested")), [""; 0]);
}

#[test]
fn a_file_in_the_way_of_a_folder_is_said_in_words() {
    let store = SERVER.store("in-the-way");
    store.put_new(&key("a"), b"").unwrap();
    let error = store.put_new(&key("a/b"), b"").unwrap_err();
    must_be(&error, ErrorKind::Usage, "a file stands where a folder must be");
    store.put_new(&key("c/d"), b"").unwrap();
    assert!(store.head(&key("c")).unwrap().is_none());
    assert_eq!(store.put_new(&key("c"), b"").unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn a_store_that_does_not_exist_is_empty() {
    let store = SERVER.store("none/at/all");
    store.list("", &mut |found| panic!("{} is listed", found.key)).unwrap();
    store.list("a/b", &mut |found| panic!("{} is listed", found.key)).unwrap();
    assert!(store.head(&key("a/b")).unwrap().is_none());
    store.delete(&key("a/b")).unwrap();
    assert!(!SERVER.folder("none").exists());
}

#[test]
fn a_large_folder_is_listed_whole() {
    let place = folder("large");
    for number in 0..1234 {
        std::fs::write(place.join(format!("{number:04}")), "").unwrap();
    }
    let mut count = 0;
    let mut each = |found: vb_store::ObjectInfo| {
        assert_eq!(found.key.as_str(), format!("{count:04}"));
        count += 1;
        Ok(())
    };
    SERVER.store("large").list("", &mut each).unwrap();
    assert_eq!(count, 1234);
}
