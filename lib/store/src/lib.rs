//! Where backups lie: the contract that every provider keeps, the stores on disk and in memory, and the retrying wrapper.
//!
//! What a provider must do stands on [`Store`]; [`conformance`] checks it on any store. What a backup is (manifests,
//! retention, the order of commits) is not known here.
#![forbid(unsafe_code)]

pub mod conformance;
mod contract;
mod local;
mod memory;
mod own;
mod random;
mod retry;
mod retrying;

pub use contract::{Facts, Lifecycle, ObjectInfo, OnOpen, OpenUpload, Store, Stored, Upload, unrecorded};
pub use local::LocalStore;
pub use memory::MemoryStore;
pub use own::{LOOKS, find_own};
pub use random::random_u64;
pub use retry::{RetryPolicy, Warn, no_warning};
pub use retrying::Retrying;
