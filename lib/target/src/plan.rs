//! What a restore will do, decided from the request, the file and the catalog. Pure: a dry run prints the same.

use crate::apart;
use crate::catalog::{Existing, Target};
use crate::columns::{self, Sent};
use crate::definition::{add_primary_key, create_enum, create_table, full_name};
use crate::deletion::{self, Deletion};
use crate::files::Files;
use crate::load::Load;
use crate::merging;
use crate::optional::Optional;
use crate::parquet_file::ParquetFile;
use crate::request::{Mode, ModeChoice, Request};
use crate::schema::{self, Move};
use crate::selection::Selection;
use std::collections::BTreeSet;
use vb_core::{Error, Result};
use vb_postgres::schema::TableDescription;
use vb_postgres::sql::identifier;
use vb_postgres::stored_schema::StoredSchema;

/// What will be done, in this order, in one transaction; of a table that several connections fill, in three.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `schema.table` for people.
    pub table: String,
    /// What becomes of rows that are there.
    pub mode: Mode,
    /// Whether the table is made.
    pub created: bool,
    /// Whether it is made or has no rows, so that afterwards it holds the file's rows only.
    pub starts_from_nothing: bool,
    /// Statements before the rows are sent.
    pub before: Vec<String>,
    /// How the rows of each file are sent.
    pub loads: Vec<Load>,
    /// How rows go that the backups say are gone.
    pub(crate) deletion: Option<Deletion>,
    /// Where rows wait to be merged, takes those away that the table has as they are.
    pub(crate) unchanged: Option<String>,
    /// Merges the others, and reports how many they are.
    pub merge: Option<String>,
    /// The same by another way, for rows that have to trade unique values with each other.
    pub(crate) merge_otherwise: Option<String>,
    /// What follows when all rows are in the table.
    pub after: Vec<String>,
    /// What follows then, each on its own: what cannot be made is left out and named.
    pub(crate) optional: Vec<Optional>,
    /// How the table was made: `dump` or `description`; none where it was there.
    pub schema: Option<&'static str>,
    /// How many connections send rows. If several, the table is made where they can see it, and the transaction begins anew.
    pub connections: usize,
    /// Where a table waits that gets its name in the end.
    pub(crate) moved: Option<Move>,
    /// What people should know.
    pub warnings: Vec<String>,
    /// The time column by which rows are chosen, if they are.
    pub by: Option<String>,
    /// Whether the rows are taken as they come.
    pub(crate) uncompared: bool,
    /// The columns whose sequences are set to where they stood when the newest rows were read.
    pub(crate) set: BTreeSet<String>,
    /// The key by which rows of several backups are the same row.
    pub(crate) key: Vec<String>,
    /// The target's name in SQL.
    pub(crate) target: String,
    /// Where the rows are in the end, or before they are moved, in SQL.
    pub(crate) home: String,
}

/// Plans a restore.
///
/// # Errors
/// Whatever keeps the files' rows out of the target, before anything was changed.
pub(crate) fn of(request: &Request, files: &Files<'_>, target: &Target) -> Result<Plan> {
    files.check()?;
    let file = files.telling;
    let selection = match &request.range {
        Some(range) => Some(Selection::new(file.schema(), range, request.by.as_deref())?),
        None => None,
    };
    let warnings = match file.description() {
        Some(description) => {
            columns::check_types(description, target)?;
            columns::check_enums(description, target)?
        }
        None => Vec::new(),
    };
    let name = full_name(&target.schema, &target.table);
    let plan = Plan {
        table: format!("{}.{}", target.schema, target.table),
        mode: Mode::Insert,
        created: target.existing.is_none(),
        starts_from_nothing: target.existing.as_ref().is_none_or(|existing| !existing.has_rows),
        before: if target.existing.is_none() { create_types(target, file) } else { Vec::new() },
        loads: Vec::new(),
        deletion: None,
        unchanged: None,
        merge: None,
        merge_otherwise: None,
        after: Vec::new(),
        optional: Vec::new(),
        schema: None,
        connections: 1,
        moved: None,
        warnings,
        by: selection.as_ref().map(|selection| selection.column.clone()),
        uncompared: request.uncompared,
        set: BTreeSet::new(),
        key: files.key()?,
        home: name.clone(),
        target: name,
    };
    let mut plan = match (&target.existing, file.description()) {
        (Some(existing), _) => plan.into_existing(request, files, target, existing)?,
        (None, Some(description)) => plan.into_new(request, files, target, description)?,
        (None, None) => {
            return Err(Error::failure("planning the restore: there is no table and no description of one"));
        }
    };
    let deleting = plan.deletion.iter_mut().flat_map(Deletion::loads_mut);
    plan.loads.iter_mut().chain(deleting).for_each(|load| load.selection.clone_from(&selection));
    Ok(plan)
}

/// Schemas and types that are missing.
fn create_types(target: &Target, file: &ParquetFile) -> Vec<String> {
    let schemas = target.missing_schemas.iter().map(|schema| format!("CREATE SCHEMA {}", identifier(schema)));
    let types = match file.stored() {
        Some(stored) => schema::missing_objects(stored, target),
        None => {
            let enums = file.description().into_iter().flat_map(|description| &description.enums);
            let missing = enums.filter(|(name, _)| target.enums.get(*name).is_some_and(Option::is_none));
            missing.map(|(name, labels)| create_enum(name, labels)).collect()
        }
    };
    schemas.chain(types).collect()
}

impl Plan {
    /// Every statement between the first BEGIN and the last COMMIT that is known beforehand, in order.
    #[must_use]
    pub fn statements(&self) -> Vec<&str> {
        let loads = self.loads.iter().flat_map(Load::statements);
        let deletion = self.deletion.iter().flat_map(Deletion::statements);
        let after = self.after.iter().chain(self.optional.iter().map(|optional| &optional.statement));
        let before = self.before.iter().chain(loads).chain(deletion);
        before.chain(&self.unchanged).chain(&self.merge).chain(after).map(String::as_str).collect()
    }

    fn into_new(
        mut self,
        request: &Request,
        files: &Files<'_>,
        target: &Target,
        description: &TableDescription,
    ) -> Result<Self> {
        self.mode = match request.mode {
            ModeChoice::Auto => Mode::Insert,
            ModeChoice::Chosen(mode) => mode,
        };
        let stored = files.telling.stored();
        match stored.filter(|stored| stored.has_dump() && !request.by_description) {
            Some(stored) => {
                self.connections = self.connections_for(request, files, stored, target, description);
                self.as_it_was(stored, description, target);
            }
            None => self.as_described(stored, description),
        }
        // The rows of a newer file may have come further.
        let newest = files.all.last().is_some_and(|file| std::ptr::eq(*file, files.telling));
        let sequences = stored.into_iter().flat_map(|stored| &stored.sequences).filter(|_| newest);
        self.set = sequences.filter_map(|sequence| sequence.column.clone()).collect();
        self.after.splice(0..0, builders(request.jobs));
        if let Some(moved) = self.moved.as_ref().filter(|_| self.connections > 1) {
            self.before.extend(apart::publication(moved));
            self.after.splice(0..0, apart::seclusion(&self.home));
        }
        // Made in this transaction, so that nobody can see the rows before they are frozen; parts are not frozen through their parent.
        let whole = self.schema != Some("dump") || stored.is_some_and(|stored| !stored.partitioned);
        let frozen = whole && self.connections == 1;
        for (number, file) in files.all.iter().enumerate() {
            let sent = columns::into_new(file, file.description().unwrap_or(description))?;
            self.loads.push(Load::new(number, sent, &self.home, frozen));
        }
        Ok(self)
    }

    /// As many as were asked for, where each has a row group to send. But only one where more than the table itself has to be made before
    /// its rows, which others would see too early, and where it has a place that moving it whole would not bring back.
    fn connections_for(
        &self,
        request: &Request,
        files: &Files<'_>,
        stored: &StoredSchema,
        target: &Target,
        description: &TableDescription,
    ) -> usize {
        let groups: usize = files.all.iter().map(|file| file.groups()).sum();
        let alone = self.before.is_empty() && stored.ancestors.is_empty() && stored.attach.is_empty();
        let mut schemas = stored.relations.iter().map(|relation| &relation.schema);
        let in_one_schema = schemas.next().is_none_or(|first| schemas.all(|schema| schema == first));
        // What is relocated is known by its name only.
        let distinct = !stored.objects.iter().any(|object| stored.relations.contains(&object.bare_name()));
        // Under its own name it has all of its names, or is not made.
        let keeps_name = (&description.schema, &description.table) == (&target.schema, &target.table);
        let named = target.present.names_are_free || !keeps_name;
        let possible = alone && in_one_schema && distinct && named && target.present.place_is_free;
        if possible { request.jobs.min(groups).max(1) } else { 1 }
    }

    /// By the statements that a dump wrote.
    fn as_it_was(&mut self, stored: &StoredSchema, description: &TableDescription, target: &Target) {
        let steps = schema::steps(stored, description, target, self.connections > 1);
        self.schema = Some("dump");
        self.before.extend(steps.before);
        self.home = steps.destination;
        self.after.extend(steps.after);
        self.optional = steps.optional;
        self.moved = steps.moved;
        self.warnings.extend(steps.warnings);
    }

    /// By its columns and its key.
    fn as_described(&mut self, stored: Option<&StoredSchema>, description: &TableDescription) {
        self.schema = Some("description");
        self.before.push(create_table(&self.target, description));
        self.after.extend(stored.into_iter().flat_map(|stored| schema::set_sequences(stored, &self.target)));
        self.after.extend(add_primary_key(&self.target, description));
    }

    fn into_existing(
        mut self,
        request: &Request,
        files: &Files<'_>,
        target: &Target,
        existing: &Existing,
    ) -> Result<Self> {
        if let (Some(child), Some(_)) =
            (existing.children.first(), files.telling.stored().and_then(|stored| stored.children.first()))
        {
            return Err(Error::conflict(format!("the file holds rows of tables that inherit from {}, and {child} does here too, so they would be there twice", self.table))
                .with_hint("Nothing was changed. Restore into another table with --table, or export with --only."));
        }
        let sent = files.all.iter().map(|file| columns::into_existing(file, target, existing));
        let sent = sent.collect::<Result<Vec<Vec<Sent>>>>()?;
        self.mode = match request.mode {
            ModeChoice::Chosen(mode) => mode,
            ModeChoice::Auto if !existing.has_rows => Mode::Insert,
            ModeChoice::Auto if existing.primary_key.is_empty() => return Err(no_key(&self.table, true)),
            ModeChoice::Auto => Mode::Upsert,
        };
        let mut destination = self.home.clone();
        match self.mode {
            Mode::Insert => {}
            Mode::Upsert => {
                self.merge_by_key(existing, files, sent.last().map_or(&[][..], Vec::as_slice))?;
                merging::STAGING.clone_into(&mut destination);
            }
            Mode::Replace => self.empty(existing)?,
        }
        let loads = sent.into_iter().enumerate();
        self.loads = loads.map(|(number, sent)| Load::new(number, sent, &destination, false)).collect();
        if self.mode == Mode::Upsert {
            self.deletion = deletion::of(&self, files, existing, request)?;
        }
        self.check_rules(&existing.around)?;
        self.quiet(request, &existing.around);
        Ok(self)
    }

    /// Rows wait in a table of their own, and are then merged in one statement.
    fn merge_by_key(&mut self, existing: &Existing, files: &Files<'_>, sent: &[Sent]) -> Result<()> {
        if existing.primary_key.is_empty() {
            return Err(no_key(&self.table, false));
        }
        merging::check(&self.table, existing, sent)?;
        if let Some(foreign_key) = existing.around.emptied_by.as_ref().filter(|_| !existing.inexact_key.is_empty()) {
            return Err(Error::conflict(format!(
                "merging into {}: keys may be equal and not the same, and the foreign key {foreign_key} would empty what points at one that is written anew",
                self.table
            ))
            .with_hint("Nothing was changed. Drop that foreign key for the time of the restore."));
        }
        self.before.push(merging::staging(&self.home, sent));
        // Where the file may hold two rows of one key, none of them must go unseen.
        let sorted = |key: &[String]| BTreeSet::from_iter(key.iter().cloned());
        let described = files.telling.description().map(|table| sorted(&table.primary_key));
        let unique = described == Some(sorted(&existing.primary_key));
        self.unchanged = unique.then(|| merging::unchanged(&self.home, existing, sent));
        self.merge = Some(merging::by_conflict(&self.home, existing, sent));
        self.merge_otherwise = merging::by_deletion(&self.home, existing, sent);
        Ok(())
    }

    /// Not TRUNCATE: readers go on to see the old rows until the end. Writers wait.
    fn empty(&mut self, existing: &Existing) -> Result<()> {
        if let Some(foreign_key) = existing.referenced_by.first() {
            return Err(Error::conflict(format!(
                "replacing {}: the foreign key {foreign_key} points at its rows",
                self.table
            ))
            .with_hint(
                "Nothing was changed. Use --mode upsert, or drop that foreign key for the time of the restore.",
            ));
        }
        self.before.push(format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", self.target));
        // Rows of tables that inherit from it are not its own.
        self.before.push(format!("DELETE FROM {}{}", existing.only(), self.target));
        Ok(())
    }
}

/// Settings for the indexes: so many processes at each, the one that leads them among them, with as much memory as the server would
/// give to one of them alone, since the sort is split between them.
fn builders(jobs: usize) -> Vec<String> {
    if jobs == 0 {
        return Vec::new();
    }
    let memory = "SELECT pg_catalog.set_config('maintenance_work_mem', (setting::bigint * {jobs})::text, true) \
         FROM pg_catalog.pg_settings WHERE name = 'maintenance_work_mem'";
    vec![
        format!("SET LOCAL max_parallel_maintenance_workers = {}", jobs - 1),
        memory.replace("{jobs}", &jobs.to_string()),
    ]
}

fn no_key(table: &str, choice: bool) -> Error {
    let message = format!("the table {table} has rows and no primary key, so rows cannot be merged");
    let hint = "Nothing was changed. Choose --mode insert to add the rows, or --mode replace to put them in the place of all others.";
    if choice {
        Error::usage(message)
    } else {
        Error::usage(format!("the table {table} has no primary key, so rows cannot be merged"))
    }
    .with_hint(hint)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
