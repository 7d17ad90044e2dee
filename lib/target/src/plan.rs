//! What a restore will do, decided from the request, the file and the catalog. Pure: a dry run prints the same.

use crate::catalog::{Existing, Target};
use crate::columns::{self, Sent};
use crate::definition::{add_primary_key, create_enum, create_table, full_name, list};
use crate::parquet_file::ParquetFile;
use crate::request::{Mode, ModeChoice, Request};
use crate::selection::Selection;
use vb_core::{Error, Result};
use vb_postgres::schema::TableDescription;
use vb_postgres::sql::identifier;

/// Where rows wait before they are merged.
const STAGING: &str = "pg_temp.vb_import_rows";

/// What will be done, in this order, in one transaction.
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
    /// The COPY that takes the rows.
    pub copy: String,
    /// Statements after it. An upsert's merge reports as many rows as were sent.
    pub merge: Option<String>,
    /// What follows when all rows are in the table.
    pub after: Vec<String>,
    /// What people should know.
    pub warnings: Vec<String>,
    /// The time column by which rows are chosen, if they are.
    pub by: Option<String>,
    /// Which columns are sent.
    pub(crate) sent: Vec<Sent>,
    /// The target's name in SQL.
    pub(crate) target: String,
    /// Where the COPY goes, in SQL.
    pub(crate) destination: String,
    pub(crate) selection: Option<Selection>,
}

/// Plans a restore.
///
/// # Errors
/// Whatever keeps the file's rows out of the target, before anything was changed.
pub(crate) fn of(request: &Request, file: &ParquetFile, target: &Target) -> Result<Plan> {
    let selection = match &request.range {
        Some(range) => Some(Selection::new(file.schema(), range, request.by.as_deref())?),
        None => None,
    };
    let warnings = match file.description() {
        Some(description) => columns::check_enums(description, target)?,
        None => Vec::new(),
    };
    let name = full_name(&target.schema, &target.table);
    let plan = Plan {
        table: format!("{}.{}", target.schema, target.table),
        mode: Mode::Insert,
        created: target.existing.is_none(),
        starts_from_nothing: target.existing.as_ref().is_none_or(|existing| !existing.has_rows),
        before: create_types(target, file.description()),
        copy: String::new(),
        merge: None,
        after: Vec::new(),
        warnings,
        by: selection.as_ref().map(|selection| selection.column.clone()),
        sent: Vec::new(),
        destination: name.clone(),
        target: name,
        selection,
    };
    match (&target.existing, file.description()) {
        (Some(existing), _) => plan.into_existing(request, file, target, existing),
        (None, Some(description)) => plan.into_new(request, file, description),
        (None, None) => Err(Error::failure("planning the restore: there is no table and no description of one")),
    }
}

/// Schemas and enums that are missing.
fn create_types(target: &Target, description: Option<&TableDescription>) -> Vec<String> {
    let schemas = target.missing_schemas.iter().map(|schema| format!("CREATE SCHEMA {}", identifier(schema)));
    let enums = description.into_iter().flat_map(|description| &description.enums);
    let missing = enums.filter(|(name, _)| target.enums.get(*name).is_some_and(Option::is_none));
    schemas.chain(missing.map(|(name, labels)| create_enum(name, labels))).collect()
}

impl Plan {
    fn into_new(mut self, request: &Request, file: &ParquetFile, description: &TableDescription) -> Result<Self> {
        self.sent = columns::into_new(file, description)?;
        self.mode = match request.mode {
            ModeChoice::Auto => Mode::Insert,
            ModeChoice::Chosen(mode) => mode,
        };
        self.before.push(create_table(&self.target, description));
        if self.has_parsed() {
            self.wait();
            self.merge = Some(self.insert_waiting(""));
            self.copy = self.copy_into("(FORMAT binary)");
        } else {
            // Made in this transaction, so that nobody can see the rows before they are frozen.
            self.copy = self.copy_into("(FORMAT binary, FREEZE)");
        }
        self.after.extend(add_primary_key(&self.target, description));
        Ok(self)
    }

    fn into_existing(
        mut self,
        request: &Request,
        file: &ParquetFile,
        target: &Target,
        existing: &Existing,
    ) -> Result<Self> {
        self.sent = columns::into_existing(file, target, existing)?;
        self.mode = match request.mode {
            ModeChoice::Chosen(mode) => mode,
            ModeChoice::Auto if !existing.has_rows => Mode::Insert,
            ModeChoice::Auto if existing.primary_key.is_empty() => return Err(no_key(&self.table, true)),
            ModeChoice::Auto => Mode::Upsert,
        };
        match self.mode {
            Mode::Insert => {}
            Mode::Upsert => self.merge_by_key(existing)?,
            Mode::Replace => self.empty(existing)?,
        }
        if self.merge.is_none() && self.has_parsed() {
            self.wait();
            self.merge = Some(self.insert_waiting(""));
        }
        self.copy = self.copy_into("(FORMAT binary)");
        self.quiet(request, existing);
        Ok(self)
    }

    fn copy_into(&self, options: &str) -> String {
        format!("COPY {} ({}) FROM STDIN {options}", self.destination, self.sent_names())
    }

    fn sent_names(&self) -> String {
        list(self.sent.iter().map(|sent| sent.name.as_str()))
    }

    /// Whether the server has to read values from their text, for which rows must wait beside the table.
    fn has_parsed(&self) -> bool {
        self.sent.iter().any(|sent| sent.parsed_as.is_some())
    }

    /// The rows are sent into a table of their own.
    fn wait(&mut self) {
        let columns: Vec<String> = self.sent.iter().map(Sent::waiting).collect();
        self.before.push(format!(
            "CREATE TEMPORARY TABLE {STAGING} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA",
            columns.join(", "),
            self.target
        ));
        self.destination = STAGING.to_owned();
    }

    /// The statement that takes the rows from there into the target.
    fn insert_waiting(&self, on_conflict: &str) -> String {
        let values: Vec<String> = self.sent.iter().map(Sent::read).collect();
        let (target, names, values) = (&self.target, self.sent_names(), values.join(", "));
        format!("INSERT INTO {target} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {STAGING}{on_conflict}")
    }

    /// Rows wait in a table of their own, and are then merged in one statement.
    fn merge_by_key(&mut self, existing: &Existing) -> Result<()> {
        let key = &existing.primary_key;
        if key.is_empty() {
            return Err(no_key(&self.table, false));
        }
        let is_sent = |name: &String| self.sent.iter().any(|sent| sent.name == *name);
        if let Some(missing) = key.iter().find(|name| !is_sent(name)) {
            return Err(Error::usage(format!(
                "the file has no column {missing:?}, which the primary key of {} needs",
                self.table
            ))
            .with_hint("Nothing was changed. Use --mode replace, or a file with the whole key."));
        }
        let others: Vec<&str> = self
            .sent
            .iter()
            .map(|sent| sent.name.as_str())
            .filter(|name| !key.iter().any(|part| part == name))
            .collect();
        let always = |name: &&&str| {
            existing.columns.iter().any(|column| column.name == **name && column.identity.as_deref() == Some("a"))
        };
        if let Some(name) = others.iter().find(always) {
            return Err(Error::usage(format!(
                "column {name:?} of {} is always generated and not in the primary key, so it cannot be updated",
                self.table
            ))
            .with_hint("Nothing was changed. Use --mode replace."));
        }
        let assignments: Vec<String> =
            others.iter().map(|name| format!("{0} = EXCLUDED.{0}", identifier(name))).collect();
        let action = if assignments.is_empty() {
            "NOTHING".to_owned()
        } else {
            format!("UPDATE SET {}", assignments.join(", "))
        };
        let key = list(key.iter().map(String::as_str));
        self.wait();
        self.merge = Some(self.insert_waiting(&format!(" ON CONFLICT ({key}) DO {action}")));
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
        self.before.push(format!("DELETE FROM {}", self.target));
        Ok(())
    }

    /// The table's own triggers run unless they are asked not to; then nobody can be sure that rows stay as they were.
    fn quiet(&mut self, request: &Request, existing: &Existing) {
        if existing.triggers.is_empty() {
            return;
        }
        if !request.disable_triggers {
            let names: Vec<&str> = existing.triggers.iter().map(|trigger| trigger.name.as_str()).collect();
            let names = names.join(", ");
            self.warnings.push(format!(
                "triggers of {} run and may change what is restored ({names}); --disable-triggers keeps them quiet",
                self.table
            ));
            return;
        }
        let mut disable = Vec::new();
        for trigger in &existing.triggers {
            let name = identifier(&trigger.name);
            disable.push(format!("ALTER TABLE {} DISABLE TRIGGER {name}", self.target));
            let always = if trigger.always { "ALWAYS " } else { "" };
            self.after.push(format!("ALTER TABLE {} ENABLE {always}TRIGGER {name}", self.target));
        }
        self.before.splice(0..0, disable);
    }
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
