//! What is in the table in the end is what is in the file: neither its types nor its keys nor its rules make something else of it.

use anyhow::{Context, Result};

use crate::{NOTES, Pair};

/// Whatever the file says of the key's bytes counts, where the server holds two for equal that are not the same.
#[test]
fn a_known_key_gets_the_files_bytes() -> Result<()> {
    for (before, key, first, other) in [
        ("CREATE EXTENSION citext", "citext", "'ABC'", "'abc'"),
        ("", "numeric", "1.00", "1.0"),
        ("", "double precision", "'-0'", "'0'"),
        ("", "interval", "'1 day'", "'24:00:00'"),
        ("CREATE DOMAIN amount AS numeric", "amount", "1.10", "1.1"),
        (
            "CREATE COLLATION fold (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
            "text COLLATE fold",
            "'ABC'",
            "'abc'",
        ),
    ] {
        let pair = Pair::new(&format!(
            "{before}; CREATE TABLE k (k {key} PRIMARY KEY, v int); INSERT INTO k VALUES ({first}, 1)"
        ))?;
        pair.run("vb-export table k -o k.parquet && vb-import k.parquet")?.succeeded()?;
        // With another value beside the key, and with the same.
        for v in [2, 1] {
            pair.set_target(&format!("UPDATE k SET k = {other}, v = {v}"))?;
            let done = pair.run("vb-import k.parquet")?.succeeded()?.event("vb-import", "done")?;
            assert_eq!((&done["mode"], &done["records_unchanged"]), (&"upsert".into(), &0.into()), "{key}: {done}");
            assert_eq!(pair.target_rows("SELECT * FROM k")?, pair.source_rows("SELECT * FROM k")?, "{key}");
        }
        let done = pair.run("vb-import k.parquet")?.succeeded()?.event("vb-import", "done")?;
        assert_eq!(done["records_unchanged"], 1, "{key}: {done}");
        pair.set_target(&format!("CREATE TABLE child (k {key} REFERENCES k ON UPDATE SET NULL)"))?;
        let run = pair.run("vb-import k.parquet")?.exited(5)?;
        assert!(run.stderr_text().contains("child_k_fkey"), "{key}: {run}");
    }
    Ok(())
}

const TYPES: &str = "CREATE DOMAIN price AS numeric(10,4); CREATE DOMAIN stamp AS timestamptz; CREATE DOMAIN doc AS json;
    CREATE TYPE pt AS (n numeric, at timestamp(6)); CREATE TYPE span AS RANGE (subtype = numeric);
    CREATE TABLE t (id int PRIMARY KEY, p price, at stamp, doc doc, pt pt, pts pt[], span span);
    INSERT INTO t VALUES (1, 1.2345, '2026-01-01 00:00:00.654321Z', '{\"b\":1, \"a\":2}', ROW(1.5, '2026-01-01 00:00:00.654321'),
        ARRAY[ROW(1.5, '2026-01-01 00:00:00.654321')::pt], '[1.5,2)')";

#[test]
fn a_type_that_is_another_one_there_is_refused() -> Result<()> {
    let pair = Pair::new(TYPES)?;
    pair.run("vb-export table t -o t.parquet")?.succeeded()?;
    let table = "CREATE TABLE t (id int PRIMARY KEY, p price, at stamp, doc doc, pt pt, pts pt[], span span)";
    let same = TYPES.split("CREATE TABLE").next().context("the types")?;
    for (was, is, words) in [
        (
            "AS numeric(10,4)",
            "AS numeric(10,2)",
            "\"p\" is of type price, numeric(10,4), in the file, but numeric(10,2)",
        ),
        ("AS timestamptz", "AS timestamptz(0)", "\"at\" is of type stamp"),
        ("AS json", "AS jsonb", "\"doc\" is of type doc"),
        ("at timestamp(6)", "at timestamp(3)", "\"pt\" is of type pt"),
        ("(n numeric,", "(n numeric(9,0),", "\"pt\" is of type pt"),
        ("subtype = numeric", "subtype = int4", "\"span\" is of type span"),
    ] {
        for table in ["", table] {
            pair.set_target("DROP TABLE IF EXISTS t; DROP TYPE IF EXISTS price, stamp, doc, pt, span CASCADE")?;
            pair.set_target(&format!("{}; {table}", same.replace(was, is)))?;
            let run = pair.run("vb-import t.parquet")?.exited(5).context(is)?;
            assert!(
                run.stderr_text().contains(words) && run.stderr_text().contains("Nothing was changed"),
                "{is}: {run}"
            );
        }
    }
    pair.set_target("DROP TABLE IF EXISTS t; DROP TYPE IF EXISTS price, stamp, doc, pt, span CASCADE")?;
    pair.set_target(&format!("{same}; {table}"))?;
    pair.run("vb-import t.parquet")?.succeeded()?;
    assert_eq!(pair.target_rows("SELECT * FROM t")?, pair.source_rows("SELECT * FROM t")?);
    Ok(())
}

/// Such a file has values and no types of PostgreSQL's.
#[test]
fn a_file_from_elsewhere_is_not_rounded_and_not_cut() -> Result<()> {
    let pair = Pair::new("")?;
    let make = "python3 -c \"
import duckdb
for name, value in [('words', \\\"'abc   '\\\"), ('many', \\\"['abc   ']\\\"), ('at', \\\"TIMESTAMP '2026-01-01 00:00:00.654321'\\\"), ('n', '12345::DECIMAL(10,0)')]:
    duckdb.sql(f'COPY (SELECT {value} AS v) TO \\\"{name}.parquet\\\"'.replace(chr(34), chr(39)))\"";
    pair.place.shell(make).run()?.succeeded()?;
    pair.set_target("CREATE DOMAIN stamp AS timestamp(0); CREATE DOMAIN three AS varchar(3); CREATE DOMAIN hundreds AS numeric(10,-2)")?;
    for (file, type_name, words) in [
        ("words", "varchar(3)", "row 1 of the file: the value has more than the 3 characters"),
        ("words", "three", "row 1 of the file: the value has more than the 3 characters"),
        ("many", "varchar(3)[]", "row 1 of the file: the value has more than the 3 characters"),
        ("at", "timestamp(0)", "would round the file's times"),
        ("at", "stamp", "would round the file's times"),
        ("n", "numeric(10,-2)", "would round the file's numbers"),
        ("n", "hundreds", "would round the file's numbers"),
    ] {
        pair.set_target(&format!("DROP TABLE IF EXISTS t; CREATE TABLE t (v {type_name})"))?;
        let run = pair.run(&format!("vb-import --table t {file}.parquet"))?;
        assert!(run.stderr_text().contains(words), "{file} into {type_name}: {run}");
        assert!(pair.target_rows("SELECT * FROM t")?.is_empty(), "{type_name}");
    }
    for (file, type_name) in
        [("words", "varchar(6)"), ("many", "varchar(6)[]"), ("at", "timestamp"), ("n", "numeric(10,0)")]
    {
        pair.set_target(&format!("DROP TABLE t; CREATE TABLE t (v {type_name})"))?;
        pair.run(&format!("vb-import --table t {file}.parquet"))?.succeeded()?;
    }
    Ok(())
}

#[test]
fn values_that_the_table_would_compute_itself_are_refused() -> Result<()> {
    let pair = Pair::new("CREATE TABLE g (id int PRIMARY KEY, a int, x int); INSERT INTO g VALUES (1, 5, 77)")?;
    pair.set_target("CREATE TABLE g (id int PRIMARY KEY, a int, x int GENERATED ALWAYS AS (a * 2) STORED)")?;
    let run = pair.run("vb-export table g | vb-import")?.exited(2)?;
    assert!(run.stderr_text().contains("\"x\"") && run.stderr_text().contains("computes"), "{run}");
    assert!(pair.target_rows("SELECT * FROM g")?.is_empty());
    Ok(())
}

/// They would take the rows elsewhere, or leave those that shall go.
#[test]
fn rules_that_would_act_are_refused() -> Result<()> {
    let pair = Pair::new("CREATE TABLE t (id int PRIMARY KEY, d tsvector); INSERT INTO t VALUES (1, 'q')")?;
    pair.run("vb-export table t -o t.parquet")?.succeeded()?;
    let table =
        "DROP TABLE IF EXISTS t, other; CREATE TABLE t (id int PRIMARY KEY, d tsvector); CREATE TABLE other (LIKE t)";
    for (rule, options) in [
        ("INSERT TO t DO INSTEAD INSERT INTO other VALUES (NEW.*)", ""),
        ("INSERT TO t DO ALSO INSERT INTO other VALUES (NEW.*)", ""),
        ("DELETE TO t DO INSTEAD NOTHING", "--mode replace"),
    ] {
        pair.set_target(&format!("{table}; CREATE RULE odd AS ON {rule}"))?;
        let run = pair.run(&format!("vb-import {options} t.parquet"))?.exited(5)?;
        assert!(run.stderr_text().contains("rule odd"), "{rule}: {run}");
        assert!(pair.target_rows("SELECT * FROM t UNION ALL SELECT * FROM other")?.is_empty(), "{rule}");
    }
    // One that is off, or is about something else, is in nobody's way.
    pair.set_target(&format!("{table}; CREATE RULE odd AS ON INSERT TO t DO INSTEAD NOTHING; ALTER TABLE t DISABLE RULE odd; CREATE RULE even AS ON DELETE TO t DO INSTEAD NOTHING"))?;
    pair.run("vb-import t.parquet")?.succeeded()?;
    assert_eq!(pair.target_rows("SELECT * FROM t")?, pair.source_rows("SELECT * FROM t")?);
    Ok(())
}

/// A row that goes through its parent meets the triggers of its part.
#[test]
fn triggers_of_parts_are_named_and_kept_quiet_too() -> Result<()> {
    let parts = "CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100); CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200);";
    let pair = Pair::new(&format!("{parts} INSERT INTO p VALUES (1, 'a'), (101, 'b')"))?;
    pair.set_target(&format!("{parts} CREATE FUNCTION mangle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := NEW.v || '!'; RETURN NEW; END $$;
        CREATE TRIGGER own BEFORE INSERT ON p1 FOR EACH ROW EXECUTE FUNCTION mangle();
        CREATE TRIGGER all_parts AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION mangle();
        CREATE TRIGGER replica AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION mangle();
        ALTER TABLE p1 DISABLE TRIGGER all_parts; ALTER TABLE p2 ENABLE ALWAYS TRIGGER all_parts; ALTER TABLE p1 ENABLE REPLICA TRIGGER replica"))?;
    let states = "SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger";
    let before = pair.target_rows(states)?;
    let warning = pair.run("vb-export table p | vb-import")?.succeeded()?.event("vb-import", "warning")?;
    assert!(
        warning["message"].as_str().is_some_and(|words| words.contains("(all_parts, replica, own of public.p1)")),
        "{warning}"
    );
    assert_eq!(pair.target_rows("SELECT * FROM p")?, ["(1,a!)", "(101,b)"]);
    pair.set_target("TRUNCATE p")?;
    pair.run("vb-export table p | vb-import --disable-triggers")?.succeeded()?;
    assert_eq!(pair.target_rows("SELECT * FROM p")?, ["(1,a)", "(101,b)"]);
    assert_eq!(pair.target_rows(states)?, before);
    Ok(())
}

/// Where the table is made as it was, they stand where they stood, even if that is behind the rows.
#[test]
fn sequences_stand_where_they_stood() -> Result<()> {
    let pair = Pair::new(
        "CREATE TABLE c (id int GENERATED BY DEFAULT AS IDENTITY (MAXVALUE 100 CYCLE) PRIMARY KEY, n serial); INSERT INTO c VALUES (98, 7), (99, 8), (100, 9);
         SELECT setval('c_id_seq', 2), setval('c_n_seq', 5)",
    )?;
    pair.run("vb-export table c | vb-import")?.succeeded()?;
    for sequence in ["c_id_seq", "c_n_seq"] {
        let query = format!("SELECT last_value, is_called FROM {sequence}");
        assert_eq!(pair.target_rows(&query)?, pair.source_rows(&query)?, "{sequence}");
    }
    // In one that was there, new rows must not meet the restored ones.
    pair.set_target("TRUNCATE c; SELECT setval('c_n_seq', 1)")?;
    pair.run("vb-export table c | vb-import")?.succeeded()?;
    assert_eq!(pair.target_rows("SELECT last_value FROM c_n_seq")?, ["(9)"]);
    Ok(())
}

#[test]
fn a_sequence_that_may_not_be_read_is_named() -> Result<()> {
    let role = format!("limited_{}", std::process::id());
    let pair = Pair::new(&format!(
        "CREATE SEQUENCE free; CREATE TABLE t (id int DEFAULT nextval('free'), x int); INSERT INTO t (x) VALUES (1), (2);
         CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA public TO {role}; GRANT SELECT ON t TO {role}"
    ))?;
    let line = format!("DATABASE_URL=$(echo $SOURCE | sed 's#//[^@]*@#//{role}:x@#') vb-export table t -o t.parquet");
    let export = pair.place.shell(&line).env("SOURCE", pair.source.url()).run();
    pair.source.client()?.batch_execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))?;
    let run = export?.succeeded()?;
    assert!(run.stdout_text().contains("the sequence public.free may not be read"), "{run}");
    pair.run("vb-import t.parquet")?.succeeded()?;
    assert_eq!(pair.target_rows("SELECT count(*) FROM t")?, ["(2)"]);
    Ok(())
}

#[test]
fn a_trigger_on_the_table_itself_keeps_its_state() -> Result<()> {
    let pair = Pair::new(NOTES)?;
    pair.set_target(
        "CREATE TABLE notes (id int PRIMARY KEY, body text, updated_at timestamptz);
         CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER o AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION nothing();
         CREATE TRIGGER a AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION nothing(); ALTER TABLE notes ENABLE ALWAYS TRIGGER a;
         CREATE TRIGGER r AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION nothing(); ALTER TABLE notes ENABLE REPLICA TRIGGER r;
         CREATE TRIGGER d AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION nothing(); ALTER TABLE notes DISABLE TRIGGER d",
    )?;
    let states = "SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'notes'::regclass";
    let before = pair.target_rows(states)?;
    pair.run("vb-export table notes | vb-import --disable-triggers")?.succeeded()?;
    assert_eq!(pair.target_rows(states)?, before);
    Ok(())
}
