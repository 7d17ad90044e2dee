//! `pg_dump`: which one, and its runs. Its password is in its environment, never on its command line.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use vb_postgres::connection::Parameters;
use vb_postgres::programs::{Program, oldest_from};
use vb_postgres::sql::identifier;
use vb_postgres::stored_schema::Name;

/// A `pg_dump` that reads the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PgDump(Program);

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
        let found = Program::all("pg_dump", named)?;
        let newest = found.iter().map(|dump| dump.major).max();
        oldest_from(found, server_major).map(Self).ok_or_else(|| match newest {
            Some(newest) => format!("pg_dump {newest} does not read a server of version {server_major}; install postgresql-client-{server_major} or newer, or name one in VB_PG_DUMP"),
            None => format!("there is no pg_dump; install postgresql-client-{server_major} or newer, or name one in VB_PG_DUMP"),
        })
    }

    /// `pg_dump 15.18`.
    pub(crate) fn version(&self) -> &str {
        &self.0.version
    }

    /// A run that connects as we do, and asks for nothing.
    pub(crate) fn command(&self, parameters: &Parameters) -> Command {
        let mut command = Command::new(&self.0.path);
        command.env_clear().envs(parameters.libpq_environment()).stdin(Stdio::null());
        command.args(["--no-password", "--encoding=UTF8"]);
        command
    }

    /// The plain text of one section (`pre-data` or `post-data`) of these tables.
    ///
    /// # Errors
    /// In words for people: what `pg_dump` said.
    pub(crate) fn section(&self, run: &Run, section: &str, tables: &[Name]) -> Result<String, String> {
        let mut command = self.command(&run.parameters);
        command.args(["--schema-only", "--no-owner", "--no-privileges", "--no-tablespaces"]);
        command.args(["--no-publications", "--no-subscriptions", "--lock-wait-timeout=2000"]);
        command.arg(format!("--section={section}")).arg(format!("--snapshot={}", run.snapshot));
        if run.row_security {
            command.arg("--enable-row-security");
        }
        command.args(tables.iter().map(pattern));
        self.text(&mut command).map(|(text, _)| text)
    }

    /// What a run writes to standard output, and its warnings.
    ///
    /// # Errors
    /// In words for people: what `pg_dump` said.
    pub(crate) fn text(&self, command: &mut Command) -> Result<(String, Vec<String>), String> {
        let failed = |words: &str| format!("{} said: {}", self.0.path.display(), words.trim());
        let output = command.output().map_err(|cause| failed(&cause.to_string()))?;
        let words = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let line = words.lines().find(|line| line.contains("error")).or(words.lines().next());
            return Err(failed(line.unwrap_or("nothing")));
        }
        let warnings = words.lines().map(str::to_owned).collect();
        let text = String::from_utf8(output.stdout).map_err(|_| failed("its output is not UTF-8"))?;
        Ok((text, warnings))
    }
}

/// The name in double quotes: within them a pattern has no special characters.
fn pattern(table: &Name) -> OsString {
    format!("--table={}.{}", identifier(&table.schema), identifier(&table.name)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_whatever_is_in_it() {
        let name = Name { schema: "a.b".to_owned(), name: "Ü\"*".to_owned() };
        assert_eq!(pattern(&name), "--table=\"a.b\".\"Ü\"\"*\"");
    }
}
