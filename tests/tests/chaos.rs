//! Backups under random kills and random faults of the network at once, on every store: what is listed verifies, and nothing else is
//! left. `VB_CHAOS_SECONDS` bounds the time for each store (6 unless set), `VB_CHAOS_ROUNDS` the rounds (1000); `make chaos` runs the long
//! form. `VB_SOAK_SEED` repeats a run that failed.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use vb_tests::chance::Chance;
use vb_tests::command::Command;
use vb_tests::leftovers::{files, wait_for_processes};
use vb_tests::pipeline::{Ended, Pipeline};
use vb_tests::place::Place;
use vb_tests::proxy::{Fault, Proxy};
use vb_tests::raw;
use vb_tests::stock::Stock;
use vb_tests::tally::Tally;

const STAGES: [&str; 2] = ["vb-compress", "vb-put"];
const DATA: &str = "data.bin";
/// More than two parts of every store.
const LENGTH: usize = 18_000_000;
const DEADLINE: Duration = Duration::from_secs(300);

/// What breaks a request, some of them more often than others.
const FAULTS: [Fault; 11] = [
    Fault::Reset,
    Fault::Reset,
    Fault::LoseAnswer,
    Fault::LoseAnswer,
    Fault::CutAnswer,
    Fault::CutLastByte,
    Fault::FlipUp,
    Fault::Answer(500, "", ""),
    Fault::Answer(503, "", ""),
    Fault::Answer(429, "retry-after: 1\r\n", ""),
    Fault::Answer(408, "", ""),
];

struct Chaos {
    place: Place,
    stock: Stock,
    chance: Chance,
    tally: Tally,
    whole_run: Duration,
    /// How the round before ended.
    code_before: i32,
}

/// What happens in a round.
#[derive(Debug, Clone, Copy)]
struct Disaster {
    /// The stage, and when.
    kill: Option<(usize, Duration)>,
    /// One request of so many breaks; 0 for none.
    every: usize,
    /// For the faults of this round.
    seed: u64,
}

fn setting(name: &str, default: u64) -> Result<u64> {
    std::env::var(name).map_or(Ok(default), |text| text.parse().with_context(|| format!("{name} is {text:?}")))
}

/// One after the other: the moment of a kill is drawn from the time of an undisturbed run.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(name: &str, place: Place, stock: Stock) -> Result<()> {
    let _alone = alone();
    let end = Instant::now() + Duration::from_secs(setting("VB_CHAOS_SECONDS", 6)?);
    let rounds = setting("VB_CHAOS_ROUNDS", 1000)?;
    let mut chance = Chance::from_environment();
    let content: Vec<u8> = (0..LENGTH).map(|_| chance.below(256) as u8).collect();
    fs::write(place.path(DATA), content).context("writing the data")?;
    let mut chaos = Chaos { place, stock, chance, tally: Tally::default(), whole_run: Duration::ZERO, code_before: 0 };
    let calm = Disaster { kill: None, every: 0, seed: 0 };
    chaos.whole_run = chaos.round(calm)?;
    ensure!(chaos.tally.whole == 1, "an undisturbed run failed: {}", chaos.tally.violations.join("\n"));
    while Instant::now() < end && (chaos.tally.rounds as u64) < rounds {
        let disaster = chaos.draw();
        chaos.round(disaster)?;
    }
    chaos.tally.conclude(name, &STAGES, 0.0, &chaos.chance)
}

impl Chaos {
    /// A third of the rounds is killed, a third meets faults, a third both.
    fn draw(&mut self) -> Disaster {
        let kind = self.chance.below(3);
        let stage = [0, 1, 1][self.chance.below(3)];
        let kill = (kind != 1).then(|| (stage, self.chance.moment(self.whole_run)));
        let every = if kind == 0 { 0 } else { [4, 8, 16][self.chance.below(3)] };
        Disaster { kill, every, seed: self.chance.below(usize::MAX) as u64 }
    }

    /// What stands between the commands and the store in this round.
    fn proxy(&self, disaster: Disaster) -> Result<Option<Proxy>> {
        let mut chance = Chance::new(disaster.seed);
        let every = disaster.every;
        if matches!(self.stock, Stock::Disk(_)) || every == 0 {
            return Ok(None);
        }
        let upstream = self.stock.address()?;
        if matches!(self.stock, Stock::Sftp(_)) {
            return Proxy::raw(&upstream, move |_| (chance.below(2) == 0).then(|| session_fault(&mut chance)))
                .map(Some);
        }
        let plan = move |_: &_| (chance.below(every) == 0).then(|| FAULTS[chance.below(FAULTS.len())]);
        Proxy::http(&upstream, Box::new(plan)).map(Some)
    }

    fn stages(&self, proxy: Option<&Proxy>) -> Result<Vec<Command>> {
        let variables = match proxy {
            Some(proxy) => self.stock.variables_through(&proxy.address(), &self.place)?,
            None => self.stock.variables(),
        };
        let compress = self.place.command("vb-compress")?.args(["-l", "0", DATA]);
        Ok(vec![compress, self.place.command("vb-put")?.args(["--set", &self.set()]).envs(variables)])
    }

    /// Each round has its own, so that what comes late is known for what it is.
    fn set(&self) -> String {
        format!("chaos{}", self.tally.rounds)
    }

    /// Returns how long the pipeline took.
    fn round(&mut self, disaster: Disaster) -> Result<Duration> {
        let proxy = self.proxy(disaster)?;
        let begun = Instant::now();
        let pipeline = Pipeline::start(self.stages(proxy.as_ref())?)?;
        if let Some((stage, moment)) = disaster.kill {
            thread::sleep(moment.saturating_sub(begun.elapsed()));
            pipeline.signal(stage, Signal::KILL)?;
        }
        let ended = pipeline.finish(DEADLINE)?;
        wait_for_processes(&self.place)?;
        self.tally.broken += proxy.as_ref().map_or(0, Proxy::broken);
        drop(proxy);
        let words = || ended.iter().map(ToString::to_string).collect::<String>();
        let round = self.tally.rounds;
        self.judge(&ended).with_context(|| format!("round {round}, {disaster:?}\n{}", words()))?;
        self.tally.rounds += 1;
        self.code_before = ended[1].exit_code;
        Ok(ended[1].after)
    }

    fn judge(&mut self, ended: &[Ended]) -> Result<()> {
        let code = ended[1].exit_code;
        for (stage, ended) in ended.iter().enumerate() {
            self.tally.killed[stage] += usize::from(ended.exit_code == 137);
        }
        let listed = self.listed()?;
        match &listed[..] {
            [] if code == 0 => self.wrong("status 0, but there is no backup", ended)?,
            [] => {}
            [_] if self.verify().is_err() => {
                self.tally.false_commits += 1;
                self.wrong("a backup is listed, and not whole", ended)?;
            }
            [_] if code == 0 => self.tally.whole += 1,
            // Killed after its commit, or nobody could say any more whether the manifest had arrived.
            [_] if [8, 137].contains(&code) => self.tally.committed_before += 1,
            [_] => {
                self.tally.false_commits += 1;
                self.wrong(&format!("a backup is listed although the exit code was {code}"), ended)?;
            }
            _ => self.wrong("several backups are listed", ended)?,
        }
        self.look_for_leftovers(listed.len(), code, ended)
    }

    fn look_for_leftovers(&mut self, listed: usize, code: i32, ended: &[Ended]) -> Result<()> {
        let uploads = self.stock.open_uploads()?;
        self.tally.uploads_left += uploads;
        if uploads > 0 {
            self.wrong(&format!("{uploads} uploads are open"), ended)?;
        }
        let all = self.stock.keys()?;
        let own = format!("{}/", self.set());
        let (late, keys): (Vec<_>, Vec<_>) = all.iter().partition(|key| !key.starts_with(&own) && key.ends_with(".gz"));
        self.judge_late(&late, ended)?;
        let (manifests, rest): (BTreeSet<_>, BTreeSet<_>) =
            keys.iter().partition(|key| key.ends_with("_metadata.json"));
        let unnamed = rest.len().saturating_sub(listed);
        // A manifest was on its way, and a manifest must never lose its object.
        let waits = |key: &&String| key.ends_with(".gz");
        if listed == 0 && unnamed == 1 && [8, 137].contains(&code) && rest.iter().all(waits) {
            self.tally.litter += 1;
        } else if unnamed > 0 || manifests.len() != listed {
            self.tally.files_left += unnamed.max(1);
            self.wrong(&format!("in the store: {keys:?}"), ended)?;
        }
        all.iter().try_for_each(|key| self.stock.delete(key))?;
        let known = |path: &String| path == DATA || path.starts_with("backups/");
        let left: Vec<String> = files(&self.place.work())?.into_iter().filter(|path| !known(path)).collect();
        let temporary = ["home", "tmp"].map(|name| files(&self.place.path("..").join(name)));
        for found in temporary.into_iter().chain([Ok(left.into_iter().collect())]) {
            let found = found?;
            self.tally.files_left += found.len();
            if !found.is_empty() {
                self.wrong(&format!("left on this machine: {found:?}"), ended)?;
            }
        }
        Ok(())
    }

    /// What the round before had on its way when it was killed, or when nobody could tell any more, may come when it has been judged.
    fn judge_late(&mut self, late: &[&String], ended: &[Ended]) -> Result<()> {
        if [8, 137].contains(&self.code_before) {
            self.tally.litter += late.len();
        } else if !late.is_empty() {
            self.tally.files_left += late.len();
            self.wrong(&format!("of the round before, which ended with {}: {late:?}", self.code_before), ended)?;
        }
        Ok(())
    }

    fn wrong(&mut self, what: &str, ended: &[Ended]) -> Result<()> {
        let words: String = ended.iter().map(ToString::to_string).collect();
        let (round, seed) = (self.tally.rounds, self.chance.seed());
        self.tally.violation(format!("round {round} of seed {seed}: {what}\n{words}"))
    }

    fn listed(&self) -> Result<Vec<String>> {
        let run = self.place.command("vb-ls")?.envs(self.stock.variables()).run()?.succeeded()?;
        let backups = run.status_lines()?.into_iter().filter(|line| line["event"] == "backup");
        Ok(backups.filter_map(|line| Some(line["id"].as_str()?.to_owned())).collect())
    }

    /// Whether it gives back every byte.
    fn verify(&self) -> Result<()> {
        let line = format!("vb-get --latest | vb-compress -d | cmp - {DATA}");
        self.place
            .shell_of("bash", &format!("set -o pipefail; {line}"))
            .envs(self.stock.variables())
            .run()?
            .succeeded()?;
        Ok(())
    }
}

fn session_fault(chance: &mut Chance) -> raw::Fault {
    let (direction, most) = [(raw::Direction::Up, LENGTH), (raw::Direction::Down, 20_000)][chance.below(2)];
    let kind = [raw::Kind::Cut, raw::Kind::Cut, raw::Kind::Flip][chance.below(3)];
    raw::Fault { direction, after: chance.below(most), kind }
}

#[test]
fn on_a_disk() {
    let place = Place::new().unwrap();
    let stock = Stock::on_disk(&place);
    run("chaos on a disk", place, stock).unwrap();
}

#[test]
fn on_seaweedfs() {
    run("chaos on SeaweedFS", Place::new().unwrap(), Stock::on_s3("chaos").unwrap()).unwrap();
}

#[test]
fn on_azurite() {
    run("chaos on Azurite", Place::new().unwrap(), Stock::on_azure("chaos").unwrap()).unwrap();
}

#[test]
fn on_fake_gcs_server() {
    run("chaos on fake-gcs-server", Place::new().unwrap(), Stock::on_gcs("chaos").unwrap()).unwrap();
}

#[test]
fn on_openssh() {
    run("chaos on OpenSSH", Place::new().unwrap(), Stock::on_sftp("chaos").unwrap()).unwrap();
}
