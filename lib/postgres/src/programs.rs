//! Which of PostgreSQL's own programs are on the machine: `pg_dump`, `pg_restore`, each with its version.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program that said its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where it lies.
    pub path: PathBuf,
    /// Such as `pg_dump 15.18`.
    pub version: String,
    /// Such as 15.
    pub major: u32,
}

impl Program {
    /// The one that is named, else all of that name on the machine.
    ///
    /// # Errors
    /// In words for people, if the named one is no such program.
    pub fn all(name: &str, named: Option<&Path>) -> Result<Vec<Self>, String> {
        match named {
            Some(path) => Ok(vec![Self::ask(name, path).ok_or_else(|| format!("{} is no {name}", path.display()))?]),
            None => Ok(candidates(name).iter().filter_map(|path| Self::ask(name, path)).collect()),
        }
    }

    fn ask(name: &str, program: &Path) -> Option<Self> {
        let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
        let words = String::from_utf8(output.stdout).ok().filter(|words| words.starts_with(&format!("{name} ")))?;
        let number = words.split_whitespace().find(|word| word.starts_with(|letter: char| letter.is_ascii_digit()))?;
        let digits = number.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(number.len());
        Some(Self {
            path: program.to_owned(),
            version: format!("{name} {number}"),
            major: number[..digits].parse().ok()?,
        })
    }
}

/// The oldest one that is new enough.
#[must_use]
pub fn oldest_from(found: Vec<Program>, major: u32) -> Option<Program> {
    found.into_iter().filter(|program| program.major >= major).min_by_key(|program| program.major)
}

/// Debian's folders first: what stands on its PATH is a script that chooses by other rules than ours.
fn candidates(name: &str) -> Vec<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = debian.map(|folder| folder.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = debian.chain(std::env::split_paths(&path)).collect();
    folders.into_iter().map(|folder| folder.join(name)).filter(|program| program.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_is_new_enough() {
        let program = |major| Program { path: PathBuf::new(), version: String::new(), major };
        let chosen = |server| oldest_from(vec![program(18), program(13), program(15)], server).map(|one| one.major);
        assert_eq!([13, 14, 15, 17, 18, 19].map(chosen), [Some(13), Some(15), Some(15), Some(18), Some(18), None]);
    }

    #[test]
    fn another_program_is_none() {
        assert!(Program::all("pg_dump", Some(Path::new("/bin/true"))).unwrap_err().contains("/bin/true is no pg_dump"));
    }
}
