//! The store behind `gs://` URLs: Google Cloud Storage, by its JSON API.
//!
//! Every write is create-only (`ifGenerationMatch=0`) and carries a CRC-32C that Google compares; its answer says what it
//! stored, which is compared once more here, since other servers of this protocol check nothing. A stream that fits into one
//! part is one request; a longer one is a resumable session, whose parts follow each other: that is the protocol's, not ours.
//!
//! Sessions cannot be listed. [`GcsStore`] names those that it began itself; whoever has the name of one (the session's URI,
//! which is all that is needed to write to it, so a secret) can abort it. Google lets those that nobody ends lapse after a
//! week, and charges nothing for them.
#![forbid(unsafe_code)]

mod checksum;
mod client;
mod config;
mod credentials;
mod error;
mod lifecycle;
mod listing;
mod object;
mod resource;
mod session;
mod store;
mod upload;

pub use config::GcsConfig;
pub use store::GcsStore;
