//! What makes the next export full, and the reason in the status line.

use crate::Source;
use anyhow::Result;
use serde_json::Value;
use std::fs;

const DATED: &str = "CREATE TABLE dated (id int PRIMARY KEY, note text, updated_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO dated SELECT n FROM generate_series(1, 100) n";

/// Changes the mark behind everybody's back.
pub(crate) fn edit(source: &Source, change: impl FnOnce(&mut Value)) -> Result<()> {
    let path = source.place.path("mark");
    let mut mark: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
    change(&mut mark);
    Ok(fs::write(path, mark.to_string())?)
}

#[test]
fn the_mark_is_of_something_else() {
    let source = Source::alone("dated", DATED).unwrap();
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str); 9] = [
        ("", |mark| mark["source"] = "public.other".into(), "the last export was of another table"),
        ("", |mark| mark["system_identifier"] = "1".into(), "the last export was from another server"),
        ("", |mark| mark["database"] = "other".into(), "the last export was from another database"),
        ("", |mark| mark["schema_sha256"] = "00".into(), "the table's columns have changed"),
        (
            "",
            |mark| mark["position"]["timeline"] = 99.into(),
            "the server was promoted or restored since the last export (its timeline was 99 and is 1)",
        ),
        (
            "--by xmin",
            |mark| mark["position"]["by"] = "updated_at".into(),
            "the last export went by updated_at, this one goes by xmin",
        ),
        ("--by xmin", |mark| mark["position"]["until_xid"] = (1u64 << 40).into(), "it was restored or made anew"),
        (
            "--by xmin",
            |mark| *mark = serde_json::json!({"until": mark["until"], "id": mark["id"]}),
            "the last export did not note its transactions",
        ),
        ("--by updated_at", |_| {}, "the last export went by xmin, this one goes by updated_at"),
    ];
    for (options, change, reason) in cases {
        source.backup(if reason.contains("goes by updated_at") { "--by xmin" } else { options }).unwrap();
        edit(&source, change).unwrap();
        let said = source.full(options).unwrap();
        assert!(said.ends_with(reason), "{said}");
    }
    // Without --by it goes on as it began.
    source.full("--by xmin").unwrap();
    source.execute("INSERT INTO dated VALUES (1000)").unwrap();
    assert_eq!(source.increment("", 1).unwrap()["by"], "xmin");
}

#[test]
fn an_older_programs_mark_is_continued() {
    let source = Source::of("dated", DATED).unwrap();
    source.full("").unwrap();
    edit(&source, |mark| drop(mark.as_object_mut().unwrap().remove("position"))).unwrap();
    source.execute("INSERT INTO dated VALUES (1000)").unwrap();
    source.increment("", 1).unwrap();
    fs::write(source.place.path("mark"), "2020-01-01T00:00:00Z\n").unwrap();
    // No chain could begin with that.
    let exported = source.backup("").unwrap().0;
    assert_eq!(exported["kind"], "full");
    assert!(exported["reason"].as_str().unwrap().ends_with("holds a time and names no backup"), "{exported}");
}

#[test]
fn a_table_that_was_made_anew() {
    let source = Source::of("dated", DATED).unwrap();
    source.full("--by xmin").unwrap();
    for change in ["TRUNCATE dated", "VACUUM FULL dated", "CLUSTER dated USING dated_pkey"] {
        source.execute(change).unwrap();
        assert_eq!(source.full("--by xmin").unwrap(), "the table was rewritten or truncated", "{change}");
    }
    let parts = "CREATE TABLE parted (id int PRIMARY KEY, note text) PARTITION BY LIST (id); CREATE TABLE one PARTITION OF parted FOR VALUES IN (1);
        CREATE TABLE two PARTITION OF parted FOR VALUES IN (2); INSERT INTO parted VALUES (1), (2)";
    let source = Source::alone("parted", parts).unwrap();
    source.full("").unwrap();
    source.execute("TRUNCATE one").unwrap();
    assert_eq!(source.full("").unwrap(), "the table was rewritten or truncated");
    source.execute("DROP TABLE two").unwrap();
    assert_eq!(source.full("").unwrap(), "a part of the table is gone");
}
