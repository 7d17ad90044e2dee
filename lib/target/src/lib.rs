//! Where a stream goes on restore: a table of PostgreSQL.
//!
//! [`plan`] decides what will be done (a pure function of the request, the file and the catalog); [`restore`] does it in one
//! transaction, which the caller commits.
#![forbid(unsafe_code)]

mod catalog;
mod columns;
mod definition;
mod errors;
mod moving;
mod optional;
mod oracle;
pub mod parquet_file;
pub mod plan;
mod presence;
pub mod request;
pub mod restore;
mod rows;
mod schema;
mod selection;
mod sequences;

pub use optional::LeftOut;
pub use oracle::Identity;
pub use parquet_file::ParquetFile;
pub use plan::Plan;
pub use request::{Mode, ModeChoice, Request};
pub use restore::{Loaded, Restore};
