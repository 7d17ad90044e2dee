//! How a stream of unknown length is cut into parts: a pure function of the store's limits.

/// One mebibyte.
pub const MEBIBYTE: u64 = 1 << 20;

/// What a store allows, and how much memory an upload may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartLimits {
    /// The most parts that one object may have: 10,000 on S3.
    pub most_parts: u64,
    /// The size of every part but the last, in bytes. Equal, because some look-alikes of S3 insist.
    pub part_bytes: u64,
    /// The parts that may be on their way at once.
    pub parallel: usize,
}

impl PartLimits {
    /// S3's: 8 MiB parts, four at once, so 40 MiB in memory and 78 GiB an object.
    pub const S3: Self = Self { most_parts: 10_000, part_bytes: 8 * MEBIBYTE, parallel: 4 };

    /// Azure's: 50,000 blocks, of which the first holds one byte; 8 MiB each, so 390 GiB an object.
    pub const AZURE: Self = Self { most_parts: 49_999, part_bytes: 8 * MEBIBYTE, parallel: 4 };
    /// Google Cloud Storage's: 16 MiB parts one after the other, so 32 MiB in memory, and its 5 TiB an object.
    pub const GCS: Self = Self { most_parts: 327_680, part_bytes: 16 * MEBIBYTE, parallel: 1 };

    /// The largest object that these parts can make, in bytes. What exceeds it goes on in a further object.
    #[must_use]
    pub fn largest_object_bytes(&self) -> u64 {
        self.most_parts.saturating_mul(self.part_bytes)
    }
}

/// The ranges `[start, end)` in which an object of this length is read.
pub fn ranges(size_bytes: u64, part_bytes: u64) -> impl Iterator<Item = std::ops::Range<u64>> {
    let part_bytes = part_bytes.max(1);
    (0..size_bytes.div_ceil(part_bytes)).map(move |index| {
        let start = index * part_bytes;
        start..(start + part_bytes).min(size_bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_an_object_once() {
        let all: Vec<_> = ranges(10, 4).collect();
        assert_eq!(all, [0..4, 4..8, 8..10]);
        assert_eq!(ranges(8, 4).count(), 2);
        assert_eq!(ranges(0, 4).count(), 0);
    }

    #[test]
    fn an_object_may_have_all_its_parts() {
        assert_eq!(PartLimits::S3.largest_object_bytes(), 83_886_080_000);
    }
}
