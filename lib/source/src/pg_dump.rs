//! `pg_dump`: which one, and one run of it. Its password is in its environment, never on its command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use vb_postgres::connection::Parameters;
use vb_postgres::sql::identifier;
use vb_postgres::stored_schema::Name;

/// A `pg_dump` that reads the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PgDump {
    program: PathBuf,
    /// `pg_dump 15.18`.
    pub(crate) version: String,
    major: u32,
}

/// What every run of one export has in common.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) parameters: Parameters,
    /// The snapshot's token.
    pub(crate) snapshot: String,
    /// Whether row-level security stays on.
    pub(crate) row_security: bool,
}

impl PgDump {
    /// The one that is named, else the oldest of the machine's that reads a server of this major version: its words are the
    /// closest to the server's own.
    ///
    /// # Errors
    /// In words for people: what is missing, and what to install.
    pub(crate) fn find(named: Option<&Path>, server_major: u32) -> Result<Self, String> {
        let found: Vec<Self> = match named {
            Some(path) => vec![Self::ask(path).ok_or_else(|| format!("{} is no pg_dump", path.display()))?],
            None => programs().iter().filter_map(|path| Self::ask(path)).collect(),
        };
        let newest = found.iter().map(|dump| dump.major).max();
        choose(found, server_major).ok_or_else(|| match newest {
            Some(newest) => format!("pg_dump {newest} does not read a server of version {server_major}; install postgresql-client-{server_major} or newer, or name one in VB_PG_DUMP"),
            None => format!("there is no pg_dump; install postgresql-client-{server_major} or newer, or name one in VB_PG_DUMP"),
        })
    }

    fn ask(program: &Path) -> Option<Self> {
        let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
        let words = String::from_utf8(output.stdout).ok().filter(|words| words.starts_with("pg_dump "))?;
        let number = words.split_whitespace().find(|word| word.starts_with(|letter: char| letter.is_ascii_digit()))?;
        let digits = number.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(number.len());
        Some(Self {
            program: program.to_owned(),
            version: format!("pg_dump {number}"),
            major: number[..digits].parse().ok()?,
        })
    }

    /// The plain text of one section (`pre-data` or `post-data`) of these tables.
    ///
    /// # Errors
    /// In words for people: what `pg_dump` said.
    pub(crate) fn section(&self, run: &Run, section: &str, tables: &[Name]) -> Result<String, String> {
        let mut command = Command::new(&self.program);
        command.env_clear().envs(run.parameters.libpq_environment()).stdin(Stdio::null());
        command.args(["--schema-only", "--no-owner", "--no-privileges", "--no-tablespaces", "--no-password"]);
        command.args(["--no-publications", "--no-subscriptions", "--encoding=UTF8", "--lock-wait-timeout=2000"]);
        command.arg(format!("--section={section}")).arg(format!("--snapshot={}", run.snapshot));
        if run.row_security {
            command.arg("--enable-row-security");
        }
        command.args(tables.iter().map(pattern));
        let failed = |words: &str| format!("{} said: {}", self.program.display(), words.trim());
        let output = command.output().map_err(|cause| failed(&cause.to_string()))?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            let line = words.lines().find(|line| line.contains("error")).or(words.lines().next());
            return Err(failed(line.unwrap_or("nothing")));
        }
        String::from_utf8(output.stdout).map_err(|_| failed("its output is not UTF-8"))
    }
}

/// The name in double quotes: within them a pattern has no special characters.
fn pattern(table: &Name) -> OsString {
    format!("--table={}.{}", identifier(&table.schema), identifier(&table.name)).into()
}

/// The oldest one that is new enough.
fn choose(found: Vec<PgDump>, server_major: u32) -> Option<PgDump> {
    found.into_iter().filter(|dump| dump.major >= server_major).min_by_key(|dump| dump.major)
}

/// Debian's folders first: what stands on its PATH is a script that chooses by other rules than ours.
fn programs() -> Vec<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = debian.map(|folder| folder.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = debian.chain(std::env::split_paths(&path)).collect();
    folders.into_iter().map(|folder| folder.join("pg_dump")).filter(|program| program.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_is_new_enough() {
        let dump = |major| PgDump { program: PathBuf::new(), version: String::new(), major };
        let chosen = |server| choose(vec![dump(18), dump(13), dump(15)], server).map(|dump| dump.major);
        assert_eq!([13, 14, 15, 17, 18, 19].map(chosen), [Some(13), Some(15), Some(15), Some(18), Some(18), None]);
    }

    #[test]
    fn a_pattern_is_a_name_whatever_is_in_it() {
        let name = Name { schema: "a.b".to_owned(), name: "Ü\"*".to_owned() };
        assert_eq!(pattern(&name), "--table=\"a.b\".\"Ü\"\"*\"");
    }

    #[test]
    fn what_is_no_pg_dump_is_said_so() {
        assert!(PgDump::find(Some(Path::new("/bin/true")), 15).unwrap_err().contains("/bin/true is no pg_dump"));
    }
}
