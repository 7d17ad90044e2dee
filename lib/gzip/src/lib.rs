//! The sealed, parallel gzip. Any gunzip reads it; cut anywhere, every reader says so.
//!
//! RFC 1952 throughout. Each member holds at most 1 MiB of data, and its extra field one subfield `VB` with the member's
//! length, so that members can be decoded in parallel. The last member is empty and holds the seal: subfield `VS`, with
//! the counts and SHA-256 digests of both sides and the caller's label, then `VB`.
//!
//! All members begin with the same ten bytes, and the writer is always ten bytes ahead: the beginning of the next member
//! goes out together with the end of the one before. Only the seal ends a stream, so a compressor that was killed leaves
//! what every gunzip calls an unexpected end of file. There is nothing to write on an error path.
//!
//! This crate knows nothing of what the label says, of pipes, or of exit codes.

#![forbid(unsafe_code)]

mod compress;
mod decompress;
mod error;
mod foreign_header;
mod format;
mod inflate;
mod pipeline;
mod prover;
mod scanner;
mod seal;
mod source;
mod tally;

pub use compress::{Level, Unsealed, compress, default_threads};
pub use decompress::{Decompressed, decompress};
pub use error::{GzipError, Result};
pub use format::{BLOCK_BYTES, starts_as_vb};
pub use prover::ForeignProver;
pub use scanner::{Scanned, SealScanner};
pub use seal::{LABEL_BYTES_MOST, SEAL_BYTES_MOST, Seal, Totals, parse_seal};
