//! What a backup is: its errors, names, manifest, later facts, watermark, chain and retention.
//!
//! Everything here is a value or a pure function of values. No I/O, no clock, no command line: whoever needs the time
//! passes it in, so that a dry run and a real run decide alike.
#![forbid(unsafe_code)]

pub mod assertion;
pub mod chain;
pub mod continuation;
pub mod cost;
pub mod ending;
pub mod environment;
pub mod error;
pub mod fact;
pub mod file_name;
pub mod key;
pub mod label;
pub mod location;
pub mod manifest;
pub mod mark;
pub mod naming;
pub mod parts;
pub mod position;
pub mod retention;
pub mod storage;
pub mod time;
pub mod watermark;

pub use error::{Error, ErrorKind, Result};
