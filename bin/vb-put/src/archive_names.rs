//! What files are called in an archive: relative, and never out of the folder in which it is unpacked. Pure functions.

use std::path::{Component, Path, PathBuf};
use vb_core::{Error, Result};

/// A file or folder that was named, and its name in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) path: PathBuf,
    pub(crate) name: PathBuf,
}

/// The name in the archive: what follows the root and the last `..`, as GNU tar has it.
fn name_of(path: &Path) -> PathBuf {
    let mut name = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => name.push(part),
            Component::ParentDir => name.clear(),
            Component::RootDir | Component::Prefix(_) | Component::CurDir => {}
        }
    }
    name
}

/// The names of all that was named.
///
/// # Errors
/// A usage error if two would be one file when they are unpacked.
pub(crate) fn roots(paths: &[PathBuf]) -> Result<Vec<Root>> {
    let mut roots: Vec<Root> = Vec::with_capacity(paths.len());
    for path in paths {
        if path == Path::new("-") {
            return Err(Error::usage("standard input cannot be one of several files"));
        }
        roots.push(Root { path: path.clone(), name: name_of(path) });
    }
    let mut sorted: Vec<&Root> = roots.iter().collect();
    sorted.sort_by(|left, right| left.name.cmp(&right.name));
    // Of names in order, one that holds others stands right before the first of them.
    if let Some(pair) = sorted.windows(2).find(|pair| pair[1].name.starts_with(&pair[0].name)) {
        let (one, other) = (pair[0].path.display(), pair[1].path.display());
        return Err(Error::usage(format!("{one} and {other} would be in the same place in the archive"))
            .with_hint("Name each file once, or store them as two backups."));
    }
    Ok(roots)
}

/// The set of an archive where nobody names one: that of a folder that stands alone.
pub(crate) fn suggested_set(paths: &[PathBuf]) -> String {
    let alone = match paths {
        [only] => name_of(only).file_name().map(|name| name.to_string_lossy().into_owned()),
        _ => None,
    };
    alone.unwrap_or_else(|| "files".to_owned())
}

/// `a, b and 3 more`.
pub(crate) fn words(paths: &[PathBuf]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = paths.iter().take(SHOWN).map(|path| path.display().to_string()).collect();
    match paths.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn names_stay_below_where_they_are_unpacked() {
        for (path, name) in
            [("/etc/hosts", "etc/hosts"), ("./a/./b", "a/b"), ("../../a", "a"), ("a/../../b/c", "b/c"), (".", "")]
        {
            assert_eq!(name_of(Path::new(path)), Path::new(name), "{path}");
        }
    }

    #[test]
    fn no_file_may_be_there_twice() {
        assert_eq!(roots(&paths(&["a", "a.b", "b/c"])).unwrap().len(), 3);
        for twice in [&["a", "./a"][..], &["a", "a/b"], &["b", "../b", "c"], &[".", "a"], &["a", "-"]] {
            assert!(roots(&paths(twice)).is_err(), "{twice:?}");
        }
    }

    #[test]
    fn an_archive_says_what_it_is_of() {
        assert_eq!(suggested_set(&paths(&["/srv/maps/"])), "maps");
        assert_eq!(suggested_set(&paths(&["a", "b"])), "files");
        assert_eq!(words(&paths(&["a", "b", "c", "d", "e"])), "a, b, c and 2 more");
    }
}
