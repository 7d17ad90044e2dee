//! Does what was planned: one transaction, from the first definition to the last sequence; but for the rows of a table that several
//! connections fill, see [`apart`](crate::apart).

use crate::apart::Apart;
use crate::backup::Backup;
use crate::errors::{not_made, refused};
use crate::files::Files;
use crate::keys::Keys;
use crate::liveness::{self, Verdict};
use crate::optional::{self, LeftOut};
use crate::oracle::{self, Identity};
use crate::plan::{self, Plan};
use crate::request::Request;
use crate::rows::Counts;
use crate::share::Share;
use crate::{catalog, gone, moving, sequences};
use postgres::Client;
use postgres::error::SqlState;
use vb_core::{Error, Result};
use vb_postgres::connection::{Parameters, connect_narrowed, from_postgres};
use vb_postgres::snapshot::SESSION_SETTINGS;

/// A restore that is planned, its transaction open. Dropped, it changes nothing.
pub struct Restore {
    /// What will be done.
    pub plan: Plan,
    client: Client,
    backups: Vec<Backup>,
    apart: Option<Apart>,
}

/// All rows are in the table, and nobody else can see them yet. Dropped, it changes nothing.
pub struct Loaded {
    client: Client,
    /// What came of each backup, in the order of the chain.
    pub backups: Vec<Restored>,
    /// The rows that were deleted because the source no longer had them, where the table had rows before.
    pub records_deleted: u64,
    /// The rows among those restored that the table had as they are.
    pub records_unchanged: u64,
    /// What of the schema could not be made here.
    pub left_out: Vec<LeftOut>,
    /// What people should know.
    pub warnings: Vec<String>,
    /// Whether the rows are what they were at the source.
    pub identity: Identity,
}

/// What came of one backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// Its rows.
    pub read: u64,
    /// Those that were sent: all, but for those of other days, and those of which a later backup has a newer version or says that
    /// they are gone.
    pub restored: u64,
    /// Those of which a later backup has a newer version.
    pub superseded: u64,
    /// Those that a later backup says are gone.
    pub gone: u64,
}

impl Restore {
    /// Connects, looks at the target and plans. Nothing is changed yet. The backups of a chain come in its order.
    ///
    /// # Errors
    /// If the server cannot be reached, or the rows cannot go where they should.
    pub fn open(request: &Request, backups: Vec<Backup>, parameters: &Parameters) -> Result<Self> {
        // Further connections must reach the same server.
        let (mut client, parameters) = connect_narrowed(parameters)?;
        let step = "beginning the restore";
        client.batch_execute(SESSION_SETTINGS).map_err(|cause| from_postgres(step, cause))?;
        client.batch_execute("SET lock_timeout = '10s'").map_err(|cause| from_postgres(step, cause))?;
        let files = Files::of(&backups)?;
        let (description, stored) = (files.telling.description(), files.telling.stored());
        let (mut target, oid) = catalog::locate(&mut client, request.table.as_deref(), description)?;
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
        client.batch_execute(begin).map_err(|cause| from_postgres(step, cause))?;
        catalog::inspect(&mut client, &mut target, oid, description, stored)?;
        let plan = plan::of(request, &files, &target)?;
        let apart = Apart::new(&parameters, &plan);
        Ok(Self { plan, client, backups, apart })
    }

    /// What [`Restore::run`] makes that others can see before it is whole; to be removed if it is never committed.
    #[must_use]
    pub fn apart(&self) -> Option<Apart> {
        self.apart.clone()
    }

    /// Sends every row; `passed` hears of the bytes. Nothing is visible to others before [`Loaded::commit`] but what [`Restore::apart`] names.
    ///
    /// # Errors
    /// Whatever the server refuses; then nothing is changed, once that is removed.
    pub fn run(self, passed: &(dyn Fn(u64) + Sync)) -> Result<Loaded> {
        let Self { plan, mut client, backups, apart } = self;
        let files = Files::of(&backups)?;
        let step = format!("restoring {}", plan.table);
        for statement in &plan.before {
            client.batch_execute(statement).map_err(|cause| not_made(&step, &plan, statement, cause))?;
        }
        let verdicts = match files.are_a_chain() {
            true => liveness::judge(&Keys::of(&mut client, &plan, &files)?)?,
            false => Vec::new(),
        };
        let share = Share::new(&plan, &files, &verdicts, passed);
        let counts = match &apart {
            Some(apart) => share.send_together(apart.connections(plan.connections)?)?,
            None => share.send_alone(&mut client)?,
        };
        let records_deleted = gone::delete(&mut client, &plan, &files, &verdicts)?;
        let records_unchanged = merge(&mut client, &plan, counts.iter().map(|counts| counts.sent).sum(), &step)?;
        for statement in &plan.after {
            client.batch_execute(statement).map_err(|cause| refused(&step, cause))?;
        }
        let left_out = optional::run(&mut client, &step, &plan.optional)?;
        if let Some(moved) = &plan.moved {
            moving::out_of_scratch(&mut client, &step, moved)?;
        }
        let warnings = sequences::advance(&mut client, &plan)?;
        let identity = oracle::check(&mut client, &plan, &files)?;
        let backups = counts.iter().enumerate().map(|(place, counts)| Restored::of(*counts, verdicts.get(place)));
        Ok(Loaded {
            client,
            backups: backups.collect(),
            records_deleted,
            records_unchanged,
            left_out,
            warnings,
            identity,
        })
    }
}

/// Rows that waited are merged, but for those that the table has as they are, which are counted. Where rows trade unique values,
/// which an update of one after the other cannot, by another way.
fn merge(client: &mut Client, plan: &Plan, sent: u64, step: &str) -> Result<u64> {
    let Some(merge) = &plan.merge else { return Ok(0) };
    let unchanged = plan.unchanged.as_ref().map(|statement| client.execute(statement, &[])).transpose();
    let unchanged = unchanged.map_err(|cause| refused(step, cause))?.unwrap_or_default();
    let merged = match &plan.merge_otherwise {
        None => client.execute(merge, &[]),
        Some(otherwise) => {
            client.batch_execute("SAVEPOINT vb_merge").map_err(|cause| refused(step, cause))?;
            match client.execute(merge, &[]) {
                Err(cause) if cause.code().is_some_and(is_taken) => {
                    client.batch_execute("ROLLBACK TO SAVEPOINT vb_merge").map_err(|cause| refused(step, cause))?;
                    client.execute(otherwise, &[])
                }
                outcome => outcome,
            }
        }
    };
    let merged = merged.map_err(|cause| refused(step, cause))?;
    // A table that is all key has nothing to update, so that known rows are not counted.
    if merged + unchanged != sent && !merge.ends_with("NOTHING") {
        return Err(Error::integrity(format!(
            "{step}: {sent} rows were sent, but {merged} were merged and {unchanged} were there"
        )));
    }
    Ok(unchanged)
}

fn is_taken(code: &SqlState) -> bool {
    [SqlState::UNIQUE_VIOLATION, SqlState::EXCLUSION_VIOLATION].contains(code)
}

impl Restored {
    fn of(counts: Counts, verdict: Option<&Verdict>) -> Self {
        let Counts { read, sent: restored } = counts;
        let (superseded, gone) = verdict.map_or((0, 0), |verdict| (verdict.superseded.count(), verdict.gone.count()));
        Self { read, restored, superseded, gone }
    }
}

impl Loaded {
    /// The rows of all backups that were sent.
    #[must_use]
    pub fn records_restored(&self) -> u64 {
        self.backups.iter().map(|backup| backup.restored).sum()
    }

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
