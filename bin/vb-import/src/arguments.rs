//! The command line, and what it asks for.

use crate::database::{DatabaseArguments, Restore};
use std::path::PathBuf;
use vb_core::environment::{self as variables, Environment};
use vb_core::{Error, Result, watermark};
use vb_pipe::{CommonArguments, EXIT_CODES};
use vb_target::{Mode, ModeChoice, Request};

const EXAMPLES: &str = "\
Examples:
  vb-get --latest --chain | vb-import
  vb-get --at 2026-11-20 --chain | vb-import --table scratch.scores
  vb-get --latest --kind full | vb-compress -d | vb-import
  vb-get --latest --chain | vb-import --swap --jobs 2
  vb-import --mode replace stations.parquet
  vb-import --range 2026-11-01:2026-11-30 --dry-run scores.parquet";

/// A backup, or a chain of them, back into a table of PostgreSQL, in one transaction.
#[derive(Debug, clap::Parser)]
#[command(name = "vb-import", version, about, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Arguments {
    /// The Parquet file, or the archive of vb-get --chain; `-` or nothing for standard input
    #[arg(value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,

    /// The table, if not the one that the file is from; made if it is missing
    #[arg(long, value_name = "NAME")]
    table: Option<String>,

    /// What becomes of rows that are there
    #[arg(long, value_enum, default_value_t = ModeName::Auto)]
    mode: ModeName,

    /// How a missing table is made
    #[arg(long, value_enum, default_value_t = SchemaName::Auto)]
    schema: SchemaName,

    /// Only rows of these days, both included
    #[arg(long, value_name = "DAY:DAY")]
    range: Option<String>,

    /// The time column for --range; without it updated_at, else created_at
    #[arg(long, value_name = "COLUMN", requires = "range")]
    by: Option<String>,

    /// Connections that fill a table that is made, and processes of the server that build an index of it; of a whole database, connections
    ///
    /// By default one, and as many processes as the server is set to.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,

    /// Keep the triggers of the table and of its parts quiet
    #[arg(long)]
    disable_triggers: bool,

    /// Take the rows as they come, without a comparison with the source's hash
    #[arg(long)]
    no_compare: bool,

    #[command(flatten)]
    database: DatabaseArguments,

    #[command(flatten)]
    pub(crate) common: CommonArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ModeName {
    /// Insert into a new or empty table, upsert into one with rows
    Auto,
    /// Add the rows; one whose key is there already is a conflict
    Insert,
    /// Add the rows; one whose primary key is there already takes the old one's place
    Upsert,
    /// Put the rows in the place of all that are there
    Replace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum SchemaName {
    /// As it was, with defaults, constraints, indexes and triggers, if that is in the file
    Auto,
    /// From its columns and its primary key alone
    Description,
}

impl Arguments {
    /// What is asked for where a whole database has come.
    ///
    /// # Errors
    /// A usage error for options that are for a table.
    pub(crate) fn whole_database(&self, environment: &Environment) -> Result<Restore<'_>> {
        let for_a_table = self.table.is_some() || self.range.is_some() || self.disable_triggers || self.no_compare;
        if for_a_table || self.mode != ModeName::Auto || self.schema != SchemaName::Auto {
            return Err(Error::usage("--table, --mode, --schema, --range, --no-compare and --disable-triggers are for a table, and a whole database has come")
                .with_hint("Leave them out; a single table of the archive can be restored after tar -x, from its Parquet file."));
        }
        Ok(Restore {
            arguments: &self.database,
            jobs: self.jobs.map_or(1, usize::from),
            dry_run: self.common.dry_run,
            pg_restore: environment.get(variables::VB_PG_RESTORE).map(PathBuf::from),
        })
    }

    /// # Errors
    /// A usage error for options that are for a whole database, where a table has come.
    pub(crate) fn refuse_database_options(&self) -> Result<()> {
        if !self.database.is_asked_for() {
            return Ok(());
        }
        Err(Error::usage("--swap, --verify-only, --disconnect, --force and --no-owner are for a whole database, and a table has come")
            .with_hint("Leave them out; nothing was changed."))
    }

    /// Whether the user chose what becomes of rows that are there.
    pub(crate) fn chooses_mode(&self) -> bool {
        self.mode != ModeName::Auto
    }

    /// What is asked for of a table.
    ///
    /// # Errors
    /// A usage error for a range that means nothing.
    pub(crate) fn request(&self) -> Result<Request> {
        if self.table.as_deref() == Some("") {
            return Err(Error::usage("--table is empty"));
        }
        let mode = match self.mode {
            ModeName::Auto => ModeChoice::Auto,
            ModeName::Insert => ModeChoice::Chosen(Mode::Insert),
            ModeName::Upsert => ModeChoice::Chosen(Mode::Upsert),
            ModeName::Replace => ModeChoice::Chosen(Mode::Replace),
        };
        Ok(Request {
            table: self.table.clone(),
            mode,
            range: self.range.as_deref().map(watermark::parse_range).transpose()?,
            by: self.by.clone(),
            jobs: self.jobs.map_or(0, usize::from),
            disable_triggers: self.disable_triggers,
            by_description: self.schema == SchemaName::Description,
            uncompared: self.no_compare,
        })
    }
}
