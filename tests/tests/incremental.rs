//! Incremental exports: what is new by `xmin`, what is gone, what makes the next export full, and the mark held against the store.

#[path = "incremental/deletes.rs"]
mod deletes;
#[path = "incremental/identity.rs"]
mod identity;
#[path = "incremental/late.rs"]
mod late;
#[path = "incremental/reasons.rs"]
mod reasons;
#[path = "incremental/state.rs"]
mod state;
#[path = "incremental/unsealed.rs"]
mod unsealed;
#[path = "incremental/unseen.rs"]
mod unseen;
#[path = "incremental/xmin.rs"]
mod xmin;

use anyhow::{Context, Result};
use serde_json::Value;
use vb_tests::command::{Command, Run};
use vb_tests::oracle;
use vb_tests::place::Place;
use vb_tests::servers::{Database, Postgres};

/// A table in a database of its own, backed up again and again.
struct Source {
    place: Place,
    database: Database,
    table: &'static str,
    /// The server, if it has one to itself.
    _server: Option<Postgres>,
}

impl Source {
    fn of(table: &'static str, sql: &str) -> Result<Self> {
        let database = Postgres::shared()?.create_database("increments")?;
        database.client()?.batch_execute(sql)?;
        Ok(Self { place: Place::new()?, database, table, _server: None })
    }

    /// On a server of its own: a transaction that is open in any database of a server makes increments by `xmin` overlap.
    fn alone(table: &'static str, sql: &str) -> Result<Self> {
        let server = Postgres::start()?;
        let database = server.create_database("increments")?;
        database.client()?.batch_execute(sql)?;
        Ok(Self { place: Place::new()?, database, table, _server: Some(server) })
    }

    fn execute(&self, sql: &str) -> Result<()> {
        // Each by itself: VACUUM runs in no transaction.
        let mut client = self.database.client()?;
        sql.split(';')
            .filter(|statement| !statement.trim().is_empty())
            .try_for_each(|statement| client.batch_execute(statement).with_context(|| statement.to_owned()))
    }

    fn line(&self, line: &str) -> Command {
        self.place.shell(line).env("DATABASE_URL", self.database.url())
    }

    /// The next backup, with these options; what `vb-export` and `vb-put` say.
    fn backup(&self, options: &str) -> Result<(Value, Value)> {
        let line = format!("vb-export table {} --since @mark {options} | vb-compress | vb-put --mark mark", self.table);
        let run = self.line(&line).run()?.succeeded()?;
        Ok((run.event("vb-export", "done")?, run.event("vb-put", "done")?))
    }

    /// The same, where it must be an increment of so many records.
    fn increment(&self, options: &str, records: u64) -> Result<Value> {
        let (exported, put) = self.backup(options)?;
        anyhow::ensure!(exported["kind"] == "incremental" && exported["records_exported"] == records, "{exported}");
        anyhow::ensure!(put["stored"] == true, "{put}");
        Ok(exported)
    }

    /// The same, where it must be full; the reason.
    fn full(&self, options: &str) -> Result<String> {
        let (exported, _) = self.backup(options)?;
        anyhow::ensure!(exported["kind"] == "full", "{exported}");
        Ok(exported["reason"].as_str().unwrap_or_default().to_owned())
    }

    /// What the newest chain restores to must be the table.
    fn is_restored(&self) -> Result<()> {
        let target = Postgres::shared()?.create_database("increments_target")?;
        let latest = self.line("vb-ls --latest --ids").run()?.succeeded()?.stdout_text().trim().to_owned();
        let chain = self.line(&format!("vb-ls --chain {latest} --ids")).run()?.succeeded()?;
        let ids: Vec<&str> = chain.stdout_text().lines().collect();
        oracle::restore(&ids, self.table, &target, |line| self.line(line))?;
        self.is_the_table(&target)?;
        self.is_restored_at_once()
    }

    /// The same, of the whole chain as one stream.
    fn is_restored_at_once(&self) -> Result<()> {
        let target = Postgres::shared()?.create_database("increments_at_once")?;
        let restore = self.line("vb-get --latest --chain | vb-import").env("DATABASE_URL", target.url());
        restore.run()?.succeeded()?;
        self.is_the_table(&target).context("at once")
    }

    fn is_the_table(&self, target: &Database) -> Result<()> {
        let query = format!("SELECT coalesce(string_agg(t::text, '|' ORDER BY t::text), '') FROM {} t", self.table);
        let rows = |database: &Database| anyhow::Ok(database.client()?.query_one(&query, &[])?.get::<_, String>(0));
        let (expected, restored) = (rows(&self.database)?, rows(target)?);
        let few = |rows: &str| rows.chars().take(300).collect::<String>();
        anyhow::ensure!(restored == expected, "{}\ninstead of\n{}", few(&restored), few(&expected));
        Ok(())
    }

    fn refused(&self, options: &str) -> Result<Run> {
        self.line(&format!("vb-export table {} {options} -o refused.parquet", self.table)).run()?.exited(2)
    }
}
