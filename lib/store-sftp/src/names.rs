//! The names of temporary files, which tell what will become of them: so another process can find and abort an upload by
//! its key, as with stores that list uploads.

use vb_core::key::Key;
use vb_core::time::Instant;
use vb_core::{Error, Result};
use vb_store::OpenUpload;

/// The longest name that file systems take.
const MOST_BYTES: usize = 255;

const BEGINNING: &str = ".vb-";
const END: &str = ".tmp";

/// `.vb-<random>-<name>.tmp`; where that is too long, without the name.
pub(crate) fn temporary(file_name: &str, random: u64) -> String {
    let name = format!("{BEGINNING}{random:016x}-{file_name}{END}");
    if name.len() <= MOST_BYTES { name } else { format!("{BEGINNING}{random:016x}{END}") }
}

/// Whether a file of this name is an upload that is not committed, of this store or of a local one in the same folder.
pub(crate) fn is_temporary(file_name: &str) -> bool {
    file_name.starts_with(BEGINNING) && file_name.ends_with(END)
}

/// The name that the file is to get, if its own tells.
fn target(temporary: &str) -> Option<&str> {
    let (random, target) = temporary.strip_prefix(BEGINNING)?.strip_suffix(END)?.split_once('-')?;
    let is_random = random.len() == 16 && random.bytes().all(|letter| letter.is_ascii_hexdigit());
    (is_random && !target.is_empty()).then_some(target)
}

/// The upload behind a temporary file; `folder` is its folder below the root, empty or with a slash at its end.
pub(crate) fn open_upload(folder: &str, temporary: &str, begun_at: Instant) -> Option<OpenUpload> {
    let (key, id) = match target(temporary) {
        Some(target) => (format!("{folder}{target}"), temporary.to_owned()),
        None => (format!("{folder}{temporary}"), String::new()),
    };
    Some(OpenUpload { key: Key::parse(&key).ok()?, id, begun_at })
}

/// The inverse: the temporary file's path below the root.
pub(crate) fn path_of(upload: &OpenUpload) -> Result<String> {
    let name = if upload.id.is_empty() { upload.key.file_name() } else { &upload.id };
    if !is_temporary(name) || name.contains('/') {
        return Err(Error::usage(format!("aborting the upload of {}: {name:?} is no temporary file", upload.key)));
    }
    Ok(match upload.key.as_str().rsplit_once('/') {
        Some((folders, _)) => format!("{folders}/{name}"),
        None => name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_name_tells_its_target() {
        let name = temporary("w_20261121_031500.parquet.gz", 255);
        assert_eq!(name, ".vb-00000000000000ff-w_20261121_031500.parquet.gz.tmp");
        let open = open_upload("w/", &name, Instant::default()).unwrap();
        assert_eq!(open.key.as_str(), "w/w_20261121_031500.parquet.gz");
        assert_eq!(path_of(&open).unwrap(), format!("w/{name}"));
    }

    #[test]
    fn names_that_are_too_long_or_of_others_stand_for_themselves() {
        for name in [temporary(&"x".repeat(250), 1), ".vb-1.tmp".to_owned(), ".vb-0123456789abcdef-.tmp".to_owned()] {
            assert!(is_temporary(&name) && name.len() <= MOST_BYTES);
            let open = open_upload("", &name, Instant::default()).unwrap();
            assert_eq!((open.key.as_str(), path_of(&open).unwrap()), (name.as_str(), name.clone()));
        }
    }

    #[test]
    fn only_temporary_files_of_the_same_folder_can_be_aborted() {
        for id in ["object", ".vb-/../x.tmp"] {
            let upload =
                OpenUpload { key: Key::parse("w/o").unwrap(), id: id.to_owned(), begun_at: Instant::default() };
            assert!(path_of(&upload).is_err(), "{id}");
        }
    }
}
