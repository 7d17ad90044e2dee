//! PostgreSQL: connections, catalog, and COPY BINARY to and from Arrow.
//!
//! The `postgres` crate does everything but the one stream that decides the speed: a COPY's rows are read in bulk by a
//! connection of our own, because one message a row through an async client costs three times the processor time.
#![forbid(unsafe_code)]

pub mod aside;
pub mod catalog;
pub mod connection;
pub mod copy_out;
pub mod database;
pub mod decode;
pub mod dependencies;
pub mod encode;
pub mod extent;
pub mod fidelity;
pub mod fields;
pub mod keys;
mod longest;
pub mod made_of;
pub mod measure;
pub mod passing;
pub mod programs;
pub mod relation;
pub mod relocate;
pub mod resolve;
pub mod row_hash;
pub mod same;
pub mod schema;
pub mod script;
pub mod snapshot;
pub mod sql;
pub mod stored_schema;
pub mod types;
