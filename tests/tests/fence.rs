//! What each command is built from, and above all what it is not: asked from `cargo tree`, so that no dependency creeps in unseen.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Talking to a provider: only through `vb-stores`, only in the commands that have a store.
const PROVIDERS: [&str; 4] = ["aws-", "azure_", "google-cloud-", "reqwest"];
/// Any store at all.
const STORES: [&str; 3] = ["vb-store", "vb-stores", "vb-repository"];
/// Knowing what is in a stream.
const CONTENT: [&str; 6] = ["arrow", "parquet", "duckdb", "postgres", "tokio-postgres", "vb-postgres"];
/// An asynchronous runtime.
const RUNTIME: [&str; 2] = ["tokio", "async-std"];

/// Each command, and the packages (or beginnings of their names) that it must not contain.
const FENCES: [(&str, &[&[&str]]); 9] = [
    ("vb-compress", &[&RUNTIME, &PROVIDERS, &STORES, &CONTENT]),
    ("vb-export", &[&PROVIDERS, &STORES]),
    ("vb-import", &[&PROVIDERS, &STORES]),
    ("vb-copy", &[&CONTENT]),
    ("vb-get", &[&CONTENT]),
    ("vb-ls", &[&CONTENT]),
    ("vb-prune", &[&CONTENT]),
    ("vb-put", &[&CONTENT]),
    // Decodes and restores, so that it knows every content but DuckDB's.
    ("vb-verify", &[&["duckdb"]]),
];

/// What `vb-core` may use itself: it has no I/O, no clock, no argument parser.
const CORE: [&str; 3] = ["chrono", "serde", "serde_json"];

/// The names of the packages that `package` is built from, itself left out; `depth` 1 gives those that it names itself.
fn dependencies(package: &str, depth: &str) -> Result<BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the tests lie in no workspace")?;
    let output = Command::new(env!("CARGO"))
        .current_dir(root)
        .args([
            "tree",
            "--frozen",
            "--package",
            package,
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--depth",
            depth,
        ])
        .output()
        .context("starting cargo tree")?;
    ensure!(
        output.status.success(),
        "cargo tree --package {package}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let lines = String::from_utf8(output.stdout).context("reading what cargo tree says")?;
    let names = lines.lines().filter_map(|line| line.split_whitespace().next());
    Ok(names.filter(|name| *name != package).map(str::to_owned).collect())
}

fn forbidden<'a>(dependencies: &'a BTreeSet<String>, fences: &[&[&str]]) -> Vec<&'a str> {
    let within =
        |name: &str| fences.iter().copied().flatten().any(|fence| name == *fence || name.starts_with(&prefix(fence)));
    dependencies.iter().map(String::as_str).filter(|name| within(name)).collect()
}

/// `arrow` stands for `arrow-array` too, `aws-` and `azure_` for all that begins so.
fn prefix(fence: &str) -> String {
    if fence.ends_with(['-', '_']) { fence.to_owned() } else { format!("{fence}-") }
}

fn folders(name: &str) -> Result<BTreeSet<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    let entries = folder.read_dir().with_context(|| format!("reading {}", folder.display()))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect::<Result<_>>()
}

#[test]
fn no_command_contains_what_is_fenced_off() {
    for command in folders("bin").unwrap() {
        let (_, fences) = FENCES
            .iter()
            .find(|(name, _)| *name == command)
            .unwrap_or_else(|| panic!("{command} has no line in FENCES"));
        let dependencies = dependencies(&command, "100").unwrap();
        assert!(!dependencies.is_empty(), "{command} is built from nothing");
        assert_eq!(forbidden(&dependencies, fences), [""; 0], "{command} must not contain these");
    }
}

#[test]
fn the_core_is_serde_and_time() {
    let allowed = BTreeSet::from(CORE.map(str::to_owned));
    let more: Vec<_> =
        dependencies("vb-core", "1").unwrap().into_iter().filter(|name| !allowed.contains(name)).collect();
    assert_eq!(more, [""; 0], "vb-core must not use these");
}

#[test]
fn a_fence_stands_for_a_family() {
    let built =
        BTreeSet::from(["arrow-array", "arrows", "aws-sdk-s3", "tokio", "tokio-util", "serde"].map(str::to_owned));
    assert_eq!(
        forbidden(&built, &[&RUNTIME, &PROVIDERS, &CONTENT]),
        ["arrow-array", "aws-sdk-s3", "tokio", "tokio-util"]
    );
}
