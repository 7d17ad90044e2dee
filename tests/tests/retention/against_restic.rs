//! The same policies on the same histories by restic and by `vb-prune`: both must keep the same backups.
//!
//! restic's snapshots carry tags by chance, so that a filter on one, two or three of them is a history of its own; each call judges
//! the histories of all hosts. Where vb differs on purpose is told in its manual, and tested below and in `without_a_store`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use vb_tests::chance::Chance;
use vb_tests::command::Command;
use vb_tests::place::Place;

const HOSTS: usize = 8;
const SNAPSHOTS_OF_A_HOST: usize = 20;
/// Each is a policy on a history of every host: a thousand and more pairs.
const POLICIES: usize = 130;
const TAGS: usize = 12;
const THREADS: usize = 4;

/// One backup, in both worlds.
#[derive(Debug)]
struct Snapshot {
    host: String,
    /// `YYYY-MM-DD HH:MM:SS`
    time: String,
    tags: Vec<String>,
}

impl Snapshot {
    fn id(&self) -> String {
        format!("{}_{}", self.host, self.time.replace(['-', ':'], "").replace(' ', "_"))
    }

    fn line(&self) -> Value {
        let created_at = format!("{}Z", self.time.replace(' ', "T"));
        json!({"event": "backup", "id": self.id(), "set": self.host, "kind": "full", "created_at": created_at, "tags": self.tags})
    }
}

struct Restic {
    place: Place,
}

impl Restic {
    fn new() -> Result<Self> {
        let restic = Self { place: Place::new()? };
        let found = restic.place.shell("command -v restic").run()?;
        ensure!(found.succeeded().is_ok(), "restic is missing\nhint: Run scripts/setup, which installs it.");
        restic.run("init --repository-version 1")?.run()?.succeeded()?;
        std::fs::write(restic.place.path("file"), "x")?;
        Ok(restic)
    }

    fn run(&self, words: &str) -> Result<Command> {
        let line = format!("exec restic --no-cache {words}");
        Ok(self.place.shell(&line).env("RESTIC_REPOSITORY", self.place.path("repository")).env("RESTIC_PASSWORD", "x"))
    }

    fn store(&self, all: &[Snapshot]) -> Result<()> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<()> {
            while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (host, time, tags) = (&one.host, &one.time, one.tags.join(","));
                self.run(&format!("backup --quiet --host {host} --time '{time}' --tag '{tags}' file"))?
                    .run()?
                    .succeeded()?;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| worker.join().ok().context("a worker panicked")?)
        })
    }

    /// The ids of what restic keeps of the snapshots with these tags.
    fn kept(&self, filter: &str, policy: &str) -> Result<BTreeSet<String>> {
        let words = format!("forget --no-lock --dry-run --json --group-by host --tag {filter} {policy}");
        let run = self.run(&words)?.run()?.succeeded()?;
        let groups: Value = serde_json::from_str(run.stdout_text().lines().next().unwrap_or("null"))?;
        let keep = groups.as_array().into_iter().flatten().filter_map(|group| group["keep"].as_array()).flatten();
        let id = |one: &Value| {
            let digits: String = one["time"].as_str()?.chars().take(19).filter(char::is_ascii_digit).collect();
            Some(format!("{}_{}_{}", one["hostname"].as_str()?, digits.get(..8)?, digits.get(8..)?))
        };
        keep.map(|one| id(one).context("a snapshot without host or time")).collect()
    }
}

/// What `vb-prune` keeps of these.
fn kept(place: &Place, snapshots: &[&Snapshot], policy: &str) -> Result<BTreeSet<String>> {
    let mut listing: String = snapshots.iter().map(|one| format!("{}\n", one.line())).collect();
    listing.push_str(&format!("{}\n", json!({"event": "done", "count": snapshots.len()})));
    let command = place.command("vb-prune")?.arg("--plan").args(policy.split_whitespace());
    let run = command.stdin(listing).run()?.succeeded()?;
    let plan: Value = serde_json::from_str(run.stdout_text())?;
    let keep = plan["keep"].as_array().context("a plan without keep")?;
    Ok(keep.iter().filter_map(|one| one["id"].as_str()).map(str::to_owned).collect())
}

fn time(second: i64) -> String {
    // civil date from days since 1970, after Howard Hinnant
    let (days, rest) = (second.div_euclid(86_400) + 719_468, second.rem_euclid(86_400));
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * shifted + 2) / 5 + 1, (shifted + 2) % 12 + 1);
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Some days, months or years of each host, often around the turn of a year, month or day.
fn histories(chance: &mut Chance) -> Vec<Snapshot> {
    const STEPS: [usize; 5] = [3600, 8 * 3600, 86_400, 7 * 86_400, 40 * 86_400];
    let mut all = Vec::new();
    for host in 0..HOSTS {
        // between 2015 and 2020
        let mut second = 1_420_070_400 + chance.below(5 * 365 * 86_400) as i64;
        let step = STEPS[host % STEPS.len()];
        for _ in 0..SNAPSHOTS_OF_A_HOST {
            second += 1 + chance.below(2 * step) as i64;
            if chance.below(3) == 0 {
                second -= second.rem_euclid(86_400) - [0, 86_399][chance.below(2)];
            }
            let time = time(second);
            let tags = (0..TAGS).filter(|_| chance.below(4) != 0).map(|tag| format!("t{tag}")).collect();
            let host = format!("h{host}");
            if all.iter().all(|one: &Snapshot| (&one.host, &one.time) != (&host, &time)) {
                all.push(Snapshot { host, time, tags });
            }
        }
    }
    all
}

fn policy(chance: &mut Chance) -> String {
    const PERIODS: [&str; 5] = ["hourly", "daily", "weekly", "monthly", "yearly"];
    const AGES: [&str; 9] = ["36h", "3d", "30d", "1m", "3m", "1y", "1y5m7d2h", "2y", "1m1h"];
    let mut words = Vec::new();
    for period in PERIODS {
        if chance.below(3) == 0 {
            words.push(format!("--keep-{period} {}", 1 + chance.below(10)));
        }
        if chance.below(8) == 0 {
            words.push(format!("--keep-within-{period} {}", AGES[chance.below(AGES.len())]));
        }
    }
    if chance.below(4) == 0 {
        words.push(format!("--keep-within {}", AGES[chance.below(AGES.len())]));
    }
    if words.is_empty() || chance.below(3) == 0 {
        words.push(format!("--keep-last {}", 1 + chance.below(8)));
    }
    for _ in 0..chance.below(3) {
        words.push(format!("--keep-tag {}", filter(chance)));
    }
    words.join(" ")
}

/// One to three tags.
fn filter(chance: &mut Chance) -> String {
    let tags: BTreeSet<usize> = (0..1 + chance.below(3)).map(|_| chance.below(TAGS)).collect();
    tags.iter().map(|tag| format!("t{tag}")).collect::<Vec<_>>().join(",")
}

#[test]
fn restic_and_vb_keep_the_same_backups() {
    let mut chance = Chance::from_environment();
    let (restic, seed) = (Restic::new().unwrap(), chance.seed());
    let all = histories(&mut chance);
    restic.store(&all).unwrap();
    let cases: Vec<(String, String)> = (0..POLICIES).map(|_| (filter(&mut chance), policy(&mut chance))).collect();
    let (next, removed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let compare = || {
        while let Some((filter, policy)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let has_tags = |one: &&Snapshot| filter.split(',').all(|tag| one.tags.iter().any(|own| own == tag));
            let history: Vec<&Snapshot> = all.iter().filter(has_tags).collect();
            let ours = kept(&restic.place, &history, policy).unwrap();
            assert_eq!(ours, restic.kept(filter, policy).unwrap(), "VB_SOAK_SEED={seed}: {policy} of {filter}");
            removed.fetch_add(history.len() - ours.len(), Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(compare))));
    assert!(removed.load(Ordering::Relaxed) > POLICIES, "the policies removed hardly anything");
}

#[test]
fn times_of_the_histories_are_of_the_calendar() {
    assert_eq!(time(951_782_399), "2000-02-28 23:59:59");
    assert_eq!(time(1_582_934_400), "2020-02-29 00:00:00");
    assert_eq!(time(1_609_459_199), "2020-12-31 23:59:59");
}
