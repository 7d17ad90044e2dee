//! Policies that have a name.

use vb_core::retention::Period;

/// A known policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Preset {
    /// 30 daily
    #[value(name = "daily-30")]
    Daily30,
    /// Grandfather, father, son: 12 monthly, 4 weekly, 7 daily
    Gfs,
}

impl Preset {
    /// How many of these periods it keeps one of.
    pub(crate) fn most(self, period: Period) -> Option<usize> {
        match (self, period) {
            (Self::Daily30, Period::Day) => Some(30),
            (Self::Gfs, Period::Day) => Some(7),
            (Self::Gfs, Period::Week) => Some(4),
            (Self::Gfs, Period::Month) => Some(12),
            _ => None,
        }
    }
}
