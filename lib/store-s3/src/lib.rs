//! The store behind `s3://` URLs: Amazon S3 and the servers that speak its protocol.
//!
//! Every write is create-only (`If-None-Match: *`, and a look beforehand for servers that ignore it) and carries two
//! checksums that the server verifies: the signed SHA-256 of the body, which every server checks, and a CRC-32 header,
//! which newer ones also keep. Headers, never trailers: older servers refuse `aws-chunked` bodies.
#![forbid(unsafe_code)]

mod call;
mod checksum;
mod client;
mod config;
mod error;
mod lifecycle;
mod listing;
mod options;
mod parts;
mod store;
mod tagging;
mod upload;

pub use config::S3Config;
pub use options::{Encryption, Lock, ObjectOptions};
pub use store::S3Store;
