//! What only a store on disk must do: leave nothing behind, follow no links, refuse in words.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use vb_core::ErrorKind;
use vb_core::key::Key;
use vb_store::{Facts, LocalStore, Store, unrecorded};

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_upload_under_way_has_no_name_where_the_system_can() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::new(folder.path());
    let mut upload = store.upload(&key("object"), &Facts::new(), unrecorded()).unwrap();
    upload.write(&[1; 300_000]).unwrap();
    assert_eq!(files(folder.path()), [""; 0]);
    upload.commit().unwrap();
    assert_eq!(files(folder.path()), ["object"]);
}

#[test]
fn a_named_temporary_file_is_listed_as_an_upload_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::with_named_temporaries(folder.path());
    let upload = store.upload(&key("set/object"), &Facts::new(), unrecorded()).unwrap();
    let open = store.open_uploads("set/").unwrap();
    assert_eq!(open.len(), 1);
    assert!(folder.path().join(open[0].key.as_str()).exists());
    assert!((chrono::Utc::now() - open[0].begun_at).num_seconds().abs() < 60);
    store.list("", &mut |found| panic!("{} is listed", found.key)).unwrap();
    assert!(store.head(&open[0].key).unwrap().is_none());
    assert_eq!(store.put_new(&open[0].key, b"").unwrap_err().kind(), ErrorKind::Usage);
    upload.commit().unwrap();
    assert_eq!(files(&folder.path().join("set")), ["object"]);
}

#[test]
fn links_below_the_root_are_not_followed() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(outside.path().join("secret"), "x").unwrap();
    symlink(outside.path(), folder.path().join("link")).unwrap();
    symlink(outside.path().join("secret"), folder.path().join("file")).unwrap();
    let store = LocalStore::new(folder.path());
    for text in ["link/secret", "file"] {
        assert_eq!(store.read_small(&key(text), 10).unwrap_err().kind(), ErrorKind::Usage, "{text}");
    }
    assert_eq!(store.put_new(&key("link/new"), b"x").unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(store.delete(&key("link/secret")).unwrap_err().kind(), ErrorKind::Usage);
    store.list("", &mut |found| panic!("{} is listed", found.key)).unwrap();
    assert_eq!(files(outside.path()), ["secret"]);
}

#[test]
fn a_set_behind_a_link_is_not_silently_empty() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    symlink(outside.path(), folder.path().join("set")).unwrap();
    symlink(folder.path().join("nowhere"), folder.path().join("broken")).unwrap();
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let hears = heard.clone();
    let store = LocalStore::warning(
        folder.path(),
        std::sync::Arc::new(move |words: &str| hears.lock().unwrap().push(words.to_owned())),
    );
    (0..2).for_each(|_| store.list("", &mut |_| Ok(())).unwrap());
    assert_eq!(
        *heard.lock().unwrap(),
        ["/set of the store is a symbolic link to a folder, so nothing in it is listed"]
    );
    let error = store.list("set/", &mut |_| Ok(())).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Usage, "listing /set: it is a symbolic link"));
    store.list("sets/", &mut |_| Ok(())).unwrap();
}

#[test]
fn the_root_may_be_a_link() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("real")).unwrap();
    symlink(folder.path().join("real"), folder.path().join("root")).unwrap();
    LocalStore::new(folder.path().join("root")).put_new(&key("a/b"), b"x").unwrap();
    assert!(folder.path().join("real/a/b").exists());
}

#[test]
fn new_files_and_folders_follow_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    LocalStore::new(folder.path()).put_new(&key("set/object"), b"x").unwrap();
    let plain = folder.path().join("plain");
    std::fs::create_dir(&plain).unwrap();
    std::fs::write(plain.join("file"), "").unwrap();
    let mode = |path: &str| std::fs::metadata(folder.path().join(path)).unwrap().permissions().mode();
    assert_eq!(mode("set"), mode("plain"));
    assert_eq!(mode("set/object"), mode("plain/file"));
}

#[test]
fn the_last_delete_removes_empty_folders_but_not_the_root() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::new(folder.path().join("root"));
    store.put_new(&key("a/b/c/one"), b"").unwrap();
    store.put_new(&key("a/two"), b"").unwrap();
    store.delete(&key("a/b/c/one")).unwrap();
    assert_eq!(files(&folder.path().join("root/a")), ["two"]);
    store.delete(&key("a/two")).unwrap();
    assert_eq!(files(&folder.path().join("root")), [""; 0]);
}

#[test]
fn a_folder_removed_under_an_upload_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::new(folder.path());
    store.put_new(&key("set/old"), b"").unwrap();
    let upload = store.upload(&key("set/new"), &Facts::new(), unrecorded()).unwrap();
    store.delete(&key("set/old")).unwrap();
    upload.commit().unwrap();
    assert_eq!(files(&folder.path().join("set")), ["new"]);
}

#[test]
fn a_file_in_the_way_of_a_folder_is_said_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::new(folder.path());
    store.put_new(&key("a"), b"").unwrap();
    let error = store.put_new(&key("a/b"), b"").unwrap_err();
    assert_eq!(error.to_string(), "looking for a/b: a folder of it is a file or a symbolic link");
    assert!(error.hint().is_some());
}

#[test]
fn a_folder_is_no_object() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::new(folder.path());
    store.put_new(&key("a/b"), b"").unwrap();
    assert!(store.head(&key("a")).unwrap().is_none());
    assert_eq!(store.read_small(&key("a"), 1).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.put_new(&key("a"), b"").unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn a_store_that_does_not_exist_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalStore::new(folder.path().join("none"));
    store.list("", &mut |found| panic!("{} is listed", found.key)).unwrap();
    assert!(store.head(&key("a/b")).unwrap().is_none());
    store.delete(&key("a/b")).unwrap();
    assert_eq!(files(folder.path()), [""; 0]);
}
