//! What a soak has seen so far, and what it must not see.

use std::io::Write;

use anyhow::{Result, ensure};

use crate::chance::Chance;

/// Beyond this many violations a soak goes on no more.
const ENOUGH: usize = 5;

/// Which part of a soak's rounds must be real kills, and not runs that had ended before.
pub const LEAST_KILLS: f64 = 0.5;

/// How often: `VB_SOAK_ROUNDS`, 6 unless set.
///
/// # Errors
/// When it is no number.
pub fn rounds() -> Result<usize> {
    std::env::var("VB_SOAK_ROUNDS").map_or(Ok(6), |rounds| Ok(rounds.parse()?))
}

/// The counts of one soak.
#[derive(Debug, Default)]
pub struct Tally {
    /// Rounds so far.
    pub rounds: usize,
    /// Real kills, by stage.
    pub killed: [usize; 3],
    /// Requests and connections that a proxy broke.
    pub broken: usize,
    /// The stage had ended before its kill, or had passed its seal on: the run was whole.
    pub whole: usize,
    /// The last stage was killed after its commit: the backup is listed, the table restored.
    pub committed_before: usize,
    /// Objects without a manifest, of a `vb-put` that was killed while its manifest was on the way: for `vb-prune` to sweep.
    pub litter: usize,
    /// Something counts as whole that is not.
    pub false_commits: usize,
    /// Uploads that stayed open.
    pub uploads_left: usize,
    /// Temporary files, and objects that belong to nothing.
    pub files_left: usize,
    /// What must not be, in words.
    pub violations: Vec<String>,
}

impl Tally {
    /// Notes what must not be, with all that is needed to see it again.
    ///
    /// # Errors
    /// When there is enough of it.
    pub fn violation(&mut self, words: impl Into<String>) -> Result<()> {
        self.violations.push(words.into());
        ensure!(self.violations.len() < ENOUGH, "{}", self.violations.join("\n\n"));
        Ok(())
    }

    /// Whether more rounds are to be made: so many, and some more where chance, or a machine that became faster meanwhile, let too
    /// many runs end before the kill.
    #[must_use]
    pub fn goes_on(&self, rounds: usize, least_kills: f64) -> bool {
        self.rounds < rounds || (self.rounds < 4 * rounds && !self.has_enough_kills(least_kills))
    }

    fn has_enough_kills(&self, least_kills: f64) -> bool {
        let enough = (self.rounds as f64 * least_kills).floor() as usize;
        self.killed.iter().sum::<usize>() >= enough
    }

    /// The summary, and the verdict. `least_kills` is which part of the rounds must have been real kills.
    ///
    /// # Errors
    /// When something was left, or counted as whole that was not, or the rounds proved nothing.
    pub fn conclude(&self, name: &str, stages: &[&str], least_kills: f64, chance: &Chance) -> Result<()> {
        let real: usize = self.killed.iter().sum();
        let killed: Vec<String> =
            stages.iter().zip(self.killed).map(|(stage, count)| format!("{count} {stage}")).collect();
        let summary = format!(
            "soak: {name}: {} rounds, killed: {}; broken requests {}; whole {}, committed before the kill {}, failed {}, \
             false commits {}, uploads left {}, temporary files left {}, objects for vb-prune {} (seed {})\n",
            self.rounds,
            killed.join(", "),
            self.broken,
            self.whole,
            self.committed_before,
            self.rounds.saturating_sub(self.whole + self.committed_before + self.false_commits),
            self.false_commits,
            self.uploads_left,
            self.files_left,
            self.litter,
            chance.seed()
        );
        // shown for a test that passes too, unlike what is printed
        std::io::stderr().write_all(summary.as_bytes())?;
        ensure!(self.violations.is_empty(), "{}", self.violations.join("\n\n"));
        ensure!(self.has_enough_kills(least_kills), "only {real} of {} rounds were real kills", self.rounds);
        ensure!([self.false_commits, self.uploads_left, self.files_left] == [0; 3], "{summary}");
        Ok(())
    }
}
