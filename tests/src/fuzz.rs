//! What the fuzz tests of several rooms share: how many inputs, from which seed, and how much memory they took.

use std::env;
use std::fs;

use crate::chance::Chance;

/// Inputs that can be had again one by one.
#[derive(Debug)]
pub struct Inputs {
    /// How many.
    pub count: u64,
    /// What they follow from.
    pub seed: u64,
}

impl Inputs {
    /// As many as `VB_FUZZ_INPUTS` says, or else `otherwise`, from `VB_FUZZ_SEED`, or else 1.
    #[must_use]
    pub fn from_environment(otherwise: u64) -> Self {
        Self { count: number("VB_FUZZ_INPUTS", otherwise), seed: number("VB_FUZZ_SEED", 1) }
    }

    /// What the input of this number is made from.
    #[must_use]
    pub fn chance(&self, input: u64) -> Chance {
        Chance::new(self.seed.wrapping_mul(0x9e37_79b9).wrapping_add(input))
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    env::var(variable).ok().and_then(|text| text.replace('_', "").parse().ok()).unwrap_or(otherwise)
}

/// The most memory that this process ever took; more than any if the system does not say.
#[must_use]
pub fn peak_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(u64::MAX)
}
