//! Which rows are gone: the keys of a table, known by digests that do not grow with it.
//!
//! The keys are spread over at most [`MOST_BUCKETS`] buckets. Of each bucket [`Buckets`] keeps how many keys it has and the sum of
//! their hashes. The next export passes over the live keys once ([`Comparison`]): where the keys that it does not export,
//! together with some of those that it does, give the old count and sum, nothing was deleted. Any other bucket is *dirty*, and
//! the increment carries the hashes of all its live keys ([`Deletes`]). Restoring it first deletes every row whose key falls into a
//! dirty bucket and is not among those, then merges the increment's rows.
//!
//! A deleted key stays unseen only if 64 bits of SHA-256 happen to agree: once in 2^64 for each subset that is tried, of
//! which a bucket has at most 924.

mod buckets;
mod bytes;
mod catalog;
mod comparison;
mod deletes;
mod hash;
#[cfg(test)]
mod properties;
mod rows;

pub use buckets::{Bucket, Buckets, name_of};
pub use catalog::{columns, key_of};
pub use comparison::{Changes, Comparison};
pub use deletes::{Collector, Deletes, would_be_too_large};
pub use hash::{KeyHash, MOST_BUCKETS, buckets_for};
pub use rows::KeyRows;

/// The footer's key for the [`Deletes`] of an increment, in the form of [`Deletes::to_text`].
pub const METADATA_KEY: &str = "vb.deletes";

use crate::row_hash::HashedColumn;
use crate::sql::{identifier, printed};

/// The expressions whose COPY BINARY form is hashed, in the key's order: a column itself, or its text where its bytes mean
/// something in one database only.
#[must_use]
pub fn expressions(columns: &[HashedColumn]) -> Vec<String> {
    let expression = |column: &HashedColumn| {
        let name = identifier(&column.name);
        if column.text { printed(&name) } else { name }
    };
    columns.iter().map(expression).collect()
}
