//! The files of one restore: one, or a chain's, which must all be of the same table in the same shape.

use crate::backup::Backup;
use crate::parquet_file::ParquetFile;
use vb_core::{Error, Result};
use vb_postgres::row_hash::HashedColumn;
use vb_postgres::schema::TableDescription;

/// What is restored, and what tells how.
#[derive(Debug, Clone)]
pub(crate) struct Files<'backup> {
    /// The full one first.
    pub(crate) all: Vec<&'backup ParquetFile>,
    /// The one whose description of the table counts: the newest that has the statements that made it, or else the newest.
    pub(crate) telling: &'backup ParquetFile,
    /// The key's columns as the lists of deletes have them, if there is one.
    pub(crate) hashed: Option<Vec<HashedColumn>>,
}

impl<'backup> Files<'backup> {
    /// # Errors
    /// If there is none, or a list of deletes is damaged or contradicts another.
    pub(crate) fn of(backups: &'backup [Backup]) -> Result<Self> {
        let all: Vec<&ParquetFile> = backups.iter().map(|backup| &backup.file).collect();
        let has_dump =
            |file: &&&ParquetFile| file.stored().is_some_and(vb_postgres::stored_schema::StoredSchema::has_dump);
        let telling = all.iter().rev().find(has_dump).or(all.last()).copied();
        let telling = telling.ok_or_else(|| Error::failure("planning the restore: there is no file"))?;
        let differs = |file: &ParquetFile| {
            Error::integrity(format!("reading {}: its list of deletes is about another key", file.name()))
        };
        let hashed = hashed_key(all.iter().copied(), differs)?;
        Ok(Self { all, telling, hashed })
    }

    /// Whether there are several.
    pub(crate) fn are_a_chain(&self) -> bool {
        self.all.len() > 1
    }

    /// What makes rows of different backups the same row.
    ///
    /// # Errors
    /// A usage error if that is needed, and the table had no key.
    pub(crate) fn key(&self) -> Result<Vec<String>> {
        let described = self.telling.description().map(|description| description.primary_key.clone());
        let hashed = self.hashed.as_ref().map(|columns| columns.iter().map(|column| column.name.clone()).collect());
        match hashed.or(described) {
            Some(key) if !key.is_empty() || !self.are_a_chain() => Ok(key),
            None if !self.are_a_chain() => Ok(Vec::new()),
            _ => Err(Error::usage("the table of the chain has no primary key, so changed rows cannot be told from new ones")
                .with_hint("Restore its full backup alone with vb-get --kind full, or its backups one after the other with --mode insert.")),
        }
    }

    /// Whether all are of one table in one shape.
    ///
    /// # Errors
    /// An integrity error that names the file that differs.
    pub(crate) fn check(&self) -> Result<()> {
        if !self.are_a_chain() {
            return Ok(());
        }
        let wanted = shape(self.telling)?;
        for file in &self.all {
            if shape(file)? != wanted {
                let message = format!(
                    "the chain is broken: {} is not of the same table in the same shape as {}",
                    file.name(),
                    self.telling.name()
                );
                return Err(Error::integrity(message)
                    .with_hint("Nothing was changed. Restore an earlier backup, and make a full backup now."));
            }
        }
        Ok(())
    }
}

/// The key's columns as the lists of deletes of these files have them, if there is one.
///
/// # Errors
/// If a list is damaged; `differs` of the first file whose list is about another key than those before it.
pub(crate) fn hashed_key<'file>(
    files: impl IntoIterator<Item = &'file ParquetFile>,
    differs: impl FnOnce(&ParquetFile) -> Error,
) -> Result<Option<Vec<HashedColumn>>> {
    let mut hashed: Option<Vec<HashedColumn>> = None;
    for file in files {
        let Some(deletes) = file.deletes()? else { continue };
        if hashed.as_ref().is_some_and(|known| *known != deletes.columns) {
            return Err(differs(file));
        }
        hashed = Some(deletes.columns);
    }
    Ok(hashed)
}

/// What must be the same: the table, its columns with their types, its key.
type Shape<'file> = (&'file str, &'file str, Vec<(&'file str, &'file str)>, &'file [String]);

fn shape(file: &ParquetFile) -> Result<Shape<'_>> {
    let Some(TableDescription { schema, table, columns, primary_key, .. }) = file.description() else {
        return Err(Error::integrity(format!(
            "the chain is broken: {} does not say of which table it is",
            file.name()
        )));
    };
    Ok((
        schema,
        table,
        columns.iter().map(|column| (column.name.as_str(), column.type_name.as_str())).collect(),
        primary_key,
    ))
}
