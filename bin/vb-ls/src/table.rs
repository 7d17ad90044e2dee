//! Tables for a terminal: the only thing of this command that is not a status line.

use crate::inventory::{Backup, Inventory};
use std::io::Write;
use vb_core::time::Instant;
use vb_core::{Error, Result};
use vb_repository::words;

/// One line a backup: id, kind, base, records, size, age, level, the storage class where there is one, and with several stores which
/// of them have it.
pub(crate) fn of(inventory: &Inventory, backups: &[&Backup], now: Instant) -> String {
    let one = inventory.stores.len() < 2;
    let classless = backups.iter().all(|backup| backup.entry.storage_class.is_none());
    let rows = backups.iter().map(|backup| {
        let row = &backup.entry.row;
        [
            row.id.to_string(),
            row.kind.name().to_owned(),
            row.records.map_or_else(|| "-".to_owned(), |records| records.to_string()),
            words::bytes(row.size_bytes()),
            words::age(now - row.created_at),
            state(backup),
            row.base.as_deref().unwrap_or("-").to_owned(),
            if classless { String::new() } else { backup.entry.storage_class.as_deref().unwrap_or("-").to_owned() },
            if one { String::new() } else { presence(inventory, backup) },
        ]
    });
    let stores = if one { "" } else { "STORES" };
    let class = if classless { "" } else { "CLASS" };
    let heads = ["BACKUP", "KIND", "RECORDS", "SIZE", "AGE", "LEVEL", "BASE", class, stores];
    aligned(&heads, rows, &[false, false, true, true, true, false, false, false, false])
}

/// How far it is proven, or what speaks against it.
fn state(backup: &Backup) -> String {
    if backup.incomplete.is_some() {
        "INCOMPLETE".to_owned()
    } else if backup.damaged {
        "DAMAGED".to_owned()
    } else {
        backup.level.to_string()
    }
}

/// `all`, or which stores lack it or have something else.
fn presence(inventory: &Inventory, backup: &Backup) -> String {
    if inventory.is_everywhere(backup) {
        return "all".to_owned();
    }
    let lacking = inventory.lacking(backup).into_iter().map(|store| format!("not in {store}"));
    let differing = inventory.differing(backup).into_iter().map(|store| format!("differs in {store}"));
    lacking.chain(differing).collect::<Vec<_>>().join(", ")
}

/// Columns as wide as their widest cell, two blanks apart; numbers stand to the right.
pub(crate) fn aligned<const COLUMNS: usize>(
    heads: &[&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
    to_the_right: &[bool; COLUMNS],
) -> String {
    let rows: Vec<[String; COLUMNS]> = std::iter::once(heads.map(str::to_owned)).chain(rows).collect();
    if rows.len() == 1 {
        return String::new();
    }
    let widest = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(widest);
    let mut text = String::new();
    for row in &rows {
        let cells = (0..COLUMNS).map(|column| {
            let (width, cell) = (widths[column], &row[column]);
            if to_the_right[column] { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Prints it where a person looks.
///
/// # Errors
/// If standard output takes no more.
pub(crate) fn print(table: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let wrote = stdout.write_all(table.as_bytes()).and_then(|()| stdout.flush());
    wrote.map_err(|cause| Error::io("writing standard output", cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [["größe".to_owned(), "1".to_owned()], ["b".to_owned(), "1234".to_owned()]];
        let table = aligned(&["NAME", "N"], rows.into_iter(), &[false, true]);
        assert_eq!(table, "NAME      N\ngröße     1\nb      1234\n");
        assert_eq!(aligned(&["NAME"], std::iter::empty(), &[false]), "");
    }
}
