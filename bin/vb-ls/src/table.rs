//! Tables for a terminal: the only thing of this command that is not a status line.

use std::io::Write;
use vb_core::manifest::Manifest;
use vb_core::time::Instant;
use vb_core::{Error, Result};
use vb_repository::words;

/// One line a backup: id, kind, records, size, age.
pub(crate) fn of(backups: &[&Manifest], now: Instant) -> String {
    let rows = backups.iter().map(|manifest| {
        [
            manifest.id.clone(),
            manifest.kind.name().to_owned(),
            manifest.records.map_or_else(|| "-".to_owned(), |records| records.to_string()),
            words::bytes(manifest.size_bytes()),
            words::age(now - manifest.created_at),
        ]
    });
    aligned(&["BACKUP", "KIND", "RECORDS", "SIZE", "AGE"], rows, &[false, false, true, true, true])
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
    let mut text = String::new();
    for row in &rows {
        let cells = (0..COLUMNS).map(|column| {
            let width = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            let cell = &row[column];
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
