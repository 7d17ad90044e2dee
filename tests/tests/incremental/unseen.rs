//! What a time or a transaction does not show: rounded times, clocks in other zones, columns and tables that were made anew. The chain restores
//! to what is there, or the export is full and says why.

use anyhow::Result;

use crate::Source;
use crate::reasons::edit;

/// Exports in full, then what this changes; what is restored must be the table. The reason of the last export, if it was full.
fn seen(columns: &str, options: &str, change: &str) -> Result<String> {
    let table = format!(
        "CREATE TABLE t (id int PRIMARY KEY, v int, {columns}); INSERT INTO t (id, v) VALUES (1, 1), (2, 2), (3, 3)"
    );
    let source = Source::of("t", &table)?;
    source.full(options)?;
    source.execute(change)?;
    let (exported, _) = source.backup(options)?;
    source.is_restored()?;
    Ok(exported["reason"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn times_that_are_rounded() {
    for (digits, unit) in [(0, "second"), (3, "milliseconds")] {
        for zone in ["with", "without"] {
            let column = format!("updated_at timestamp({digits}) {zone} time zone NOT NULL DEFAULT clock_timestamp()");
            // As the shortest column rounds down what now() says, half of the time.
            let change = format!("INSERT INTO t VALUES (4, 4, date_trunc('{unit}', clock_timestamp()))");
            assert_eq!(seen(&column, "--by updated_at", &change).unwrap(), "", "{column}");
        }
    }
}

#[test]
fn the_clocks_of_writers_without_a_zone() {
    let column = "updated_at timestamp NOT NULL DEFAULT now()";
    for zone in ["UTC", "Etc/GMT+12", "Pacific/Kiritimati"] {
        let change = format!("INSERT INTO t VALUES (4, 4, clock_timestamp() AT TIME ZONE '{zone}')");
        assert_eq!(seen(column, "--by updated_at", &change).unwrap(), "", "{zone}");
    }
}

#[test]
fn columns_that_were_made_anew_and_tables_that_were_rewritten() {
    let column = "updated_at timestamptz NOT NULL DEFAULT now()";
    for (change, reason) in [
        ("ALTER TABLE t DROP COLUMN v; ALTER TABLE t ADD COLUMN v int DEFAULT 777", "the table's columns have changed"),
        ("ALTER TABLE t ALTER COLUMN v TYPE int USING v * 100", "the table was rewritten or truncated"),
        ("TRUNCATE t; INSERT INTO t VALUES (1, 9, '2020-01-01')", "the table was rewritten or truncated"),
    ] {
        for options in ["--by updated_at", "--by xmin"] {
            assert_eq!(seen(column, options, change).unwrap(), reason, "{options}: {change}");
        }
    }
}

#[test]
fn a_server_or_a_database_that_was_put_back() {
    let source =
        Source::of("t", "CREATE TABLE t (id int PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT now())").unwrap();
    type Change = fn(&mut serde_json::Value);
    let changes: [(Change, &str); 3] = [
        (
            |mark| mark["position"]["started"] = 7.into(),
            "the server was started anew since the last export, perhaps from a copy of its files",
        ),
        (|mark| mark["position"]["database_oid"] = 7.into(), "the database was made anew since the last export"),
        (
            |mark| mark["until"] = "2100-01-01T00:00:00Z".into(),
            "the server's clock stands before the last export's end",
        ),
    ];
    source.full("").unwrap();
    for (change, reason) in changes {
        edit(&source, change).unwrap();
        assert_eq!(source.full("").unwrap(), reason);
    }
}

#[test]
fn a_part_of_a_table_is_no_backup_of_it() {
    let source = Source::of("t", "CREATE TABLE t (id int PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT now()); INSERT INTO t VALUES (1), (2)").unwrap();
    source.full("").unwrap();
    for part in ["--where 'id = 1'", "--range 2020-01-01:2020-01-02", "--since 1d", "--until 1d"] {
        let line = format!("vb-export table t {part} | vb-compress | vb-put --mark mark --allow-empty");
        let put = source.line(&line).run().unwrap().succeeded().unwrap();
        assert_eq!(put.event("vb-put", "done").unwrap()["set"], "t_part", "{put}");
        assert!(put.stderr_text().contains("mark was left as it was"), "{put}");
        // Not even in the same set.
        let line = format!("sleep 1; vb-export table t {part} --set t | vb-compress | vb-put --allow-empty");
        source.line(&line).run().unwrap().succeeded().unwrap();
    }
    let run = source.line("vb-prune --keep-last 1").run().unwrap().succeeded().unwrap();
    let kept = source.line("vb-ls --set t").run().unwrap().succeeded().unwrap();
    let kept: Vec<bool> = kept
        .status_lines()
        .unwrap()
        .iter()
        .filter(|line| line["event"] == "backup")
        .map(|line| line["source"]["part"] == true)
        .collect();
    assert_eq!(kept, [false, true], "{run}");
}

#[test]
fn keys_that_are_equal_and_not_the_same() {
    let equal = [
        ("citext", "'ann'", "'Ann'", "'bob'"),
        ("numeric", "1.0", "1.00", "2"),
        ("float8", "0.0", "'-0'", "2"),
        ("interval", "'1 day'", "'24 hours'", "'2 days'"),
        ("text COLLATE loose", "'ann'", "'Ann'", "'bob'"),
        ("words", "'ann'", "'Ann'", "'bob'"),
    ];
    for ((column, was, is, other), by) in equal.into_iter().zip(["updated_at", "xmin"].into_iter().cycle()) {
        let tables = format!(
            "CREATE EXTENSION citext; CREATE DOMAIN words AS citext; \
             CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false); \
             CREATE TABLE t (k {column} PRIMARY KEY, v int, updated_at timestamptz NOT NULL DEFAULT now()); INSERT INTO t VALUES ({was}, 1), ({other}, 1)"
        );
        let options = format!("--by {by}");
        let source = Source::of("t", &tables).unwrap();
        source.full(&options).unwrap();
        let change = format!("UPDATE t SET k = {is}, v = 2, updated_at = now() WHERE k = {was}");
        source.execute(&change).unwrap();
        let reason = source.full(&options).unwrap();
        assert!(reason.contains("may be equal and not the same"), "{column}: {reason}");
        source.is_restored().unwrap();
        // Where rows that are gone are told, so is the old value.
        source.full(&format!("{options} --deletes")).unwrap();
        source.execute(&format!("UPDATE t SET k = {was}, v = 3, updated_at = now() WHERE k = {was}")).unwrap();
        source.increment(&format!("{options} --deletes"), 1).unwrap();
        source.is_restored().unwrap();
    }
    for column in ["numeric(9,2)", "text", "bpchar(5)"] {
        let table = format!(
            "CREATE TABLE t (k {column} PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT now()); INSERT INTO t VALUES ('1')"
        );
        let source = Source::of("t", &table).unwrap();
        source.full("").unwrap();
        source.execute("INSERT INTO t VALUES ('2')").unwrap();
        source.increment("", 1).unwrap();
    }
}
