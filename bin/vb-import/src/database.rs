//! A whole database: into the empty one of the connection, or beside a live one and then in its place.

use serde_json::{Value, json};
use std::fs::File;
use std::path::PathBuf;
use vb_core::{Error, ErrorKind, Result};
use vb_pipe::{Done, Session, cleanup};
use vb_postgres::catalog;
use vb_postgres::connection::{Parameters, connect, from_postgres};
use vb_target::database::pg_restore::{self, ArchiveRequest, ArchiveRestored};
use vb_target::database::{self, DatabaseChain, Options, Restored, Scratch};

/// What came.
#[derive(Debug)]
pub(crate) enum Form {
    /// The archive of `vb-export dump --format parquet`, or a chain of them.
    Tables(Box<DatabaseChain>),
    /// The archive of `pg_dump -Fc`.
    Custom(File),
}

/// A database that has come to its end.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) form: Form,
    /// What it is to people.
    pub(crate) name: String,
    pub(crate) size_bytes: u64,
}

/// What is asked for.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "A whole database")]
pub(crate) struct DatabaseArguments {
    /// Restore beside the database of the connection, check it there, and put it in that one's place; the old one is kept
    #[arg(long)]
    pub(crate) swap: bool,

    /// With --swap: stop before that, and drop what was restored
    #[arg(long, requires = "swap")]
    verify_only: bool,

    /// With --swap: disconnect whoever is connected, instead of refusing
    #[arg(long, requires = "swap")]
    disconnect: bool,

    /// Everything belongs to the role that restores, and no privilege is granted
    #[arg(long)]
    no_owner: bool,

    /// Restore an archive of pg_dump even into a database that is not empty
    #[arg(long, conflicts_with = "swap")]
    force: bool,
}

impl DatabaseArguments {
    /// Whether any of them is given.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.swap || self.verify_only || self.disconnect || self.no_owner || self.force
    }
}

/// One restore.
pub(crate) struct Restore<'run> {
    pub(crate) arguments: &'run DatabaseArguments,
    pub(crate) jobs: usize,
    pub(crate) dry_run: bool,
    pub(crate) pg_restore: Option<PathBuf>,
}

/// What came of it: the fields of the status line, and why it is not all.
struct Outcome {
    fields: Value,
    words: String,
    shortfall: Option<Error>,
}

impl Restore<'_> {
    /// Restores it.
    ///
    /// # Errors
    /// Whatever keeps the database from being restored; what is connected to the live one, and what is in the empty one.
    pub(crate) fn run(&self, session: &Session, source: Source, parameters: &Parameters) -> Result<Done> {
        if self.dry_run {
            let place = if self.arguments.swap { "in the place of" } else { "into" };
            let fields = json!({ "dry_run": true, "database": parameters.database(), "size_bytes": source.size_bytes });
            return session.done(&fields, format!("would restore {} {place} {}", source.name, parameters.database()));
        }
        if self.arguments.swap {
            return self.swap(session, source, parameters);
        }
        if !(self.arguments.force && matches!(source.form, Form::Custom(_))) {
            database::check_empty(parameters)?;
        }
        let outcome = self.fill(session, source, parameters)?;
        let done = session.done(&outcome.fields, outcome.words)?;
        Ok(outcome.shortfall.into_iter().fold(done, Done::but))
    }

    fn swap(&self, session: &Session, source: Source, parameters: &Parameters) -> Result<Done> {
        let DatabaseArguments { verify_only, disconnect, .. } = *self.arguments;
        if !verify_only && !disconnect {
            database::refuse_connected(parameters)?;
        }
        let scratch = Scratch::create(parameters, session.now())?;
        scratch.warnings.iter().for_each(|warning| session.warn(warning));
        let undo = {
            let scratch = scratch.clone();
            cleanup::on_failure(move || drop(scratch.remove()))
        };
        let mut outcome = self.fill(session, source, &scratch.parameters())?;
        if let Some(shortfall) = outcome.shortfall {
            return Err(shortfall.during(format!("{} stays as it is", scratch.live)));
        }
        outcome.fields["database"] = scratch.live.clone().into();
        outcome.fields["swapped"] = (!verify_only).into();
        if verify_only {
            drop(undo);
            return session.done(&outcome.fields, format!("{}; {} stays as it is", outcome.words, scratch.live));
        }
        session.event("checked", &outcome.fields)?;
        {
            let _both_renames = cleanup::uninterrupted();
            if let Err(error) = scratch.swap(disconnect) {
                if error.kind() == ErrorKind::Conflict {
                    // What took so long is not thrown away for somebody who has connected meanwhile.
                    scratch.keep()?;
                    undo.disarm();
                    return Err(error.during(format!("{} is restored and checked, and waits", scratch.name())));
                }
                return Err(error);
            }
            undo.disarm();
        }
        outcome.fields["kept_as"] = scratch.before.clone().into();
        let kept = scratch.before.map(|name| format!("; the old one is kept as {name}")).unwrap_or_default();
        session.done(&outcome.fields, format!("{}, now in the place of {}{kept}", outcome.words, scratch.live))
    }

    fn fill(&self, session: &Session, source: Source, parameters: &Parameters) -> Result<Outcome> {
        let mut outcome = match source.form {
            Form::Tables(chain) => self.tables(session, &chain, parameters)?,
            Form::Custom(file) => self.custom(session, file, &source.name, parameters)?,
        };
        outcome.fields["size_bytes"] = source.size_bytes.into();
        Ok(outcome)
    }

    fn tables(&self, session: &Session, chain: &DatabaseChain, parameters: &Parameters) -> Result<Outcome> {
        let options = Options { jobs: self.jobs, no_owner: self.arguments.no_owner };
        let progress = session.progress("sent");
        let restored = database::restore(chain, &options, parameters, &|bytes| progress.add(bytes))?;
        drop(progress);
        let Restored { tables, warnings } = restored;
        warnings.iter().for_each(|warning| session.warn(warning));
        for table in &tables {
            let fields =
                json!({ "table": table.table, "records_restored": table.records, "identical": table.identical });
            session.event("table", &fields)?;
            session.explain(&format!("{}: {} records", table.table, table.records));
        }
        let records: u64 = tables.iter().map(|table| table.records).sum();
        let identical = !tables.is_empty() && tables.iter().all(|table| table.identical == Some(true));
        let mut fields = json!({
            "source": "database",
            "database": parameters.database(),
            "tables": tables.len(),
            "records_restored": records,
            "one_transaction": self.jobs < 2,
        });
        if identical {
            fields["identical"] = true.into();
        }
        let same = if identical { ", identical" } else { "" };
        let (name, links) = (&chain.newest().head.database, chain.names());
        let from = if links.len() > 1 { format!(" from {} backups", links.len()) } else { String::new() };
        if links.len() > 1 {
            fields["backups"] = links.into();
        }
        let words = format!("restored {records} records in {} tables of {name}{from}{same}", tables.len());
        Ok(Outcome { fields, words, shortfall: None })
    }

    fn custom(&self, session: &Session, file: File, name: &str, parameters: &Parameters) -> Result<Outcome> {
        let mut client = connect(parameters)?;
        let server = catalog::server(&mut client)?;
        let server_major = server.version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default();
        let request = ArchiveRequest {
            server_major,
            jobs: self.jobs,
            no_owner: self.arguments.no_owner,
            program: self.pg_restore.as_deref(),
        };
        let restored = pg_restore::restore(file, name, &request, parameters)?;
        // A table's statistics are in no dump, and without them every plan is a guess.
        client.batch_execute("ANALYZE").map_err(|cause| from_postgres("gathering statistics", cause))?;
        let ArchiveRestored { restored_by, one_transaction, ignored, warnings } = restored;
        warnings.iter().for_each(|warning| session.warn(warning));
        ignored.iter().for_each(|error| session.warn(&format!("ignored: {error}")));
        let fields = json!({
            "source": "database",
            "database": parameters.database(),
            "restored_by": restored_by,
            "one_transaction": one_transaction,
            "ignored": ignored,
        });
        let shortfall = ignored.first().map(|first| {
            Error::new(
                ErrorKind::Partial,
                format!("restoring {name}: {restored_by} went on after {} errors; the first: {first}", ignored.len()),
            )
            .with_hint("The rest is in the database. See what is missing before it is used.")
        });
        Ok(Outcome { fields, words: format!("restored the database {}", parameters.database()), shortfall })
    }
}
