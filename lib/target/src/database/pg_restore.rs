//! The archive of `pg_dump -Fc` into an empty database, by `pg_restore`: in one transaction, wherever that can be.
//!
//! `pg_restore` from version 17 on sends a setting that older servers do not know (`transaction_timeout`), which would end the one
//! transaction. There it runs without one, and what it ignored is told apart: that setting is nothing, anything else is named.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use vb_core::{Error, Result};
use vb_postgres::connection::Parameters;
use vb_postgres::programs::{Program, oldest_from};

/// What such an archive begins with.
pub const MAGIC: &[u8; 5] = b"PGDMP";

/// From this version on it sends the setting, and servers know it.
const SENDS_TRANSACTION_TIMEOUT: u32 = 17;

/// Several connections take them one after the other. In one run, `pg_restore` makes the triggers of a partitioned table, which has no
/// rows itself, before the rows of its parts have come: they would run for each of them.
const SECTIONS: [Option<&str>; 3] = [Some("pre-data"), Some("data"), Some("post-data")];

/// How to restore.
#[derive(Debug, Clone, Default)]
pub struct ArchiveRequest<'run> {
    /// The server's major version.
    pub server_major: u32,
    /// Connections; more than one cannot share a transaction.
    pub jobs: usize,
    /// Everything belongs to the role that restores.
    pub no_owner: bool,
    /// The `pg_restore`, where the user chose one.
    pub program: Option<&'run Path>,
}

/// What `pg_restore` said, although it restored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchiveRestored {
    /// Such as `pg_restore 15.18`.
    pub restored_by: String,
    /// Whether all of it was one transaction.
    pub one_transaction: bool,
    /// Errors that it went on after.
    pub ignored: Vec<String>,
    /// Its warnings.
    pub warnings: Vec<String>,
}

/// Restores. `name` names the archive in errors.
///
/// # Errors
/// What `pg_restore` said, and whether anything was changed; a missing program.
pub fn restore(
    mut file: File,
    name: &str,
    request: &ArchiveRequest<'_>,
    parameters: &Parameters,
) -> Result<ArchiveRestored> {
    let step = format!("restoring {name}");
    let mut head = [0; 7];
    let read = file.rewind().and_then(|()| file.read_exact(&mut head)).and_then(|()| file.rewind());
    read.map_err(|_| Error::integrity(format!("{step}: it is cut off in its first bytes")))?;
    let program = find(request.program, head[5], head[6])?;
    let one_transaction = request.jobs < 2 && knows_all_settings(program.major, request.server_major);
    let mut all = Said::default();
    let sections: &[Option<&str>] = if request.jobs > 1 { &SECTIONS } else { &[None] };
    for section in sections {
        let mut command = Command::new(&program.path);
        command.env_clear().envs(parameters.libpq_environment());
        command.args(["--no-password", "--dbname"]).arg(keyword("dbname", parameters.database()));
        if one_transaction {
            command.arg("--single-transaction");
        }
        if request.no_owner {
            command.args(["--no-owner", "--no-privileges"]);
        }
        if let Some(section) = section {
            // Each of its processes opens the file anew, by this name.
            command.arg(format!("--section={section}")).arg(format!("--jobs={}", request.jobs)).arg("/dev/stdin");
        }
        let again = file.try_clone().map_err(|cause| Error::io(&step, cause))?;
        let output = command.stdin(Stdio::from(again)).stdout(Stdio::null()).stderr(Stdio::piped()).output();
        let output = output.map_err(|cause| Error::io(format!("starting {}", program.path.display()), cause))?;
        let said = Said::of(&String::from_utf8_lossy(&output.stderr), request.server_major);
        if !output.status.success() && !said.went_on {
            return Err(said.failure(&step, &program.version, output.status, one_transaction));
        }
        all.errors.extend(said.errors);
        all.warnings.extend(said.warnings);
    }
    Ok(ArchiveRestored { restored_by: program.version, one_transaction, ignored: all.errors, warnings: all.warnings })
}

fn knows_all_settings(program: u32, server: u32) -> bool {
    program < SENDS_TRANSACTION_TIMEOUT || server >= SENDS_TRANSACTION_TIMEOUT
}

/// The oldest that reads an archive of this version: 1.15 came with 16, 1.16 with 17.
fn find(named: Option<&Path>, major: u8, minor: u8) -> Result<Program> {
    let needed = match (major, minor) {
        (1, ..=14) => 0,
        (1, 15) => 16,
        _ => 17,
    };
    let found = Program::all("pg_restore", named).map_err(Error::usage)?;
    let newest = found.iter().map(|program| program.major).max();
    oldest_from(found, needed).ok_or_else(|| {
        let install = format!("Install postgresql-client-{} or newer, or name one in VB_PG_RESTORE.", needed.max(15));
        Error::not_found(match newest {
            Some(newest) => format!("pg_restore {newest} does not read an archive of version {major}.{minor}"),
            None => "there is no pg_restore".to_owned(),
        })
        .with_hint(install)
    })
}

/// `name='value'`, as libpq reads it.
fn keyword(name: &str, value: &str) -> String {
    format!("{name}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Its words, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    /// Without those that mean nothing.
    errors: Vec<String>,
    warnings: Vec<String>,
    /// Whether it says that it ignored errors, which it says at its very end only.
    went_on: bool,
}

impl Said {
    /// Why a run that did not go on to its end failed.
    fn failure(&self, step: &str, program: &str, status: ExitStatus, one_transaction: bool) -> Error {
        let why = self.errors.first().or(self.warnings.last()).cloned();
        let why = why.unwrap_or_else(|| format!("it ended with {status}"));
        let changed = if one_transaction { "Nothing was changed." } else { "The database is incomplete: drop it." };
        Error::failure(format!("{step}: {program}: {why}"))
            .with_hint(format!("{changed} Roles that are missing have to be made first, or left out with --no-owner."))
    }

    fn of(words: &str, server_major: u32) -> Self {
        let mut said = Self::default();
        for line in words.lines().map(str::trim) {
            let line = line.strip_prefix("pg_restore: ").unwrap_or(line);
            let setting = server_major < SENDS_TRANSACTION_TIMEOUT && line.contains("\"transaction_timeout\"");
            if line.starts_with("warning: errors ignored on restore:") {
                said.went_on = true;
            } else if let Some(error) = line.strip_prefix("error: ").filter(|_| !setting) {
                said.errors.push(error.to_owned());
            } else if let Some(warning) = line.strip_prefix("warning: ") {
                said.warnings.push(warning.to_owned());
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_of_newer_programs_is_no_error() {
        let words = "pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter \"transaction_timeout\"\n\
            Command was: SET transaction_timeout = 0;\npg_restore: warning: errors ignored on restore: 1\n";
        assert_eq!(Said::of(words, 15), Said { went_on: true, ..Said::default() });
        let words = format!("{words}pg_restore: error: could not execute query: ERROR:  role \"bob\" does not exist\n");
        assert_eq!(Said::of(&words, 15).errors.len(), 1);
        assert_eq!(Said::of("pg_restore: error: could not read from input file: end of file", 15).errors.len(), 1);
        assert!(knows_all_settings(16, 13) && knows_all_settings(17, 17) && !knows_all_settings(18, 16));
    }

    #[test]
    fn a_name_stays_one_value() {
        assert_eq!(keyword("dbname", "a'b\\c=d"), "dbname='a\\'b\\\\c=d'");
    }
}
