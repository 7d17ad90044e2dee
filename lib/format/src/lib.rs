//! Arrow batches as Parquet that other programs read, small because each column's encoding is chosen from its data.
//!
//! A [`Sample`] of the first rows decides the encodings, [`GroupEncoder`]s make row groups of the rows on as many threads as
//! there are connections, and one [`ParquetSink`] puts them into the file.
#![forbid(unsafe_code)]

pub mod choice;
mod group;
mod parquet_sink;
mod properties;
mod sample;
mod trial;

pub use choice::ColumnChoice;
pub use group::{Group, GroupEncoder, GroupFactory};
pub use parquet_sink::ParquetSink;
pub use properties::Compression;
pub use sample::Sample;

use parquet::errors::ParquetError;
use vb_core::Error;

/// The output's own error, dug out of Parquet's, so that a broken pipe stays one.
fn refused(cause: ParquetError) -> Error {
    let step = "writing Parquet";
    match cause {
        ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
            Ok(cause) => Error::io(step, *cause),
            Err(cause) => Error::failure(format!("{step}: {cause}")),
        },
        cause => Error::failure(format!("{step}: {cause}")),
    }
}
