//! The bar on a terminal, which `script` plays, and nothing of it anywhere else.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

mod common;

use common::file;
use vb_tests::chance::noise;
use vb_tests::place::Place;

/// What a terminal is shown of this line.
fn shown(place: &Place, line: &str) -> String {
    let line = format!("script -qec \"{line}\" /dev/null");
    let run = place.shell(&line).env("TERM", "xterm").env("SHELL", "/bin/sh").run().unwrap().succeeded().unwrap();
    run.stdout_text().to_owned()
}

#[test]
fn a_terminal_is_shown_a_bar_and_then_a_sentence() {
    let place = Place::new().unwrap();
    file(&place, "data", &noise(8_000_000));
    let of_file = shown(&place, "vb-put --set w data");
    assert!(of_file.contains("vb-put: stored") && of_file.contains(" of 8.00 MB ["), "{of_file:?}");
    assert!(of_file.contains("vb-put: stored w_") && !of_file.contains('{'), "{of_file:?}");
    let of_stream = shown(&place, "(cat data; sleep 0.6) | vb-put --unproven --set w");
    // A piece that is not full is waited for: it may be the last one.
    assert!(of_stream.contains("vb-put: stored 7.34 MB ") && !of_stream.contains(" of "), "{of_stream:?}");
    let read = shown(&place, "vb-get --latest --set w -o copy");
    assert!(read.contains("vb-get: read") && read.contains(" of 8.00 MB ["), "{read:?}");
}

#[test]
fn whoever_feeds_a_pipe_shows_none() {
    let place = Place::new().unwrap();
    file(&place, "data", &noise(8_000_000));
    let both = shown(&place, "(cat data; sleep 0.6) | vb-compress | vb-put --unproven --set w");
    assert!(both.contains("vb-put: stored") && !both.contains("vb-compress: compressed 0 B"), "{both:?}");
}

#[test]
fn nobody_else_is_shown_one() {
    let place = Place::new().unwrap();
    file(&place, "data", &noise(8_000_000));
    let never = shown(&place, "vb-put --progress never --set w data");
    assert!(!never.contains(" of 8.00 MB"), "{never:?}");
    let apart = shown(&place, "vb-put --set w data 2>said; cat said");
    assert!(!apart.contains(" of 8.00 MB") && !apart.contains("vb-put: stored 8"), "{apart:?}");
    let line = "(cat data; sleep 1.5) | vb-put --unproven --set w --progress json";
    let run = place.shell(line).run().unwrap().succeeded().unwrap();
    let progress = run.event("vb-put", "progress").unwrap();
    assert_eq!(progress["size_bytes"], 7 << 20);
    assert!(!run.stderr_text().contains('\u{1b}'));
}
