//! Makes a local store of many backups, to measure listings: `cargo run --release -p vb-tests --example large_store -- FOLDER [COUNT]`.
//!
//! Four sets, a backup of each every ten minutes, every twentieth a full one. The objects are empty files.

use std::path::Path;

use anyhow::{Context, Result};
use vb_tests::made_store::Made;

const SETS: [&str; 4] = ["customers", "orders", "verification", "weather.stations"];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("name the folder of the store")?;
    let count: u32 = arguments.next().map_or(Ok(100_000), |count| count.parse()).context("the count is no number")?;
    let mut bases: [Option<String>; 4] = [const { None }; 4];
    for number in 0..count {
        let (turn, set) = (number / 4, (number % 4) as usize);
        let base = bases[set].take().filter(|_| turn % 20 > 0);
        let created_at = time(turn * 10);
        let made = Made {
            set: SETS[set],
            created_at: &created_at,
            base: base.as_deref(),
            size_bytes: u64::from(number) * 1000,
        };
        made.write(Path::new(&folder))?;
        bases[set] = Some(made.id());
    }
    Ok(())
}

/// So many minutes into 2020, whose months all have 28 days here: what matters is that no two are the same.
fn time(minutes: u32) -> String {
    let (days, minute) = (minutes / 1440, minutes % 1440);
    let (months, day) = (days / 28, days % 28 + 1);
    let (year, month) = (2020 + months / 12, months % 12 + 1);
    format!("{year}-{month:02}-{day:02}T{:02}:{:02}:00Z", minute / 60, minute % 60)
}
