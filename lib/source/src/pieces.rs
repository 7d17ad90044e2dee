//! Pieces of a table, by ranges of its pages. Pure.
//!
//! A table is cut for connections that read side by side, or for shards: processes, perhaps on several machines, that share
//! a snapshot and nothing else. A shard's part must not depend on the table's size, which grows while they begin one after
//! the other; so shards take blocks of pages in turns.

use vb_core::{Error, Result};
use vb_postgres::extent::Extent;

/// What one COPY reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The rows as a query.
    pub select: String,
    /// What stands between `COPY` and `TO STDOUT`: the query in parentheses, or a table.
    pub copy: String,
    /// Which part of the table it is, for messages.
    pub place: Option<String>,
}

/// One of several equal parts of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1 on.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

impl Shard {
    /// Reads `2/8`.
    ///
    /// # Errors
    /// A usage error if it is no shard.
    pub fn parse(text: &str) -> Result<Self> {
        let numbers = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err(Error::usage(format!("{text:?} is no shard"))
                .with_hint("Write 2/8 for the second of eight, or auto/8 where the scheduler knows the number.")),
        }
    }
}

/// What every piece reads of its pages.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'plan> {
    /// The columns, as SQL.
    pub columns: &'plan str,
    /// Conditions that rows must meet.
    pub conditions: &'plan [String],
}

/// Pages of a piece: enough for a row group, few enough that no connection is left with the last of them.
const LEAST_PAGES: u64 = 4096;
const MOST_PAGES: u64 = 16384;
/// Pieces for each connection, so that all end at about the same time.
const PIECES_A_JOB: u64 = 6;
/// Pages that a shard takes at a time.
const BLOCK_PAGES: u64 = 256;
/// Blocks that one COPY of a shard reads.
const BLOCKS_A_PIECE: usize = 32;

/// A range of pages of an extent; without an end it reaches to wherever that is.
struct Range<'extent> {
    extent: &'extent Extent,
    pages: Option<(u64, Option<u64>)>,
}

/// The pieces for so many connections; together they are all rows.
#[must_use]
pub fn for_jobs(extents: &[Extent], rows: Rows<'_>, jobs: usize) -> Vec<Piece> {
    let all: u64 = extents.iter().map(|extent| u64::from(extent.pages)).sum();
    let pages = (all / (jobs as u64 * PIECES_A_JOB).max(1)).clamp(LEAST_PAGES, MOST_PAGES);
    let ranges = extents.iter().flat_map(|extent| {
        let last = if extent.by_page { u64::from(extent.pages) / pages } else { 0 };
        (0..=last).map(move |number| {
            let end = (number < last).then_some((number + 1) * pages);
            Range { extent, pages: extent.by_page.then_some((number * pages, end)) }
        })
    });
    ranges.map(|range| piece(&[range], rows)).collect()
}

/// The pieces of one shard; those of all shards together are all rows, and none twice.
#[must_use]
pub fn for_shard(extents: &[Extent], rows: Rows<'_>, shard: Shard) -> Vec<Piece> {
    let blocks = extents.iter().flat_map(|extent| {
        let blocks = if extent.by_page { u64::from(extent.pages).div_ceil(BLOCK_PAGES) } else { 1 };
        (0..blocks).map(move |number| (extent, number))
    });
    let ours = blocks.filter(|(_, number)| number % u64::from(shard.of) == u64::from(shard.number - 1));
    let pages = |number: u64| (number * BLOCK_PAGES, Some((number + 1) * BLOCK_PAGES));
    let ranges = ours.map(|(extent, number)| Range { extent, pages: extent.by_page.then(|| pages(number)) });
    let ranges: Vec<Range<'_>> = ranges.collect();
    ranges.chunks(BLOCKS_A_PIECE).map(|ranges| piece(ranges, rows)).collect()
}

/// A piece without rows, for a shard whose turn never comes.
#[must_use]
pub fn nothing(table: &str, columns: &str) -> Piece {
    Piece::of(format!("SELECT {columns} FROM {table} WHERE false"), None)
}

fn piece(ranges: &[Range<'_>], rows: Rows<'_>) -> Piece {
    let selects: Vec<String> = ranges.iter().map(|range| range.select(rows)).collect();
    Piece::of(selects.join(" UNION ALL "), ranges.first().map(Range::words))
}

impl Piece {
    /// What this query gives.
    #[must_use]
    pub fn of(select: String, place: Option<String>) -> Self {
        Self { copy: format!("({select})"), select, place }
    }

    /// An error that says where it happened.
    #[must_use]
    pub fn locate(&self, error: Error) -> Error {
        match &self.place {
            Some(place) => error.during(place),
            None => error,
        }
    }
}

impl Range<'_> {
    fn select(&self, rows: Rows<'_>) -> String {
        let (start, end) = self.pages.unwrap_or_default();
        let mut conditions = rows.conditions.to_vec();
        conditions.extend((start > 0).then(|| format!("ctid >= '({start},0)'::tid")));
        conditions.extend(end.map(|end| format!("ctid < '({end},0)'::tid")));
        let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        format!("SELECT {} FROM ONLY {}{filter}", rows.columns, self.extent.name)
    }

    fn words(&self) -> String {
        let pages = self.pages.map(|(start, _)| format!(" from page {start} on")).unwrap_or_default();
        format!("in {}{pages}", self.extent.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(name: &str, pages: u32, by_page: bool) -> Extent {
        Extent { oid: 1, filenode: 1, name: name.to_owned(), pages, by_page, has_xmin: true }
    }

    /// Which pages of an extent a piece reads, taken out of its SQL.
    fn pages(pieces: &[Piece], name: &str) -> Vec<(u64, u64)> {
        let number = |text: &str, sign: &str| {
            let rest = text.split_once(&format!("ctid {sign} '("))?.1;
            rest.split_once(',')?.0.parse::<u64>().ok()
        };
        let selects = pieces.iter().flat_map(|piece| piece.copy.split(" UNION ALL "));
        let ours = selects.filter(|select| select.contains(&format!("FROM ONLY {name}")));
        let mut ranges: Vec<_> =
            ours.map(|select| (number(select, ">=").unwrap_or(0), number(select, "<").unwrap_or(u64::MAX))).collect();
        ranges.sort_unstable();
        ranges
    }

    fn follow_each_other(ranges: &[(u64, u64)]) -> bool {
        ranges.first().is_some_and(|range| range.0 == 0) && ranges.windows(2).all(|pair| pair[0].1 == pair[1].0)
    }

    const ROWS: Rows<'_> = Rows { columns: "a", conditions: &[] };

    #[test]
    fn jobs_cover_every_page_once_and_what_comes_after() {
        for size in [0, 1, 4095, 4096, 4097, 100_000, 4_000_000_000] {
            for jobs in [1, 2, 7] {
                let pieces = for_jobs(&[extent("t", size, true), extent("f", 9, false)], ROWS, jobs);
                let ranges = pages(&pieces, "t");
                assert!(follow_each_other(&ranges) && ranges.last().unwrap().1 == u64::MAX, "{size} {jobs}");
                assert_eq!(pages(&pieces, "f"), [(0, u64::MAX)]);
            }
        }
    }

    #[test]
    fn shards_cover_every_page_once_however_the_table_grows() {
        for of in [1, 2, 3, 8] {
            let mut ranges: Vec<(u64, u64)> = Vec::new();
            let mut whole = 0;
            for number in 1..=of {
                // Each begins a little later, and finds the table a little larger.
                let extents = [extent("t", 10_000 + number * 100, true), extent("f", 9, false)];
                let pieces = for_shard(&extents, ROWS, Shard { number, of });
                ranges.extend(pages(&pieces, "t"));
                whole += pages(&pieces, "f").len();
            }
            ranges.sort_unstable();
            let seen: Vec<_> = ranges.into_iter().filter(|range| range.0 < 10_000).collect();
            assert!(follow_each_other(&seen) && seen.last().unwrap().1 >= 10_000, "{of}: {seen:?}");
            assert_eq!(whole, 1);
        }
    }

    #[test]
    fn a_shard_reads_many_blocks_at_once() {
        let pieces = for_shard(&[extent("t", 256 * 100, true)], ROWS, Shard { number: 1, of: 2 });
        assert_eq!((pieces.len(), pages(&pieces, "t").len()), (2, 50));
        let few = for_shard(&[extent("t", 10, true)], ROWS, Shard { number: 2, of: 2 });
        assert!(few.is_empty());
    }

    #[test]
    fn conditions_hold_in_every_piece() {
        let conditions = ["(a > 1)".to_owned()];
        let pieces = for_jobs(&[extent("t", 10_000, true)], Rows { columns: "a", conditions: &conditions }, 2);
        assert!(pieces.len() > 1 && pieces.iter().all(|piece| piece.copy.contains("WHERE (a > 1)")), "{pieces:?}");
    }
}
