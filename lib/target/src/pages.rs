//! A row group page by page, each looked at before it is decoded: the decoder takes memory for as many values as a page says that
//! it has, and of a damaged page that may be more than any machine can give, which would end the process without a word.

use crate::delta;
use crate::window::Window;
use parquet::arrow::arrow_reader::RowGroups;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::SerializedPageReader;
use parquet::schema::types::ColumnDescriptor;
use std::sync::Arc;

/// One row group of a file.
pub(crate) struct CheckedGroup<'file> {
    pub(crate) file: &'file Window,
    pub(crate) metadata: &'file ParquetMetaData,
    pub(crate) index: usize,
}

impl CheckedGroup<'_> {
    fn group(&self) -> &RowGroupMetaData {
        self.metadata.row_group(self.index)
    }
}

impl RowGroups for CheckedGroup<'_> {
    fn num_rows(&self) -> usize {
        usize::try_from(self.group().num_rows()).unwrap_or_default()
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>> {
        let chunk = self.group().column(column);
        let pages = SerializedPageReader::new(Arc::new(self.file.clone()), chunk, self.num_rows(), None)?;
        let levels = Levels::of(chunk.column_descr());
        let most_values = u64::try_from(chunk.num_values()).unwrap_or_default();
        Ok(Box::new(OneChunk(Some(CheckedPages { pages, levels, most_values }))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.group()))
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.metadata
    }
}

/// The one chunk that a column has in a row group.
struct OneChunk(Option<CheckedPages>);

impl Iterator for OneChunk {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(|pages| Ok(Box::new(pages) as Box<dyn PageReader>))
    }
}

impl PageIterator for OneChunk {}

struct CheckedPages {
    pages: SerializedPageReader<Window>,
    levels: Levels,
    /// What the chunk says that all of its pages have.
    most_values: u64,
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        match &page {
            Some(page) if !self.levels.are_plausible(page, self.most_values) => {
                Err(ParquetError::General("a page says that it has more values than it can have".to_owned()))
            }
            _ => Ok(page),
        }
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

/// Which levels come before the values of a page, as bits.
#[derive(Debug, Clone, Copy)]
struct Levels {
    repetition: u32,
    definition: u32,
}

impl Levels {
    fn of(column: &ColumnDescriptor) -> Self {
        let bits = |level: i16| u16::BITS - level.unsigned_abs().leading_zeros();
        Self { repetition: bits(column.max_rep_level()), definition: bits(column.max_def_level()) }
    }

    /// Whether a page has no more values than its chunk, and no more lengths than values.
    fn are_plausible(self, page: &Page, most_values: u64) -> bool {
        let values = match page {
            Page::DictionaryPage { .. } => return true,
            Page::DataPage { buf, num_values, rep_level_encoding, def_level_encoding, .. } => {
                let after = after_levels(buf, *num_values, self.repetition, *rep_level_encoding);
                after.and_then(|rest| after_levels(rest, *num_values, self.definition, *def_level_encoding))
            }
            Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, .. } => {
                let levels = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
                usize::try_from(levels).ok().and_then(|levels| buf.get(levels..))
            }
        };
        let most = page.num_values();
        let fits = |count: Option<u64>| count.is_some_and(|count| count <= u64::from(most));
        u64::from(most) <= most_values
            && values.is_some_and(|values| match page.encoding() {
                // A page of NULLs only has nothing at all.
                _ if values.is_empty() => true,
                // Numbers are decoded into room that was asked for; some DuckDB counted the whole chunk's in each of its pages.
                Encoding::DELTA_LENGTH_BYTE_ARRAY => fits(delta::count(values)),
                Encoding::DELTA_BYTE_ARRAY => delta::length(values)
                    .and_then(|prefixes| values.get(prefixes..))
                    .is_some_and(|suffixes| fits(delta::count(values)) && fits(delta::count(suffixes))),
                _ => true,
            })
    }
}

/// What follows the levels of a page of the first version (Parquet format, "Data Pages").
fn after_levels(bytes: &[u8], values: u32, bits: u32, encoding: Encoding) -> Option<&[u8]> {
    if bits == 0 {
        return Some(bytes);
    }
    #[expect(deprecated, reason = "old files have levels of this kind")]
    let length = if encoding == Encoding::BIT_PACKED {
        (u64::from(values) * u64::from(bits)).div_ceil(8)
    } else {
        u64::from(u32::from_le_bytes(*bytes.first_chunk()?)) + 4
    };
    bytes.get(usize::try_from(length).ok()?..)
}
