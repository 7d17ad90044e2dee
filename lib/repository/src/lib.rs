//! What the commands that touch a store share: committing a backup, finding, fetching and removing backups.
//!
//! A backup exists when its manifest exists: data first, manifest last, both created and never replaced. Decisions ([`litter`], [`select`], [`removal`]) are pure functions.
#![forbid(unsafe_code)]

pub mod arguments;
pub mod cache;
pub mod catalogue;
pub mod chunk;
pub mod deposit;
pub mod fetch;
pub mod guard;
mod hashing;
pub mod journal;
pub mod listing;
pub mod litter;
mod object;
pub mod removal;
mod row;
pub mod select;
pub mod verification;
pub mod words;

pub use arguments::StoreArguments;
pub use cache::Cache;
pub use catalogue::{Catalogue, Entry, catalogue};
pub use chunk::{Chunk, ChunkReader};
pub use deposit::{Committed, Deposit, Deposited, Place};
pub use journal::Journal;
pub use listing::{Listing, list};
pub use row::{Row, RowObject};

#[cfg(test)]
mod tests;
