//! Style as a test: what a reader of the tree may rely on, with each ban naming its replacement.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Above this a file is two things.
const MOST_LINES: usize = 400;

fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the tests lie in no workspace")
}

/// Every file of this ending that git tracks or would track.
fn files(ending: &str) -> Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.current_dir(root()?).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let output = git.output().context("starting git ls-files")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim());
    let names = String::from_utf8(output.stdout)?;
    let paths = names.lines().filter(|name| name.ends_with(ending)).map(|name| root().map(|root| root.join(name)));
    Ok(paths.collect::<Result<Vec<_>>>()?.into_iter().filter(|path| path.is_file()).collect())
}

fn offenders(ending: &str, offends: impl Fn(&Path, &str) -> bool) -> Result<Vec<PathBuf>> {
    let read = |path: PathBuf| fs::read_to_string(&path).map(|text| (path, text)).context("reading a source file");
    let all: Vec<(PathBuf, String)> = files(ending)?.into_iter().map(read).collect::<Result<_>>()?;
    ensure!(!all.is_empty(), "no files end in {ending}");
    Ok(all.into_iter().filter(|(path, text)| offends(path, text)).map(|(path, _)| path).collect())
}

#[test]
fn each_source_file_says_at_its_top_what_it_is_for() {
    let silent =
        offenders(".rs", |_, text| !text.starts_with("//!") && !text.starts_with("#![doc = include_str!")).unwrap();
    assert!(silent.is_empty(), "begin these with //! and what they are for: {silent:?}");
}

#[test]
fn no_source_file_is_two() {
    let long = offenders(".rs", |_, text| text.lines().count() > MOST_LINES).unwrap();
    assert!(long.is_empty(), "split these, each has more than {MOST_LINES} lines: {long:?}");
}

#[test]
fn only_one_file_prints_words_for_people() {
    let allowed = ["lib/pipe/src/speech.rs", "tests/tests/tidy.rs"];
    let prints = |path: &Path, text: &str| {
        let words = ["eprintln!(", "eprint!("].iter().any(|word| text.contains(word));
        words
            && !allowed.iter().any(|allowed| path.ends_with(allowed))
            && !path.starts_with(root().unwrap().join("tests"))
    };
    let printing = offenders(".rs", prints).unwrap();
    assert!(printing.is_empty(), "let these speak through vb_pipe::Session: {printing:?}");
}

#[test]
fn the_example_of_the_environment_lists_every_variable() {
    let example = fs::read_to_string(root().unwrap().join(".env.example")).unwrap();
    let expected = Command::new(env!("CARGO"))
        .current_dir(root().unwrap())
        .args(["run", "--release", "--quiet", "--frozen", "--package", "vb-core", "--example", "env_example"])
        .output()
        .unwrap();
    assert_eq!(example, String::from_utf8(expected.stdout).unwrap(), "run make env-example");
}

#[test]
fn the_flows_are_plain_shell() {
    for name in [
        "backup",
        "incremental",
        "restore",
        "verify",
        "backup-database",
        "restore-database",
        "demo",
        "common.sh",
        "setup",
        "env-example",
    ] {
        let status = Command::new("dash").arg("-n").arg(root().unwrap().join("scripts").join(name)).status().unwrap();
        assert!(status.success(), "scripts/{name} is not plain sh");
    }
}

#[test]
fn each_command_has_its_manual_with_the_exit_codes_at_hand() {
    for command in fs::read_dir(root().unwrap().join("bin")).unwrap() {
        let folder = command.unwrap().path();
        let manual = fs::read_to_string(folder.join("README.md")).unwrap_or_default();
        assert!(
            manual.contains("## Status") || manual.contains("tatus lines"),
            "{} tells no status lines",
            folder.display()
        );
    }
}
