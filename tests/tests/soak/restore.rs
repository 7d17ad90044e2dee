//! `vb-get | vb-compress -d | vb-import --mode replace`, killed, into a table that holds other rows.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use postgres::Client;
use rustix::process::Signal;
use vb_tests::chance::Chance;
use vb_tests::command::Command;
use vb_tests::leftovers::{Stock, files, until, wait_for_processes};
use vb_tests::pipeline::{Ended, Pipeline};
use vb_tests::place::Place;
use vb_tests::servers::{Database, Postgres};
use vb_tests::tally::{LEAST_KILLS, Tally, rounds};
use vb_tests::weather;

use crate::{fill, no_temporary_files, the_records_are_swept};

const STAGES: [&str; 3] = ["vb-get", "vb-compress", "vb-import"];
const TABLE: &str = "verification_scores";
const DEADLINE: Duration = Duration::from_secs(120);

struct Soak {
    place: Place,
    target: Database,
    client: Client,
    stock: Stock,
    id: String,
    /// The table as it was, and as it is in the backup.
    digests: [String; 2],
    chance: Chance,
    tally: Tally,
    /// When each stage of an undisturbed run ended: it is killed before, or just then.
    undisturbed: Vec<Duration>,
}

pub(crate) fn soak(name: &str, place: Place, stock: Stock) -> Result<()> {
    let server = Postgres::shared()?;
    let (source, target) = (server.create_database("soak_source")?, server.create_database("soak_target")?);
    fill(&source)?;
    weather::create(&target, 1500)?;
    let mut client = target.client()?;
    client.batch_execute(
        "ALTER TABLE verification_scores ADD COLUMN noise bytea; \
         UPDATE verification_scores SET station = 'before'; CREATE TABLE before AS TABLE verification_scores",
    )?;
    let digests = [weather::digest(&target, TABLE)?, weather::digest(&source, TABLE)?];
    ensure!(digests[0] != digests[1]);
    let backup = place.shell("vb-export | vb-compress | vb-put").env("DATABASE_URL", source.url());
    let stored = backup.envs(stock.variables()).run()?.succeeded()?.event("vb-put", "done")?;
    let id = stored["id"].as_str().context("no id")?.to_owned();
    let (chance, tally) = (Chance::from_environment(), Tally::default());
    let mut soak = Soak { place, target, client, stock, id, digests, chance, tally, undisturbed: Vec::new() };
    soak.undisturbed_run()?;
    let rounds = rounds()?;
    while soak.tally.goes_on(rounds, LEAST_KILLS) {
        soak.round()?;
    }
    soak.tally.conclude(name, &STAGES, LEAST_KILLS, &soak.chance)
}

impl Soak {
    fn undisturbed_run(&mut self) -> Result<()> {
        let ended = Pipeline::start(self.stages()?)?.finish(DEADLINE)?;
        self.undisturbed = ended.iter().map(|stage| stage.after).collect();
        ensure!(ended.iter().all(|stage| stage.exit_code == 0), "{}", words(&ended));
        ensure!(weather::digest(&self.target, TABLE)? == self.digests[1], "the restored table is another one");
        self.put_table_back()
    }

    fn stages(&self) -> Result<Vec<Command>> {
        let set = |name: &str| {
            let command = self.place.command(name)?.env("DATABASE_URL", self.target.url());
            anyhow::Ok(command.envs(self.stock.variables()))
        };
        Ok(vec![
            set("vb-get")?.arg(&self.id),
            set("vb-compress")?.arg("-d"),
            set("vb-import")?.args(["--mode", "replace"]),
        ])
    }

    fn round(&mut self) -> Result<()> {
        let stage = self.chance.below(STAGES.len());
        let moment = self.chance.moment(self.undisturbed[stage].mul_f64(1.05));
        let begun = Instant::now();
        let pipeline = Pipeline::start(self.stages()?)?;
        thread::sleep(moment.saturating_sub(begun.elapsed()));
        pipeline.signal(stage, Signal::KILL)?;
        let ended = pipeline.finish(DEADLINE)?;
        wait_for_processes(&self.place)?;
        self.wait_for_the_server()?;
        self.tally.rounds += 1;
        let what = format!("round {}, {} killed after {moment:?}", self.tally.rounds, STAGES[stage]);
        self.judge(stage, &ended).with_context(|| format!("{what}\n{}", words(&ended)))
    }

    /// The server takes a moment to see that its client is gone.
    fn wait_for_the_server(&mut self) -> Result<()> {
        let query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
            AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
        let client = &mut self.client;
        until("the end of all other sessions", || {
            Ok((client.query_one(query, &[])?.get::<_, i64>(0) == 0).then_some(()))
        })
    }

    fn judge(&mut self, stage: usize, ended: &[Ended]) -> Result<()> {
        let (killed, code) = (ended[stage].exit_code == 137, ended[2].exit_code);
        let import_killed = killed && stage == 2;
        self.tally.killed[stage] += usize::from(killed);
        let found = weather::digest(&self.target, TABLE)?;
        let [before, restored] = [found == self.digests[0], found == self.digests[1]];
        match code {
            0 if restored => self.tally.whole += 1,
            137 if import_killed && restored => self.tally.committed_before += 1,
            137 if import_killed && before => {}
            6 if before => {}
            _ => {
                self.tally.false_commits += usize::from(!before);
                let (round, seed) = (self.tally.rounds, self.chance.seed());
                let state = if before {
                    "as before"
                } else if restored {
                    "restored"
                } else {
                    "neither"
                };
                let words = words(ended);
                self.tally
                    .violation(format!("round {round} of seed {seed}: exit code {code}, table {state}\n{words}"))?;
            }
        }
        let left = files(&self.place.work())?.into_iter().filter(|path| !path.starts_with("backups/")).count();
        self.tally.files_left += left;
        no_temporary_files(&self.place)?;
        the_records_are_swept(&self.place)?;
        self.put_table_back()
    }

    /// Emptied by TRUNCATE, so that the rows of restores that were broken off go too.
    fn put_table_back(&mut self) -> Result<()> {
        let statements = "TRUNCATE verification_scores; INSERT INTO verification_scores SELECT * FROM before";
        self.client.batch_execute(statements)?;
        ensure!(weather::digest(&self.target, TABLE)? == self.digests[0], "the table cannot be put back");
        Ok(())
    }
}

fn words(ended: &[Ended]) -> String {
    ended.iter().map(ToString::to_string).collect()
}
