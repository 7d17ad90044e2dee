//! `vb-export | vb-compress | vb-put`, killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use vb_tests::chance::Chance;
use vb_tests::command::Command;
use vb_tests::leftovers::{Stock, files, wait_for_processes};
use vb_tests::pipeline::{Ended, Pipeline};
use vb_tests::place::Place;
use vb_tests::servers::{Database, Postgres};
use vb_tests::tally::{LEAST_KILLS, Tally, rounds};

use crate::{ROWS, fill, no_temporary_files, the_records_are_swept};

const STAGES: [&str; 3] = ["vb-export", "vb-compress", "vb-put"];
const MARK: &str = "data/.last_backup";
const DEADLINE: Duration = Duration::from_secs(120);

/// The backups that `vb-ls` shows, each with all its keys.
type Listed = BTreeMap<String, BTreeSet<String>>;

struct Soak {
    place: Place,
    database: Database,
    stock: Stock,
    chance: Chance,
    tally: Tally,
    mark: Vec<u8>,
    listed: Listed,
    /// When each stage of an undisturbed run ended: it is killed before, or just then.
    undisturbed: Vec<Duration>,
}

pub(crate) fn soak(name: &str, place: Place, stock: Stock) -> Result<()> {
    let database = Postgres::shared()?.create_database("soak_backup")?;
    fill(&database)?;
    let mut soak = Soak {
        place,
        database,
        stock,
        chance: Chance::from_environment(),
        tally: Tally::default(),
        mark: Vec::new(),
        listed: Listed::new(),
        undisturbed: Vec::new(),
    };
    soak.undisturbed_runs()?;
    let rounds = rounds()?;
    while soak.tally.goes_on(rounds, LEAST_KILLS) {
        soak.round()?;
    }
    soak.tally.conclude(name, &STAGES, LEAST_KILLS, &soak.chance)
}

impl Soak {
    /// A full backup, then every row is changed: so the pipe as it stands in a crontab, with a mark, has something to carry.
    fn undisturbed_runs(&mut self) -> Result<()> {
        self.undisturbed_run()?;
        self.database.client()?.batch_execute("UPDATE verification_scores SET forecast = forecast + 1")?;
        self.mark = self.read_mark()?;
        self.undisturbed = self.undisturbed_run()?;
        self.put_mark_back()?;
        self.listed = self.list()?;
        ensure!(self.listed.len() == 2, "{:?}", self.listed);
        Ok(())
    }

    fn undisturbed_run(&self) -> Result<Vec<Duration>> {
        let ended = Pipeline::start(self.stages()?)?.finish(DEADLINE)?;
        ensure!(ended.iter().all(|stage| stage.exit_code == 0), "{}", words(&ended));
        Ok(ended.iter().map(|stage| stage.after).collect())
    }

    fn set(&self, command: Command) -> Command {
        command.env("DATABASE_URL", self.database.url()).envs(self.stock.variables())
    }

    fn stages(&self) -> Result<Vec<Command>> {
        Ok(vec![
            self.set(self.place.command("vb-export")?).args(["--since", "@data/.last_backup"]),
            self.set(self.place.command("vb-compress")?),
            self.set(self.place.command("vb-put")?).args(["--mark", MARK]),
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
        self.tally.rounds += 1;
        let what = format!("round {}, {} killed after {moment:?}", self.tally.rounds, STAGES[stage]);
        self.judge(stage, &ended).with_context(|| format!("{what}\n{}", words(&ended)))
    }

    fn judge(&mut self, stage: usize, ended: &[Ended]) -> Result<()> {
        let listed = self.list()?;
        let new: Vec<&String> = listed.keys().filter(|id| !self.listed.contains_key(*id)).collect();
        let (killed, code) = (ended[stage].exit_code == 137, ended[2].exit_code);
        let put_killed = killed && stage == 2;
        self.tally.killed[stage] += usize::from(killed);
        let mark = self.read_mark()?;
        let mark_names = |id: &str| String::from_utf8_lossy(&mark).contains(id);
        match &new[..] {
            [] if code == 0 => self.violation("status 0, but there is no new backup", ended)?,
            [] if mark != self.mark => self.violation("no new backup, but the mark is another one", ended)?,
            [] if code == 137 && put_killed || code == 6 => {}
            [] => self.violation(&format!("exit code {code}"), ended)?,
            [id] if self.verify(id).is_err() => {
                self.tally.false_commits += 1;
                self.violation(&format!("{id} is listed, and not whole"), ended)?;
            }
            [id] if code == 0 && mark_names(id) => self.tally.whole += 1,
            [id] if put_killed && (mark == self.mark || mark_names(id)) => self.tally.committed_before += 1,
            [id] => {
                self.tally.false_commits += 1;
                self.violation(&format!("{id} is listed although the exit code was {code}"), ended)?;
            }
            more => self.violation(&format!("{more:?} are listed"), ended)?,
        }
        self.look_for_leftovers(put_killed, &listed, ended)?;
        self.put_mark_back()
    }

    fn look_for_leftovers(&mut self, put_killed: bool, listed: &Listed, ended: &[Ended]) -> Result<()> {
        let uploads = self.stock.open_uploads()?;
        self.tally.uploads_left += uploads;
        if uploads > 0 {
            self.violation(&format!("{uploads} uploads are open"), ended)?;
        }
        let keys = self.stock.keys()?;
        let named: BTreeSet<String> = listed.values().flatten().cloned().collect();
        ensure!(named.is_subset(&keys), "listed, but not there: {:?}", named.difference(&keys));
        for key in keys.difference(&named) {
            // The manifest was on its way, and a manifest must never lose its object.
            if put_killed && key.ends_with(".parquet.gz") {
                self.tally.litter += 1;
            } else {
                self.tally.files_left += 1;
                self.violation(&format!("{key} belongs to no backup"), ended)?;
            }
        }
        let known = self.listed.values().flatten().cloned().collect();
        keys.difference(&known).try_for_each(|key| self.stock.delete(key))?;
        let work = files(&self.place.work())?;
        let left: Vec<&String> = work.iter().filter(|path| !path.starts_with("backups/") && *path != MARK).collect();
        self.tally.files_left += left.len();
        if !left.is_empty() {
            self.violation(&format!("left in the working folder: {left:?}"), ended)?;
        }
        no_temporary_files(&self.place)?;
        the_records_are_swept(&self.place)
    }

    fn violation(&mut self, words_of_it: &str, ended: &[Ended]) -> Result<()> {
        let (round, seed) = (self.tally.rounds, self.chance.seed());
        self.tally.violation(format!("round {round} of seed {seed}: {words_of_it}\n{}", words(ended)))
    }

    fn list(&self) -> Result<Listed> {
        let run = self.set(self.place.command("vb-ls")?).run()?.succeeded()?;
        let mut listed = Listed::new();
        for backup in run.status_lines()?.iter().filter(|line| line["event"] == "backup") {
            let (id, set) = (backup["id"].as_str().context("no id")?, backup["set"].as_str().context("no set")?);
            let objects = backup["objects"].as_array().context("no objects")?;
            let keys = objects.iter().filter_map(|object| object["key"].as_str().map(str::to_owned));
            listed.insert(id.to_owned(), keys.chain([format!("{set}/{id}_metadata.json")]).collect());
        }
        Ok(listed)
    }

    /// Whether it holds every row of the table.
    fn verify(&self, id: &str) -> Result<()> {
        let line = format!("vb-get {id} | vb-compress -d >/dev/null");
        let run = self.set(self.place.shell(&line)).run()?.succeeded()?;
        ensure!(run.event("vb-get", "done")?["records"] == ROWS, "{run}");
        Ok(())
    }

    fn read_mark(&self) -> Result<Vec<u8>> {
        fs::read(self.place.path(MARK)).context("reading the mark")
    }

    fn put_mark_back(&self) -> Result<()> {
        fs::write(self.place.path(MARK), &self.mark).context("putting the mark back")
    }
}

fn words(ended: &[Ended]) -> String {
    ended.iter().map(ToString::to_string).collect()
}
