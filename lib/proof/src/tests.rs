//! Whole and cut streams of every format, as a command would meet them.

use super::*;
use std::io::Write;
use vb_gzip::{Level, compress};
use vb_tests::chance::noise;

fn verdict(bytes: &[u8], piece: usize) -> Verdict {
    let mut prover = Prover::default();
    bytes.chunks(piece).for_each(|piece| prover.update(piece));
    prover.finish()
}

fn foreign_gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn our_gzip(data: &[u8], label: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let unsealed = compress(data, &mut bytes, Level::default(), 2).unwrap();
    unsealed.seal(&mut bytes, label).unwrap();
    bytes
}

fn is_proven(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Proven { .. })
}

#[test]
fn a_foreign_gzip_must_decode_to_its_end() {
    let bytes = foreign_gzip(&noise(100_000));
    for piece in [1, 4096, 1 << 20] {
        assert_eq!(verdict(&bytes, piece), Verdict::Proven { format: Format::Gzip, label: None });
    }
    for cut in (1..bytes.len()).step_by(613).chain(bytes.len() - 9..bytes.len()) {
        assert!(!is_proven(&verdict(&bytes[..cut], 4096)), "cut at {cut}");
    }
    let mut damaged = bytes;
    damaged[50_000] ^= 0x55;
    assert!(matches!(verdict(&damaged, 4096), Verdict::Broken { .. }));
}

#[test]
fn a_gzip_of_ours_must_have_its_seal_and_gives_its_label() {
    let label = Label::of_stream("table", "public.w", "w", "parquet.gz");
    let bytes = our_gzip(&noise(3 << 20), &serde_json::to_vec(&label).unwrap());
    let proven = Verdict::Proven { format: Format::Gzip, label: Some(Box::new(label)) };
    for piece in [7, 4096, 1 << 20] {
        assert_eq!(verdict(&bytes, piece), proven);
    }
    for cut in (2..bytes.len()).step_by(99_991).chain([14, 15, bytes.len() - 1]) {
        assert!(matches!(verdict(&bytes[..cut], 4096), Verdict::Broken { .. }), "cut at {cut}");
    }
}

#[test]
fn what_shows_no_end_is_unproven() {
    for bytes in [&b""[..], b"x", b"{\"a\":1}\n", b"a,b\n1,2\n", b"PGDMP\x01\x0e\x00", &[0; 2048]] {
        assert!(matches!(verdict(bytes, 512), Verdict::Unproven { .. }), "{bytes:?}");
    }
    assert!(matches!(verdict(&noise(100_000), 512), Verdict::Unproven { .. }));
}

#[test]
fn every_short_beginning_of_a_known_format_is_broken() {
    for bytes in [&parquet::tests::example(1000)[..], &foreign_gzip(b"abc"), &our_gzip(b"abc", b"")] {
        assert!(is_proven(&verdict(bytes, 10)));
        for cut in 4..bytes.len() {
            assert!(matches!(verdict(&bytes[..cut], 10), Verdict::Broken { .. }), "cut at {cut}");
        }
    }
}

#[test]
fn the_words_say_what_was_found() {
    let Verdict::Broken { why } = verdict(&parquet::tests::example(1000)[..500], 500) else { panic!("cut") };
    assert_eq!(why, "it begins as Parquet, but it is cut off after 500 bytes: a Parquet file ends in PAR1");
}
