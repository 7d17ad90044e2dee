//! The first rows, gathered until there are enough of them to choose each column's encoding.

use crate::choice::{self, ColumnChoice};
use crate::group::GROUP_ROWS;
use crate::trial;
use arrow_array::RecordBatch;
use vb_core::Result;

/// The encodings are chosen from this many rows.
const SAMPLE_ROWS: usize = 32 << 10;
/// Fewer where rows are large.
const SAMPLE_BYTES: usize = 8 << 20;
/// Of which this many are tried out.
const TRIAL_ROWS: usize = 16 << 10;

/// The rows so far. They are part of the data: whoever gathered them has to write them.
#[derive(Debug, Default)]
pub struct Sample {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl Sample {
    /// Adds a batch; true when there are enough.
    pub fn add(&mut self, batch: RecordBatch) -> bool {
        self.rows += batch.num_rows();
        self.bytes += batch.get_array_memory_size();
        self.batches.push(batch);
        self.rows >= SAMPLE_ROWS || self.bytes >= SAMPLE_BYTES
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// One choice for each column for which there is one.
    ///
    /// # Errors
    /// If a trial cannot be written.
    pub fn choices(&self) -> Result<Vec<(String, ColumnChoice)>> {
        let Some(first) = self.batches.first() else { return Ok(Vec::new()) };
        let sample = first.slice(0, first.num_rows().min(TRIAL_ROWS));
        let mut choices = Vec::new();
        for (field, column) in sample.schema().fields().iter().zip(sample.columns()) {
            let (trials, growth) = trial::measure(field, column)?;
            if let Some(choice) = choice::choose(&trials, &growth, GROUP_ROWS) {
                choices.push((field.name().clone(), choice));
            }
        }
        Ok(choices)
    }

    /// The batches, to be written.
    #[must_use]
    pub fn into_batches(self) -> Vec<RecordBatch> {
        self.batches
    }
}
