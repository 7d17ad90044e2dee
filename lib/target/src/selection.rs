//! Rows of some days only: chosen by the values of a time column before they are sent.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_schema::{DataType, Schema, TimeUnit};
use std::ops::Range;
use vb_core::time::Instant;
use vb_core::{Error, Result};

/// The time columns that are looked for, the best first: the same as on export.
const TIME_COLUMNS: [&str; 2] = ["updated_at", "created_at"];

/// Which rows are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    /// The time column's name.
    pub(crate) column: String,
    /// Its place in the file.
    pub(crate) index: usize,
    microseconds: Range<i64>,
}

impl Selection {
    /// Rows whose time column lies in this range; a column without a time zone is taken as UTC.
    pub(crate) fn new(schema: &Schema, range: &Range<Instant>, by: Option<&str>) -> Result<Self> {
        let is_time =
            |index: &usize| matches!(schema.field(*index).data_type(), DataType::Timestamp(TimeUnit::Microsecond, _));
        let find = |name: &str| schema.index_of(name).ok().filter(is_time);
        let index = match by {
            Some(name) => find(name).ok_or_else(|| Error::usage(format!("the file has no timestamp column {name:?}"))),
            None => TIME_COLUMNS.into_iter().find_map(find).ok_or_else(|| Error::usage("the file has no time column")),
        };
        let index = index.map_err(|error| error.with_hint("Name one of its columns with --by COLUMN."))?;
        let microseconds = range.start.timestamp_micros()..range.end.timestamp_micros();
        Ok(Self { column: schema.field(index).name().clone(), index, microseconds })
    }

    /// The wanted rows of a batch, by its values of the column. A row without a time is not wanted, as in SQL.
    pub(crate) fn rows(&self, times: &dyn Array) -> Vec<usize> {
        let Some(times) = times.as_primitive_opt::<TimestampMicrosecondType>() else {
            return Vec::new();
        };
        let wanted = |row: &usize| !times.is_null(*row) && self.microseconds.contains(&times.value(*row));
        (0..times.len()).filter(wanted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{RecordBatch, TimestampMicrosecondArray};
    use arrow_schema::Field;
    use std::sync::Arc;

    fn batch(times: Vec<Option<i64>>) -> RecordBatch {
        let times = TimestampMicrosecondArray::from(times).with_timezone("UTC");
        let schema = Schema::new(vec![Field::new("created_at", times.data_type().clone(), true)]);
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(times)]).unwrap()
    }

    #[test]
    fn both_days_are_included_and_rows_without_time_are_not() {
        let range = vb_core::watermark::parse_range("2026-11-01:2026-11-02").unwrap();
        let (start, end) = (range.start.timestamp_micros(), range.end.timestamp_micros());
        let batch = batch(vec![Some(start - 1), Some(start), None, Some(end - 1), Some(end)]);
        let selection = Selection::new(&batch.schema(), &range, None).unwrap();
        assert_eq!(selection.column, "created_at");
        assert_eq!(selection.rows(batch.column(0)), [1, 3]);
    }

    #[test]
    fn a_column_that_is_no_time_is_refused() {
        let range = vb_core::watermark::parse_range("2026-11-01:2026-11-02").unwrap();
        let batch = batch(Vec::new());
        assert!(Selection::new(&batch.schema(), &range, Some("id")).is_err());
        assert!(Selection::new(&Schema::empty(), &range, None).is_err());
    }
}
