//! Arrow batches as Parquet that other programs read, small because each column's encoding is chosen from its data.
#![forbid(unsafe_code)]

pub mod choice;
pub mod parquet_sink;
mod trial;

pub use choice::ColumnChoice;
pub use parquet_sink::{Compression, ParquetSink};
