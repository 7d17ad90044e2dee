//! A database to export from and one to import into, and a place for the pipes between them.

use std::path::Path;
use std::process;

use anyhow::{Context, Result, ensure};

use crate::command::{Command, Run};
use crate::place::Place;
use crate::servers::{Database, Postgres};

/// A source, a target, and a place.
#[derive(Debug)]
pub struct Pair {
    /// Where the commands run.
    pub place: Place,
    /// What `vb-export` reads.
    pub source: Database,
    /// What `vb-import` writes.
    pub target: Database,
}

impl Pair {
    /// Two databases of the shared server, the first made by these statements.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub fn new(definition: &str) -> Result<Self> {
        let server = Postgres::shared()?;
        Self::between(server, server, definition)
    }

    /// A database of each of these servers.
    ///
    /// # Errors
    /// When one cannot be reached or refuses.
    pub fn between(source: &Postgres, target: &Postgres, definition: &str) -> Result<Self> {
        let pair = Self {
            place: Place::new()?,
            source: source.create_database("pair_source")?,
            target: target.create_database("pair_target")?,
        };
        pair.source.client()?.batch_execute(definition).context("making the source")?;
        Ok(pair)
    }

    /// A line of sh in which `vb-export` reads the source and `vb-import` writes the target.
    #[must_use]
    pub fn shell(&self, line: &str) -> Command {
        let line = line.replace("vb-export", "DATABASE_URL=$SOURCE vb-export");
        let line = line.replace("vb-import", "DATABASE_URL=$TARGET vb-import");
        self.place.shell(&line).env("SOURCE", self.source.url()).env("TARGET", self.target.url())
    }

    /// Runs such a line.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn run(&self, line: &str) -> Result<Run> {
        self.shell(line).run()
    }

    /// The rows of a query, each as text, sorted.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn rows(database: &Database, query: &str) -> Result<Vec<String>> {
        let query = format!("SELECT row::text FROM ({query}) AS row ORDER BY 1");
        Ok(database.client()?.query(&query, &[]).with_context(|| query.clone())?.iter().map(|row| row.get(0)).collect())
    }

    /// Demands that a query gives the same rows on both sides.
    ///
    /// # Errors
    /// When it does not, with both.
    pub fn same(&self, query: &str) -> Result<()> {
        let (source, target) = (Self::rows(&self.source, query)?, Self::rows(&self.target, query)?);
        ensure!(source == target, "{query} gives\n{}\nand after the restore\n{}", source.join("\n"), target.join("\n"));
        Ok(())
    }

    /// Demands that `pg_dump --schema-only` of these tables writes the same for both.
    ///
    /// # Errors
    /// When it does not, with both.
    pub fn same_schema(&self, pg_dump: &Path, tables: &[&str]) -> Result<()> {
        let (source, target) = (schema_of(pg_dump, &self.source, tables)?, schema_of(pg_dump, &self.target, tables)?);
        ensure!(source == target, "the schema was\n{source}\nand is after the restore\n{target}");
        Ok(())
    }
}

/// What `pg_dump` writes of these tables, without the two lines that it makes up anew each time.
///
/// # Errors
/// When `pg_dump` fails.
pub fn schema_of(pg_dump: &Path, database: &Database, tables: &[&str]) -> Result<String> {
    let mut command = process::Command::new(pg_dump);
    command.args(["--schema-only", "--no-owner", "--no-privileges"]).envs(database.variables());
    command.args(tables.iter().map(|table| format!("--table={table}")));
    let output =
        command.output().context("starting pg_dump\nhint: Run scripts/setup test, which installs what is missing.")?;
    ensure!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    Ok(text
        .lines()
        .filter(|line| !line.starts_with('\\') && !line.starts_with("-- Dump"))
        .collect::<Vec<_>>()
        .join("\n"))
}
