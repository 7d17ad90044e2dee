//! Rows as CSV or JSON, made by the server itself: no value is printed but by the program that knows its type.

use crate::request::Format;
use std::io::Write;
use vb_core::{Error, Result};
use vb_postgres::connection::CopyOut;
use vb_postgres::copy_out::Blocks;

/// The COPY for a query in this format.
pub(crate) fn copy_statement(select: &str, format: Format) -> String {
    match format {
        Format::Csv => format!("COPY ({select}) TO STDOUT (FORMAT csv, HEADER)"),
        // The binary form of one text column is the text itself: nothing has to be unescaped.
        _ => format!("COPY (SELECT row_to_json(vb_row)::text FROM ({select}) AS vb_row) TO STDOUT (FORMAT binary)"),
    }
}

/// Writes the rows of that COPY. Returns their number.
pub(crate) fn write(stream: CopyOut, format: Format, output: &mut impl Write) -> Result<u64> {
    let blocks = Blocks::start(stream)?;
    let refused = |cause| Error::io("writing the output", cause);
    let mut texts = Texts::new(format);
    while let Some(block) = blocks.next_block() {
        match format {
            Format::Csv => output.write_all(&block).map_err(refused)?,
            _ => output.write_all(texts.take(&block)?).map_err(refused)?,
        }
        blocks.give_back(block);
    }
    let rows = blocks.finish()?.rows;
    if format != Format::Csv {
        output.write_all(texts.end(rows)?).map_err(refused)?;
    }
    output.flush().map_err(refused)?;
    Ok(rows)
}

/// Takes the one column out of COPY BINARY rows.
struct Texts {
    array: bool,
    pending: Vec<u8>,
    out: Vec<u8>,
    header_passed: bool,
    ended: bool,
    rows: u64,
}

/// Signature, flags and the length of an empty extension.
const HEADER_BYTES: usize = 19;

impl Texts {
    fn new(format: Format) -> Self {
        let array = format == Format::Json;
        Self { array, pending: Vec::new(), out: Vec::new(), header_passed: false, ended: false, rows: 0 }
    }

    /// The texts of the rows that this block completes.
    fn take(&mut self, block: &[u8]) -> Result<&[u8]> {
        self.out.clear();
        self.pending.extend_from_slice(block);
        let mut at = 0;
        if !self.header_passed && self.pending.len() >= HEADER_BYTES {
            (self.header_passed, at) = (true, HEADER_BYTES);
        }
        while self.header_passed && !self.ended {
            let Some((text, end)) = row(&self.pending, at)? else { break };
            match text {
                Some(text) => {
                    separate(self.array, self.rows, &mut self.out);
                    self.out.extend_from_slice(&self.pending[text]);
                    if !self.array {
                        self.out.push(b'\n');
                    }
                    self.rows += 1;
                }
                None => self.ended = true,
            }
            at = end;
        }
        self.pending.drain(..at);
        Ok(&self.out)
    }

    fn end(&mut self, sent: u64) -> Result<&[u8]> {
        if !self.ended || !self.pending.is_empty() || self.rows != sent {
            return Err(Error::integrity(format!("reading rows: the server sent {sent}, but {} arrived", self.rows)));
        }
        self.out.clear();
        if self.array {
            self.out.extend_from_slice(if self.rows == 0 { b"[]\n" } else { b"\n]\n" });
        }
        Ok(&self.out)
    }
}

fn separate(array: bool, rows_before: u64, out: &mut Vec<u8>) {
    if array {
        out.extend_from_slice(if rows_before == 0 { b"[\n" } else { b",\n" });
    }
}

type Row = (Option<std::ops::Range<usize>>, usize);

/// Where the next row's text lies and where the row ends; no text is the end of all rows.
fn row(bytes: &[u8], at: usize) -> Result<Option<Row>> {
    let Some(count) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
    match i16::from_be_bytes(*count) {
        -1 => return Ok(Some((None, at + 2))),
        1 => {}
        _ => return Err(Error::integrity("reading rows: a row has more than one column")),
    }
    let Some(length) = bytes.get(at + 2..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
    let length = usize::try_from(i32::from_be_bytes(*length));
    let length = length.map_err(|_| Error::integrity("reading rows: a row has no text"))?;
    let start = at + 6;
    let end = start + length;
    Ok((end <= bytes.len()).then_some((Some(start..end), end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(texts: &[&str]) -> Vec<u8> {
        let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        for text in texts {
            bytes.extend_from_slice(&[0, 1]);
            bytes.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes.extend_from_slice(&[0xff, 0xff]);
        bytes
    }

    fn all(format: Format, texts: &[&str], step: usize) -> String {
        let mut found = Texts::new(format);
        let mut out = Vec::new();
        for block in copy(texts).chunks(step) {
            out.extend_from_slice(found.take(block).unwrap());
        }
        out.extend_from_slice(found.end(texts.len() as u64).unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rows_come_whole_however_they_are_cut() {
        for step in [1, 3, 1000] {
            assert_eq!(all(Format::JsonLines, &["{\"a\":1}", "{}"], step), "{\"a\":1}\n{}\n");
            assert_eq!(all(Format::Json, &["{\"a\":1}", "{}"], step), "[\n{\"a\":1},\n{}\n]\n");
            assert_eq!(all(Format::Json, &[], step), "[]\n");
        }
    }

    #[test]
    fn a_stream_that_ends_early_is_refused() {
        let mut texts = Texts::new(Format::JsonLines);
        let bytes = copy(&["{}"]);
        texts.take(&bytes[..bytes.len() - 1]).unwrap();
        assert!(texts.end(1).is_err());
    }
}
