//! A backup in the place of a live database: never none, and never one that was not checked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use vb_tests::command::{Command, Run};
use vb_tests::leftovers::until;
use vb_tests::servers::{Database, Postgres};

use crate::{Rental, refusal, same_text};

/// A database with a backup in a store, and what has happened to it since.
pub(crate) struct Accident {
    pub(crate) rental: Rental,
    pub(crate) name: String,
}

impl Accident {
    pub(crate) fn new() -> Result<Self> {
        let rental = Rental::new()?;
        let accident = Self { name: rental.source.variables()["PGDATABASE"].clone(), rental };
        accident.flow("backup-database", "")?.run()?.succeeded()?;
        let after = format!(
            "DROP TABLE sales.reservation; CREATE TABLE public.since (id integer); \
             ALTER DATABASE {0} SET search_path TO sales, \"$user\"; ALTER DATABASE {0} SET work_mem TO '5MB'; \
             COMMENT ON DATABASE {0} IS 'the live one'; GRANT CREATE ON DATABASE {0} TO rental_reader",
            accident.name
        );
        accident.rental.source.client()?.batch_execute(&after)?;
        Ok(accident)
    }

    /// A flow as make runs it, on the live database.
    fn flow(&self, name: &str, options: &str) -> Result<Command> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts").join(name);
        let place = &self.rental.place;
        let command = place.shell_of("dash", &format!("exec dash \"$FLOW\" {options}")).env("FLOW", script);
        let store = format!("file://{}", place.path("backups").display());
        Ok(command.env("DATABASE_URL", self.rental.source.url()).env("STORE", store))
    }

    pub(crate) fn restore(&self, options: &str) -> Result<Run> {
        self.flow("restore-database", options)?.run()
    }

    /// All databases whose names begin with the live one's, apart from it, without their times.
    fn beside(&self) -> Result<BTreeSet<String>> {
        let rows = self.rental.target.client()?.query("SELECT datname::text FROM pg_database", &[])?;
        let names = rows.iter().map(|row| row.get::<_, String>(0));
        let ending =
            |name: String| Some(name.strip_prefix(&self.name)?.strip_prefix('_')?.split('_').next()?.to_owned());
        Ok(names.filter_map(ending).filter(|word| ["restore", "before"].contains(&word.as_str())).collect())
    }

    /// Whether the live database is the one that had the accident.
    fn is_as_it_was(&self) -> Result<bool> {
        let query = "SELECT to_regclass('public.since') IS NOT NULL, to_regclass('sales.reservation') IS NOT NULL";
        let row = self.rental.source.client()?.query_one(query, &[])?;
        let (since, reservation): (bool, bool) = (row.get(0), row.get(1));
        anyhow::ensure!(since != reservation, "it is half of each");
        Ok(since)
    }

    /// What killed ones have left is dropped by the next one that makes a database, as soon as the server knows that they are gone.
    fn next_one_leaves_nothing(&self) -> Result<()> {
        std::thread::sleep(Duration::from_secs(1)); // a scratch database's name shows its second
        until("nothing is left", || {
            self.restore("--verify-only")?.succeeded()?;
            Ok((!self.beside()?.contains("restore")).then_some(()))
        })
    }

    fn kept(&self, run: &Run) -> Result<Database> {
        let done = run.event("vb-import", "done")?;
        let name = done["kept_as"].as_str().context("nothing was kept")?.to_owned();
        Ok(self.rental.source.beside(&name))
    }
}

#[test]
fn a_backup_takes_the_place_of_the_live_database() {
    let accident = Accident::new().unwrap();
    // The target of the pair gets the backup by another way, for comparison.
    accident.rental.run("vb-get --latest | vb-compress -d | vb-import").unwrap().succeeded().unwrap();
    let run = accident.restore("--force").unwrap().succeeded().unwrap();
    assert!(!accident.is_as_it_was().unwrap());
    same_text(&accident.rental.target, &accident.rental.source).unwrap();
    let done = run.event("vb-import", "done").unwrap();
    assert_eq!((&done["swapped"], &done["identical"]), (&true.into(), &true.into()), "{done}");
    let query = "SELECT current_setting('work_mem'), current_setting('search_path'), shobj_description(oid, 'pg_database'), datacl::text \
        FROM pg_database WHERE datname = current_database()";
    let row = accident.rental.source.client().unwrap().query_one(query, &[]).unwrap();
    let text = |column: usize| row.get::<_, String>(column);
    assert_eq!([text(0), text(1), text(2)], ["5MB", "sales, \"$user\"", "the live one"]);
    assert!(text(3).contains("rental_reader=C/"), "{}", text(3));
    // The old one is whole, and can be restored by two renames.
    let kept = accident.kept(&run).unwrap();
    kept.client().unwrap().batch_execute("SELECT FROM public.since").unwrap();
    assert_eq!(accident.beside().unwrap(), BTreeSet::from(["before".to_owned()]));
}

#[test]
fn a_day_names_the_newest_backup_of_it_and_the_archive_of_pg_dump_will_do() {
    let accident = Accident::new().unwrap();
    std::thread::sleep(Duration::from_secs(1)); // a backup's name shows its second
    accident.rental.source.client().unwrap().batch_execute("CREATE TABLE public.later (id integer)").unwrap();
    accident.flow("backup-database", "").unwrap().env("FORMAT", "custom").run().unwrap().succeeded().unwrap();
    let today = accident.restore("\"$(date -u +%F)\" --force").unwrap().succeeded().unwrap();
    assert_eq!(today.event("vb-import", "done").unwrap()["swapped"], true);
    let later = "SELECT to_regclass('public.later') IS NOT NULL";
    assert!(accident.rental.source.client().unwrap().query_one(later, &[]).unwrap().get::<_, bool>(0));
    accident.restore("2020-01-01 --force").unwrap().exited(4).unwrap();
    accident.restore("no_such_20200101_000000 --force").unwrap().exited(6).unwrap();
}

#[test]
fn verifying_leaves_nothing_behind() {
    let accident = Accident::new().unwrap();
    let _connected = accident.rental.source.client().unwrap();
    let run = accident.restore("--verify-only").unwrap().succeeded().unwrap();
    assert_eq!(run.event("vb-import", "done").unwrap()["swapped"], false);
    assert!(accident.is_as_it_was().unwrap() && accident.beside().unwrap().is_empty());
}

#[test]
fn without_a_terminal_nothing_is_asked_and_nothing_replaced() {
    let accident = Accident::new().unwrap();
    let run = accident.restore("").unwrap().exited(2).unwrap();
    assert!(run.stderr_text().contains("--force"), "{run}");
    assert!(accident.is_as_it_was().unwrap() && accident.beside().unwrap().is_empty());
}

#[test]
fn whoever_is_connected_is_named_and_only_disconnected_on_demand() {
    let accident = Accident::new().unwrap();
    let mut connected = accident.rental.source.client().unwrap();
    connected.batch_execute("SET application_name = 'the shop'").unwrap();
    let pid: i32 = connected.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let run = accident.restore("--force").unwrap().exited(5).unwrap();
    assert!(run.stderr_text().contains(&format!("process {pid} of postgres (the shop) from 127.0.0.1")), "{run}");
    connected.batch_execute("SELECT").unwrap();
    assert!(accident.is_as_it_was().unwrap() && accident.beside().unwrap().is_empty());
    accident.restore("--force --disconnect").unwrap().succeeded().unwrap();
    assert!(connected.batch_execute("SELECT").is_err());
    assert!(!accident.is_as_it_was().unwrap());
}

#[test]
fn a_check_that_fails_leaves_the_live_database_alone() {
    let accident = Accident::new().unwrap();
    accident.rental.run("vb-get --latest | vb-compress -d >tar").unwrap().succeeded().unwrap();
    refusal::falsify(&accident.rental.place.path("tar")).unwrap();
    let line = "DATABASE_URL=$SOURCE vb-import tar --swap";
    let run =
        accident.rental.place.shell(line).env("SOURCE", accident.rental.source.url()).run().unwrap().exited(6).unwrap();
    assert!(run.stderr_text().contains("not what they were"), "{run}");
    assert!(accident.is_as_it_was().unwrap() && accident.beside().unwrap().is_empty(), "{run}");
}

#[test]
fn a_database_that_is_gone_is_made_anew() {
    let accident = Accident::new().unwrap();
    let drop = format!("DROP DATABASE {} WITH (FORCE)", accident.name);
    accident.rental.target.client().unwrap().batch_execute(&drop).unwrap();
    let run = accident.restore("--force").unwrap().succeeded().unwrap();
    assert!(run.event("vb-import", "done").unwrap()["kept_as"].is_null());
    assert!(!accident.is_as_it_was().unwrap());
}

/// The process that restores, once it runs.
fn import_of(place: &Path) -> Result<Option<Pid>> {
    for entry in std::fs::read_dir("/proc")? {
        let folder: PathBuf = entry?.path();
        let is_it = std::fs::read_to_string(folder.join("comm")).is_ok_and(|name| name.trim() == "vb-import")
            && std::fs::read_link(folder.join("cwd")).is_ok_and(|cwd| cwd == place);
        let number = folder.file_name().and_then(|name| name.to_str()?.parse().ok());
        if let Some(pid) = number.filter(|_| is_it).and_then(Pid::from_raw) {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

#[test]
fn killed_while_its_database_is_made_it_leaves_none_that_stays() {
    let accident = Accident::new().unwrap();
    let mut holder = accident.rental.target.client().unwrap();
    let mut server = accident.rental.target.client().unwrap();
    // Whoever makes a database from it waits.
    holder.batch_execute("BEGIN; COMMENT ON DATABASE template0 IS 'held'").unwrap();
    let mut running = accident.flow("restore-database", "--verify-only").unwrap().spawn().unwrap();
    let query = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND starts_with(query, $1)";
    let create = format!("CREATE DATABASE \"{}_restore_", accident.name);
    let waits = until("the wait for the template", || Ok(server.query_opt(query, &[&create])?)).map(drop);
    let pid = import_of(&accident.rental.place.work()).unwrap().unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    holder.batch_execute("ROLLBACK").unwrap();
    waits.unwrap();
    running.wait().unwrap();
    // The server goes on with what it was told, whoever told it so.
    until("the database", || Ok(accident.beside()?.contains("restore").then_some(()))).unwrap();
    accident.next_one_leaves_nothing().unwrap();
}

#[test]
fn killed_at_any_moment_it_leaves_the_old_one_or_the_new_one() {
    let accident = Accident::new().unwrap();
    let mut ends = BTreeSet::new();
    for step in 0..20_u64 {
        let mut running = accident.flow("restore-database", "--force --disconnect").unwrap().spawn().unwrap();
        let pid = until("vb-import runs", || import_of(&accident.rental.place.work())).unwrap();
        std::thread::sleep(Duration::from_millis(step * 120));
        let killed = kill_process(pid, Signal::KILL).is_ok();
        let status = running.wait().unwrap();
        let as_it_was = until("the live database answers", || Ok(accident.is_as_it_was().ok())).unwrap();
        ends.insert((killed && !status.success(), as_it_was));
        if !as_it_was {
            break;
        }
    }
    assert!(ends.contains(&(true, true)), "{ends:?}");
    assert!(Postgres::shared().is_ok());
    accident.next_one_leaves_nothing().unwrap();
}
