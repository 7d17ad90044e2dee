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

    /// How many objects a stream of this length becomes; an empty one is an object too.
    #[must_use]
    pub fn objects(&self, size_bytes: u64) -> u64 {
        size_bytes.div_ceil(self.largest_object_bytes().max(1)).max(1)
    }

    /// How many parts the last of these objects has; all others have [`PartLimits::most_parts`].
    #[must_use]
    pub fn last_parts(&self, size_bytes: u64) -> u64 {
        let before = (self.objects(size_bytes) - 1) * self.largest_object_bytes();
        (size_bytes - before).div_ceil(self.part_bytes.max(1)).max(1)
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

    #[test]
    fn one_byte_more_than_an_object_is_another_object() {
        let tiny = PartLimits { most_parts: 10_000, part_bytes: 3, parallel: 1 };
        let cut = |size_bytes| (tiny.objects(size_bytes), tiny.last_parts(size_bytes));
        for (size_bytes, expected) in [
            (0, (1, 1)),
            (1, (1, 1)),
            (3, (1, 1)),
            (4, (1, 2)),
            (29_998, (1, 10_000)),
            (30_000, (1, 10_000)),
            (30_001, (2, 1)),
            (60_000, (2, 10_000)),
            (60_001, (3, 1)),
        ] {
            assert_eq!(cut(size_bytes), expected, "{size_bytes} bytes");
        }
    }

    #[test]
    fn several_tebibytes_are_some_dozen_objects_of_equal_parts() {
        const TEBIBYTE: u64 = 1 << 40;
        let s3 = PartLimits::S3;
        assert_eq!((s3.objects(TEBIBYTE), s3.last_parts(TEBIBYTE)), (14, 1_072));
        assert_eq!((s3.objects(5 * TEBIBYTE), s3.last_parts(5 * TEBIBYTE)), (66, 5_360));
        assert_eq!((s3.objects(80 * TEBIBYTE), s3.last_parts(80 * TEBIBYTE)), (1_049, 5_760));
        // Scaleway takes a thousand parts.
        let few = PartLimits { most_parts: 1000, ..s3 };
        assert_eq!((few.objects(5 * TEBIBYTE), few.last_parts(5 * TEBIBYTE)), (656, 360));
        // Amazon's largest object is of 5 TiB, whatever the parts are.
        assert!(s3.largest_object_bytes() < 5 * TEBIBYTE);
        // Nothing overflows at the end of what a file can be.
        assert_eq!(s3.objects(i64::MAX.unsigned_abs()), 109_951_163);
        let local = PartLimits { most_parts: u64::MAX / (8 * MEBIBYTE), part_bytes: 8 * MEBIBYTE, parallel: 2 };
        assert_eq!(local.objects(i64::MAX.unsigned_abs()), 1);
    }
}
