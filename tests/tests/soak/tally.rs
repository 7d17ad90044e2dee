//! What a soak has seen so far, and what it must not see.

use std::io::Write;

use anyhow::{Result, ensure};
use vb_tests::chance::Chance;

/// Beyond this many violations a soak goes on no more.
const ENOUGH: usize = 5;

/// How often: `VB_SOAK_ROUNDS`, 12 unless set.
pub(crate) fn rounds() -> Result<usize> {
    std::env::var("VB_SOAK_ROUNDS").map_or(Ok(12), |rounds| Ok(rounds.parse()?))
}

/// The counts of one soak.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rounds: usize,
    /// Real kills, by stage.
    pub(crate) killed: [usize; 3],
    /// The stage had ended before its kill, or had passed its seal on: the run was whole.
    pub(crate) whole: usize,
    /// The last stage was killed after its commit: the backup is listed, the table restored.
    pub(crate) committed_before: usize,
    /// Objects without a manifest, of a `vb-put` that was killed while its manifest was on the way: for `vb-prune` to sweep.
    pub(crate) litter: usize,
    /// Something counts as whole that is not.
    pub(crate) false_commits: usize,
    pub(crate) uploads_left: usize,
    pub(crate) files_left: usize,
    /// What must not be, in words.
    pub(crate) violations: Vec<String>,
}

impl Tally {
    /// Notes what must not be, with all that is needed to see it again.
    pub(crate) fn violation(&mut self, words: impl Into<String>) -> Result<()> {
        self.violations.push(words.into());
        ensure!(self.violations.len() < ENOUGH, "{}", self.violations.join("\n\n"));
        Ok(())
    }

    /// The summary, and the verdict.
    pub(crate) fn conclude(&self, name: &str, stages: [&str; 3], chance: &Chance) -> Result<()> {
        let [first, second, third] = self.killed;
        let real = first + second + third;
        let summary = format!(
            "soak: {name}: {} rounds, killed: {first} {}, {second} {}, {third} {}; whole {}, committed before the kill {}, \
             false commits {}, uploads left {}, temporary files left {}, objects for vb-prune {} (seed {})\n",
            self.rounds,
            stages[0],
            stages[1],
            stages[2],
            self.whole,
            self.committed_before,
            self.false_commits,
            self.uploads_left,
            self.files_left,
            self.litter,
            chance.seed()
        );
        // shown for a test that passes too, unlike what is printed
        std::io::stderr().write_all(summary.as_bytes())?;
        ensure!(self.violations.is_empty(), "{}", self.violations.join("\n\n"));
        ensure!(2 * real >= self.rounds, "only {real} of {} rounds were real kills", self.rounds);
        ensure!([self.false_commits, self.uploads_left, self.files_left] == [0; 3], "{summary}");
        Ok(())
    }
}
