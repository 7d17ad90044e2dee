//! The mark held against the store: the store's newest manifest is the truth.

use crate::Source;
use anyhow::Result;
use serde_json::Value;
use std::fs;

const DATED: &str = "CREATE TABLE dated (id int PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO dated SELECT n FROM generate_series(1, 100) n";

/// What is said of it, and the status line.
fn agree(source: &Source) -> Result<(String, Value)> {
    let run = source.line("vb-ls --mark mark --table dated").run()?.succeeded()?;
    Ok((run.stderr_text().to_owned(), run.event("vb-ls", "done")?))
}

#[test]
fn a_mark_follows_the_store() {
    let source = Source::of("dated", DATED).unwrap();
    assert_eq!(agree(&source).unwrap().1["changed"], false, "nothing there, nothing to do");
    source.full("--deletes").unwrap();
    let first = fs::read_to_string(source.place.path("mark")).unwrap();
    source.execute("INSERT INTO dated VALUES (1000)").unwrap();
    source.increment("--deletes", 1).unwrap();
    let second = fs::read_to_string(source.place.path("mark")).unwrap();
    assert_eq!(agree(&source).unwrap().1["changed"], false);

    // Lost, or older than the store.
    for mark in [None, Some(&first)] {
        match mark {
            Some(mark) => fs::write(source.place.path("mark"), mark).unwrap(),
            None => fs::remove_file(source.place.path("mark")).unwrap(),
        }
        let (said, done) = agree(&source).unwrap();
        assert!(said.contains("mark was written anew for dated_"), "{said}");
        assert_eq!(done["changed"], true);
        assert_eq!(fs::read_to_string(source.place.path("mark")).unwrap(), second);
    }
    source.execute("DELETE FROM dated WHERE id = 7").unwrap();
    source.increment("--deletes", 0).unwrap();

    // The newest is gone from the store, then all are.
    let newest =
        source.line("vb-ls --latest --ids").run().unwrap().succeeded().unwrap().stdout_text().trim().to_owned();
    fs::remove_file(source.place.path(format!("backups/dated/{newest}_metadata.json"))).unwrap();
    let (said, _) = agree(&source).unwrap();
    assert!(said.contains(&format!("it named {newest}")), "{said}");
    assert_eq!(fs::read_to_string(source.place.path("mark")).unwrap(), second);
    source.increment("", 0).unwrap_err(); // nothing is new but what is gone, and that was not asked for
    fs::remove_dir_all(source.place.path("backups")).unwrap();
    let (said, _) = agree(&source).unwrap();
    assert!(said.contains("was removed") && said.contains("the next export is full"), "{said}");
    assert_eq!(source.full("--deletes").unwrap(), "");
    source.is_restored().unwrap();
}

#[test]
fn a_chain_with_a_hole_is_not_continued() {
    let source = Source::of("dated", DATED).unwrap();
    source.full("").unwrap();
    let full = source.line("vb-ls --latest --ids").run().unwrap().succeeded().unwrap().stdout_text().trim().to_owned();
    source.execute("INSERT INTO dated VALUES (1000)").unwrap();
    source.increment("", 1).unwrap();
    fs::remove_file(source.place.path(format!("backups/dated/{full}_metadata.json"))).unwrap();
    let (said, _) = agree(&source).unwrap();
    assert!(said.contains("cannot be continued") && said.contains("was removed"), "{said}");
    source.full("").unwrap();
}

#[test]
fn nothing_is_stored_where_its_base_is_not() {
    let source = Source::of("dated", DATED).unwrap();
    source.full("").unwrap();
    let full = source.line("vb-ls --latest --ids").run().unwrap().succeeded().unwrap().stdout_text().trim().to_owned();
    source.execute("INSERT INTO dated VALUES (1000)").unwrap();
    let mark = fs::read_to_string(source.place.path("mark")).unwrap();
    let put = |stores: &str| {
        let line = format!("vb-export table dated --since @mark | vb-compress | vb-put --mark mark {stores}");
        source.line(&line).run().unwrap()
    };
    let refused = put("--store file://./elsewhere").exited(4).unwrap();
    let failed = refused.event("vb-put", "failed").unwrap();
    assert!(failed["message"].as_str().unwrap().contains(&full), "{failed}");
    assert!(failed["hint"].as_str().unwrap().contains("vb-copy"), "{failed}");
    assert!(!source.place.path("elsewhere").exists(), "something was stored");
    assert_eq!(fs::read_to_string(source.place.path("mark")).unwrap(), mark);

    let both = "--store file://./elsewhere --store file://./backups --quorum 1";
    assert_eq!(put(both).exited(3).unwrap().event("vb-put", "done").unwrap()["base"], full.as_str());
    assert!(!source.place.path("elsewhere").exists(), "something was stored");
    source.line("vb-copy --from file://./backups --to file://./elsewhere").run().unwrap().succeeded().unwrap();
    source.execute("INSERT INTO dated VALUES (1001)").unwrap();
    put("--store file://./elsewhere").succeeded().unwrap();
}

#[test]
fn a_dry_run_changes_nothing() {
    let source = Source::of("dated", DATED).unwrap();
    source.full("").unwrap();
    fs::remove_file(source.place.path("mark")).unwrap();
    let run = source.line("vb-ls --mark mark --table dated --dry-run").run().unwrap().succeeded().unwrap();
    assert!(run.stderr_text().contains("written anew"), "{run}");
    assert!(!source.place.path("mark").exists());
}
