//! The contract on every store, each on a real server: the table in the README is what this saw. `make conformance` writes it.
#![allow(clippy::panic, clippy::unwrap_used)] // clippy lets tests do so, but not the functions that they share

#[path = "conformance/places.rs"]
mod places;
#[path = "conformance/table.rs"]
mod table;

use places::{Opened, PLACES, Place};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use vb_store::conformance::{Case, cases, large_cases};

const WRITE: &str = "VB_WRITE_CONFORMANCE";

/// Where ten thousand parts and keys take seconds. On the others, which take minutes, only `make conformance` sends them; then
/// the README's word counts.
const QUICK: [&str; 2] = ["disk", "OpenSSH"];

/// What takes longer is told.
const SLOW: Duration = Duration::from_secs(20);

/// Where a server cannot be asked at all, and why: that is what the cell says.
const IMPOSSIBLE: [(&str, &str, &str); 2] = [
    ("SeaweedFS", "a stream of 10,001 parts", "parts of 5 MiB and more: 49 GiB"),
    ("moto", "a stream of 10,001 parts", "parts of 5 MiB and more: 49 GiB"),
];

fn why_not(place: &str, case: &str) -> Option<&'static str> {
    IMPOSSIBLE.iter().find(|(one, other, _)| (*one, *other) == (place, case)).map(|(.., why)| *why)
}

/// What the cell says; an error names the broken obligation.
fn cell(opened: &Opened, case: &Case, is_large: bool, folder: &str) -> Result<String, String> {
    let (place, store) = (opened.name, if is_large { &opened.large } else { &opened.usual });
    if let Some(why) = why_not(place, case.name) {
        return Ok(why.to_owned());
    }
    let begun = Instant::now();
    let result = case.check(&**store, folder);
    // Shown for a test that passes too: what makes the suite slow.
    if begun.elapsed() > SLOW {
        let line = format!("conformance: {place}: {} took {:.0} s\n", case.name, begun.elapsed().as_secs_f64());
        let _best_effort = std::io::stderr().write_all(line.as_bytes());
    }
    match result {
        Ok(()) => Ok("✓".to_owned()),
        Err(error) => Err(format!("{place}: {}: {error}", case.name)),
    }
}

/// All cases on one store: a column, the `number`th of the table.
fn column(number: usize, place: &Place, readme: &str, writes: bool) -> Vec<Result<String, String>> {
    let opened = place.open().unwrap();
    let (cases, large) = (cases(), large_cases());
    let all = cases.iter().map(|case| (case, false)).chain(large.iter().map(|case| (case, true)));
    let cell = |(row, (case, is_large)): (usize, (&Case, bool))| {
        let old =
            table::said(readme, case.name, number).filter(|_| is_large && !writes && !QUICK.contains(&place.name));
        old.map_or_else(|| cell(&opened, case, is_large, &format!("case/{row:02}")), |old| Ok(old.to_owned()))
    };
    all.enumerate().map(cell).collect()
}

#[test]
fn every_store_keeps_the_contract_and_the_readme_says_so() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = std::fs::read_to_string(&readme).unwrap();
    let writes = std::env::var_os(WRITE).is_some();
    // The stores side by side: each waits for its own server.
    let columns: Vec<_> = std::thread::scope(|scope| {
        let run = |(number, place)| {
            scope.spawn({
                let text = &text;
                move || column(number, place, text, writes)
            })
        };
        let runs: Vec<_> = PLACES.iter().enumerate().map(run).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let broken: Vec<&String> = columns.iter().flatten().filter_map(|cell| cell.as_ref().err()).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    let cells = |row: usize| columns.iter().map(|column| column[row].clone().unwrap()).collect();
    let cases = cases().into_iter().chain(large_cases());
    let rows: Vec<(&str, Vec<String>)> = cases.enumerate().map(|(row, case)| (case.name, cells(row))).collect();
    let names: Vec<&str> = PLACES.iter().map(|place| place.name).collect();
    let expected = table::replaced(&text, &table::markdown(&names, &rows)).unwrap();
    if writes {
        std::fs::write(&readme, expected).unwrap();
        return;
    }
    assert!(text == expected, "the table in the README is not what the tests saw: run make conformance");
}
