//! Where a stream goes on restore: a table or a whole database of PostgreSQL.
//!
//! [`plan`] decides what will be done (a pure function of the request, the files and the catalog); [`restore`] does it in one
//! transaction, which the caller commits. The backups of a chain come out of an [`archive`] ([`backup`]), and of their rows only those are
//! sent that are there in the end.
#![forbid(unsafe_code)]

pub mod apart;
pub mod archive;
pub mod backup;
mod catalog;
mod columns;
pub mod database;
mod definition;
mod deletion;
mod delta;
mod errors;
mod files;
mod gone;
mod keys;
mod liveness;
mod load;
mod merging;
mod moving;
mod optional;
mod oracle;
mod pages;
pub mod parquet_file;
pub mod plan;
mod presence;
mod reactions;
pub mod request;
pub mod restore;
mod row_set;
mod rows;
mod schema;
mod selection;
mod sequences;
mod share;
mod surroundings;
mod unpacking;
pub mod window;

pub use apart::Apart;
pub use archive::Archive;
pub use backup::Backup;
pub use load::Load;
pub use optional::LeftOut;
pub use oracle::Identity;
pub use parquet_file::ParquetFile;
pub use plan::Plan;
pub use request::{Mode, ModeChoice, Request};
pub use restore::{Loaded, Restore, Restored};
pub use window::Window;
