//! Makes a local store of many backups, to measure listings: `cargo run --release -p vb-tests --example large_store -- FOLDER [COUNT]`.

use std::path::Path;

use anyhow::{Context, Result};
use vb_tests::made_store::write_many;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("name the folder of the store")?;
    let count = arguments.next().map_or(Ok(100_000), |count| count.parse()).context("the count is no number")?;
    write_many(Path::new(&folder), count)
}
