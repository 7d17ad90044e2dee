//! A whole database: what is in it, and the JSON that lies beside its rows in the archive of `vb-export dump --format parquet`.
//!
//! All of it is SQL, Parquet or plain names, so that a person with psql and DuckDB can restore it without us.

pub mod contents;
pub mod format;
pub mod large_objects;
pub mod shape;
mod state;

pub use format::{Carried, Head, Manifest, Member, SequenceState, TableState, Validity};
pub use state::{State, Summary, Then};
