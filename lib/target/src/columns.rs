//! Whether the file's columns can become the target's. Pure: it compares two descriptions.

use crate::catalog::{Existing, Target, TargetColumn};
use crate::parquet_file::ParquetFile;
use vb_core::{Error, Result};
use vb_postgres::schema::{Column, TableDescription};
use vb_postgres::sql::identifier;

/// Which column of the file goes into which column of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The column's name in both.
    pub(crate) name: String,
    /// Its place in the file.
    pub(crate) index: usize,
    /// The type as which the server reads its values, where the file has them as the server printed them.
    pub(crate) parsed_as: Option<String>,
}

impl Sent {
    /// The column of the target as one of a table where rows wait: what the server has to read waits as text. To be cast to
    /// another type, `bpchar` has no function of its own but the type's input function, unlike `text`.
    pub(crate) fn waiting(&self) -> String {
        let name = identifier(&self.name);
        if self.parsed_as.is_some() { format!("NULL::pg_catalog.bpchar AS {name}") } else { name }
    }

    /// The value that has waited.
    pub(crate) fn read(&self) -> String {
        let name = identifier(&self.name);
        match &self.parsed_as {
            Some(type_name) => format!("CAST({name} AS {type_name})"),
            None => name,
        }
    }
}

/// The columns to send into a table that is there: all of the file's but those that the table computes.
pub(crate) fn into_existing(file: &ParquetFile, target: &Target, existing: &Existing) -> Result<Vec<Sent>> {
    let table = format!("{}.{}", target.schema, target.table);
    let mut sent = Vec::new();
    if file.description().is_some_and(|description| description.no_columns) {
        return match existing.columns.first() {
            None => Ok(sent),
            Some(column) => {
                Err(Error::usage(format!("the table {table} has a column {:?}, the file has none", column.name))
                    .with_hint("Nothing was changed. Name another table with --table."))
            }
        };
    }
    for (index, field) in file.schema().fields().iter().enumerate() {
        let column = existing.columns.iter().find(|column| column.name == *field.name()).ok_or_else(|| {
            Error::usage(format!("the table {table} has no column {:?}, which the file has", field.name()))
                .with_hint("Nothing was changed. Add the column, or name another table with --table.")
        })?;
        let described = file.description().and_then(|description| description.column(field.name()));
        check_type(&table, column, described.map(|column| column.type_name.as_str()))?;
        if column.generated {
            check_computed(&table, &column.name, described)?;
        } else {
            let parsed_as = match described {
                Some(described) => described.printed.then(|| column.type_name.clone()),
                None => column.parsed_as.clone(),
            };
            sent.push(Sent { name: column.name.clone(), index, parsed_as });
        }
    }
    let filled = |column: &TargetColumn| {
        !column.not_null
            || column.has_default
            || column.generated
            || column.identity.is_some()
            || sent.iter().any(|sent| sent.name == column.name)
    };
    match existing.columns.iter().find(|column| !filled(column)) {
        None => Ok(sent),
        Some(column) => Err(Error::usage(format!(
            "the file has no column {:?}, which the table {table} demands (not null, no default)",
            column.name
        ))
        .with_hint("Nothing was changed. Give the column a default, or name another table with --table.")),
    }
}

/// The columns to send into a table that will be made as described.
pub(crate) fn into_new(file: &ParquetFile, description: &TableDescription) -> Result<Vec<Sent>> {
    let names: Vec<&str> = file.schema().fields().iter().map(|field| field.name().as_str()).collect();
    if names != description.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>() {
        return Err(Error::integrity(format!("reading {}: its columns are not those that it describes", file.name())));
    }
    let written = description.columns.iter().enumerate();
    let written = written.filter(|(_, column)| column.generated.is_none() && !description.no_columns);
    let sent = |(index, column): (usize, &Column)| Sent {
        name: column.name.clone(),
        index,
        parsed_as: column.printed.then(|| column.type_name.clone()),
    };
    Ok(written.map(sent).collect())
}

/// A value that the table computes itself is not sent: it must have been computed where it comes from too.
fn check_computed(table: &str, name: &str, described: Option<&Column>) -> Result<()> {
    if described.is_some_and(|column| column.generated.is_some()) {
        return Ok(());
    }
    let message = format!("the file has values of column {name:?}, which the table {table} computes itself");
    Err(Error::usage(message).with_hint(
        "Nothing was changed. Drop the column's expression, export without that column, or restore into another table with --table.",
    ))
}

/// The types must be the same. A file that does not say its types is judged by its values, which must not be rounded.
fn check_type(table: &str, column: &TargetColumn, described: Option<&str>) -> Result<()> {
    let is = column.type_name.as_str();
    match described {
        Some(was) if was == is => Ok(()),
        Some(was) => Err(Error::usage(format!(
            "column {:?} is of type {was} in the file, but {is} in the table {table}",
            column.name
        ))
        .with_hint("Nothing was changed. Change the column's type, or restore into another table with --table.")),
        None => {
            let made_of = column.made_of.as_deref().unwrap_or(is);
            let Some(rounded) = rounded(made_of) else { return Ok(()) };
            Err(Error::usage(format!(
                "column {:?} of the table {table} would round the file's {rounded}: it is {made_of}",
                column.name
            ))
            .with_hint("Nothing was changed. Import into a column without a precision."))
        }
    }
}

/// What a type rounds without a word, by its printed name or what it is made of.
fn rounded(type_name: &str) -> Option<&'static str> {
    let precise = ["timestamp(", "time(", "interval("].iter().any(|words| type_name.contains(words));
    let fields = type_name.starts_with("interval ");
    let hundreds = |rest: &str| rest.split_once(')').is_some_and(|(modifier, _)| modifier.contains(",-"));
    if precise || fields {
        Some("times")
    } else {
        type_name.split("numeric(").skip(1).any(hundreds).then_some("numbers")
    }
}

/// Types of the user's own must be what they were: by one name the server may have one that rounds or cuts.
pub(crate) fn check_types(description: &TableDescription, target: &Target) -> Result<()> {
    for column in &description.columns {
        let (Some(was), Some(is)) = (&column.made_of, target.made_of.get(&column.type_name)) else { continue };
        if is.as_ref() != Some(was) {
            let is = is.as_deref().unwrap_or("something else");
            return Err(Error::conflict(format!(
                "column {:?} is of type {}, {was}, in the file, but {is} in the database",
                column.name, column.type_name
            ))
            .with_hint("Nothing was changed. Rename the other type, or restore into another database."));
        }
    }
    Ok(())
}

/// The enums that the file uses must hold all of its labels. Returns what to know where their order differs.
pub(crate) fn check_enums(description: &TableDescription, target: &Target) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for (name, labels) in &description.enums {
        let Some(there) = target.enums.get(name).and_then(Option::as_ref) else { continue };
        let missing: Vec<String> =
            labels.iter().filter(|label| !there.contains(label)).map(|label| format!("{label:?}")).collect();
        if there.is_empty() && !labels.is_empty() {
            return Err(Error::conflict(format!("the type {name} is an enum in the file, but not in the database"))
                .with_hint("Nothing was changed. Rename the other type, or restore into another database."));
        }
        if let Some(first) = missing.first() {
            let missing = missing.join(", ");
            return Err(Error::conflict(format!(
                "the enum {name} in the database lacks {missing}, which the file's has"
            ))
            .with_hint(format!(
                "Nothing was changed. Add what is missing: ALTER TYPE {name} ADD VALUE {}.",
                first.replace('"', "'")
            )));
        }
        let same_order = there.iter().filter(|label| labels.contains(label)).eq(labels.iter());
        if !same_order {
            warnings.push(format!(
                "the enum {name} in the database has the file's labels in another order, so its values sort differently"
            ));
        }
    }
    Ok(warnings)
}
