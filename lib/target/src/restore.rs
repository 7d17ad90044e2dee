//! Does what was planned: one transaction, from the first definition to the last sequence.

use crate::errors::{not_made, refused};
use crate::optional::{self, LeftOut};
use crate::oracle::{self, Identity};
use crate::parquet_file::ParquetFile;
use crate::plan::{self, Plan};
use crate::request::Request;
use crate::{catalog, moving, rows, sequences};
use postgres::Client;
use vb_core::{Error, Result};
use vb_postgres::connection::{Parameters, connect, from_postgres};
use vb_postgres::encode::{CopyEncoder, fits};
use vb_postgres::resolve::Resolver;
use vb_postgres::snapshot::SESSION_SETTINGS;
use vb_postgres::sql::identifier;

/// A restore that is planned, its transaction open. Dropped, it changes nothing.
pub struct Restore {
    /// What will be done.
    pub plan: Plan,
    client: Client,
    file: ParquetFile,
}

/// All rows are in the table, and nobody else can see them yet. Dropped, it changes nothing.
pub struct Loaded {
    client: Client,
    /// The rows of the file.
    pub records_read: u64,
    /// The rows that were restored: all, or those of the wanted days.
    pub records_restored: u64,
    /// What of the schema could not be made here.
    pub left_out: Vec<LeftOut>,
    /// What people should know.
    pub warnings: Vec<String>,
    /// Whether the rows are what they were at the source.
    pub identity: Identity,
}

impl Restore {
    /// Connects, looks at the target and plans. Nothing is changed yet.
    ///
    /// # Errors
    /// If the server cannot be reached, or the rows cannot go where they should.
    pub fn open(request: &Request, file: ParquetFile, parameters: &Parameters) -> Result<Self> {
        let mut client = connect(parameters)?;
        let step = "beginning the restore";
        client.batch_execute(SESSION_SETTINGS).map_err(|cause| from_postgres(step, cause))?;
        client.batch_execute("SET lock_timeout = '10s'").map_err(|cause| from_postgres(step, cause))?;
        let (mut target, oid) = catalog::locate(&mut client, request.table.as_deref(), file.description())?;
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
        client.batch_execute(begin).map_err(|cause| from_postgres(step, cause))?;
        catalog::inspect(&mut client, &mut target, oid, file.description(), file.stored())?;
        let plan = plan::of(request, &file, &target)?;
        Ok(Self { plan, client, file })
    }

    /// Sends every row; `passed` hears of the bytes. Nothing is visible to others before [`Loaded::commit`].
    ///
    /// # Errors
    /// Whatever the server refuses; then nothing is changed.
    pub fn run(mut self, passed: &(dyn Fn(u64) + Sync)) -> Result<Loaded> {
        let step = format!("restoring {}", self.plan.table);
        for statement in &self.plan.before {
            self.client.batch_execute(statement).map_err(|cause| not_made(&step, &self.plan, statement, cause))?;
        }
        let encoder = self.encoder()?;
        let counts = rows::copy(&mut self.client, &self.file, &self.plan, &encoder, passed)?;
        if let Some(merge) = &self.plan.merge {
            let merged = self.client.execute(merge, &[]).map_err(|cause| refused(&step, cause))?;
            // A table that is all key has nothing to update, so that known rows are not counted.
            if merged != counts.sent && !merge.ends_with("NOTHING") {
                return Err(Error::integrity(format!(
                    "{step}: {} rows were sent, but {merged} were merged",
                    counts.sent
                )));
            }
        }
        for statement in &self.plan.after {
            self.client.batch_execute(statement).map_err(|cause| refused(&step, cause))?;
        }
        let left_out = optional::run(&mut self.client, &step, &self.plan.optional)?;
        if let Some(moved) = &self.plan.moved {
            moving::out_of_scratch(&mut self.client, &step, moved)?;
        }
        let warnings = sequences::advance(&mut self.client, &self.plan)?;
        let identity = oracle::check(&mut self.client, &self.plan, &self.file)?;
        let (records_read, records_restored) = (counts.read, counts.sent);
        Ok(Loaded { client: self.client, records_read, records_restored, left_out, warnings, identity })
    }

    /// The encoder for the types that the server itself names.
    fn encoder(&mut self) -> Result<CopyEncoder> {
        let table = &self.plan.table;
        let names: Vec<String> = self.plan.sent.iter().map(|sent| identifier(&sent.name)).collect();
        let select = format!("SELECT {} FROM {}", names.join(", "), self.plan.destination);
        let statement =
            self.client.prepare(&select).map_err(|cause| from_postgres(format!("restoring {table}"), cause))?;
        let mut resolver = Resolver::new(&mut self.client);
        let mut columns = Vec::new();
        for (column, sent) in statement.columns().iter().zip(&self.plan.sent) {
            let name = &sent.name;
            let column_type = resolver.column_type(column.type_().oid(), column.type_modifier())?;
            let found = self.file.schema().field(sent.index).data_type();
            if !fits(found, &column_type) {
                let wanted = column.type_();
                return Err(Error::usage(format!(
                    "column {name:?} is {found} in the file, which cannot become {wanted} in the table {table}"
                ))
                .with_hint(
                    "Nothing was changed. Change the column's type, or restore into another table with --table.",
                ));
            }
            columns.push((name.clone(), column_type));
        }
        CopyEncoder::new(table.clone(), columns).with_asides(self.file.asides())
    }
}

impl Loaded {
    /// Makes the restored rows everybody's.
    ///
    /// # Errors
    /// If a deferred constraint is violated, or the connection breaks: then nobody can say whether the server had committed.
    pub fn commit(mut self) -> Result<()> {
        let lost = self.client.batch_execute("COMMIT").map_err(|cause| refused("committing the restore", cause));
        lost.map_err(|error| match error.kind() {
            vb_core::ErrorKind::Unavailable => {
                error.with_hint("Look into the table: the connection broke when the server was about to commit.")
            }
            _ => error,
        })
    }
}
