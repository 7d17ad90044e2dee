//! Chains of dumps in the flows, and in the commands that keep them.

use std::path::Path;

use anyhow::Result;
use vb_tests::command::{Command, Run};
use vb_tests::servers::{Database, Postgres};

use crate::increment::Increments;
use crate::{Rental, programs_of, same_text_in_any_order};

/// A flow as make runs it, on the source.
fn flow(rental: &Rental, name: &str, options: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(name);
    let command = rental.place.shell_of("dash", &format!("exec dash \"$FLOW\" {options}")).env("FLOW", script);
    let store = format!("file://{}", rental.place.path("backups").display());
    command.env("DATABASE_URL", rental.source.url()).env("STORE", store)
}

fn backup(rental: &Rental, incremental: &str) -> Result<Run> {
    flow(rental, "backup-database", "").env("INCREMENTAL", incremental).run()?.succeeded()
}

#[test]
fn a_day_brings_back_a_chain() {
    let rental = Rental::new().unwrap();
    backup(&rental, "full").unwrap();
    let execute = |sql: &str| rental.source.client().unwrap().batch_execute(sql).unwrap();
    execute("DELETE FROM parent; INSERT INTO sales.counter VALUES (7)");
    let run = backup(&rental, "yes").unwrap();
    assert_eq!(run.event("vb-put", "done").unwrap()["kind"], "incremental", "{run}");
    // A mark that was lost is found in the store.
    std::fs::remove_file(rental.place.path("data/.last_backup_of_database")).unwrap();
    execute("INSERT INTO parent VALUES (8, 'later')");
    let run = backup(&rental, "yes").unwrap();
    assert_eq!(run.event("vb-put", "done").unwrap()["kind"], "incremental", "{run}");
    rental.run("vb-get --latest --chain | vb-import").unwrap().succeeded().unwrap();
    execute("DROP TABLE film CASCADE; CREATE TABLE accident (id integer)");
    let run = flow(&rental, "restore-database", "\"$(date -u +%F)\" --force").run().unwrap().succeeded().unwrap();
    let done = run.event("vb-import", "done").unwrap();
    assert_eq!((&done["swapped"], &done["identical"]), (&true.into(), &true.into()), "{done}");
    assert_eq!(done["backups"].as_array().unwrap().len(), 3, "{done}");
    same_text_in_any_order(&rental.source, &rental.target).unwrap();
    // The one in its place is another database: the next dump does not continue the old one's.
    let run = backup(&rental, "yes").unwrap();
    let dumped = run.event("vb-export", "done").unwrap();
    assert_eq!(dumped["kind"], "full", "{dumped}");
    assert!(dumped["reason"].as_str().unwrap().contains("made anew"), "{dumped}");
}

#[test]
fn what_a_restore_replaces_is_told() {
    let rental = Rental::new().unwrap();
    backup(&rental, "no").unwrap();
    let restore = |database: &Database, options: &str| {
        flow(&rental, "restore-database", options).env("DATABASE_URL", database.url())
    };
    let place_of = |database: &Database| {
        let variables = database.variables();
        let [user, host, port, name] = ["PGUSER", "PGHOST", "PGPORT", "PGDATABASE"].map(|name| &variables[name]);
        format!("{user}@{host}:{port}/{name}")
    };
    let of = format!("a backup of the database {},", rental.source.variables()["PGDATABASE"]);

    // The question, on a terminal.
    let asked = |database: &Database| {
        let command =
            rental.place.shell("exec script --quiet --return --command 'dash \"$FLOW\"' /dev/null").stdin("n\n");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/restore-database");
        let store = format!("file://{}", rental.place.path("backups").display());
        let command = command.env("FLOW", script).env("DATABASE_URL", database.url()).env("STORE", store);
        command.run().unwrap().exited(1).unwrap().stdout_text().to_owned()
    };
    let question = asked(&rental.source);
    let expected =
        format!("in the place of the database {}, which is kept under another name? [y/N]", place_of(&rental.source));
    assert!(question.contains(&expected) && !question.contains(&of), "{question}");
    assert!(question.contains("nothing was changed"), "{question}");
    let question = asked(&rental.target);
    assert!(question.contains(&of) && question.contains(&place_of(&rental.target)), "{question}");
    let run = restore(&rental.source, "").run().unwrap().exited(2).unwrap();
    assert!(run.stderr_text().contains("no terminal"), "{run}");

    let nobody = rental.source.beside(&format!("{}_fresh", rental.source.variables()["PGDATABASE"]));
    let run = restore(&nobody, "--force").run().unwrap().succeeded().unwrap();
    let expected = format!("{of} as the database {}, which is not there yet", place_of(&nobody));
    assert!(run.stderr_text().contains(&expected), "{run}");
    crate::same_text(&rental.source, &nobody).unwrap();
}

#[test]
fn a_table_takes_no_database_s_place() {
    let rental = Rental::new().unwrap();
    flow(&rental, "backup", "").env("TABLES", "film").run().unwrap().succeeded().unwrap();
    for options in ["--force", "--verify-only"] {
        let run = flow(&rental, "restore-database", options).run().unwrap().exited(2).unwrap();
        assert!(run.stderr_text().contains("is a backup of the table public.film, not of a database"), "{run}");
        assert!(run.event("vb-get", "done").is_err(), "{run}");
    }
}

#[test]
fn a_chain_is_verified_and_kept_as_one() {
    let increments = Increments::new().unwrap();
    increments.full("--row-hash").unwrap();
    increments.execute("DELETE FROM film WHERE film_id = 1500; INSERT INTO parent VALUES (100)").unwrap();
    let id = increments.increment("--row-hash").unwrap();
    let run = increments.rental.shell(&format!("vb-verify {id} --level 4"));
    let run = run.env("VB_SCRATCH_DATABASE_URL", increments.rental.target.url()).run().unwrap().succeeded().unwrap();
    assert!(run.status_lines().unwrap().iter().any(|line| line["id"] == id.as_str() && line["level"] == 4), "{run}");
    // The base lives as long as what stands on it.
    let run = increments.rental.run("vb-prune --keep-last 1").unwrap().succeeded().unwrap();
    assert_eq!(run.event("vb-prune", "done").unwrap()["removed"], 0, "{run}");
    increments.is_restored().unwrap();
}

#[test]
fn older_and_newer_servers_are_dumped_in_chains() {
    for major in [13, 18] {
        let server = Postgres::start_major(major).unwrap();
        let (source, target) = (server.create_database("old").unwrap(), server.create_database("new").unwrap());
        let rental = Rental { place: vb_tests::place::Place::new().unwrap(), source, target };
        let execute = |sql: &str| rental.source.client().unwrap().batch_execute(sql).unwrap();
        execute(
            "CREATE TYPE kind AS ENUM ('a', 'b'); CREATE TABLE a (id integer PRIMARY KEY, n numeric, k kind DEFAULT 'a'); \
             INSERT INTO a SELECT n, n / 3.0 FROM generate_series(1, 999) n; SELECT lo_from_bytea(7, 'large')",
        );
        let dump = "vb-export dump --format parquet --row-hash --since @mark | vb-compress | vb-put --mark mark";
        let run = |line: &str| {
            let pg_dump = programs_of(18).unwrap().join("pg_dump");
            rental.shell(line).env("VB_PG_DUMP", pg_dump).run().unwrap().succeeded().unwrap()
        };
        run(dump);
        execute("DELETE FROM a WHERE id < 10; UPDATE a SET k = 'b' WHERE id = 100; SELECT lo_put(7, 0, 'L')");
        let dumped = run(dump).event("vb-put", "done").unwrap();
        assert_eq!(dumped["kind"], "incremental", "{dumped}");
        let restored = run("vb-get --latest --chain | vb-import").event("vb-import", "done").unwrap();
        assert_eq!(restored["identical"], true, "{restored}");
        let query = "SELECT (SELECT count(*) FROM a), convert_from(lo_get(7), 'UTF8')";
        let row = rental.target.client().unwrap().query_one(query, &[]).unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, String>(1)), (990, "Large".to_owned()));
    }
}
