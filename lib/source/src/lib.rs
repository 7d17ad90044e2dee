//! Where a stream comes from: a table, a query or a whole database of PostgreSQL.
//!
//! [`plan`] decides what will be read, a pure function of the request and the catalog; [`export`] reads it.
#![forbid(unsafe_code)]

pub mod dump;
pub mod export;
mod filter;
mod holding;
mod in_order;
mod key_pass;
mod news;
mod patience;
mod pg_dump;
pub mod pieces;
pub mod plan;
pub mod request;
mod rows;
mod schema_dump;
mod text_rows;
mod tombstones;

pub use export::{Export, Exported};
pub use pieces::{Piece, Shard};
pub use plan::Plan;
pub use tombstones::Remembered;
pub use request::{Format, Request, Selection, TablePart};
