//! What a test may have the proxy break in Google's protocol.

use vb_tests::proxy::{Fault, Plan, Request, some};

/// One bit of the body's end is flipped on its way to the server.
pub(crate) const FLIP_END: Fault = Fault::Alter(|_, body| {
    // The end of a body of several parts is a boundary.
    let place = body.len() - body.len().min(100);
    body[place] ^= 1;
});
/// Only the first half of a part reaches the server, which says so.
pub(crate) const KEEP_HALF: Fault = Fault::Alter(halve);
/// The answer names another checksum.
pub(crate) const LIE: Fault = Fault::AlterAnswer(lie);

/// Breaks `times` requests that have a body and all these words in their first line, after `passed` of them.
pub(crate) fn nth(passed: usize, times: usize, words: &'static [&'static str], fault: Fault) -> Plan {
    some(passed, times, fault, |request| request.has(words) && (request.length > 0 || request.line.starts_with("GET")))
}

/// As if the connection had broken after the first half, which the server kept.
fn halve(request: &mut Request, body: &mut Vec<u8>) {
    body.truncate(body.len() / 2);
    let kept = body.len();
    request.change_headers(|name, value| {
        Some(match name {
            "content-length" => kept.to_string(),
            "content-range" => {
                let first = value.trim_start_matches("bytes ").split('-').next().unwrap();
                let first: usize = first.parse().unwrap();
                format!("bytes {first}-{}/*", first + kept - 1)
            }
            _ => value.to_owned(),
        })
    });
}

/// Changes the first character of the checksum.
fn lie(answer: &mut Vec<u8>) {
    let mut text = String::from_utf8(answer.clone()).unwrap();
    let name = "\"crc32c\":";
    let at = text.find(name).unwrap_or_else(|| panic!("no checksum in {text}")) + name.len();
    let at = at + text[at..].find('"').unwrap() + 1;
    let other = if text[at..].starts_with('A') { "B" } else { "A" };
    text.replace_range(at..=at, other);
    *answer = text.into_bytes();
}
