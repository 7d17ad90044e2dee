//! The contract on every store, each on a real server: the table in the README is what this saw. `make conformance` writes it.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

#[path = "conformance/places.rs"]
mod places;
#[path = "conformance/table.rs"]
mod table;

use places::{Opened, PLACES};
use std::path::Path;
use vb_store::Store;
use vb_store::conformance::{Case, cases, large_cases};

const WRITE: &str = "VB_WRITE_CONFORMANCE";

/// Where a server cannot be asked at all, and why: that is what the cell says.
const IMPOSSIBLE: [(&str, &str, &str); 2] = [
    ("SeaweedFS", "a stream of 10,001 parts", "parts of 5 MiB and more: 49 GiB"),
    ("moto", "a stream of 10,001 parts", "parts of 5 MiB and more: 49 GiB"),
];

fn why_not(place: &str, case: &str) -> Option<&'static str> {
    IMPOSSIBLE.iter().find(|(one, other, _)| (*one, *other) == (place, case)).map(|(.., why)| *why)
}

/// What the cell says; an error names the broken obligation.
fn cell(place: &str, store: &dyn Store, case: &Case, folder: &str) -> Result<String, String> {
    if let Some(why) = why_not(place, case.name) {
        return Ok(why.to_owned());
    }
    match case.check(store, folder) {
        Ok(()) => Ok("✓".to_owned()),
        Err(error) => Err(format!("{place}: {}: {error}", case.name)),
    }
}

#[test]
fn every_store_keeps_the_contract_and_the_readme_says_so() {
    let (cases, large) = (cases(), large_cases());
    let opened: Vec<Opened> = PLACES.iter().map(|place| place.open().unwrap()).collect();
    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    for (number, case) in cases.iter().chain(&large).enumerate() {
        let is_large = number >= cases.len();
        let cell = |opened: &Opened| {
            let store = if is_large { &opened.large } else { &opened.usual };
            cell(opened.name, &**store, case, &format!("case/{number:02}"))
        };
        // The stores side by side: each waits for its own server.
        let cells: Vec<_> = std::thread::scope(|scope| {
            let runs: Vec<_> = opened.iter().map(|opened| scope.spawn(|| cell(opened))).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        broken.extend(cells.iter().filter_map(|cell| cell.as_ref().err().cloned()));
        rows.push((case.name, cells.into_iter().map(|cell| cell.unwrap_or_else(|_| "✗".to_owned())).collect()));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let names: Vec<&str> = opened.iter().map(|opened| opened.name).collect();
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = std::fs::read_to_string(&readme).unwrap();
    let expected = table::replaced(&text, &table::markdown(&names, &rows)).unwrap();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&readme, expected).unwrap();
        return;
    }
    assert!(text == expected, "the table in the README is not what the tests saw: run make conformance");
}
