//! Everything that goes wrong from outside, each once: the exit code of the table, one line that says what, a hint that says what to do,
//! the same in the last status line, nothing lost and nothing left.

#[path = "faults/damage.rs"]
mod damage;
#[path = "faults/database.rs"]
mod database;
#[path = "faults/place.rs"]
mod place;
#[path = "faults/signals.rs"]
mod signals;
#[path = "faults/stores.rs"]
mod stores;
#[path = "faults/streams.rs"]
mod streams;

use std::fs;
use std::io::Write;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use vb_tests::command::{Command, Run};
use vb_tests::leftovers::{Stock, files, wait_for_processes};
use vb_tests::place::Place;
use vb_tests::servers::{Database, Postgres, S3Server};
use vb_tests::weather;

const ROWS: i64 = 3000;
const PIPE: &str = "vb-export --since @data/.last_backup | vb-compress | vb-put --mark data/.last_backup";

/// A table, an empty store, and a place to work in.
struct Case {
    place: Place,
    database: Database,
    stock: Stock,
}

/// A backup that a case has stored.
struct Backup {
    id: String,
    key: String,
}

impl Case {
    fn on_disk() -> Result<Self> {
        let place = Place::new()?;
        let stock = Stock::on_disk(&place);
        Self::new(place, stock)
    }

    fn on_s3() -> Result<Self> {
        Self::new(Place::new()?, Stock::S3(S3Server::seaweedfs()?.create_bucket("faults")?))
    }

    fn new(place: Place, stock: Stock) -> Result<Self> {
        let database = Postgres::shared()?.create_database("faults")?;
        weather::create(&database, ROWS)?;
        Ok(Self { place, database, stock })
    }

    fn line(&self, line: &str) -> Command {
        self.set(self.place.shell(line))
    }

    fn command(&self, name: &str) -> Result<Command> {
        Ok(self.set(self.place.command(name)?))
    }

    fn set(&self, command: Command) -> Command {
        command.env("DATABASE_URL", self.database.url()).envs(self.stock.variables())
    }

    fn backup(&self) -> Result<Backup> {
        let done = self.line(PIPE).run()?.succeeded()?.event("vb-put", "done")?;
        let text = |name: &str| Ok::<_, anyhow::Error>(done[name].as_str().context("not a text")?.to_owned());
        Ok(Backup { id: text("id")?, key: text("key")? })
    }

    fn digest(&self) -> Result<String> {
        weather::digest(&self.database, "verification_scores")
    }

    /// No process, no object, no open upload, no file, and nothing that the next command would not sweep.
    fn nothing_is_left(&self) -> Result<()> {
        ensure!(self.stock.keys()?.is_empty(), "in the store: {:?}", self.stock.keys()?);
        self.nothing_but_the_store_is_left(&[])
    }

    fn nothing_but_the_store_is_left(&self, files_of_the_test: &[&str]) -> Result<()> {
        wait_for_processes(&self.place)?;
        ensure!(self.stock.open_uploads()? == 0, "an upload is open");
        let found = files(&self.place.path(".."))?;
        // The records of pipes whose reader was killed lie there until the next command sweeps them.
        let expected = |path: &String| {
            let work = path.strip_prefix("work/").unwrap_or_default();
            files_of_the_test.contains(&work) || work.starts_with("backups/") || path.starts_with("run/pipe-")
        };
        let left: Vec<_> = found.iter().filter(|path| !expected(path)).collect();
        ensure!(left.is_empty(), "left: {left:?}");
        Ok(())
    }
}

/// That a command refused as it should; returns its `failed` line. With `VB_READ_ALOUD` set, what it said is shown.
fn refused(run: &Run, command: &str, code: i64) -> Result<Value> {
    let failed = one_line(run, command, code)?;
    let hint = failed["hint"].as_str().with_context(|| format!("{command} gives no hint: {run}"))?;
    let first = hint.chars().next().context("an empty hint")?;
    ensure!(first.is_uppercase() || hint.starts_with("vb-"), "a hint is a whole sentence: {hint}");
    ensure!(hint.ends_with('.') || hint.ends_with('…'), "a hint is a whole sentence: {hint}");
    Ok(failed)
}

/// The same where there is nothing that anybody could do, such as after a signal.
fn one_line(run: &Run, command: &str, code: i64) -> Result<Value> {
    let last = run.status_lines()?.into_iter().rfind(|line| line["command"] == command);
    let failed = last.with_context(|| format!("{command} wrote no status line: {run}"))?;
    ensure!(
        failed["event"] == "failed" && failed["exit_code"] == code,
        "exit code {code} was expected: {failed}\n{run}"
    );
    let message = failed["message"].as_str().context("no message")?;
    ensure!(!message.ends_with('.') && !message.contains('\n'), "a message is one line without a full stop: {message}");
    let words: Vec<&str> = run.stderr_text().lines().collect();
    let spoken = format!("{command}: {message}");
    let own = |line: &&&str| line.starts_with(&format!("{command}: ")) && !line.contains(": warning: ");
    ensure!(words.iter().filter(own).collect::<Vec<_>>() == [&spoken], "not one line {spoken:?}: {run}");
    let after = words.iter().skip_while(|line| **line != spoken).nth(1).copied().unwrap_or_default();
    let hint = failed["hint"].as_str().map(|hint| format!("hint: {hint}"));
    ensure!(hint.as_deref().is_none_or(|hint| hint == after), "the hint is another one: {run}");
    let aloud = format!("{spoken}\n  {}\n", hint.unwrap_or_default());
    if std::env::var_os("VB_READ_ALOUD").is_some() {
        std::io::stderr().write_all(aloud.as_bytes())?;
    }
    Ok(failed)
}

fn write(place: &Place, name: &str, content: &[u8]) -> Result<()> {
    fs::write(place.path(name), content).with_context(|| format!("writing {name}"))
}
