//! Whole databases: dumped, restored into an empty one, and put into the place of a live one. What `pg_dump` writes of the source it
//! writes of the restored database too.
//!
//! Apart from: the token of `\restrict`, which is made up anew each time; and of a chain, the order in which a table's rows lie.

#[path = "database/carried.rs"]
mod carried;
#[path = "database/course.rs"]
mod course;
#[path = "database/elsewhere.rs"]
mod elsewhere;
#[path = "database/faithful.rs"]
mod faithful;
#[path = "database/flows.rs"]
mod flows;
#[path = "database/increment.rs"]
mod increment;
#[path = "database/refusal.rs"]
mod refusal;
#[path = "database/swap.rs"]
mod swap;
#[path = "database/unsealed.rs"]
mod unsealed;
#[path = "database/versions.rs"]
mod versions;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use vb_tests::command::{Command, Run};
use vb_tests::place::Place;
use vb_tests::servers::{Database, Postgres};

/// A database to dump, an empty one, and a place to work in.
struct Rental {
    place: Place,
    source: Database,
    target: Database,
}

impl Rental {
    fn new() -> Result<Self> {
        Self::on(Postgres::shared()?)
    }

    fn on(server: &Postgres) -> Result<Self> {
        let rental = Self {
            place: Place::new()?,
            source: server.create_database("rental")?,
            target: server.create_database("rental_again")?,
        };
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rental.sql");
        let fill = rental.place.shell("psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --file \"$FILE\" >psql.out");
        fill.env("FILE", file).envs(rental.source.variables()).run()?.succeeded()?;
        Ok(rental)
    }

    /// A line of sh in which `vb-export` reads the source and `vb-import` writes the target.
    fn shell(&self, line: &str) -> Command {
        let line = line.replace("vb-export", "DATABASE_URL=$SOURCE vb-export");
        let line = line.replace("vb-import", "DATABASE_URL=$TARGET vb-import");
        let command = self.place.shell(&line).env("SOURCE", self.source.url()).env("TARGET", self.target.url());
        command.env("VB_STORE", format!("file://{}", self.place.path("backups").display()))
    }

    fn run(&self, line: &str) -> Result<Run> {
        self.shell(line).run()
    }
}

/// All that `pg_dump` writes of a database, rows too.
fn text_of(database: &Database) -> Result<String> {
    let program = Postgres::shared()?.programs()?.join("pg_dump");
    let output = std::process::Command::new(program).envs(database.variables()).output().context("starting pg_dump")?;
    ensure!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    Ok(text
        .lines()
        .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
        .collect::<Vec<_>>()
        .join("\n"))
}

fn same_text(one: &Database, other: &Database) -> Result<()> {
    same_lines(&text_of(one)?, &text_of(other)?)
}

/// The same where a table's rows may lie in another order.
fn same_text_in_any_order(one: &Database, other: &Database) -> Result<()> {
    same_lines(&in_order(&text_of(one)?), &in_order(&text_of(other)?))
}

/// The rows of each table sorted.
fn in_order(text: &str) -> String {
    let (mut lines, mut rows): (Vec<&str>, Option<Vec<&str>>) = (Vec::new(), None);
    for line in text.lines() {
        match &mut rows {
            Some(waiting) if line == "\\." => {
                waiting.sort_unstable();
                lines.append(waiting);
                (rows, _) = (None, lines.push(line));
            }
            Some(waiting) => waiting.push(line),
            None => {
                lines.push(line);
                rows = (line.starts_with("COPY ") && line.ends_with(" FROM stdin;")).then(Vec::new);
            }
        }
    }
    lines.join("\n")
}

fn same_lines(one: &str, other: &str) -> Result<()> {
    let differ = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    ensure!(differ.is_none() && one.lines().count() == other.lines().count(), "they differ first in {differ:?}");
    Ok(())
}

/// Programs of another major version, as `scripts/setup` installs them.
fn programs_of(major: u32) -> Result<PathBuf> {
    let home = std::env::var_os("HOME").context("there is no HOME")?;
    let folder = Path::new(&home).join(format!(".cache/vb/postgres/{major}/bin"));
    ensure!(
        folder.join("pg_restore").is_file(),
        "no pg_restore in {}\nhint: Run scripts/setup test.",
        folder.display()
    );
    Ok(folder)
}

#[test]
fn every_table_as_parquet_comes_back_as_it_was() {
    for (export, import) in [("", ""), ("--jobs 3 --row-hash", "--jobs 2"), ("--row-hash", "--jobs 1")] {
        let rental = Rental::new().unwrap();
        let line =
            format!("vb-export dump --format parquet {export} | vb-compress | vb-compress -d | vb-import {import}");
        let run = rental.run(&line).unwrap().succeeded().unwrap();
        same_text(&rental.source, &rental.target).unwrap();
        let (dumped, restored) = (run.event("vb-export", "done").unwrap(), run.event("vb-import", "done").unwrap());
        assert_eq!((&dumped["source"], &dumped["tables"]), (&"database".into(), &17.into()), "{dumped}");
        assert_eq!(dumped["records_exported"], restored["records_restored"], "{restored}");
        assert_eq!(restored["identical"] == true, !export.is_empty(), "{restored}");
        assert_eq!(restored["one_transaction"] == true, !import.contains('2'));
        let tables = run.status_lines().unwrap();
        assert_eq!(tables.iter().filter(|line| line["event"] == "table").count(), 17, "{run}");
    }
}

#[test]
fn the_archive_of_pg_dump_comes_back_as_it_was() {
    for jobs in ["", "--jobs 2"] {
        let rental = Rental::new().unwrap();
        let line = format!("vb-export dump | vb-compress | vb-compress -d | vb-import {jobs}");
        let run = rental.run(&line).unwrap().succeeded().unwrap();
        same_text(&rental.source, &rental.target).unwrap();
        let done = run.event("vb-import", "done").unwrap();
        assert_eq!(done["one_transaction"], jobs.is_empty(), "{done}");
        assert_eq!(done["ignored"].as_array().unwrap().len(), 0, "{done}");
    }
}

#[test]
fn a_database_goes_through_a_store_and_needs_nothing_of_ours() {
    let rental = Rental::new().unwrap();
    let run = rental.run("vb-export dump --format parquet | vb-compress | vb-put").unwrap().succeeded().unwrap();
    let stored = run.event("vb-put", "done").unwrap();
    assert!(stored["key"].as_str().unwrap().ends_with(".tar.gz"), "{stored}");
    assert_eq!(stored["set"], rental.source.variables()["PGDATABASE"].as_str(), "{stored}");
    rental.run("vb-get --latest | tar -xz && ls tables >names").unwrap().succeeded().unwrap();
    let names = std::fs::read_to_string(rental.place.path("names")).unwrap();
    assert!(names.contains("sales.payment_2026_1.parquet\n"), "{names}");
    assert!(names.is_ascii(), "{names}");
    let count = "python3 -c \"import duckdb; print(duckdb.sql('SELECT count(*) FROM \\'tables/public.film.parquet\\'').fetchone()[0])\"";
    assert_eq!(rental.run(count).unwrap().succeeded().unwrap().stdout_text(), "1000\n");
    rental.run("vb-get --latest | vb-compress -d | vb-import --jobs 2").unwrap().succeeded().unwrap();
    same_text(&rental.source, &rental.target).unwrap();
}

#[test]
fn all_members_show_one_moment() {
    let rental = Rental::new().unwrap();
    let mut writer = rental.source.client().unwrap();
    writer.batch_execute("CREATE TABLE one (n bigint); CREATE TABLE other (n bigint)").unwrap();
    let writing = std::thread::spawn(move || {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(3);
        while std::time::Instant::now() < end {
            writer.batch_execute("BEGIN; INSERT INTO one VALUES (1); INSERT INTO other VALUES (1); COMMIT").unwrap();
        }
    });
    let run = rental.run("vb-export dump --format parquet --jobs 2 | vb-import").unwrap();
    writing.join().unwrap();
    run.succeeded().unwrap();
    let counts = "SELECT (SELECT count(*) FROM one), (SELECT count(*) FROM other)";
    let row = rental.target.client().unwrap().query_one(counts, &[]).unwrap();
    assert_eq!(row.get::<_, i64>(0), row.get::<_, i64>(1));
}
