//! A whole database into an empty one: schema, rows, large objects, sequences, and what follows the rows; then the proof that it is
//! what it was. Over one connection all of it is one transaction. Several cannot share one: there the database is incomplete if a step
//! fails, which is said, and a scratch database is the place for it.

use super::archive::DatabaseArchive;
use super::chain::DatabaseChain;
use super::crew::{run, share};
use super::rows;
use super::table::Table;
use super::{large_objects, schema};
use postgres::Client;
use std::sync::{Mutex, PoisonError};
use vb_core::{Error, Result};
use vb_postgres::connection::{Parameters, connect, from_postgres};
use vb_postgres::database::contents::{self, quoted};
use vb_postgres::database::{SequenceState, format};
use vb_postgres::snapshot::SESSION_SETTINGS;
use vb_postgres::sql::literal;

/// The session of a restore: waits for locks, which only its own connections hold, and trusts the dump's functions.
const SETTINGS: &str = "SET lock_timeout = 0; SET check_function_bodies = off; SET client_min_messages = warning; \
     SET standard_conforming_strings = on; SET search_path = ''";
/// Memory for the building of indexes, of all connections together, where the server is set to less.
const BUILDING_MEGABYTES: usize = 256;

/// How to restore.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Connections.
    pub jobs: usize,
    /// Everything belongs to the role that restores, and nobody else may use it.
    pub no_owner: bool,
}

/// A table that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredTable {
    /// `schema.table`.
    pub table: String,
    /// Its rows, which the server counted.
    pub records: u64,
    /// Whether the server's hash of them is the source's; none where the dump has none.
    pub identical: Option<bool>,
}

/// What was restored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// In the dump's order.
    pub tables: Vec<RestoredTable>,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// Refuses a database in which something is.
///
/// # Errors
/// A conflict that names it.
pub fn check_empty(parameters: &Parameters) -> Result<()> {
    let occupants = contents::occupants(&mut connect(parameters)?)?;
    let Some(first) = occupants.first() else { return Ok(()) };
    let database = parameters.database();
    Err(Error::conflict(format!(
        "the database {database} is not empty: {first} and {} more are in it",
        occupants.len() - 1
    ))
    .with_hint("Nothing was changed. Restore into an empty database, or put it in the place of this one with --swap."))
}

/// Restores. `passed` hears of the bytes that were sent.
///
/// # Errors
/// The step that failed, and whether anything was changed.
pub fn restore(
    chain: &DatabaseChain,
    options: &Options,
    parameters: &Parameters,
    passed: &(dyn Fn(u64) + Sync),
) -> Result<Restored> {
    let (archive, tables) = (chain.newest(), chain.tables()?);
    check_empty(parameters)?;
    let jobs = options.jobs.max(1);
    let clients = (0..jobs).map(|_| open(parameters, jobs)).collect::<Result<_>>()?;
    let mut run = Run { chain, archive, options, clients, tables, one_transaction: jobs == 1 };
    let restored = run.all(passed);
    restored.map_err(|error| {
        let hint = if run.one_transaction {
            "Nothing was changed."
        } else {
            "The database is incomplete: drop it, and restore into an empty one."
        };
        let hint = error.hint().map_or_else(|| hint.to_owned(), |more| format!("{hint} {more}"));
        error.with_hint(hint)
    })
}

fn open(parameters: &Parameters, jobs: usize) -> Result<Client> {
    let mut client = connect(parameters)?;
    let kilobytes = (BUILDING_MEGABYTES / jobs.clamp(1, 4)) << 10;
    let memory = format!(
        "SELECT pg_catalog.set_config('maintenance_work_mem', '{kilobytes}', false) \
         FROM pg_catalog.pg_settings WHERE name = 'maintenance_work_mem' AND setting::int8 < {kilobytes}"
    );
    let set = client.batch_execute(&format!("{SESSION_SETTINGS}; {SETTINGS}; {memory}"));
    set.map_err(|cause| from_postgres("beginning the restore", cause))?;
    Ok(client)
}

struct Run<'run> {
    chain: &'run DatabaseChain,
    /// The newest of the chain: everything but rows and large objects is in each of them.
    archive: &'run DatabaseArchive,
    options: &'run Options,
    clients: Vec<Client>,
    tables: Vec<Table<'run>>,
    one_transaction: bool,
}

impl Run<'_> {
    fn all(&mut self, passed: &(dyn Fn(u64) + Sync)) -> Result<Restored> {
        let mut restored = Restored::default();
        self.first("beginning the restore", &["BEGIN"])?;
        let (before, missing) = self.statements(format::BEFORE)?;
        self.on_first(|client| schema::before(client, &before))?;
        self.next_transaction()?;
        self.rows(passed).map_err(|error| error.during("restoring the rows"))?;
        let (chain, options) = (self.chain, self.options);
        if !self.one_transaction {
            self.first("restoring the large objects", &["BEGIN"])?;
        }
        self.on_first(|client| large_objects::restore(client, chain, options))?;
        self.sequences()?;
        self.next_transaction()?;
        restored.tables = self.compare()?;
        let (after, more) = self.statements(format::AFTER)?;
        let rows = self.tables.iter().map(|table| (table.name, table.rows())).collect();
        schema::after(&mut self.clients, after, &rows)?;
        restored.warnings.extend(self.check_validity()?);
        if self.one_transaction {
            self.first("committing the restore", &["COMMIT"])?;
        }
        let mut lost: Vec<String> = missing.into_iter().chain(more).collect();
        lost.dedup();
        let words = |name| format!("the tablespace {name} is not here: what was in it is in the database's own");
        restored.warnings.extend(lost.into_iter().map(words));
        self.analyze()?;
        Ok(restored)
    }

    fn on_first<T>(&mut self, work: impl FnOnce(&mut Client) -> Result<T>) -> Result<T> {
        self.clients.first_mut().map_or_else(|| Err(Error::failure("there is no connection")), work)
    }

    fn first(&mut self, step: &str, statements: &[&str]) -> Result<()> {
        self.on_first(|client| statements.iter().try_for_each(|statement| run(client, step, statement)))
    }

    fn everywhere(&mut self, statement: &str) -> Result<()> {
        self.clients.iter_mut().try_for_each(|client| run(client, "preparing the restore", statement))
    }

    /// Others see what was done so far, where there are others.
    fn next_transaction(&mut self) -> Result<()> {
        if self.one_transaction { Ok(()) } else { self.first("committing a step of the restore", &["COMMIT"]) }
    }

    fn statements(&mut self, member: &str) -> Result<(Vec<super::phases::Placed>, Vec<String>)> {
        let (text, options) = (self.archive.text(member)?, self.options);
        self.on_first(|client| schema::statements(client, &text, options))
    }

    /// The rows come as any session would write them, so that names in them mean what they meant.
    fn rows(&mut self, passed: &(dyn Fn(u64) + Sync)) -> Result<()> {
        self.everywhere("SET search_path TO DEFAULT")?;
        let chain = self.chain;
        share(&mut self.clients, &self.tables, |client, table| table.judge(client, chain))?;
        let loadings = rows::loadings(&self.tables, self.clients.len());
        share(&mut self.clients, &loadings, |client, loading| loading.run(client, chain, passed))?;
        self.everywhere("SET search_path = ''")
    }

    fn sequences(&mut self) -> Result<()> {
        let text = self.archive.text(format::SEQUENCES)?;
        let states: Vec<SequenceState> = serde_json::from_str(&text)
            .map_err(|cause| Error::integrity(format!("reading {}: {cause}", format::SEQUENCES)))?;
        let set = |state: &SequenceState| {
            let name = literal(&quoted(&state.name));
            format!("SELECT pg_catalog.setval({name}, {}, {})", state.last_value, state.is_called)
        };
        self.on_first(|client| states.iter().try_for_each(|state| run(client, "setting the sequences", &set(state))))
    }

    /// Every table's rows were counted when they were sent; where there are hashes, they are compared as well.
    fn compare(&mut self) -> Result<Vec<RestoredTable>> {
        let identical = Mutex::new(vec![None; self.tables.len()]);
        let tasks: Vec<(usize, &Table<'_>)> = self.tables.iter().enumerate().collect();
        share(&mut self.clients, &tasks, |client, (number, table)| {
            let same = table.compare(client)?;
            if let Some(place) = identical.lock().unwrap_or_else(PoisonError::into_inner).get_mut(*number) {
                *place = same;
            }
            Ok(())
        })?;
        let identical = identical.into_inner().unwrap_or_else(PoisonError::into_inner);
        let restored = |(table, identical): (&Table<'_>, Option<bool>)| RestoredTable {
            table: table.shown(),
            records: table.rows(),
            identical,
        };
        Ok(self.tables.iter().zip(identical).map(restored).collect())
    }

    /// As many valid constraints and indexes as there were. Servers of another version may count otherwise.
    fn check_validity(&mut self) -> Result<Option<String>> {
        let head = &self.archive.head;
        let (found, version) =
            self.on_first(|client| Ok((contents::validity(client)?, vb_postgres::catalog::server(client)?.version)))?;
        if found == head.validity {
            return Ok(None);
        }
        let message = format!("the restored database has {found:?}, the dumped one had {:?}", head.validity);
        let major = |version: &str| version.split('.').next().map(str::to_owned);
        if major(&version) == major(&head.server_version) {
            return Err(Error::integrity(message));
        }
        Ok(Some(format!("{message} on a server of version {}", head.server_version)))
    }

    /// A table's statistics are in no dump, and without them every plan is a guess.
    fn analyze(&mut self) -> Result<()> {
        let query = "SELECT format('ANALYZE %I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c \
                     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'm', 'p') AND NOT c.relispartition \
                     AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY c.relpages DESC";
        let statements: Vec<String> = self.on_first(|client| {
            let rows = client.query(query, &[]).map_err(|cause| from_postgres("gathering statistics", cause))?;
            Ok(rows.iter().map(|row| row.get(0)).collect())
        })?;
        share(&mut self.clients, &statements, |client, statement| run(client, "gathering statistics", statement))
    }
}
