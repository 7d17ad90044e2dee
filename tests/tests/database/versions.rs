//! Programs and servers of several versions.

use vb_tests::place::Place;
use vb_tests::servers::Postgres;

use crate::{Rental, programs_of, same_text};

#[test]
fn a_setting_that_only_newer_servers_know_is_no_error() {
    let newer = programs_of(18).unwrap();
    let rental = Rental::new().unwrap();
    let line = "vb-export dump -o custom; vb-import custom";
    let run =
        rental.shell(line).env("VB_PG_DUMP", newer.join("pg_dump")).env("VB_PG_RESTORE", newer.join("pg_restore"));
    let run = run.run().unwrap().succeeded().unwrap();
    let done = run.event("vb-import", "done").unwrap();
    assert_eq!((&done["one_transaction"], &done["ignored"]), (&false.into(), &serde_json::json!([])), "{done}");
    same_text(&rental.source, &rental.target).unwrap();

    // The oldest that reads an archive of 18 is not the machine's own of 15.
    let older = "/usr/lib/postgresql/15/bin/pg_restore";
    let run = rental.shell("vb-import custom --force").env("VB_PG_RESTORE", older).run().unwrap().exited(4).unwrap();
    assert!(run.stderr_text().contains("does not read an archive of version 1.16"), "{run}");
}

#[test]
fn what_pg_restore_ignores_is_named() {
    let newer = programs_of(18).unwrap();
    let rental = Rental::new().unwrap();
    rental
        .shell("vb-export dump -o custom")
        .env("VB_PG_DUMP", newer.join("pg_dump"))
        .run()
        .unwrap()
        .succeeded()
        .unwrap();
    rental.target.client().unwrap().batch_execute("CREATE TABLE film (id integer)").unwrap();
    let run = rental.shell("vb-import custom --force").env("VB_PG_RESTORE", newer.join("pg_restore"));
    let run = run.run().unwrap().exited(3).unwrap();
    let done = run.event("vb-import", "done").unwrap();
    assert!(done["ignored"].to_string().contains("film") && done["error"] == "partial", "{done}");
}

#[test]
fn a_newer_server_takes_the_tables_of_an_older_one() {
    for major in [14, 18] {
        let (source, target) = (Postgres::start_major(14).unwrap(), Postgres::start_major(major).unwrap());
        let (source, target) = (source.create_database("old").unwrap(), target.create_database("new").unwrap());
        let fill = "CREATE TABLE a (id integer PRIMARY KEY, n numeric); INSERT INTO a SELECT n, n / 3.0 FROM generate_series(1, 999) n; \
            CREATE TABLE b (a integer REFERENCES a, words text NOT NULL); INSERT INTO b VALUES (7, 'seven'); \
            CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM a; SELECT lo_from_bytea(7, 'large')";
        source.client().unwrap().batch_execute(fill).unwrap();
        let place = Place::new().unwrap();
        let line = "vb-export dump --format parquet --row-hash | DATABASE_URL=$TARGET vb-import --jobs 2";
        let run = place.shell(line).env("DATABASE_URL", source.url()).env("TARGET", target.url());
        let run = run.run().unwrap().succeeded().unwrap();
        assert_eq!(run.event("vb-import", "done").unwrap()["identical"], true, "{run}");
        let query = "SELECT (SELECT count FROM m), convert_from(lo_get(7), 'UTF8')";
        let row = target.client().unwrap().query_one(query, &[]).unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, String>(1)), (999, "large".to_owned()));
    }
}
