//! Types that are a row of numbers, as structs: nothing has to be printed or parsed, and any program can compute with them.

use super::composite::{Layout, Part};
use super::{ColumnType, Scalar};

/// A type of a fixed number of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// `interval`: months, days and microseconds, none of which can be told from the others' sum.
    Interval,
    /// `timetz`: the time, and how far it is ahead of UTC.
    TimeTz,
    /// `point`
    Point,
    /// `line`: ax + by + c = 0.
    Line,
    /// `lseg`
    Segment,
    /// `box`: the upper right corner, then the lower left.
    Box,
    /// `circle`
    Circle,
}

impl Numbers {
    /// The parts in the order of the binary form, and their lengths in it.
    fn table(self) -> (&'static [(&'static str, Scalar)], &'static [u8]) {
        use Scalar::{Float8, Int4, Int8, OffsetSeconds, Time};
        match self {
            Self::Interval => (&[("microseconds", Int8), ("days", Int4), ("months", Int4)], &[8, 4, 4]),
            Self::TimeTz => (&[("time", Time), ("offset_seconds", OffsetSeconds)], &[8, 4]),
            Self::Point => (&[("x", Float8), ("y", Float8)], &[8; 2]),
            Self::Line => (&[("a", Float8), ("b", Float8), ("c", Float8)], &[8; 3]),
            Self::Segment => (&[("x1", Float8), ("y1", Float8), ("x2", Float8), ("y2", Float8)], &[8; 4]),
            Self::Box => (&[("high_x", Float8), ("high_y", Float8), ("low_x", Float8), ("low_y", Float8)], &[8; 4]),
            Self::Circle => (&[("x", Float8), ("y", Float8), ("radius", Float8)], &[8; 3]),
        }
    }

    pub(super) fn parts(self) -> Vec<Part> {
        let part = |(name, scalar): &(&str, Scalar)| Part {
            name: (*name).to_owned(),
            oid: 0,
            column_type: ColumnType::Scalar(*scalar),
        };
        self.table().0.iter().map(part).collect()
    }

    pub(super) fn layout(self) -> Layout {
        Layout::Fixed(self.table().1)
    }
}
