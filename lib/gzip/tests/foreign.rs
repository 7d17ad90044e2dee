//! Streams of other programs: all that gunzip reads without complaint is read, nothing else.

mod common;

use common::{MIB, gzip, is_truncated, open, random, run, text};
use vb_gzip::{Decompressed, ForeignProver, GzipError, Result, Scanned, SealScanner};

fn prove(stream: &[u8], piece: usize) -> Result<u64> {
    let mut prover = ForeignProver::default();
    stream.chunks(piece).try_for_each(|piece| prover.update(piece))?;
    prover.finish()
}

/// Both ways to read a foreign stream, which must agree.
fn read(stream: &[u8]) -> Result<Vec<u8>> {
    let opened = open(stream);
    for piece in [1, 1000, 1 << 20] {
        assert_eq!(prove(stream, piece).is_ok(), opened.is_ok());
    }
    opened.map(|(end, data)| {
        assert_eq!(end, Decompressed::Foreign);
        data
    })
}

#[test]
fn one_member_and_several() {
    for data in [vec![], b"a".to_vec(), text(5 * MIB), random(3 * MIB), vec![0; 20 * MIB]] {
        assert!(read(&gzip(&data)).unwrap() == data, "{} bytes", data.len());
    }
    let together = [gzip(b"one, "), gzip(b""), gzip(b"two")].concat();
    assert_eq!(read(&together).unwrap(), b"one, two");
    assert_eq!(prove(&together, 1).unwrap(), 8);
}

#[test]
fn headers_with_names_and_times() {
    let script = "import gzip,sys;f=gzip.GzipFile('a name','wb',9,sys.stdout.buffer,1e9);f.write(b'data');f.close()";
    let stream = run("python3", &["-c", script], b"").stdout;
    assert_eq!(stream[3], 8, "no name in the header");
    assert_eq!(read(&stream).unwrap(), b"data");
}

#[test]
fn zero_bytes_at_the_end_are_padding_as_for_gunzip() {
    let padded = [gzip(b"data"), vec![0; 512]].concat();
    assert!(run("gzip", &["-t"], &padded).status.success());
    assert_eq!(read(&padded).unwrap(), b"data");
    let more = [padded, gzip(b"more")].concat();
    assert!(!run("gzip", &["-t"], &more).status.success());
    assert!(matches!(read(&more), Err(GzipError::Corrupt { .. })));
}

#[test]
fn garbage_at_the_end() {
    for garbage in [&b"x"[..], b"\x1f\x8c", b"\0\0x", b"PAR1"] {
        let stream = [&gzip(b"data")[..], garbage].concat();
        assert!(matches!(read(&stream), Err(GzipError::Corrupt { .. })), "{garbage:?}");
    }
}

#[test]
fn a_cut_at_every_byte() {
    let one = gzip(&text(2000));
    let stream = [&one[..], &one[..]].concat();
    for cut in 0..stream.len() {
        let outcome = read(&stream[..cut]);
        // Between two members nobody can see that a foreign stream was cut.
        if cut == one.len() { assert!(outcome.is_ok()) } else { assert!(is_truncated(&outcome), "{cut} bytes") }
    }
}

#[test]
fn altered_data_and_checksums() {
    let stream = gzip(&random(3000));
    for at in [30, 1000, stream.len() - 8, stream.len() - 1] {
        let mut altered = stream.clone();
        altered[at] ^= 16;
        assert!(matches!(read(&altered), Err(GzipError::Corrupt { .. })), "byte {at}");
    }
}

#[test]
fn what_is_not_gzip() {
    assert!(matches!(read(b"PAR1 and so on"), Err(GzipError::NotGzip)));
    assert!(is_truncated(&read(b"")));
    for (stream, expected) in [(&b"PAR1 and so on"[..], Scanned::NotGzip), (b"", Scanned::NotGzip)] {
        let mut scanner = SealScanner::default();
        scanner.update(stream);
        assert_eq!(scanner.finish().unwrap(), expected);
    }
    let mut scanner = SealScanner::default();
    scanner.update(&gzip(b"data"));
    assert_eq!(scanner.finish().unwrap(), Scanned::Foreign);
}
