//! What the command line asks for of a whole database.

use super::{Arguments, CompressionName, FormatName, Part, Source, mark};
use crate::sidecar::Sidecar;
use std::path::{Path, PathBuf};
use vb_core::environment::{self as variables, Environment};
use vb_core::mark::Mark;
use vb_core::position::XMIN;
use vb_core::time::Instant;
use vb_core::{Error, Result};
use vb_postgres::database::State;
use vb_source::Format;
use vb_source::dump::{Base, DumpRequest, Since};

impl Arguments {
    /// What is asked for of a whole database, if that is; whether as Parquet; and where the next dump finds what it needs.
    ///
    /// # Errors
    /// A usage error for options that are for tables, and for settings that mean nothing.
    pub(crate) fn dump(
        &self,
        environment: &Environment,
        now: Instant,
    ) -> Result<Option<(DumpRequest, bool, Option<Sidecar>)>> {
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
        let mut sidecar = self.part.beside(compression.is_some())?;
        let since = sidecar.as_mut().map(|sidecar| self.part.since_last(sidecar, now)).transpose()?;
        let request = DumpRequest {
            since,
            set: self.set(environment)?,
            jobs: self.speed.jobs(environment)?,
            row_hash: self.speed.row_hash || environment.get(variables::VB_ROW_HASH) == Some("yes"),
            lock_wait: self.lock_wait(environment, now)?,
            compression: compression.unwrap_or_default(),
            pg_dump: environment.get(variables::VB_PG_DUMP).map(PathBuf::from),
        };
        Ok(Some((request, compression.is_some(), sidecar)))
    }
}

impl Part {
    /// All of a database, as it is: what chooses rows is for tables.
    fn refuse_for_dump(&self) -> Result<()> {
        let given = [&self.until, &self.range, &self.condition, &self.shard, &self.snapshot];
        let flagged = self.only || self.enable_row_security;
        if given.iter().all(|option| option.is_none()) && !flagged {
            return Ok(());
        }
        Err(Error::usage("options that choose rows are for tables, not for a whole database")
            .with_hint("Leave them out, or export the table with vb-export table."))
    }

    /// Where a dump of a chain leaves what the next one needs: beside the file that says where it ended.
    fn beside(&self, as_parquet: bool) -> Result<Option<Sidecar>> {
        let refuse = |message: &str, hint: &str| Err(Error::usage(message).with_hint(hint));
        let file = self.since.as_deref().and_then(|since| since.strip_prefix('@'));
        match (&self.since, file) {
            (Some(_), None) => refuse(
                "a database knows no times to start from",
                "Give --since @FILE, the file that vb-put --mark writes; a missing one is a full dump.",
            ),
            (Some(_), _) if !as_parquet => refuse(
                "the archive of pg_dump holds a whole database, and never what has changed",
                "Give --format parquet, or leave out --since.",
            ),
            (Some(_), _) if self.by.as_deref().is_some_and(|by| by != XMIN) => refuse(
                "what is new in a database goes by transactions",
                "Leave out --by, or export the table with vb-export table.",
            ),
            (None, _) if self.deletes || self.by.is_some() => {
                refuse("--deletes and --by need --since @FILE", "A dump that others stand on begins with it.")
            }
            (_, file) => Ok(file.map(|file| Sidecar::beside(Path::new(file)))),
        }
    }

    /// What the last dump has left.
    fn since_last(&self, sidecar: &mut Sidecar, now: Instant) -> Result<Since> {
        let last = self.since.as_deref().map(|since| mark(since, now)).transpose()?.flatten();
        let read = |mark: Mark| -> Result<Base> { Ok(Base { state: sidecar.read(&mark, State::parse)?, mark }) };
        Ok(Since { base: last.filter(|_| !self.full).map(read).transpose()? })
    }
}
