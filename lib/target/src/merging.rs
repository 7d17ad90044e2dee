//! The statements of an upsert: rows wait in a table of their own, and are then merged in one statement. Pure text.

use crate::catalog::Existing;
use crate::columns::Sent;
use crate::definition::list;
use crate::load::{names, select_from};
use vb_core::{Error, Result};
use vb_postgres::sql::identifier;

/// Where rows wait before they are merged.
pub(crate) const STAGING: &str = "pg_temp.vb_import_rows";

/// Makes that table.
pub(crate) fn staging(home: &str, sent: &[Sent]) -> String {
    format!("CREATE TEMPORARY TABLE {STAGING} ON COMMIT DROP AS {} WITH NO DATA", select_from(home, sent))
}

/// Whether rows can be merged by the table's primary key.
pub(crate) fn check(table: &str, existing: &Existing, sent: &[Sent]) -> Result<()> {
    let is_sent = |name: &String| sent.iter().any(|sent| sent.name == *name);
    if let Some(missing) = existing.primary_key.iter().find(|name| !is_sent(name)) {
        return Err(Error::usage(format!(
            "the file has no column {missing:?}, which the primary key of {table} needs"
        ))
        .with_hint("Nothing was changed. Use --mode replace, or a file with the whole key."));
    }
    let always = |name: &&str| {
        existing.columns.iter().any(|column| column.name == **name && column.identity.as_deref() == Some("a"))
    };
    match others(existing, sent).find(always) {
        None => Ok(()),
        Some(name) => Err(Error::usage(format!(
            "column {name:?} of {table} is always generated and not in the primary key, so it cannot be updated"
        ))
        .with_hint("Nothing was changed. Use --mode replace.")),
    }
}

/// The columns that an update sets: those that are not in the key, and those of the key that it may have in other bytes.
fn others<'sent>(existing: &'sent Existing, sent: &'sent [Sent]) -> impl Iterator<Item = &'sent str> {
    let is_in = |columns: &[String], name: &str| columns.iter().any(|column| column == name);
    let names = sent.iter().map(|sent| sent.name.as_str());
    names.filter(move |name| !is_in(&existing.primary_key, name) || is_in(&existing.inexact_key, name))
}

/// Takes away what waits for nothing, because the table has the very same row: to write it again would cost more than the rest of a
/// restore. Rows are compared by the bytes of their values, which every type has.
pub(crate) fn unchanged(home: &str, existing: &Existing, sent: &[Sent]) -> String {
    let values = |row: &str| {
        let values = others(existing, sent).map(|name| format!("{row}.{}", identifier(name)));
        values.collect::<Vec<_>>().join(", ")
    };
    let same = same_key("known", "waiting", &existing.primary_key);
    let (known, waiting, only) = (values("known"), values("waiting"), existing.only());
    let equal = format!("pg_catalog.record_image_eq(ROW({known}), ROW({waiting}))");
    let equal = if known.is_empty() { "true".to_owned() } else { equal };
    format!("DELETE FROM {STAGING} AS waiting USING {only}{home} AS known WHERE {same} AND {equal}")
}

/// A known key's row is updated: whatever points at it does not notice.
pub(crate) fn by_conflict(home: &str, existing: &Existing, sent: &[Sent]) -> String {
    let assignments: Vec<String> =
        others(existing, sent).map(|name| format!("{0} = EXCLUDED.{0}", identifier(name))).collect();
    let action =
        if assignments.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", assignments.join(", ")) };
    let (insert, key) = (insert(home, sent), list(existing.primary_key.iter().map(String::as_str)));
    format!("{insert} ON CONFLICT ({key}) DO {action}")
}

/// Rows that trade unique values with each other cannot be updated one after the other. Where another index than the primary
/// key's is unique, the known rows can also be deleted and inserted again, within one statement, at whose end foreign keys are
/// checked: unless that would lose values of columns that the file does not have, or a foreign key would not wait so long.
pub(crate) fn by_deletion(home: &str, existing: &Existing, sent: &[Sent]) -> Option<String> {
    let is_lost = |name: &str| !sent.iter().any(|sent| sent.name == name);
    let loses = existing.columns.iter().any(|column| !column.generated && is_lost(&column.name));
    if !existing.has_other_unique || existing.is_referenced_actively || loses {
        return None;
    }
    let (only, same) = (existing.only(), same_key("known", "waiting", &existing.primary_key));
    let (delete, insert) =
        (format!("DELETE FROM {only}{home} AS known USING {STAGING} AS waiting"), insert(home, sent));
    Some(format!("WITH gone AS ({delete} WHERE {same} RETURNING true) {insert} WHERE (SELECT count(*) FROM gone) >= 0"))
}

fn insert(home: &str, sent: &[Sent]) -> String {
    let names = names(sent);
    format!("INSERT INTO {home} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {STAGING}")
}

/// Whether two rows have the same key.
pub(crate) fn same_key(left: &str, right: &str, key: &[String]) -> String {
    let same = |name: &String| format!("{left}.{0} = {right}.{0}", identifier(name));
    key.iter().map(same).collect::<Vec<_>>().join(" AND ")
}
