//! The README is true: the commands that it shows run, in the order in which they stand there, and so do those of the manuals' synopsis.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use vb_tests::place::Place;
use vb_tests::servers::Postgres;
use vb_tests::weather;

const MARK: &str = "<!-- run by tests/tests/readme.rs -->\n```sh\n";

/// The lines of every block that is marked as run.
fn lines_of(readme: &str) -> Vec<String> {
    let blocks = readme.split(MARK).skip(1).filter_map(|rest| rest.split_once("```"));
    blocks.flat_map(|(block, _)| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn readme() -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    fs::read_to_string(path).context("reading the README")
}

#[test]
fn what_it_shows_runs() {
    let database = Postgres::shared().unwrap().create_database("readme").unwrap();
    weather::create(&database, 3000).unwrap();
    let place = Place::new().unwrap();
    let lines = lines_of(&readme().unwrap());
    assert!(lines.len() >= 8, "{lines:?}");
    for line in &lines {
        let run = place.shell(line).env("DATABASE_URL", database.url()).run().unwrap();
        // A reader such as head may leave early; what stands before it then fails quietly, and head's own status counts.
        assert_eq!(run.exit_code(), 0, "{line}\n{run}");
    }
    let restored = weather::digest(&database, "restored_scores").unwrap();
    assert_eq!(restored, weather::digest(&database, "verification_scores").unwrap());
}

#[test]
fn every_command_has_its_row() {
    let readme = readme().unwrap();
    for command in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../bin")).unwrap() {
        let name = command.unwrap().file_name().into_string().unwrap();
        assert!(readme.contains(&format!("[`{name}`](bin/{name}/README.md)")), "{name} has no row in the README");
    }
}
