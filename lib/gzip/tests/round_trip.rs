//! What goes in comes out, with its label and its sums, at every size, level and number of threads.

mod common;

use common::{LABEL, MIB, level, member_starts, open_sealed, random, sealed, sealed_with, text};
use std::io::{Cursor, Read};
use vb_gzip::{BLOCK_BYTES, LABEL_BYTES_MOST, Level, Scanned, SealScanner, compress, parse_seal};

#[test]
fn every_size_around_a_block() {
    for size in [0, 1, MIB - 1, MIB, MIB + 1, 5 * MIB] {
        for data in [random(size), text(size)] {
            let stream = sealed(&data);
            let (seal, opened) = open_sealed(&stream);
            assert!(opened == data, "{size} bytes");
            assert_eq!(seal.label, LABEL);
            assert_eq!(seal.totals.uncompressed_bytes, size as u64);
            assert_eq!(seal.totals.compressed_bytes as usize + seal.member_bytes(), stream.len());
            assert_eq!(member_starts(&stream).len(), size.div_ceil(BLOCK_BYTES) + 1);
            assert_eq!(parse_seal(&stream), Some(seal));
        }
    }
}

#[test]
fn every_level() {
    let data = [text(MIB), random(MIB / 4)].concat();
    for number in 0..=12 {
        let (_, opened) = open_sealed(&sealed_with(&data, number, 2, LABEL));
        assert!(opened == data, "level {number}");
    }
    assert!(Level::new(13).is_none());
    assert_eq!(sealed_with(&data, 6, 1, b""), {
        let mut stream = Vec::new();
        compress(&data[..], &mut stream, Level::default(), 1).unwrap().seal(&mut stream, b"").unwrap();
        stream
    });
}

#[test]
fn the_bytes_do_not_depend_on_the_threads_nor_on_how_the_input_arrives() {
    let data = [text(3 * MIB), random(MIB + 17)].concat();
    let expected = sealed_with(&data, 6, 1, LABEL);
    for threads in [0, 2, 3, 8] {
        assert!(sealed_with(&data, 6, threads, LABEL) == expected, "{threads} threads");
    }
    let (one, other) = data.split_at(MIB + 3);
    let mut stream = Vec::new();
    let unsealed = compress(Cursor::new(one).chain(other), &mut stream, level(6), 2).unwrap();
    unsealed.seal(&mut stream, LABEL).unwrap();
    assert!(stream == expected);
}

#[test]
fn labels_up_to_the_longest() {
    for label in [vec![], vec![b'x'; LABEL_BYTES_MOST]] {
        let (seal, data) = open_sealed(&sealed_with(b"data", 6, 1, &label));
        assert_eq!((seal.label, data.as_slice()), (label, &b"data"[..]));
    }
    let mut stream = Vec::new();
    let unsealed = compress(&b"data"[..], &mut stream, level(6), 1).unwrap();
    assert!(unsealed.seal(&mut stream, &vec![0; LABEL_BYTES_MOST + 1]).is_err());
}

#[test]
fn the_scanner_agrees_however_the_bytes_arrive() {
    for data in [vec![], text(100), random(3 * MIB)] {
        let stream = sealed(&data);
        let (seal, _) = open_sealed(&stream);
        for piece in [13, 4096, 65_557, 65_558, 70_000, 1 << 20, 1 << 24] {
            let mut scanner = SealScanner::default();
            stream.chunks(piece).for_each(|piece| scanner.update(piece));
            assert!(scanner.starts_as_vb());
            assert_eq!(scanner.finish().unwrap(), Scanned::Sealed(seal.clone()), "pieces of {piece}");
        }
    }
}
