//! What a restore will do, decided from the request, the file and the catalog. Pure: a dry run prints the same.

use crate::catalog::{Existing, Target};
use crate::columns::{self, Sent};
use crate::definition::{add_primary_key, create_enum, create_table, full_name, list};
use crate::optional::Optional;
use crate::parquet_file::ParquetFile;
use crate::request::{Mode, ModeChoice, Request};
use crate::schema::{self, Move};
use crate::selection::Selection;
use vb_core::{Error, Result};
use vb_postgres::schema::TableDescription;
use vb_postgres::sql::identifier;
use vb_postgres::stored_schema::StoredSchema;

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
    /// What follows then, each on its own: what cannot be made is left out and named.
    pub(crate) optional: Vec<Optional>,
    /// How the table was made: `dump` or `description`; none where it was there.
    pub schema: Option<&'static str>,
    /// Where a table waits that gets its name in the end.
    pub(crate) moved: Option<Move>,
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
        before: if target.existing.is_none() { create_types(target, file) } else { Vec::new() },
        copy: String::new(),
        merge: None,
        after: Vec::new(),
        optional: Vec::new(),
        schema: None,
        moved: None,
        warnings,
        by: selection.as_ref().map(|selection| selection.column.clone()),
        sent: Vec::new(),
        destination: name.clone(),
        target: name,
        selection,
    };
    match (&target.existing, file.description()) {
        (Some(existing), _) => plan.into_existing(request, file, target, existing),
        (None, Some(description)) => plan.into_new(request, file, target, description),
        (None, None) => Err(Error::failure("planning the restore: there is no table and no description of one")),
    }
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
    /// Every statement between BEGIN and COMMIT that is known beforehand, in order.
    #[must_use]
    pub fn statements(&self) -> Vec<&str> {
        let before = self.before.iter().chain(std::iter::once(&self.copy));
        let after = self.after.iter().chain(self.optional.iter().map(|optional| &optional.statement));
        before.chain(&self.merge).chain(after).map(String::as_str).collect()
    }

    fn into_new(
        mut self,
        request: &Request,
        file: &ParquetFile,
        target: &Target,
        description: &TableDescription,
    ) -> Result<Self> {
        self.sent = columns::into_new(file, description)?;
        self.mode = match request.mode {
            ModeChoice::Auto => Mode::Insert,
            ModeChoice::Chosen(mode) => mode,
        };
        match file.stored().filter(|stored| stored.has_dump() && !request.by_description) {
            Some(stored) => self.as_it_was(stored, description, target),
            None => self.as_described(file.stored(), description),
        }
        if self.has_parsed() {
            let home = self.wait();
            self.merge = Some(self.insert_waiting(&home, ""));
            self.copy = self.copy_into("(FORMAT binary)");
            return Ok(self);
        }
        // Made in this transaction, so that nobody can see the rows before they are frozen; parts are not frozen through their parent.
        let frozen = self.schema != Some("dump") || file.stored().is_some_and(|stored| !stored.partitioned);
        self.copy = self.copy_into(if frozen { "(FORMAT binary, FREEZE)" } else { "(FORMAT binary)" });
        Ok(self)
    }

    /// By the statements that a dump wrote.
    fn as_it_was(&mut self, stored: &StoredSchema, description: &TableDescription, target: &Target) {
        let steps = schema::steps(stored, description, target);
        self.schema = Some("dump");
        self.before.extend(steps.before);
        self.destination = steps.destination;
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
        file: &ParquetFile,
        target: &Target,
        existing: &Existing,
    ) -> Result<Self> {
        self.sent = columns::into_existing(file, target, existing)?;
        if let (Some(child), Some(_)) =
            (existing.children.first(), file.stored().and_then(|stored| stored.children.first()))
        {
            return Err(Error::conflict(format!("the file holds rows of tables that inherit from {}, and {child} does here too, so they would be there twice", self.table))
                .with_hint("Nothing was changed. Restore into another table with --table, or export with --only."));
        }
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
            let home = self.wait();
            self.merge = Some(self.insert_waiting(&home, ""));
        }
        self.copy = self.copy_into("(FORMAT binary)");
        self.quiet(request, existing);
        Ok(self)
    }

    fn copy_into(&self, options: &str) -> String {
        match self.sent_names() {
            none if none.is_empty() => format!("COPY {} FROM STDIN {options}", self.destination),
            names => format!("COPY {} ({names}) FROM STDIN {options}", self.destination),
        }
    }

    fn sent_names(&self) -> String {
        list(self.sent.iter().map(|sent| sent.name.as_str()))
    }

    /// Whether the server has to read values from their text, for which rows must wait beside the table.
    fn has_parsed(&self) -> bool {
        self.sent.iter().any(|sent| sent.parsed_as.is_some())
    }

    /// The rows are sent into a table of their own. Returns where they go from there.
    fn wait(&mut self) -> String {
        let home = std::mem::replace(&mut self.destination, STAGING.to_owned());
        let columns: Vec<String> = self.sent.iter().map(Sent::waiting).collect();
        self.before.push(format!(
            "CREATE TEMPORARY TABLE {STAGING} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA",
            columns.join(", "),
            home
        ));
        home
    }

    /// The statement that takes the rows from there home.
    fn insert_waiting(&self, home: &str, on_conflict: &str) -> String {
        let values: Vec<String> = self.sent.iter().map(Sent::read).collect();
        let (names, values) = (self.sent_names(), values.join(", "));
        format!("INSERT INTO {home} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {STAGING}{on_conflict}")
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
        let home = self.wait();
        self.merge = Some(self.insert_waiting(&home, &format!(" ON CONFLICT ({key}) DO {action}")));
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
        let only = if existing.children.is_empty() { "" } else { "ONLY " };
        self.before.push(format!("DELETE FROM {only}{}", self.target));
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
