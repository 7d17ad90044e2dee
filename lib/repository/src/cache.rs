//! What was read of manifests, kept on this machine: one file a store. Manifests never change, so it need never be asked
//! whether it is out of date; but it is never believed about what exists, nor about another object of the same name.
//!
//! A line says what the file is; then each line is the CRC-32 of its rest in hexadecimal, a blank, and a JSON array: a
//! source, or a manifest, in the order of keys. From the first line that is not so, the file counts as not there.

mod line;
mod reader;

use crate::row::Row;
use line::Writer;
pub(crate) use reader::Reader;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use vb_core::environment::{
    AWS_ENDPOINT_URL, AZURE_STORAGE_ACCOUNT, AZURE_STORAGE_CONNECTION_STRING, Environment, HOME, STORAGE_EMULATOR_HOST,
    VB_CACHE_DIR, Variable, XDG_CACHE_HOME,
};
use vb_pipe::cleanup;
use vb_pipe::digest::Digest;
use vb_store::ObjectInfo;

/// What tells one object of a name from another: its length and when it was stored, to the microsecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) size_bytes: u64,
    pub(crate) modified_at: i64,
}

impl Stamp {
    pub(crate) fn of(object: &ObjectInfo) -> Self {
        Self { size_bytes: object.size_bytes, modified_at: object.modified_at.timestamp_micros() }
    }
}

/// What says on which server a store's URL is.
const SERVERS: [Variable; 4] =
    [AWS_ENDPOINT_URL, AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_ACCOUNT, STORAGE_EMULATOR_HOST];

/// The cache of one store, or none.
#[derive(Debug, Clone)]
pub struct Cache(Option<Place>);

#[derive(Debug, Clone)]
struct Place {
    path: PathBuf,
    title: String,
}

impl Cache {
    /// No cache: everything is read from the store.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// The one of the store with this URL, below `VB_CACHE_DIR`, `$XDG_CACHE_HOME/vb` or `~/.cache/vb`. A relative store's
    /// URL means another one in each folder, so that its absolute path counts.
    #[must_use]
    pub fn of(url: &str, environment: &Environment) -> Self {
        let below = |folder: &str, rest: &str| Path::new(folder).join(rest);
        let folder = environment
            .get(VB_CACHE_DIR)
            .map(PathBuf::from)
            .or_else(|| environment.get(XDG_CACHE_HOME).map(|folder| below(folder, "vb")))
            .or_else(|| environment.get(HOME).map(|folder| below(folder, ".cache/vb")));
        let Some(folder) = folder else { return Self::none() };
        let url = match url.strip_prefix("file://").map(std::path::absolute) {
            Some(Ok(path)) => format!("file://{}", path.display()),
            Some(Err(_)) => return Self::none(),
            None => url.to_owned(),
        };
        let mut digest = Digest::default();
        digest.update(url.as_bytes());
        // The same URL means another store on another server.
        for server in SERVERS.iter().filter_map(|variable| environment.get(*variable)) {
            digest.update(b"\n");
            digest.update(server.as_bytes());
        }
        let name = digest.sha256();
        let path = folder.join("manifests").join(name.get(..32).unwrap_or(&name));
        Self(Some(Place { path, title: format!("vb manifests 1 {url}") }))
    }

    /// From its beginning, for this set or all. A cache that cannot be read is an empty one.
    pub(crate) fn open(&self, set: Option<&str>) -> Reader {
        Reader::open(self.0.as_ref(), crate::listing::prefix(set)).unwrap_or_default()
    }

    /// Keeps these manifests of a set, or of all, in the order of keys, in the place of what it held of them. A cache that
    /// cannot be written is a slower next time, no failure.
    pub(crate) fn replace<'rows>(&self, set: Option<&str>, rows: impl Iterator<Item = (Stamp, &'rows Row)>) {
        let Some(place) = &self.0 else { return };
        let temporary = place.path.with_extension(format!("{}.tmp", std::process::id()));
        let undo = {
            let temporary = temporary.clone();
            cleanup::on_failure(move || drop(std::fs::remove_file(temporary)))
        };
        let wrote = self.write(place, &temporary, set, rows);
        if wrote.and_then(|()| std::fs::rename(&temporary, &place.path)).is_ok() {
            undo.disarm();
        }
    }

    /// Not brought to the disk at once: a cache that is cut off by a crash is seen to be so.
    fn write<'rows>(
        &self,
        place: &Place,
        temporary: &Path,
        set: Option<&str>,
        rows: impl Iterator<Item = (Stamp, &'rows Row)>,
    ) -> std::io::Result<()> {
        let mut old = self.open(set);
        std::fs::create_dir_all(place.path.parent().unwrap_or(&place.path))?;
        let file = BufWriter::with_capacity(1 << 18, File::create(temporary)?);
        let mut writer = Writer::new(file, &place.title)?;
        while let Some(line) = old.next_before() {
            writer.add(line.stamp, &line.row)?;
        }
        for (stamp, row) in rows {
            writer.add(stamp, row)?;
        }
        while let Some(line) = old.next_after() {
            writer.add(line.stamp, &line.row)?;
        }
        writer.finish()
    }
}

#[cfg(test)]
mod tests;
