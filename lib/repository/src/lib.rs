//! What the commands that touch a store share: committing a backup, finding, fetching and removing backups.
//!
//! A backup exists when its manifest exists: data first, manifest last, both created and never replaced. Decisions ([`litter`], [`select`], [`removal`]) are pure functions.
#![forbid(unsafe_code)]

pub mod annotation;
pub mod arguments;
pub mod cache;
pub mod catalogue;
pub mod chunk;
pub mod copy;
pub mod deposit;
pub mod fetch;
pub mod guard;
mod guarded;
mod hashing;
pub mod journal;
pub mod listing;
pub mod litter;
mod object;
mod packed;
pub mod process;
pub mod removal;
mod row;
pub mod select;
mod shown;
pub mod verification;
pub mod whole;
pub mod words;
pub mod writing;

pub use arguments::{OpenStore, StoreArguments, StoresArguments};
pub use cache::Cache;
pub use catalogue::{Catalogue, Entry, catalogue};
pub use chunk::{Chunk, ChunkReader};
pub use deposit::{Committed, Deposit, Deposited, Place};
pub use guarded::Guarded;
pub use journal::Journal;
pub use listing::{Listing, list};
pub use packed::Digests;
pub use row::{Row, RowObject};
pub use writing::WritingArguments;

#[cfg(test)]
mod tests;
