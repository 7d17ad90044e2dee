//! The format of a stream, told from its first bytes.

use crate::{parquet, tar, tar_header, zstd};

/// As many bytes as are needed to tell every format: a tar header.
pub const SNIFF_BYTES: usize = tar::BLOCK;

/// A format that shows where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// gzip, ours or anybody's.
    Gzip,
    /// Apache Parquet.
    Parquet,
    /// tar in any of its forms, `pg_dump -Ft` among them.
    Tar,
    /// zstd.
    Zstd,
}

impl Format {
    /// From the first [`SNIFF_BYTES`] of a stream, or all of it if it has fewer.
    #[must_use]
    pub fn sniff(first: &[u8]) -> Option<Self> {
        if first.starts_with(&[0x1F, 0x8B]) {
            return Some(Self::Gzip);
        }
        if first.starts_with(parquet::MAGIC) {
            return Some(Self::Parquet);
        }
        if zstd::starts(first) {
            return Some(Self::Zstd);
        }
        let is_tar = first.get(257..262) == Some(b"ustar")
            || first.get(..tar::BLOCK).is_some_and(|block| tar_header::Header::parse(block).is_some());
        is_tar.then_some(Self::Tar)
    }

    /// Its name to people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Parquet => "Parquet",
            Self::Tar => "tar",
            Self::Zstd => "zstd",
        }
    }

    /// The file extension, without a dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Gzip => "gz",
            Self::Parquet => "parquet",
            Self::Tar => "tar",
            Self::Zstd => "zst",
        }
    }
}
