//! The restore of a chain that shares nothing with the commands' own where rows are gone: a program in another language deletes them, by the
//! footer's description in the manual.

use anyhow::{Context, Result};

use crate::command::Command;
use crate::servers::Database;

/// Restores these backups, the full one first, into a database that does not have the table. `shell` makes the command of a line, in
/// the place and with the store of the backups.
///
/// # Errors
/// What the command said that failed.
pub fn restore(ids: &[&str], table: &str, target: &Database, shell: impl Fn(&str) -> Command) -> Result<()> {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/apply_deletes.py");
    for (place, id) in ids.iter().enumerate() {
        let delete = if place > 0 { format!("&& python3 {program} {id}.parquet {table}") } else { String::new() };
        let line = format!(
            "vb-get {id} | vb-compress -d -o {id}.parquet {delete} && vb-import --disable-triggers {id}.parquet"
        );
        let run = shell(&line).env("DATABASE_URL", target.url()).run()?;
        run.succeeded().with_context(|| format!("restoring {id}"))?;
    }
    Ok(())
}
