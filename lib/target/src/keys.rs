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
use vb_postgres::row_hash::HashedColumn;
use vb_postgres::sql::identifier;
use vb_postgres::types::{ColumnType, Scalar};

/// The backups of a chain, the files of each, and how the key of each file is read.
pub(crate) struct Keys<'backup> {
    backups: Vec<Vec<Keyed<'backup>>>,
}

struct Keyed<'backup> {
    file: &'backup ParquetFile,
    columns: Vec<usize>,
    encoder: CopyEncoder,
}

/// The table of a chain, and its key.
pub(crate) struct Keyable<'chain> {
    /// Its name for people.
    pub(crate) table: &'chain str,
    /// Where its rows will be, in SQL.
    pub(crate) home: &'chain str,
    pub(crate) key: &'chain [String],
    /// The same as lists of deletes have it, if there is one.
    pub(crate) hashed: Option<&'chain [HashedColumn]>,
}

impl<'backup> Keys<'backup> {
    /// Asks the server for the types of the key's columns in the table that is restored.
    ///
    /// # Errors
    /// If it does not answer, or has a type whose values cannot be compared here.
    pub(crate) fn of(client: &mut Client, plan: &Plan, files: &Files<'backup>) -> Result<Self> {
        let (key, hashed) = (&plan.key, files.hashed.as_deref());
        let table = Keyable { table: &plan.table, home: &plan.home, key, hashed };
        Self::of_backups(client, &table, files.all.iter().map(|file| vec![*file]).collect())
    }

    /// The same of backups that are several files each.
    ///
    /// # Errors
    /// As for [`Keys::of`].
    pub(crate) fn of_backups(
        client: &mut Client,
        table: &Keyable<'_>,
        backups: Vec<Vec<&'backup ParquetFile>>,
    ) -> Result<Self> {
        let names: Vec<String> = table.key.iter().map(|name| identifier(name)).collect();
        let select = format!("SELECT {} FROM {}", names.join(", "), table.home);
        let statement = client.prepare(&select).map_err(|cause| from_postgres("reading the key", cause))?;
        let mut resolver = Resolver::new(client);
        let types = statement.columns().iter();
        let types = types.map(|column| resolver.column_type(column.type_().oid(), column.type_modifier()));
        let types = types.collect::<Result<Vec<_>>>()?;
        let all: Vec<&ParquetFile> = backups.iter().flatten().copied().collect();
        let mut forms = Vec::new();
        for (place, (name, column_type)) in table.key.iter().zip(&types).enumerate() {
            let text = table.hashed.and_then(|hashed| hashed.get(place)).map(|column| column.text);
            forms.push((name.clone(), form(&all, name, column_type, text)?));
        }
        let open = |file: &'backup ParquetFile| {
            let index = |name: &String| file.schema().index_of(name).map_err(|_| no_column(file, name));
            let columns = table.key.iter().map(index).collect::<Result<_>>()?;
            let encoder = CopyEncoder::new(table.table.to_owned(), forms.clone()).with_asides(file.asides())?;
            Ok(Keyed { file, columns, encoder })
        };
        let open_all = |files: Vec<&'backup ParquetFile>| files.into_iter().map(open).collect::<Result<_>>();
        Ok(Self { backups: backups.into_iter().map(open_all).collect::<Result<_>>()? })
    }
}

/// How the values of a key's column become the bytes that the source has hashed: those of COPY BINARY, or those of its text.
fn form(files: &[&ParquetFile], name: &str, column_type: &ColumnType, text: Option<bool>) -> Result<ColumnType> {
    let printed = |file: &&ParquetFile| {
        file.description().and_then(|table| table.column(name)).is_some_and(|column| column.printed)
    };
    let (all, any) = (files.iter().all(printed), files.iter().any(printed));
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
        self.backups.iter().map(|files| files.iter().map(|keyed| keyed.file.rows()).sum()).collect()
    }

    fn keys(&self, backup: usize, each: &mut dyn FnMut(u64, KeyHash) -> Result<()>) -> Result<()> {
        let mut first = 0;
        for keyed in self.backups.get(backup).into_iter().flatten() {
            keyed.keys(&mut |row, key| each(first + row, key))?;
            first += keyed.file.rows();
        }
        Ok(())
    }

    fn deletes(&self, backup: usize) -> Result<Option<Deletes>> {
        let files = self.backups.get(backup).into_iter().flatten().map(|keyed| keyed.file);
        files.filter(|file| file.has_deletes()).map(ParquetFile::deletes).next().unwrap_or(Ok(None))
    }
}

impl Keyed<'_> {
    fn keys(&self, each: &mut dyn FnMut(u64, KeyHash) -> Result<()>) -> Result<()> {
        let Self { file, columns, encoder } = self;
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
