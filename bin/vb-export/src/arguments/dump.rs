//! What the command line asks for of a whole database.

use super::{Arguments, CompressionName, FormatName, Part, Source};
use std::path::PathBuf;
use vb_core::environment::{self as variables, Environment};
use vb_core::time::Instant;
use vb_core::{Error, Result};
use vb_source::Format;
use vb_source::dump::DumpRequest;

impl Arguments {
    /// What is asked for of a whole database, if that is; and whether as Parquet.
    ///
    /// # Errors
    /// A usage error for options that are for tables, and for settings that mean nothing.
    pub(crate) fn dump(&self, environment: &Environment, now: Instant) -> Result<Option<(DumpRequest, bool)>> {
        let Some(Source::Dump) = &self.source else { return Ok(None) };
        self.part.refuse_for_dump()?;
        let compression = match (self.form.format, self.form.format()) {
            (None | Some(FormatName::Custom), _) if self.form.compression != CompressionName::None => {
                return Err(
                    Error::usage("--compression is for Parquet only").with_hint("Pipe the stream through vb-compress.")
                );
            }
            (None | Some(FormatName::Custom), _) => None,
            (_, Ok(Format::Parquet(compression))) => Some(compression),
            _ => return Err(Error::usage("a database is dumped as custom or as parquet")),
        };
        if compression.is_none() && (self.speed.row_hash || self.speed.jobs.is_some_and(|jobs| jobs > 1)) {
            return Err(Error::usage("--jobs and --row-hash are for --format parquet")
                .with_hint("pg_dump writes its archive over one connection, and hashes nothing."));
        }
        let request = DumpRequest {
            set: self.set(environment)?,
            jobs: self.speed.jobs(environment)?,
            row_hash: self.speed.row_hash || environment.get(variables::VB_ROW_HASH) == Some("yes"),
            lock_wait: self.lock_wait(environment, now)?,
            compression: compression.unwrap_or_default(),
            pg_dump: environment.get(variables::VB_PG_DUMP).map(PathBuf::from),
        };
        Ok(Some((request, compression.is_some())))
    }
}

impl Part {
    /// All of a database, as it is: what chooses rows is for tables.
    fn refuse_for_dump(&self) -> Result<()> {
        let given = [&self.since, &self.until, &self.range, &self.condition, &self.by, &self.shard, &self.snapshot];
        let flagged = self.only || self.enable_row_security || self.deletes || self.full;
        if given.iter().all(|option| option.is_none()) && !flagged {
            return Ok(());
        }
        Err(Error::usage("options that choose rows are for tables, not for a whole database")
            .with_hint("Leave them out, or export the table with vb-export table."))
    }
}
