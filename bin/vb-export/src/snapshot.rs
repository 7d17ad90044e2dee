//! `vb-export snapshot`: one moment of the database, held for any number of exports by other processes.

use chrono::TimeDelta;
use postgres::Client;
use serde_json::json;
use std::ffi::OsString;
use std::io::Write;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use vb_core::environment::{self as variables, Environment};
use vb_core::{Error, Result, naming, watermark};
use vb_pipe::{Done, Session};
use vb_postgres::connection::{Parameters, connect};
use vb_postgres::snapshot::{self, Token};
use vb_postgres::{catalog, relation};

/// How often to look whether the command has ended.
const GLANCE: Duration = Duration::from_millis(50);
/// How often to look whether the connection still stands.
const LOOK: Duration = Duration::from_secs(10);

/// What to hold, and for how long.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Holding {
    /// The tables that must not be rewritten meanwhile; without a name $VB_TABLE, else verification_scores
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,

    /// End after this time, where no command is given
    #[arg(long, value_name = "AGE", default_value = "12h")]
    hold: String,

    /// Run this, with VB_SNAPSHOT set, and hold the snapshot until it ends
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Holding {
    /// Takes the snapshot and holds it.
    ///
    /// # Errors
    /// If a table is not there, the command fails, or the server ends the snapshot.
    pub(crate) fn hold(&self, session: &Session, parameters: &Parameters, overlap: TimeDelta) -> Result<Done> {
        let limit = session.now() - watermark::parse_when(&self.hold, session.now())?;
        let mut client = connect(parameters)?;
        let taken = snapshot::begin(&mut client)?;
        for table in self.tables(session.environment()) {
            hold_table(&mut client, &table)?;
        }
        let prepared = taken.moment.oldest_prepared.is_some();
        let token = Token { name: taken.token, until: watermark::of_export(&taken.moment, overlap, None), prepared };
        match self.command.split_first() {
            Some((program, arguments)) => self.run(&mut client, &token, Command::new(program).args(arguments))?,
            None => wait(&mut client, &token, limit.to_std().unwrap_or_default())?,
        }
        check(&mut client)?;
        session.done(&json!({ "source": "snapshot", "snapshot": token.to_string() }), "the snapshot has ended")
    }

    fn tables(&self, environment: &Environment) -> Vec<String> {
        if !self.tables.is_empty() {
            return self.tables.clone();
        }
        vec![environment.get(variables::VB_TABLE).unwrap_or(naming::DEFAULT_TABLE).to_owned()]
    }

    fn run(&self, client: &mut Client, token: &Token, command: &mut Command) -> Result<()> {
        let name = self.command[0].to_string_lossy().into_owned();
        let child = command.env(variables::VB_SNAPSHOT.name, token.to_string()).spawn();
        let mut child = child.map_err(|cause| Error::io(format!("running {name}"), cause))?;
        let status = watch(client, &mut child)?;
        if status.success() {
            return Ok(());
        }
        Err(Error::failure(format!("{name} failed ({status})")))
    }
}

/// Keeps a table, and all that stands below it, from being rewritten as long as the snapshot is held.
fn hold_table(client: &mut Client, table: &str) -> Result<()> {
    let oid = catalog::find(client, table)?;
    let (name, _) = relation::name(client, oid)?;
    if relation::lock(client, &name, false)? && !relation::was_rewritten(client, oid)? {
        return Ok(());
    }
    Err(Error::unavailable(format!("holding {table}: another session has locked or rewritten it"))
        .with_hint("Run it again."))
}

/// Waits for the command's end. If the snapshot ends first, nothing that it still does counts.
fn watch(client: &mut Client, child: &mut Child) -> Result<std::process::ExitStatus> {
    let mut looked = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(|cause| Error::io("waiting for the command", cause))? {
            return Ok(status);
        }
        if looked.elapsed() >= LOOK {
            check(client)?;
            looked = Instant::now();
        }
        std::thread::sleep(GLANCE);
    }
}

/// Prints the token for whoever is to read it, and holds the snapshot.
fn wait(client: &mut Client, token: &Token, limit: Duration) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let printed = writeln!(stdout, "{token}").and_then(|()| stdout.flush());
    printed.map_err(|cause| Error::io("printing the snapshot's token", cause))?;
    drop(stdout);
    let begun = Instant::now();
    while begun.elapsed() < limit {
        std::thread::sleep(LOOK.min(limit.saturating_sub(begun.elapsed())));
        check(client)?;
    }
    Ok(())
}

fn check(client: &mut Client) -> Result<()> {
    let lost = |cause| Error::unavailable(format!("holding the snapshot: the connection was lost: {cause}"));
    client.is_valid(LOOK).map_err(lost)
}
