//! The contract of a store: what each method owes its caller, whichever provider is behind it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use vb_core::key::Key;
use vb_core::parts::PartLimits;
use vb_core::time::Instant;
use vb_core::{Error, Result};

/// What was stored, as its writer counted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// The object's length.
    pub size_bytes: u64,
    /// The CRC-32 (ISO 3309, as in gzip and in S3's `x-amz-checksum-crc32`) of all its bytes.
    pub crc32: u32,
}

/// What a store says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its key, without the store's own prefix.
    pub key: Key,
    /// Its length.
    pub size_bytes: u64,
    /// When it was stored, by the store's clock.
    pub modified_at: Instant,
    /// The CRC-32 of the whole object, where the store keeps one and [`Store::head`] asked for it.
    pub crc32: Option<u32>,
    /// Its storage class or tier, by the provider's own name; none where the store has none or does not say.
    pub storage_class: Option<String>,
}

/// An upload that is neither committed nor aborted: all that another process needs to abort it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenUpload {
    /// The object that it will become; in a local store the temporary file itself.
    pub key: Key,
    /// The store's own name for the upload; empty in a local store.
    pub id: String,
    /// When it was begun, by the store's clock; in a local store when it was last written.
    pub begun_at: Instant,
}

/// Short texts about an object, for people and for the rules of a store: lower-case names of ASCII letters, digits and
/// hyphens; values of at most 256 characters, which a provider escapes as it must.
pub type Facts = BTreeMap<String, String>;

/// What a store does with objects as they age, by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifecycle {
    /// The storage class, by the provider's own name, that objects move to, and after how many days.
    pub transition: Option<(String, u32)>,
    /// After how many days an unfinished upload is aborted.
    pub abort_uploads_after_days: u32,
}

/// Called once for an upload that outlives a killed process: after it has come into being, before any of its data is
/// sent. If it fails, the upload is aborted and fails with this error.
pub type OnOpen = Box<dyn FnOnce(&OpenUpload) -> Result<()> + Send>;

/// For callers that keep no record of open uploads.
#[must_use]
pub fn unrecorded() -> OnOpen {
    Box::new(|_| Ok(()))
}

/// A place for objects. Blocking: it must not be called from asynchronous code.
///
/// Every method may be called from several threads at once. Errors are one line, hold no secret, and have the kind that
/// decides what the caller does: `Conflict` exists already, `NotFound` no such bucket or object, `Denied` credentials
/// or permissions, `Integrity` fewer or other bytes than promised, `Unavailable` worth trying again.
pub trait Store: Send + Sync {
    /// The store's URL, for people. MUST NOT hold a secret.
    fn describe(&self) -> String;

    /// How a stream is cut and how large an object may grow. Constant. The caller MUST go on in a further object once
    /// [`PartLimits::largest_object_bytes`] is reached.
    fn limits(&self) -> PartLimits;

    /// Stores a small object whole or not at all, and MUST NOT replace one: `Conflict` if the key exists. Of several
    /// writers at once exactly one succeeds. Durable when it returns. After `Unavailable` the object may exist.
    fn put_new(&self, key: &Key, bytes: &[u8]) -> Result<Stored>;

    /// Begins an object of unknown length. Nothing is visible under the key before [`Upload::commit`]. Fails early with
    /// `Conflict` if the key exists. `metadata` is stored with the object where the store keeps such a thing. `on_open` is
    /// called at most once, and only if the upload gets a name in the store.
    fn upload(&self, key: &Key, metadata: &Facts, on_open: OnOpen) -> Result<Box<dyn Upload + Send>>;

    /// Puts tags on a stored object, in place of those it has. Idempotent. A store that has no tags leaves this out, and
    /// nothing is done.
    fn tag(&self, _key: &Key, _tags: &Facts) -> Result<()> {
        Ok(())
    }

    /// Installs rules for everything under the store's prefix, in place of those that were installed so before, and leaves
    /// other rules alone. A store that has no rules leaves this out, and the caller learns it.
    fn install_lifecycle(&self, _lifecycle: &Lifecycle) -> Result<()> {
        Err(Error::usage(format!("{} has no lifecycle rules", self.describe())))
    }

    /// What is under this key, or `None`. Idempotent. Sees every object whose commit has returned.
    fn head(&self, key: &Key) -> Result<Option<ObjectInfo>>;

    /// Exactly these bytes of an object: `Integrity` if it ends before them, `NotFound` if it does not exist. An empty
    /// range is answered without asking. Idempotent; runs in parallel with itself.
    fn read(&self, key: &Key, range: Range<u64>) -> Result<Vec<u8>>;

    /// A whole object of at most this length; `Integrity` if it is longer, `NotFound` if it does not exist. Idempotent.
    fn read_small(&self, key: &Key, most_bytes: u64) -> Result<Vec<u8>>;

    /// Calls `each` once for every object whose key begins with this text, in ascending order of the keys' UTF-8 bytes
    /// whatever order the server has; ends with the first error of `each`. Objects whose names are no [`Key`] (made by
    /// other programs) and unfinished uploads are left out. A store that does not exist yet, but would be made by the
    /// first write, is empty.
    fn list(&self, prefix: &str, each: &mut dyn FnMut(ObjectInfo) -> Result<()>) -> Result<()>;

    /// Removes an object; one that is gone already is no error. Idempotent.
    fn delete(&self, key: &Key) -> Result<()>;

    /// The unfinished uploads whose key begins with this text, of this and of every other process.
    fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>>;

    /// Ends an unfinished upload and frees what it holds; one that is gone already is no error. Idempotent. A commit of
    /// it that comes later MUST fail.
    fn abort_upload(&self, upload: &OpenUpload) -> Result<()>;
}

/// An object on its way. Dropped without [`Upload::commit`], it is aborted.
pub trait Upload {
    /// Appends bytes, any number of them; gathers them to equal parts itself and holds no more than
    /// [`PartLimits::parallel`] parts and one. After an error only `abort` and drop are allowed.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Makes the object visible, whole and durable, at most once; MUST NOT replace one: `Conflict` if the key exists by
    /// now. After any error nothing of the upload is left, except after `Unavailable`, when the object may exist.
    fn commit(self: Box<Self>) -> Result<Stored>;

    /// Frees everything that the upload holds in the store. An error says what may be left.
    fn abort(self: Box<Self>) -> Result<()>;
}
