//! A stream on its way to a backup: cut into objects, hashed, and made a backup by its manifest.
//!
//! Until the manifest has been sent, every failure, signal and kill undoes everything. Once it has been sent, nothing is
//! undone unless the store says that it is not there.

use crate::chunk::Chunk;
use crate::journal::Journal;
use crate::object::{CompleteObject, ObjectUpload};
use std::sync::{Arc, MutexGuard};
use vb_core::key::Key;
use vb_core::manifest::{Manifest, Object};
use vb_core::time::Instant;
use vb_core::{Error, ErrorKind, Result, naming};
use vb_pipe::cleanup;
use vb_store::{Facts, Store};

/// Where a backup goes; fixed before its first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The set.
    pub set: String,
    /// The id, which is `created_at` with the set before it.
    pub id: String,
    /// The extension of its objects, without a dot at the beginning; may be empty.
    pub extension: String,
    /// When the upload began.
    pub created_at: Instant,
}

impl Place {
    /// The place of a backup that begins at this time.
    #[must_use]
    pub fn new(set: &str, extension: &str, created_at: Instant) -> Self {
        let id = naming::id(set, created_at);
        Self { set: set.to_owned(), id, extension: extension.to_owned(), created_at }
    }

    /// The key of its first object (0) or a further one.
    ///
    /// # Errors
    /// If set and extension make no key.
    pub fn object_key(&self, number: usize) -> Result<Key> {
        naming::object_key(&self.set, &self.id, &self.extension, number)
    }

    /// The key of its manifest.
    ///
    /// # Errors
    /// If the set makes no key.
    pub fn manifest_key(&self) -> Result<Key> {
        naming::manifest_key(&self.set, &self.id)
    }

    /// Whether nothing in the store has this id.
    ///
    /// # Errors
    /// Those of the store.
    pub fn is_free(&self, store: &dyn Store) -> Result<bool> {
        Ok(store.head(&self.manifest_key()?)?.is_none() && store.head(&self.object_key(0)?)?.is_none())
    }
}

/// A stream that is being stored. Dropped, it is undone.
pub struct Deposit {
    store: Arc<dyn Store>,
    journal: Arc<Journal>,
    place: Place,
    metadata: Facts,
    current: ObjectUpload,
    complete: Vec<CompleteObject>,
}

impl Deposit {
    /// Begins the first object.
    ///
    /// # Errors
    /// Those of the store.
    pub fn begin(store: &Arc<dyn Store>, journal: &Arc<Journal>, place: Place) -> Result<Self> {
        Self::begin_with(store, journal, place, Facts::new())
    }

    /// The same, with metadata for each object.
    ///
    /// # Errors
    /// Those of the store.
    pub fn begin_with(store: &Arc<dyn Store>, journal: &Arc<Journal>, place: Place, metadata: Facts) -> Result<Self> {
        let current = ObjectUpload::begin(store, journal, &place.object_key(0)?, &metadata)?;
        let (store, journal) = (Arc::clone(store), Arc::clone(journal));
        Ok(Self { store, journal, place, metadata, current, complete: Vec::new() })
    }

    /// Appends a piece of the stream; goes on in a further object when this one is as large as the store allows.
    ///
    /// # Errors
    /// Those of the store.
    pub fn write(&mut self, chunk: &Chunk) -> Result<()> {
        let largest = self.store.limits().largest_object_bytes().max(1);
        let mut rest = chunk.clone();
        while !rest.is_empty() {
            if self.current.size_bytes() >= largest {
                self.roll_over()?;
            }
            let room = usize::try_from(largest - self.current.size_bytes()).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(room);
            self.current.write(&now)?;
            rest = later;
        }
        Ok(())
    }

    fn roll_over(&mut self) -> Result<()> {
        let key = self.place.object_key(self.complete.len() + 1)?;
        let next = ObjectUpload::begin(&self.store, &self.journal, &key, &self.metadata)?;
        let full = std::mem::replace(&mut self.current, next);
        self.complete.push(full.complete()?);
        Ok(())
    }

    /// Completes the last object. What follows is the manifest.
    ///
    /// # Errors
    /// Those of the store; `Conflict` if another process took the name meanwhile.
    pub fn complete(self) -> Result<Deposited> {
        let Self { store, journal, place, current, mut complete, .. } = self;
        complete.push(current.complete()?);
        Ok(Deposited { store, journal, manifest_key: place.manifest_key()?, complete })
    }
}

/// All objects are complete; no manifest names them yet. Dropped, they are deleted.
pub struct Deposited {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) manifest_key: Key,
    pub(crate) complete: Vec<CompleteObject>,
}

impl Deposited {
    /// The objects, for the manifest.
    #[must_use]
    pub fn objects(&self) -> Vec<Object> {
        self.complete.iter().map(|complete| complete.object.clone()).collect()
    }

    /// Puts the manifest: from then on the backup exists.
    ///
    /// # Errors
    /// Those of the store; `Conflict` if there is another backup of this id by now. Nothing is left then, unless the
    /// manifest's fate is unknown.
    pub fn commit(self, manifest: &Manifest) -> Result<Committed> {
        let uninterrupted = cleanup::uninterrupted();
        let manifest_key = self.commit_within(&uninterrupted, &manifest.id, &manifest.to_bytes()?)?;
        Ok(Committed { manifest_key, _uninterrupted: uninterrupted })
    }

    /// The same within a section that no signal interrupts, for one of several commits; the manifest as its bytes, for a
    /// copy that must be identical.
    ///
    /// # Errors
    /// As for [`Deposited::commit`].
    pub fn commit_within(self, _section: &MutexGuard<'_, ()>, id: &str, manifest: &[u8]) -> Result<Key> {
        let sending = self.journal.committing(&self.manifest_key);
        let fate = match self.store.put_new(&self.manifest_key, manifest) {
            Ok(_) => Fate::Stored,
            Err(error) => self.fate(&self.manifest_key, manifest, error),
        };
        if !matches!(fate, Fate::Unknown(_)) {
            self.journal.settle(sending);
        }
        match fate {
            Fate::Stored => Ok(self.keep()),
            Fate::Absent(error) => Err(error),
            Fate::Unknown(error) => {
                self.keep();
                Err(error.with_hint(format!("Look with vb-ls whether {id} is there; if not, run it again.")))
            }
        }
    }

    fn fate(&self, key: &Key, bytes: &[u8], error: Error) -> Fate {
        let may_still_arrive = error.kind() == ErrorKind::Unavailable;
        match self.store.read_small(key, bytes.len() as u64) {
            Ok(found) if found == bytes => Fate::Stored,
            // Another one of the same id.
            Ok(_) => Fate::Absent(error),
            Err(found) if found.kind() == ErrorKind::Integrity => Fate::Absent(error),
            Err(found) if found.kind() == ErrorKind::NotFound && !may_still_arrive => Fate::Absent(error),
            Err(_) => Fate::Unknown(error),
        }
    }

    /// Nothing is to be undone any more.
    fn keep(self) -> Key {
        self.complete.into_iter().for_each(CompleteObject::keep);
        self.manifest_key
    }
}

/// What became of a manifest that was sent.
enum Fate {
    Stored,
    Absent(Error),
    Unknown(Error),
}

/// A backup that exists. As long as this value lives no signal is heeded: what is left to do (the mark, the status line)
/// belongs to it.
pub struct Committed {
    /// Where its manifest is.
    pub manifest_key: Key,
    _uninterrupted: MutexGuard<'static, ()>,
}
