//! The decisions: what a backup is called, and whether it may be stored.

use crate::conclusion::{End, Insistence, Producer, prove};
use crate::naming::{Given, Made, Seen};
use std::cell::Cell;
use std::path::PathBuf;
use vb_core::ErrorKind;
use vb_core::label::Label;
use vb_core::manifest::Proof;
use vb_pipe::Origin;
use vb_proof::{Format, Verdict};

fn label(set: &str, extension: &str) -> Label {
    Label { proof: Proof::Sealed, ..Label::of_stream("table", "public.w", set, extension) }
}

fn named(set: Option<&str>, file: Option<&str>, promised: Option<Label>, format: Option<Format>) -> (String, String) {
    let given = Given { set: set.map(str::to_owned), file: file.map(PathBuf::from), made: None };
    let name = given.name(&Seen { promised, format });
    (name.set, name.extension)
}

#[test]
fn a_backup_is_named_by_the_user_then_the_label_then_the_file() {
    let cases = [
        (named(None, None, Some(label("w", "parquet.gz")), Some(Format::Gzip)), ("w", "parquet.gz")),
        (named(Some("mine"), None, Some(label("w", "parquet.gz")), None), ("mine", "parquet.gz")),
        (named(None, None, None, Some(Format::Parquet)), ("backup", "parquet")),
        (named(None, None, None, None), ("backup", "")),
        (named(None, Some("/x/weather 2026.v2.csv.gz"), None, Some(Format::Gzip)), ("weather-2026.v2", "csv.gz")),
        (named(None, Some("w_20261121_031500.parquet"), None, Some(Format::Parquet)), ("w", "parquet")),
        (named(None, Some("/x/.profile"), None, None), ("profile", "")),
        (named(None, Some("/x/data"), None, Some(Format::Tar)), ("data", "tar")),
        (named(None, Some("/x/other.gz"), Some(label("w", "jsonl.gz")), None), ("w", "jsonl.gz")),
    ];
    for ((set, extension), expected) in &cases {
        assert_eq!((set.as_str(), extension.as_str()), *expected);
    }
}

#[test]
fn the_seal_must_name_what_was_promised() {
    let seen = Seen { promised: Some(label("w", "parquet.gz")), format: None };
    let name = Given::default().name(&seen);
    let settle = |sealed| name.settle(Some(Box::new(sealed)), &seen, |words| panic!("{words}"));
    assert_eq!(settle(label("w", "parquet.gz")).unwrap().set, "w");
    assert_eq!(settle(label("w", "parquet")).unwrap_err().kind(), ErrorKind::Integrity);
    assert_eq!(settle(label("v", "parquet.gz")).unwrap_err().kind(), ErrorKind::Integrity);
}

#[test]
fn a_label_that_comes_late_keeps_the_name_and_says_so() {
    let seen = Seen { promised: None, format: Some(Format::Gzip) };
    let warned = Cell::new(0);
    let warn = |words: &str| {
        assert!(words.contains("--set w"), "{words}");
        warned.set(warned.get() + 1);
    };
    let late = || Some(Box::new(label("w", "parquet.gz")));
    let settled = Given::default().name(&seen).settle(late(), &seen, warn).unwrap();
    assert_eq!((settled.set.as_str(), settled.extension.as_str(), warned.get()), ("backup", "gz", 1));
    let given = Given { set: Some("mine".to_owned()), ..Given::default() };
    assert_eq!(given.name(&seen).settle(late(), &seen, warn).unwrap().set, "mine");
    assert_eq!(warned.get(), 1);
}

/// `sealed`, the kind of the refusal, …: what becomes of a stream.
fn outcome(
    origin: Origin,
    size_bytes: u64,
    verdict: Option<Verdict>,
    insistence: Insistence,
) -> Result<Proof, ErrorKind> {
    let end = End { name: "it".to_owned(), size_bytes, origin, producer: None, verdict };
    prove(end, insistence).map(|(proof, _)| proof).map_err(|error| {
        assert!(error.hint().is_some());
        error.kind()
    })
}

#[test]
fn the_proof_rule() {
    let nothing = Insistence::default();
    let unproven = Insistence { unproven: true, allow_empty: false };
    let empty = Insistence { unproven: false, allow_empty: true };
    let good = || Some(Verdict::Proven { format: Format::Tar, label: None });
    let unknown = || Some(Verdict::Unproven { why: "no".to_owned() });
    let broken = || Some(Verdict::Broken { why: "cut".to_owned() });
    let inside = || Some(Verdict::BrokenInside { why: "cut".to_owned() });
    let sealed = || Origin::Sealed(Box::new(label("w", "x")));
    // A vb command sealed what it got from a program that proves nothing.
    let guessed = || Box::new(Label { proof: Proof::Unproven, ..label("w", "x") });
    let sealed_guess = || Origin::Sealed(guessed());
    let gzip = |label| Some(Verdict::Proven { format: Format::Gzip, label: Some(label) });
    let refused = Err(ErrorKind::Integrity);
    for (origin, size, verdict, insistence, expected) in [
        (sealed(), 9, None, nothing, Ok(Proof::Sealed)),
        (sealed(), 0, None, nothing, Ok(Proof::Sealed)),
        (sealed(), 9, broken(), nothing, Ok(Proof::Sealed)),
        (sealed_guess(), 9, None, nothing, refused),
        (sealed_guess(), 9, None, unproven, Ok(Proof::Unproven)),
        (Origin::Silent, 9, gzip(Box::new(label("w", "x"))), nothing, Ok(Proof::Format)),
        (Origin::Silent, 9, gzip(guessed()), nothing, refused),
        (Origin::Silent, 9, gzip(guessed()), unproven, Ok(Proof::Unproven)),
        (Origin::File, 9, gzip(guessed()), nothing, Ok(Proof::File)),
        (Origin::Silent, 9, good(), nothing, Ok(Proof::Format)),
        (Origin::Silent, 9, good(), unproven, Ok(Proof::Format)),
        (Origin::Silent, 9, unknown(), nothing, refused),
        (Origin::Silent, 9, unknown(), unproven, Ok(Proof::Unproven)),
        (Origin::Silent, 9, broken(), unproven, refused),
        (Origin::Silent, 9, inside(), nothing, refused),
        (Origin::Silent, 9, inside(), unproven, Ok(Proof::Unproven)),
        (Origin::File, 9, inside(), nothing, refused),
        (Origin::File, 9, inside(), unproven, Ok(Proof::Unproven)),
        (Origin::Silent, 9, None, unproven, refused),
        (Origin::Silent, 0, unknown(), unproven, refused),
        (Origin::Silent, 0, unknown(), empty, refused),
        (Origin::File, 9, good(), nothing, Ok(Proof::File)),
        (Origin::File, 9, unknown(), nothing, Ok(Proof::File)),
        (Origin::File, 9, broken(), unproven, refused),
        (Origin::File, 0, unknown(), nothing, refused),
        (Origin::File, 0, unknown(), empty, Ok(Proof::File)),
    ] {
        assert_eq!(outcome(origin.clone(), size, verdict.clone(), insistence), expected, "{origin:?} {verdict:?}");
    }
}

#[test]
fn a_producer_of_our_own_proves_by_its_end() {
    let ended = |producer, size_bytes, verdict, insistence| {
        let end = End { name: "it".to_owned(), size_bytes, origin: Origin::Silent, producer: Some(producer), verdict };
        prove(end, insistence).map(|(proof, _)| proof).map_err(|error| error.kind())
    };
    let nothing = Insistence::default();
    let unknown = || Some(Verdict::Unproven { why: "no".to_owned() });
    let broken = || Some(Verdict::Broken { why: "cut".to_owned() });
    assert_eq!(ended(Producer::Command, 9, unknown(), nothing), Ok(Proof::ExitStatus));
    assert_eq!(ended(Producer::Command, 9, broken(), nothing), Err(ErrorKind::Integrity));
    assert_eq!(ended(Producer::Command, 0, unknown(), nothing), Err(ErrorKind::Integrity));
    let good = Some(Verdict::Proven { format: Format::Tar, label: None });
    assert_eq!(ended(Producer::Files, 9, good, nothing), Ok(Proof::File));
}

#[test]
fn what_we_make_ourselves_is_named_after_it() {
    let made = Made {
        set: "pg_dump".to_owned(),
        source_type: "command",
        source: "pg_dump".to_owned(),
        command_digest: Some("ab".to_owned()),
    };
    let given = Given { made: Some(made), ..Given::default() };
    let name = given.name(&Seen { promised: None, format: Some(Format::Tar) });
    assert_eq!((name.set.as_str(), name.extension.as_str()), ("pg_dump", "tar"));
    let label = name.settle(None, &Seen::default(), |words| panic!("{words}")).unwrap();
    assert_eq!((label.source.source_type.as_str(), label.source.name.as_str()), ("command", "pg_dump"));
    assert_eq!(label.source.command_digest.as_deref(), Some("ab"));
    // A command of ours in its midst knew of no source either.
    let came = Label::of_stream("stream", "standard input", "", "gz");
    let settled = name.settle(Some(Box::new(came)), &Seen::default(), |words| panic!("{words}")).unwrap();
    assert_eq!((settled.source.name.as_str(), settled.set.as_str()), ("pg_dump", "pg_dump"));
}

#[test]
fn a_label_that_knows_no_source_names_less_than_the_file() {
    let anonymous = |set: &str, extension: &str| Label::of_stream("file", "x", set, extension);
    let named = |set, file, promised| named(set, file, promised, Some(Format::Gzip));
    let cases = [
        (named(None, Some("/x/scores.csv.gz"), Some(anonymous("tmp", "gz"))), ("scores", "csv.gz")),
        (named(None, Some("/x/scores"), Some(anonymous("tmp", "csv.gz"))), ("scores", "csv.gz")),
        (named(None, None, Some(anonymous("weather", "csv.gz"))), ("weather", "csv.gz")),
        (named(None, None, Some(anonymous("", "parquet.gz"))), ("backup", "parquet.gz")),
        (named(None, None, Some(anonymous("", ""))), ("backup", "gz")),
    ];
    for ((set, extension), expected) in &cases {
        assert_eq!((set.as_str(), extension.as_str()), *expected);
    }
    // Whoever promised no set may seal one, and is told that it came too late.
    let seen = Seen { promised: Some(anonymous("", "parquet.gz")), format: None };
    let warned = Cell::new(false);
    let sealed = Some(Box::new(label("w", "parquet.gz")));
    let settled = Given::default().name(&seen).settle(sealed, &seen, |_| warned.set(true)).unwrap();
    assert_eq!((settled.set.as_str(), warned.get()), ("backup", true));
}
