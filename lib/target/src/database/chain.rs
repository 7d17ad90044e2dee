//! Dumps of one database of which each stands on the one before: schema and sequences are the newest's, and of each table those members
//! count that are not behind one which has all of it.

use super::archive::DatabaseArchive;
use super::table::{self, Part, Table};
use crate::parquet_file::ParquetFile;
use vb_core::{Error, Result};
use vb_postgres::database::{Manifest, Member};

/// A full dump, and the increments that stand on it.
#[derive(Debug)]
pub struct DatabaseChain {
    newest: DatabaseArchive,
    /// Those before it, the full one first.
    older: Vec<DatabaseArchive>,
    names: Vec<String>,
}

impl DatabaseChain {
    /// Of these, each with its backup's id or its file's name: the full one first.
    ///
    /// # Errors
    /// An integrity error if one does not stand on the one before it.
    pub fn of(links: Vec<(String, DatabaseArchive)>) -> Result<Self> {
        let (names, mut older): (Vec<String>, Vec<DatabaseArchive>) = links.into_iter().unzip();
        let bases = std::iter::once(None).chain(names.iter().map(Some));
        for ((name, link), base) in names.iter().zip(&older).zip(bases) {
            if link.is_increment() && link.head.base.as_ref() != base || !link.is_increment() && base.is_some() {
                let stands = link.head.base.as_deref().map_or("on nothing".to_owned(), |base| format!("on {base}"));
                let before = base.map_or("nothing came before it".to_owned(), |base| format!("{base} came before it"));
                return Err(Error::integrity(format!("reading {name}: it stands {stands}, and {before}"))
                    .with_hint("Nothing was changed. Fetch all that it stands on with vb-get --chain."));
            }
        }
        let newest = older.pop().ok_or_else(|| Error::failure("a chain without backups"))?;
        Ok(Self { newest, older, names })
    }

    /// The newest: what the database is to be again.
    #[must_use]
    pub fn newest(&self) -> &DatabaseArchive {
        &self.newest
    }

    /// The ids of its backups, the full one's first.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    fn links(&self) -> impl DoubleEndedIterator<Item = &DatabaseArchive> {
        self.older.iter().chain(std::iter::once(&self.newest))
    }

    /// Every table, with its members in all backups.
    ///
    /// # Errors
    /// An integrity error if the members of one are not there.
    pub(super) fn tables(&self) -> Result<Vec<Table<'_>>> {
        let manifests: Vec<&Manifest> = self.links().map(|link| &link.manifest).collect();
        table::of(&manifests)
    }

    /// A member's rows.
    ///
    /// # Errors
    /// If it is not what its list says.
    pub(super) fn parquet(&self, part: &Part<'_>) -> Result<ParquetFile> {
        self.older.get(part.link).unwrap_or(&self.newest).parquet(part.member)
    }

    /// The bytes of large objects, if there are any: the newest that were dumped, with their dump.
    pub(super) fn large_objects(&self) -> Option<(&DatabaseArchive, &Member)> {
        if self.newest.head.large_objects == 0 {
            return None;
        }
        self.links().rev().find_map(|link| Some((link, link.large_objects()?)))
    }
}
