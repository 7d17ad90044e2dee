//! Every supported version of the server: rows and schema go out of it and come back into it, and up to the newest.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use vb_tests::pair::Pair;
use vb_tests::servers::Postgres;
use vb_tests::weather;

/// As `scripts/setup` installs them.
const MAJORS: [u32; 6] = [13, 14, 15, 16, 17, 18];

const MANY: &str = "CREATE TYPE kind AS ENUM ('b', 'a'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
    CREATE TABLE many (id serial PRIMARY KEY, ident bigint GENERATED ALWAYS AS IDENTITY, flag boolean, small smallint, big bigint, single real, twin double precision,
      exact numeric, short numeric(9,5), words text NOT NULL DEFAULT 'x', limited varchar(10), padded char(5), blob bytea, uid uuid, day date, clock time,
      stamp timestamp, zoned timestamptz(3), doc json, docb jsonb, kind kind DEFAULT 'a', n positive, kinds kind[], wholes int[], texts text[],
      tw int GENERATED ALWAYS AS (twice(n)) STORED, CHECK (n < 1000), UNIQUE (ident));
    COMMENT ON TABLE many IS 'many'; CREATE INDEX by_words ON many (lower(words)) WHERE n > 1;
    INSERT INTO many (flag, small, big, single, twin, exact, short, limited, padded, blob, uid, day, clock, stamp, zoned, doc, docb, n, kinds, wholes, texts)
      SELECT g % 2 = 0, g, g::bigint << 40, g / 3.0, g / 7.0, g / 7.0, g / 9.0, 'l' || g, 'p', decode(md5(g::text), 'hex'), md5(g::text)::uuid, '2026-01-01'::date + g,
        '12:34:56.789', '2026-01-01 00:00:00.123456', '2026-01-01 00:00:00.123+02', '{\"b\" : 1}', '{\"b\": [1, null]}', g, '{b,NULL}', ARRAY[g, NULL], ARRAY['', 'x', g::text]
      FROM generate_series(1, 200) g;
    INSERT INTO many (words) VALUES ('')";

fn round_trip(source: u32, target: u32) -> Result<()> {
    let server = Postgres::start_major(source)?;
    let other = (target != source).then(|| Postgres::start_major(target)).transpose()?;
    let pair = Pair::between(&server, other.as_ref().unwrap_or(&server), MANY)?;
    weather::create(&pair.source, 2000)?;
    for (table, rows) in [("many", 201), ("verification_scores", 2000)] {
        let line = format!("vb-export table {table} | vb-import");
        let run = pair.shell(&line).env("VB_PG_DUMP", newest_pg_dump()?).run()?.succeeded()?;
        assert_eq!(run.event("vb-export", "done")?["schema"], "dump");
        let done = run.event("vb-import", "done")?;
        assert_eq!((&done["records_restored"], &done["schema"]), (&rows.into(), &"dump".into()));
        pair.same(&format!("SELECT * FROM {table}"))?;
    }
    let next = "INSERT INTO many DEFAULT VALUES RETURNING id::text || ' ' || ident::text || ' ' || words";
    assert_eq!(pair.target.client()?.query_one(next, &[])?.get::<_, String>(0), "202 202 x");
    pair.same_schema(&newest_pg_dump()?, &["many", "verification_scores"])
}

/// It reads every one of them.
fn newest_pg_dump() -> Result<PathBuf> {
    let home = std::env::var("HOME").context("HOME is not set")?;
    let path = PathBuf::from(home).join(".cache/vb/postgres/18/bin/pg_dump");
    ensure!(
        path.is_file(),
        "{} is missing\nhint: Run scripts/setup test, which installs what is missing.",
        path.display()
    );
    Ok(path)
}

#[test]
fn each_version_takes_back_what_it_gave() -> Result<()> {
    for major in MAJORS {
        round_trip(major, major).with_context(|| format!("PostgreSQL {major}"))?;
    }
    Ok(())
}

#[test]
fn the_newest_takes_what_the_oldest_gave() -> Result<()> {
    round_trip(13, 18)
}
