//! The schema travels with a table: what `pg_dump --schema-only` says of the source it says of the restored table too.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use vb_tests::pair::{Pair, schema_of};
use vb_tests::servers::Postgres;

fn pg_dump() -> Result<PathBuf> {
    Ok(Postgres::shared()?.programs()?.join("pg_dump"))
}

/// Names that need quotes, types of every kind, and everything that may hang on a table.
const RICH: &str = r#"
CREATE SCHEMA "We ather.x";
CREATE EXTENSION hstore;
CREATE EXTENSION btree_gist;
CREATE TYPE "We ather.x".kind AS ENUM ('b', 'a', 'it''s');
CREATE DOMAIN positive AS int DEFAULT 7 CONSTRAINT pos CHECK (VALUE > 0);
COMMENT ON DOMAIN positive IS 'more than; nothing';
CREATE TYPE pair AS (x numeric(5,2), k "We ather.x".kind);
CREATE TYPE span AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE COLLATION german (provider = icu, locale = 'de-u-ks-level2', deterministic = false);
CREATE FUNCTION twice(positive) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2; -- ;';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.body := 'touched;' || NEW.body; RETURN NEW; END $$;
CREATE SEQUENCE free_seq START 100 INCREMENT 5;
CREATE TABLE "We ather.x"."Tä.ble ""q""" (
  id serial, ident bigint GENERATED ALWAYS AS IDENTITY (START 10), "Größe.x" numeric(9,5) DEFAULT 1.5,
  kind "We ather.x".kind DEFAULT 'a', kinds "We ather.x".kind[], n positive, body text COLLATE german NOT NULL,
  free bigint DEFAULT nextval('free_seq'), tw int GENERATED ALWAYS AS (twice(n)) STORED,
  px numeric DEFAULT ((1, 'a')::pair).x, at timestamptz DEFAULT now(), words text DEFAULT ('a=>1'::hstore -> 'a'),
  CONSTRAINT "the key" PRIMARY KEY (id), CHECK ("Größe.x" < 1000), UNIQUE (ident, body), EXCLUDE USING gist (id WITH =),
  CHECK (span(0, 1000) @> n::float8));
COMMENT ON TABLE "We ather.x"."Tä.ble ""q""" IS 'a; comment''s \ $$';
COMMENT ON COLUMN "We ather.x"."Tä.ble ""q"""."Größe.x" IS 'column';
CREATE INDEX "i.1" ON "We ather.x"."Tä.ble ""q""" (twice(n), lower(body)) WHERE n > 3;
COMMENT ON INDEX "We ather.x"."i.1" IS 'index';
CREATE TRIGGER touch BEFORE UPDATE ON "We ather.x"."Tä.ble ""q""" FOR EACH ROW EXECUTE FUNCTION touch();
CREATE STATISTICS "We ather.x".st ON n, body FROM "We ather.x"."Tä.ble ""q""";
CREATE RULE noo AS ON DELETE TO "We ather.x"."Tä.ble ""q""" WHERE old.id = 1 DO INSTEAD (SELECT 1; SELECT 2);
ALTER TABLE "We ather.x"."Tä.ble ""q""" ADD COLUMN parent int REFERENCES "We ather.x"."Tä.ble ""q""",
  ALTER COLUMN body SET STORAGE EXTERNAL, ALTER COLUMN n SET STATISTICS 7;
CREATE POLICY own ON "We ather.x"."Tä.ble ""q""" USING (body <> 'secret');
INSERT INTO "We ather.x"."Tä.ble ""q""" (n, body, kinds) SELECT g, 'b' || g, '{a,b}' FROM generate_series(1, 5) g;
"#;
const RICH_NAME: &str = "\"We ather.x\".\"Tä.ble \"\"q\"\"\"";
const INSERT: &str =
    "(body) VALUES ('new') RETURNING id::text || ' ' || ident::text || ' ' || free::text || ' ' || tw::text";

#[test]
fn a_table_is_as_it_was() -> Result<()> {
    let pair = Pair::new(RICH)?;
    let run = pair.run(&format!("vb-export table '{RICH_NAME}' | vb-import"))?.succeeded()?;
    assert_eq!(run.event("vb-export", "done")?["schema"], "dump");
    let done = run.event("vb-import", "done")?;
    assert_eq!((&done["schema"], &done["created"]), (&"dump".into(), &true.into()));
    pair.same(&format!("SELECT * FROM {RICH_NAME}"))?;
    pair.same_schema(&pg_dump()?, &[RICH_NAME])?;
    pair.same("SELECT obj_description('positive'::regtype), pg_get_functiondef('twice'::regproc), pg_get_functiondef('touch'::regproc)")?;
    pair.same("SELECT extname, extnamespace::regnamespace FROM pg_extension")?;
    // The next row goes on where the source would: serial, identity, and a sequence that nobody owns.
    let insert = format!("INSERT INTO {RICH_NAME} {INSERT}");
    for database in [&pair.target, &pair.source] {
        assert_eq!(database.client()?.query_one(&insert, &[])?.get::<_, String>(0), "6 15 125 14");
    }
    Ok(())
}

#[test]
fn another_name_lies_beside_the_first_and_touches_nothing_of_it() -> Result<()> {
    let pair = Pair::new(RICH)?;
    let before = schema_of(&pg_dump()?, &pair.source, &[RICH_NAME])?;
    pair.run(&format!("vb-export table '{RICH_NAME}' -o rich.parquet"))?.succeeded()?;
    for (name, full) in [("'\"We ather.x\".\"O.ther\"'", "\"We ather.x\".\"O.ther\""), ("fresh.copy", "fresh.copy")] {
        let line =
            format!("vb-import --table {name} rich.parquet").replace("vb-import", "DATABASE_URL=$SOURCE vb-import");
        pair.place.shell(&line).env("SOURCE", pair.source.url()).run()?.succeeded()?;
        let rows = |table: &str| Pair::rows(&pair.source, &format!("SELECT * FROM {table}"));
        assert_eq!(rows(full)?, rows(RICH_NAME)?);
        let shape = "SELECT (SELECT count(*) FROM pg_constraint WHERE conrelid = c.oid), (SELECT count(*) FROM pg_index WHERE indrelid = c.oid), \
             (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid), (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid), \
             (SELECT count(*) FROM pg_statistic_ext WHERE stxrelid = c.oid), (SELECT count(*) FROM pg_attrdef WHERE adrelid = c.oid), obj_description(c.oid) \
             FROM pg_class c WHERE c.oid = '%'::regclass";
        let shape = |table: &str| Pair::rows(&pair.source, &shape.replace('%', table));
        assert_eq!(shape(full)?, shape(RICH_NAME)?);
        let new: String = pair.source.client()?.query_one(&format!("INSERT INTO {full} {INSERT}"), &[])?.get(0);
        ensure!(new.starts_with("6 15 "), "{full}: {new}");
    }
    assert_eq!(schema_of(&pg_dump()?, &pair.source, &[RICH_NAME])?, before);
    assert!(Pair::rows(&pair.source, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'vb%'")?.is_empty());
    // All that belongs to the copies is named after them and lies with them.
    let names = "SELECT relname FROM pg_class WHERE relnamespace = 'fresh'::regnamespace";
    let names = Pair::rows(&pair.source, names)?;
    ensure!(
        names.iter().any(|name| name.contains("copy_id_seq")) && names.iter().any(|name| name.contains("the key")),
        "{names:?}"
    );
    assert_eq!(Pair::rows(&pair.source, "SELECT last_value FROM free_seq")?, ["(130)"]);
    Ok(())
}

#[test]
fn a_table_that_is_there_keeps_its_schema() -> Result<()> {
    let pair = Pair::new(
        "CREATE TABLE t (id int PRIMARY KEY, body text DEFAULT 'x'); CREATE INDEX ON t (body); INSERT INTO t VALUES (1)",
    )?;
    pair.target.client()?.batch_execute("CREATE TABLE t (id int, body text)")?;
    let done = pair.run("vb-export table t | vb-import")?.succeeded()?.event("vb-import", "done")?;
    assert!(done["schema"].is_null() && done["created"] == false, "{done}");
    assert_eq!(Pair::rows(&pair.target, "SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass")?, ["(0)"]);
    pair.same("SELECT * FROM t")
}

/// The name of a domain's NOT NULL is kept since 17.
#[test]
fn types_and_statistics_keep_what_is_said_of_them() -> Result<()> {
    let server = Postgres::start_major(18)?;
    let pair = Pair::between(
        &server,
        &server,
        "CREATE DOMAIN d AS int CONSTRAINT \"must be\" NOT NULL CONSTRAINT pos CHECK (VALUE > 0) CONSTRAINT late CHECK (VALUE < 9);
         ALTER DOMAIN d ADD CONSTRAINT unproven CHECK (VALUE <> 8) NOT VALID;
         COMMENT ON CONSTRAINT pos ON DOMAIN d IS 'it''s; \\ pos'; COMMENT ON CONSTRAINT unproven ON DOMAIN d IS 'not yet'; COMMENT ON DOMAIN d IS 'all';
         CREATE TYPE pair AS (x int, \"Y y\" text); COMMENT ON COLUMN pair.\"Y y\" IS 'why'; COMMENT ON TYPE pair IS 'two';
         CREATE TABLE t (d d, p pair, n int); INSERT INTO t VALUES (1, (1, 'a'), 2);
         CREATE STATISTICS st (ndistinct) ON d, n FROM t; ALTER STATISTICS st SET STATISTICS 55; COMMENT ON STATISTICS st IS 'it''s st'",
    )?;
    let line = "vb-export table t -o t.parquet && vb-import t.parquet && vb-import --table moved.u t.parquet";
    pair.shell(line).env("VB_PG_DUMP", server.programs()?.join("pg_dump")).run()?.succeeded()?;
    pair.same("SELECT * FROM t")?;
    pair.same("SELECT conname, pg_get_constraintdef(oid), obj_description(oid) FROM pg_constraint WHERE contypid = 'd'::regtype")?;
    pair.same(
        "SELECT obj_description('d'::regtype), obj_description('pair'::regtype), col_description('pair'::regclass, 2)",
    )?;
    let statistics = |database, table: &str| {
        Pair::rows(
            database,
            &format!(
                "SELECT stxstattarget, obj_description(oid) FROM pg_statistic_ext WHERE stxrelid = '{table}'::regclass"
            ),
        )
    };
    for table in ["t", "moved.u"] {
        assert_eq!(statistics(&pair.target, table)?, statistics(&pair.source, "t")?, "{table}");
    }
    Ok(())
}

/// Rows are worth more than a constraint: they are committed, and what is missing is named.
#[test]
fn a_foreign_key_to_a_missing_table_is_left_out_and_named() -> Result<()> {
    let pair = Pair::new(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, a int CONSTRAINT to_a REFERENCES a); \
         CREATE INDEX after_it ON b (a); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1, 1)",
    )?;
    let run = pair.run("vb-export table b | vb-import")?.exited(3)?;
    let restored = run.event("vb-import", "restored")?;
    assert_eq!(restored["records_restored"], 1);
    let left = restored["left_out"].as_array().context("left_out")?;
    assert_eq!(left.len(), 1);
    assert!(left[0]["statement"].as_str().is_some_and(|words| words.contains("to_a FOREIGN KEY")), "{restored}");
    assert_eq!(run.event("vb-import", "failed")?["error"], "partial");
    pair.same("SELECT * FROM b")?;
    pair.same("SELECT relname FROM pg_class WHERE relname IN ('after_it', 'b_pkey')")?;
    // With the other table there, nothing is left out.
    pair.target.client()?.batch_execute("DROP TABLE b")?;
    pair.run("vb-export table a | vb-import")?.succeeded()?;
    pair.run("vb-export table b | vb-import")?.succeeded()?;
    pair.same_schema(&pg_dump()?, &["a", "b"])
}

#[test]
fn without_a_pg_dump_the_description_serves() -> Result<()> {
    let pair = Pair::new(
        "CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n positive, body text DEFAULT 'x'); \
         INSERT INTO t (n) VALUES (1), (2); DELETE FROM t WHERE id = 2",
    )?;
    for (program, words) in [("/bin/true", "is no pg_dump"), ("$PWD/old", "install postgresql-client-")] {
        let line = format!(
            "printf '#!/bin/sh\\necho pg_dump \\\\(PostgreSQL\\\\) 9.6\\n' >old; chmod +x old; VB_PG_DUMP={program} vb-export table t -o t.parquet"
        );
        let run = pair.run(&line)?.succeeded()?;
        assert_eq!(run.event("vb-export", "done")?["schema"], "description");
        let warning = run.event("vb-export", "warning")?;
        ensure!(warning["message"].as_str().is_some_and(|message| message.contains(words)), "{warning}");
    }
    let done = pair.run("vb-import t.parquet")?.succeeded()?.event("vb-import", "done")?;
    assert_eq!(done["schema"], "description");
    pair.same("SELECT * FROM t")?;
    assert_eq!(pair.target.client()?.query_one("INSERT INTO t (n) VALUES (3) RETURNING id", &[])?.get::<_, i64>(0), 3);
    // Asked for, the description serves where there is a dump too.
    pair.run("vb-export table t -o t.parquet")?.succeeded()?;
    let done =
        pair.run("vb-import --schema description --table u t.parquet")?.succeeded()?.event("vb-import", "done")?;
    assert_eq!(done["schema"], "description");
    assert_eq!(Pair::rows(&pair.target, "SELECT count(*) FROM pg_attrdef WHERE adrelid = 'u'::regclass")?, ["(0)"]);
    Ok(())
}

#[test]
fn a_table_that_cannot_be_made_as_it_was_is_named_and_nothing_is_changed() -> Result<()> {
    let pair = Pair::new(
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; \
        CREATE TABLE t (id int DEFAULT f()); INSERT INTO t VALUES (1)",
    )?;
    pair.run("vb-export table t -o t.parquet")?.succeeded()?;
    // A function of that name is there, but not the one that the default means.
    pair.target.client()?.batch_execute("CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$")?;
    let run = pair.run("vb-import t.parquet")?.exited(1)?;
    ensure!(
        run.stderr_text().contains("making the schema (CREATE TABLE public.t")
            && run.stderr_text().contains("--schema description"),
        "{run}"
    );
    assert_eq!(Pair::rows(&pair.target, "SELECT to_regclass('t')")?, ["()"]);
    pair.run("vb-import --schema description t.parquet")?.succeeded()?;
    pair.same("SELECT * FROM t")
}

#[test]
fn the_password_is_on_no_command_line() -> Result<()> {
    let pair = Pair::new("CREATE TABLE t (id int)")?;
    let line = "printf '#!/bin/sh\\nprintf \"%%s\\\\n\" \"$0 $*\" >>seen\\nexec pg_dump \"$@\"\\n' >spy; chmod +x spy; \
        DATABASE_URL=$SOURCE VB_PG_DUMP=$PWD/spy command vb-export table t -o t.parquet --status lines";
    let run = pair.place.shell(line).env("SOURCE", pair.source.url()).run()?.succeeded()?;
    let read = |name: &str| std::fs::read_to_string(pair.place.path(name));
    let (seen, lines) = (read("seen")?, read("lines")?);
    ensure!(seen.matches("--section=").count() == 2 && lines.contains("\"schema\":\"dump\""), "{seen}{lines}{run}");
    for text in [seen.as_str(), lines.as_str(), run.stderr_text()] {
        ensure!(!text.contains(pair.source.variables()["PGPASSWORD"].as_str()), "{text}");
    }
    Ok(())
}
