//! One chain: its exports, some of them killed, and its restore.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;
use vb_tests::command::Command;
use vb_tests::leftovers::wait_for_processes;
use vb_tests::oracle;
use vb_tests::pipeline::Pipeline;
use vb_tests::place::Place;
use vb_tests::servers::{Database, Postgres};

use crate::digest;

const DEADLINE: Duration = Duration::from_secs(120);
const MARK: &str = "data/mark";

pub(crate) struct Chain {
    place: Place,
    set: &'static str,
    /// What follows `vb-export`.
    export: Vec<&'static str>,
    url: String,
    /// The kinds of what was stored, with the reason where one is full.
    stored: Vec<String>,
    killed: usize,
    /// Increments that say that rows are gone.
    with_deletes: usize,
}

impl Chain {
    /// Of the table.
    pub(crate) fn new(set: &'static str, by: &'static str, source: &Database) -> Result<Self> {
        Self::of(set, vec!["table", "ledger", "--by", by, "--deletes"], source)
    }

    /// Of the whole database.
    pub(crate) fn of_database(set: &'static str, source: &Database) -> Result<Self> {
        Self::of(set, vec!["dump", "--format", "parquet"], source)
    }

    fn of(set: &'static str, export: Vec<&'static str>, source: &Database) -> Result<Self> {
        let url = source.url().to_owned();
        Ok(Self { place: Place::new()?, set, export, url, stored: Vec::new(), killed: 0, with_deletes: 0 })
    }

    fn is_of_table(&self) -> bool {
        self.export.contains(&"ledger")
    }

    fn line(&self, line: &str) -> Command {
        self.place.shell(line).env("DATABASE_URL", &self.url).env("VB_SET", self.set).deadline(DEADLINE)
    }

    /// As the flow does it: the mark is held against the store, then what is new is stored; or a stage is killed on the way.
    pub(crate) fn increment(&mut self, killed: Option<Duration>) -> Result<()> {
        let table = if self.is_of_table() { "--table ledger" } else { "" };
        self.line(&format!("vb-ls --mark {MARK} {table}")).run()?.succeeded()?;
        if let Some(moment) = killed {
            self.killed += 1;
            let pipeline = Pipeline::start(self.stages()?)?;
            std::thread::sleep(moment);
            pipeline.signal(self.killed % 3, Signal::KILL)?;
            pipeline.finish(DEADLINE)?;
            return wait_for_processes(&self.place);
        }
        let export = self.export.join(" ");
        let line = format!("vb-export {export} --since @{MARK} | vb-compress | vb-put --mark {MARK}");
        let run = self.line(&line).run()?.succeeded()?;
        let done = run.event("vb-export", "done")?;
        // Of a database all that is gone is counted among its changes.
        let gone = done["deletes"]["dirty"].as_u64().or(done["changes"].as_u64());
        self.with_deletes += usize::from(gone > Some(0));
        let put = run.event("vb-put", "done")?;
        let (kind, records, deletes) = (&done["kind"], &done["records_exported"], &done["deletes"]);
        self.stored.push(format!("{} {kind} ({}), {records} records, deletes {deletes}", put["id"], done["reason"]));
        Ok(())
    }

    /// What was stored.
    pub(crate) fn words(&self) -> String {
        format!("{}, {} killed", self.stored.join("\n"), self.killed)
    }

    fn stages(&self) -> Result<Vec<Command>> {
        let since = format!("@{MARK}");
        let stages = [
            ("vb-export", [self.export.as_slice(), &["--since", &since]].concat()),
            ("vb-compress", vec![]),
            ("vb-put", vec!["--mark", MARK]),
        ];
        let stage = |(name, arguments): (&str, Vec<&str>)| {
            Ok(self.place.command(name)?.args(arguments).env("DATABASE_URL", &self.url).env("VB_SET", self.set))
        };
        stages.into_iter().map(stage).collect()
    }

    /// Restores the newest into an empty database, which must then be the source: by the commands, and by what shares nothing with them.
    pub(crate) fn conclude(&mut self, server: &Postgres, expected: &str) -> Result<()> {
        let incrementals = self.stored.iter().filter(|kind| kind.contains("incremental")).count();
        ensure!(incrementals + 1 >= self.stored.len(), "{}: {:?}", self.set, self.stored);
        ensure!(self.with_deletes > 0, "{}: no increment said that rows are gone", self.set);
        let target = server.create_database("tortured")?;
        let latest = self.line("vb-ls --latest --ids").run()?.succeeded()?.stdout_text().trim().to_owned();
        let chain = self.line(&format!("vb-ls --chain {latest} --ids")).run()?.succeeded()?;
        let ids: Vec<&str> = chain.stdout_text().lines().collect();
        let mut import = "vb-import";
        if self.is_of_table() {
            oracle::restore(&ids, "ledger", &target, |line| self.line(line))?;
            self.is_source(&target, expected)?;
            import = "vb-import --disable-triggers";
        }
        let target = server.create_database("tortured")?;
        let restore = self.line(&format!("vb-get --chain {latest} | {import}"));
        restore.env("DATABASE_URL", target.url()).run()?.succeeded()?;
        self.is_source(&target, expected)
    }

    fn is_source(&self, target: &Database, expected: &str) -> Result<()> {
        let restored = digest(target, "ledger")?;
        ensure!(restored == expected, "{}: {restored} instead of {expected} after {:?}", self.set, self.stored);
        Ok(())
    }
}
