//! Whatever is cut, altered, put together or invented is refused, and refused without waiting or allocating for ever.

mod common;

use common::{MIB, gzip, is_truncated, level, member_starts, open, random, sealed, text, unsealed};
use std::io::{Error, ErrorKind, Read, Write};
use vb_gzip::{ForeignProver, GzipError, Scanned, SealScanner, compress, decompress, starts_as_vb};

fn scan(stream: &[u8]) -> vb_gzip::Result<Scanned> {
    let mut scanner = SealScanner::default();
    scanner.update(stream);
    scanner.finish()
}

#[test]
fn a_cut_at_every_byte_of_two_members() {
    let stream = sealed(&vec![7; MIB + 10]);
    assert_eq!(member_starts(&stream).len(), 3);
    for cut in 0..stream.len() {
        let opened = open(&stream[..cut]);
        assert!(is_truncated(&opened), "{cut} bytes: {opened:?}");
        let scanned = scan(&stream[..cut]);
        if starts_as_vb(&stream[..cut]) {
            assert!(is_truncated(&scanned), "{cut} bytes: {scanned:?}");
        } else {
            assert!(!matches!(scanned, Ok(Scanned::Sealed(_))), "{cut} bytes");
        }
    }
}

#[test]
fn a_cut_between_members() {
    let stream = sealed(&random(9 * MIB + 5));
    let starts = member_starts(&stream);
    assert_eq!(starts.len(), 11);
    for start in starts {
        for cut in [start, start + 10, start.saturating_sub(1)] {
            assert!(is_truncated(&open(&stream[..cut])), "{cut} bytes");
            assert!(!matches!(scan(&stream[..cut]), Ok(Scanned::Sealed(_))), "{cut} bytes");
        }
    }
}

#[test]
fn a_stream_without_its_seal() {
    for data in [vec![], text(50), text(3 * MIB)] {
        let opened = open(&unsealed(&data));
        assert!(is_truncated(&opened), "{opened:?}");
    }
}

#[test]
fn every_flipped_bit() {
    for data in [vec![], b"some data, some data, some data".to_vec()] {
        let stream = sealed(&data);
        for bit in 0..stream.len() * 8 {
            let mut flipped = stream.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let opened = open(&flipped);
            assert!(opened.is_err(), "bit {bit} of byte {}: {opened:?}", bit / 8);
            let mut prover = ForeignProver::default();
            let proven = prover.update(&flipped).and_then(|()| prover.finish());
            let scanned = scan(&flipped);
            assert!(!matches!(scanned, Ok(Scanned::Sealed(_))), "bit {bit}");
            assert!(scanned.is_err() || proven.is_err(), "bit {bit}: {scanned:?} {proven:?}");
        }
    }
}

#[test]
fn a_missing_or_exchanged_member() {
    let stream = sealed(&random(3 * MIB));
    let starts = member_starts(&stream);
    let member = |number: usize| &stream[starts[number]..starts.get(number + 1).copied().unwrap_or(stream.len())];
    let without = [member(0), member(2), member(3)].concat();
    let exchanged = [member(1), member(0), member(2), member(3)].concat();
    for altered in [without, exchanged] {
        assert!(matches!(open(&altered), Err(GzipError::SealMismatch { .. })));
        assert!(matches!(scan(&altered), Err(GzipError::SealMismatch { .. })));
    }
}

#[test]
fn streams_put_together() {
    let (ours, foreign) = (sealed(b"ours"), gzip(b"foreign"));
    for pair in [[&ours, &ours], [&ours, &foreign], [&foreign, &ours]] {
        let together = pair.map(Vec::as_slice).concat();
        assert!(matches!(open(&together), Err(GzipError::Corrupt { .. })));
    }
    assert!(matches!(open(&[&ours[..], &[0]].concat()), Err(GzipError::Corrupt { .. })));
    assert!(scan(&[&ours[..], &[0]].concat()).is_err());
    assert!(matches!(scan(&[&ours[..], &ours[..]].concat()), Err(GzipError::SealMismatch { .. })));
}

#[test]
fn hostile_lengths() {
    let stream = sealed(&text(1000));
    for declared in [0, 1, 29, 2 << 20, 1 << 30, u32::MAX] {
        let mut hostile = stream.clone();
        hostile[16..20].copy_from_slice(&declared.to_le_bytes());
        assert!(matches!(open(&hostile), Err(GzipError::Corrupt { offset: 0, .. })), "member of {declared}");
        let mut hostile = stream.clone();
        let length_at = member_starts(&stream)[1] - 4;
        hostile[length_at..length_at + 4].copy_from_slice(&declared.to_le_bytes());
        assert!(matches!(open(&hostile), Err(GzipError::Corrupt { offset: 0, .. })), "data of {declared}");
        let mut hostile = stream.clone();
        let length_at = stream.len() - 14;
        hostile[length_at..length_at + 4].copy_from_slice(&declared.to_le_bytes());
        assert!(open(&hostile).is_err() && is_truncated(&scan(&hostile)), "seal of {declared}");
    }
}

/// Gives some data and then fails.
struct Failing(usize);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.0.min(buffer.len());
        buffer[..left].fill(b'x');
        self.0 -= left;
        if left == 0 { Err(Error::from(ErrorKind::ConnectionReset)) } else { Ok(left) }
    }
}

#[test]
fn an_input_that_fails_leaves_a_truncated_stream() {
    for bytes in [0, 5, 1 << 20, 50 << 20] {
        let mut stream = Vec::new();
        let outcome = compress(Failing(bytes), &mut stream, level(1), 2);
        assert!(matches!(outcome, Err(GzipError::Read(_))), "{outcome:?}");
        assert!(is_truncated(&open(&stream)));
    }
}

/// Takes some bytes and then is full.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or_else(|| Error::from(ErrorKind::StorageFull))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_output_that_fails_is_an_error_and_no_hang() {
    let endless = || std::io::repeat(b'x');
    for room in [0, 10, 5000] {
        assert!(matches!(compress(endless(), &mut Full(room), level(1), 3), Err(GzipError::Write(_))));
    }
    let stream = sealed(&text(8 * MIB));
    assert!(matches!(decompress(&stream[..], &mut Full(2 * MIB), 2), Err(GzipError::Write(_))));
    let foreign = gzip(&text(8 * MIB));
    assert!(matches!(decompress(&foreign[..], &mut Full(2 * MIB), 2), Err(GzipError::Write(_))));
}

#[test]
fn a_seal_of_other_data_is_refused() {
    let (one, other) = (sealed(&text(500)), sealed(&random(500)));
    let seal_at = |stream: &[u8]| member_starts(stream)[1];
    let exchanged = [&one[..seal_at(&one)], &other[seal_at(&other)..]].concat();
    assert!(matches!(open(&exchanged), Err(GzipError::SealMismatch { .. })));
}
