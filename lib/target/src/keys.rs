//! The keys of the files of a chain, in the form in which the source hashed its own.

use crate::deletion::no_column;
use crate::files::Files;
use crate::liveness::Chain;
use crate::parquet_file::ParquetFile;
use crate::plan::Plan;
use postgres::Client;
use vb_core::{Error, Result};
use vb_postgres::connection::from_postgres;
use vb_postgres::encode::CopyEncoder;
use vb_postgres::keys::{Deletes, KeyHash, MOST_BUCKETS};
use vb_postgres::resolve::Resolver;
use vb_postgres::sql::identifier;
use vb_postgres::types::{ColumnType, Scalar};

/// The files of a chain, and how the key of each is read.
pub(crate) struct Keys<'backup> {
    files: Vec<(&'backup ParquetFile, Vec<usize>, CopyEncoder)>,
}

impl<'backup> Keys<'backup> {
    /// Asks the server for the types of the key's columns in the table that is restored.
    ///
    /// # Errors
    /// If it does not answer, or has a type whose values cannot be compared here.
    pub(crate) fn of(client: &mut Client, plan: &Plan, files: &Files<'backup>) -> Result<Self> {
        let names: Vec<String> = plan.key.iter().map(|name| identifier(name)).collect();
        let select = format!("SELECT {} FROM {}", names.join(", "), plan.home);
        let statement = client.prepare(&select).map_err(|cause| from_postgres("reading the key", cause))?;
        let mut resolver = Resolver::new(client);
        let types = statement.columns().iter();
        let types = types.map(|column| resolver.column_type(column.type_().oid(), column.type_modifier()));
        let types = types.collect::<Result<Vec<_>>>()?;
        let open = |file: &&'backup ParquetFile| {
            let mut columns = Vec::new();
            for (place, (name, column_type)) in plan.key.iter().zip(&types).enumerate() {
                let text = files.hashed.as_ref().and_then(|hashed| hashed.get(place)).map(|column| column.text);
                columns.push((name.clone(), form(files, name, column_type, text)?));
            }
            let index = |name: &String| file.schema().index_of(name).map_err(|_| no_column(file, name));
            let indexes = plan.key.iter().map(index).collect::<Result<_>>()?;
            Ok((*file, indexes, CopyEncoder::new(plan.table.clone(), columns).with_asides(file.asides())?))
        };
        Ok(Self { files: files.all.iter().map(open).collect::<Result<_>>()? })
    }
}

/// How the values of a key's column become the bytes that the source has hashed: those of COPY BINARY, or those of its text.
fn form(files: &Files<'_>, name: &str, column_type: &ColumnType, text: Option<bool>) -> Result<ColumnType> {
    let printed = |file: &&ParquetFile| {
        file.description().and_then(|table| table.column(name)).is_some_and(|column| column.printed)
    };
    let (all, any) = (files.all.iter().all(&printed), files.all.iter().any(printed));
    let is_text = matches!(column_type, ColumnType::Printed(_) | ColumnType::Scalar(Scalar::Text));
    match text {
        // As the server printed it.
        Some(true) | None if all => Ok(ColumnType::Scalar(Scalar::Text)),
        // An enum's label is sent as its text.
        Some(true) if is_text && !any => Ok(ColumnType::Scalar(Scalar::Text)),
        Some(false) | None if !any => Ok(column_type.clone()),
        _ => Err(Error::usage(format!("the key's column {name:?} is of a type whose values cannot be compared here"))
            .with_hint(
                "Nothing was changed. Restore the chain's backups one after the other: vb-ls --chain names them.",
            )),
    }
}

impl Chain for Keys<'_> {
    fn rows(&self) -> Vec<u64> {
        self.files.iter().map(|(file, ..)| file.rows()).collect()
    }

    fn keys(&self, backup: usize, each: &mut dyn FnMut(u64, KeyHash) -> Result<()>) -> Result<()> {
        let Some((file, columns, encoder)) = self.files.get(backup) else { return Ok(()) };
        let mut wanted = columns.clone();
        wanted.sort_unstable();
        let (mut row, mut block) = (0, Vec::new());
        for group in 0..file.groups() {
            for batch in file.group(group, &wanted)? {
                let batch = batch.map_err(|cause| file.broken(&cause))?;
                let place = |index: &usize| wanted.iter().position(|wanted| wanted == index).unwrap_or_default();
                let arrays: Vec<_> = columns.iter().map(|index| batch.column(place(index)).clone()).collect();
                block.clear();
                encoder.encode(&arrays, 0..batch.num_rows(), row, &mut block, &mut |_| Ok(()))?;
                let mut rest = block.as_slice();
                while !rest.is_empty() {
                    let (key, after) = one_row(rest).ok_or_else(|| file.broken(&"a part of a key is NULL"))?;
                    each(row, key)?;
                    (rest, row) = (after, row + 1);
                }
            }
        }
        Ok(())
    }

    fn deletes(&self, backup: usize) -> Result<Option<Deletes>> {
        self.files.get(backup).map_or(Ok(None), |(file, ..)| file.deletes())
    }
}

/// The key of the first row, and what follows it; none if a field is NULL.
fn one_row(bytes: &[u8]) -> Option<(KeyHash, &[u8])> {
    let (count, mut rest) = bytes.split_first_chunk()?;
    let mut fields = Vec::with_capacity(4);
    for _ in 0..i16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk()?;
        let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
        let (field, after) = after.split_at_checked(length)?;
        fields.push(field);
        rest = after;
    }
    Some((KeyHash::of(fields.into_iter(), MOST_BUCKETS), rest))
}
