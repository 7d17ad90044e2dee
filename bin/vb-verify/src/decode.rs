//! Level 2: the bytes of a backup become data, to the last one, without being kept.
//!
//! gzip to its seal or its last member, zstd to its last frame; inside of them or bare: every page of every row group of
//! Parquet, every header of tar, every line of JSON lines. What is in another form is as good as its compression proves.

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde::de::IgnoredAny;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use vb_core::{Error, Result};
use vb_proof::{Format, Prover, SNIFF_BYTES, Verdict};

/// What decoding showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// The forms, the outermost first: `gzip`, `Parquet`.
    pub(crate) forms: Vec<&'static str>,
    /// The bytes of the innermost form.
    pub(crate) size_bytes: u64,
    /// Its records, where they can be counted.
    pub(crate) records: Option<u64>,
}

/// Decodes a stream. `extension` is the one of its object, such as `jsonl.gz`.
///
/// # Errors
/// `Integrity` if something in it is not as its form demands; the reader's own error where it has one.
pub(crate) fn decode(stream: &mut (dyn Read + Send), extension: &str) -> Result<Decoded> {
    let (first, format) = sniff(stream)?;
    let mut whole = first.as_slice().chain(stream);
    let inner = extension.trim_end_matches(".gz").trim_end_matches(".zst");
    match format {
        Some(Format::Gzip) => unpack("gzip", inner, |sink| {
            let mut sink = sink;
            let threads = vb_gzip::default_threads();
            vb_gzip::decompress(&mut whole, &mut sink, threads).map(drop).map_err(|cause| broken(&cause))
        }),
        Some(Format::Zstd) => unpack("zstd", inner, |sink| {
            let mut decoder = zstd::stream::read::Decoder::new(&mut whole).map_err(|cause| broken(&cause))?;
            std::io::copy(&mut decoder, sink).map(drop).map_err(|cause| broken(&cause))
        }),
        _ => content(&mut whole, format, inner),
    }
}

/// Decompresses on this thread and looks at what comes out on another.
fn unpack(form: &'static str, inner: &str, decompress: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<Decoded> {
    let failed = |cause| Error::io("making a pipe", cause);
    let (mut output, mut input) = std::io::pipe().map_err(failed)?;
    let (decompressed, looked_at) = std::thread::scope(|scope| {
        let looker = scope.spawn(move || {
            let (first, format) = sniff(&mut output)?;
            let mut whole = first.as_slice().chain(&mut output);
            let found = content(&mut whole, format, inner);
            // Whoever decompresses must get to the seal, whatever is wrong with what it seals.
            std::io::copy(&mut whole, &mut std::io::sink()).map_err(|cause| broken(&cause))?;
            found
        });
        let result = decompress(&mut input);
        drop(input);
        (result, looker.join())
    });
    decompressed?;
    let mut found = looked_at.map_err(|_| Error::failure("a decoding thread ended early"))??;
    found.forms.insert(0, form);
    Ok(found)
}

fn sniff(stream: &mut dyn Read) -> Result<(Vec<u8>, Option<Format>)> {
    let mut first = Vec::new();
    stream.take(SNIFF_BYTES as u64).read_to_end(&mut first).map_err(|cause| broken(&cause))?;
    let format = Format::sniff(&first);
    Ok((first, format))
}

/// What is not compressed, or no more.
fn content(stream: &mut dyn Read, format: Option<Format>, extension: &str) -> Result<Decoded> {
    match format {
        Some(Format::Parquet) => parquet(stream),
        Some(format) => prove(stream, format.name()),
        None if extension == "jsonl" => json_lines(stream),
        None => {
            let size_bytes = std::io::copy(stream, &mut std::io::sink()).map_err(|cause| broken(&cause))?;
            Ok(Decoded { forms: Vec::new(), size_bytes, records: None })
        }
    }
}

/// Parquet begins at its end, so that it is spooled into a file without a name.
fn parquet(stream: &mut dyn Read) -> Result<Decoded> {
    let spool = |cause| Error::io(format!("keeping the Parquet file in {}", std::env::temp_dir().display()), cause);
    let mut file = tempfile::tempfile().map_err(spool)?;
    let size_bytes = std::io::copy(stream, &mut file).map_err(|cause| broken(&cause))?;
    file.rewind().map_err(spool)?;
    let records = rows(&file)?;
    Ok(Decoded { forms: vec!["Parquet"], size_bytes, records: Some(records) })
}

/// Decodes every value of every row group, and counts the rows.
fn rows(file: &File) -> Result<u64> {
    let failed = |cause| Error::io("reading the spooled Parquet file", cause);
    let footer = SerializedFileReader::new(file.try_clone().map_err(failed)?).map_err(|cause| broken(&cause))?;
    let promised = footer.metadata().file_metadata().num_rows();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.try_clone().map_err(failed)?)
        .and_then(|builder| builder.with_batch_size(4096).build())
        .map_err(|cause| broken(&cause))?;
    let mut rows = 0;
    for batch in reader {
        rows += batch.map_err(|cause| broken(&cause))?.num_rows() as u64;
    }
    if i64::try_from(rows) != Ok(promised) {
        return Err(Error::integrity(format!("the Parquet footer says {promised} rows, its pages hold {rows}")));
    }
    Ok(rows)
}

fn prove(stream: &mut dyn Read, name: &'static str) -> Result<Decoded> {
    let (mut prover, mut buffer, mut size_bytes) = (Prover::default(), vec![0; 1 << 18], 0);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                prover.update(&buffer[..count]);
                size_bytes += count as u64;
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(broken(&cause)),
        }
    }
    match prover.finish() {
        Verdict::Broken { why } | Verdict::BrokenInside { why } | Verdict::Unproven { why } => {
            Err(Error::integrity(why))
        }
        Verdict::Proven { .. } | Verdict::Empty { .. } => Ok(Decoded { forms: vec![name], size_bytes, records: None }),
    }
}

fn json_lines(stream: &mut dyn Read) -> Result<Decoded> {
    let (mut lines, mut line) = (BufReader::with_capacity(1 << 18, stream), Vec::new());
    let (mut records, mut size_bytes) = (0, 0);
    loop {
        line.clear();
        let count = lines.read_until(b'\n', &mut line).map_err(|cause| broken(&cause))?;
        if count == 0 {
            return Ok(Decoded { forms: vec!["JSON lines"], size_bytes, records: Some(records) });
        }
        size_bytes += count as u64;
        records += 1;
        serde_json::from_slice::<IgnoredAny>(&line)
            .map_err(|cause| Error::integrity(format!("line {records} is no JSON: {cause}")))?;
    }
}

/// The one line of a decoder's complaint.
fn broken(cause: &dyn std::fmt::Display) -> Error {
    let words = cause.to_string();
    Error::integrity(words.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vb_core::ErrorKind;

    fn look(bytes: &[u8], extension: &str) -> Result<Decoded> {
        decode(&mut &bytes[..], extension)
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut stream = Vec::new();
        let unsealed = vb_gzip::compress(data, &mut stream, vb_gzip::Level::default(), 1).unwrap();
        unsealed.seal(&mut stream, b"{}").unwrap();
        stream
    }

    #[test]
    fn forms_within_forms() {
        let lines = b"{\"a\":1}\n{\"a\":2}\n";
        let found = look(&gzip(lines), "jsonl.gz").unwrap();
        assert_eq!((found.forms, found.records, found.size_bytes), (vec!["gzip", "JSON lines"], Some(2), 16));
        let squeezed = zstd::stream::encode_all(&lines[..], 3).unwrap();
        assert_eq!(look(&squeezed, "jsonl.zst").unwrap().forms, ["zstd", "JSON lines"]);
        assert_eq!(look(b"a,b\n1,2\n", "csv").unwrap().forms, [""; 0]);
        assert_eq!(look(b"", "csv").unwrap().size_bytes, 0);
    }

    #[test]
    fn every_flipped_bit_of_a_sealed_gzip_is_found() {
        let lines: String = (0..400).map(|number| format!("{{\"number\":{number}}}\n")).collect();
        let whole = gzip(lines.as_bytes());
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 1 << (place % 8);
            let found = look(&damaged, "jsonl.gz").unwrap_err();
            assert_eq!(found.kind(), ErrorKind::Integrity, "byte {place}");
        }
    }

    #[test]
    fn what_is_cut_or_wrong_inside_is_found() {
        let squeezed = zstd::stream::encode_all(&b"{\"a\":1}\n"[..], 3).unwrap();
        assert!(look(&squeezed[..squeezed.len() - 1], "jsonl.zst").is_err());
        assert!(look(&gzip(b"{\"a\":1}\n{\"a\":"), "jsonl.gz").is_err());
        assert!(look(&gzip(b"PAR1 and no footer"), "parquet.gz").is_err());
    }
}
