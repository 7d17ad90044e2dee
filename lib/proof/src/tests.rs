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

/// An archive of one member, without its end.
fn tar_without_end() -> Vec<u8> {
    let mut bytes = tar_header::tests::header("name", 700, b'0').to_vec();
    bytes.extend([7; 1024]);
    bytes
}

fn zstd_of(data: &[u8]) -> Vec<u8> {
    ::zstd::stream::encode_all(data, 1).unwrap()
}

#[test]
fn what_is_cut_off_inside_of_a_compression_is_seen() {
    let parquet = parquet::tests::example(300_000);
    let tar = [tar_without_end(), vec![0; 1024]].concat();
    let ours = our_gzip(&noise(100_000), b"");
    for whole in [&parquet, &tar, &ours, &b"a,b\n1,2\n".to_vec(), &foreign_gzip(b"text"), &zstd_of(b"text")] {
        for packed in [foreign_gzip(whole), zstd_of(whole)] {
            assert!(is_proven(&verdict(&packed, 1000)));
        }
    }
    for cut in [&parquet[..100_000], &parquet[..5], &tar[..1536], &tar[..2048], &ours[..50_000]] {
        for packed in [foreign_gzip(cut), zstd_of(cut)] {
            let Verdict::BrokenInside { why } = verdict(&packed, 1000) else { panic!("{:?}", verdict(&packed, 1000)) };
            assert!(why.starts_with("inside of the "), "{why}");
        }
    }
    // Cut outside, it is cut off, whatever is inside.
    let packed = foreign_gzip(&parquet);
    assert!(matches!(verdict(&packed[..packed.len() - 1], 1000), Verdict::Broken { .. }));
    let followed = foreign_gzip(&[tar.clone(), tar].concat());
    assert!(matches!(verdict(&followed, 1000), Verdict::BrokenInside { .. }));
}

#[test]
fn a_label_inside_of_a_compression_is_found() {
    let label = parquet_label::tests::label(33);
    let file = parquet_label::tests::file(&[("vb.label", &serde_json::to_vec(&label).unwrap())]);
    let expected = |format, extension: &str| {
        let label = Label { extension: extension.to_owned(), ..label.clone() };
        Verdict::Proven { format, label: Some(Box::new(label)) }
    };
    assert_eq!(verdict(&file, 64), expected(Format::Parquet, "parquet"));
    assert_eq!(verdict(&foreign_gzip(&file), 64), expected(Format::Gzip, "parquet.gz"));
    assert_eq!(verdict(&zstd_of(&file), 64), expected(Format::Zstd, "parquet.zst"));
    assert_eq!(label_at_end(&file[..SNIFF_BYTES.min(file.len())], &file), Some(label));
}

#[test]
fn layers_end() {
    let mut bytes = parquet::tests::example(10)[..20].to_vec();
    for _ in 0..3 {
        bytes = foreign_gzip(&bytes);
    }
    assert!(is_proven(&verdict(&bytes, 7)), "only the first layer is decoded");
}

#[test]
fn zstd_is_looked_into_as_far_as_memory_goes() {
    let mut damaged = zstd_of(&noise(100_000));
    damaged[4] |= 4; // a checksum that is not there
    assert!(!is_proven(&verdict(&damaged, 1000)));
    let cut = &parquet::tests::example(100_000)[..70_000];
    let mut encoder = ::zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(cut).unwrap();
    let long = encoder.finish().unwrap();
    assert!(is_proven(&verdict(&long, 1000)), "with a window of 128 MiB");
    let dictionary = noise(1000);
    let mut encoder = ::zstd::stream::Encoder::with_dictionary(Vec::new(), 1, &dictionary).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(&[&dictionary[..], cut].concat()).unwrap();
    // A raw dictionary has no number, so that nothing tells it from damage.
    assert!(matches!(verdict(&encoder.finish().unwrap(), 1000), Verdict::BrokenInside { .. }));
}
