//! What can go wrong with a gzip stream. Offsets count bytes of the compressed stream from its beginning.

use std::fmt;

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, GzipError>;

/// Why a stream could not be written, read or believed.
#[derive(Debug)]
pub enum GzipError {
    /// The input could not be read.
    Read(std::io::Error),
    /// The output could not be written.
    Write(std::io::Error),
    /// The stream does not begin as gzip does.
    NotGzip,
    /// The stream ends too early: inside a member, or in a stream of ours before its seal.
    Truncated {
        /// The length of the stream.
        offset: u64,
    },
    /// Bytes that are not what the format or the checksums demand.
    Corrupt {
        /// Where: for a damaged member of ours, where that member begins.
        offset: u64,
        /// What is wrong there.
        cause: &'static str,
    },
    /// The stream is not the one that its seal describes.
    SealMismatch {
        /// Where the seal begins.
        offset: u64,
        /// What differs.
        cause: &'static str,
    },
    /// The label does not fit into a gzip extra field.
    LabelTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A thread could not be started, or panicked.
    Thread,
}

impl fmt::Display for GzipError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(cause) => write!(formatter, "reading: {cause}"),
            Self::Write(cause) => write!(formatter, "writing: {cause}"),
            Self::NotGzip => formatter.write_str("not a gzip stream"),
            Self::Truncated { offset } => {
                write!(formatter, "truncated gzip stream: unexpected end of file after {offset} bytes")
            }
            Self::Corrupt { offset, cause } => write!(formatter, "corrupt gzip stream at byte {offset}: {cause}"),
            Self::SealMismatch { offset, cause } => {
                write!(formatter, "the gzip stream's seal at byte {offset} does not match: {cause}")
            }
            Self::LabelTooLong { bytes } => {
                let most = crate::LABEL_BYTES_MOST;
                write!(formatter, "sealing the gzip stream: a label of {bytes} bytes is longer than {most}")
            }
            Self::Thread => formatter.write_str("a compression thread could not be started or failed"),
        }
    }
}

impl std::error::Error for GzipError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(cause) | Self::Write(cause) => Some(cause),
            _ => None,
        }
    }
}
