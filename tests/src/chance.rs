//! Chance that can be had again: the same seed gives the same numbers (SplitMix64).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A source of numbers.
#[derive(Debug)]
pub struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    /// From `VB_SOAK_SEED` if it is set, so that a failure can be repeated; else from the clock.
    #[must_use]
    pub fn from_environment() -> Self {
        let given = std::env::var("VB_SOAK_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_micros() as u64);
        Self::new(given.unwrap_or_else(clock))
    }

    /// From this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// What gives the same numbers again.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.state;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    /// A number below `end`, which must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.any() % end as u64) as usize
    }

    /// Once in so many times.
    pub fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    /// So many bytes, which no compression makes fewer.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.any().to_be_bytes()[0]).collect()
    }

    /// A moment within this time, to the microsecond.
    pub fn moment(&mut self, within: Duration) -> Duration {
        Duration::from_micros(self.any() % (within.as_micros() as u64).max(1))
    }
}

/// Bytes that no compression makes fewer; the same ones each time.
#[must_use]
pub fn noise(length: usize) -> Vec<u8> {
    Chance::new(1).bytes(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers() {
        let draw = |seed| {
            let mut chance = Chance::new(seed);
            (0..9).map(|_| chance.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!(Chance::new(1).moment(Duration::from_millis(3)) < Duration::from_millis(3));
    }
}
