//! Chains of incrementals beside eight writers who insert, update, delete and change keys, hold their transactions open, roll back
//! and set savepoints; some exports are killed half way. Restored, each chain is the source, by a time column, by `xmin` and of the whole
//! database; a naive copy of `updated_at > last` in the same run is not, so that this test can fail.
//!
//! Short unless `VB_TORTURE_SECONDS`, `VB_TORTURE_INCREMENTALS` and `VB_TORTURE_HOLD_SECONDS` say otherwise (`make torture`); `VB_SOAK_SEED`
//! repeats the writers' choices.

#[path = "torture/chains.rs"]
mod chains;
#[path = "torture/naive.rs"]
mod naive;
#[path = "torture/writers.rs"]
mod writers;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chains::Chain;
use naive::Naive;
use vb_tests::chance::Chance;
use vb_tests::servers::{Database, Postgres};
use writers::Writers;

/// The time column is kept by a trigger, so that no statement can forget it.
const LEDGER: &str = "CREATE TABLE ledger (branch text, number bigint, note text, amount numeric(12,2) NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (branch, number));
    CREATE INDEX ON ledger (updated_at);
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.updated_at := now(); RETURN NEW; END';
    CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON ledger FOR EACH ROW EXECUTE FUNCTION touch();
    INSERT INTO ledger SELECT substr('abc', 1 + n % 3, 1), n, md5(n::text), n / 7.0 FROM generate_series(1, 20000) n";

/// How hard.
struct Torture {
    writing: Duration,
    incrementals: usize,
    hold: Duration,
}

impl Torture {
    fn from_environment() -> Result<Self> {
        let number = |name: &str, otherwise: u64| match std::env::var(name) {
            Ok(text) => text.parse().with_context(|| format!("{name} is {text:?}")),
            Err(_) => Ok(otherwise),
        };
        Ok(Self {
            writing: Duration::from_secs(number("VB_TORTURE_SECONDS", 12)?),
            incrementals: number("VB_TORTURE_INCREMENTALS", 6)? as usize,
            hold: Duration::from_secs(number("VB_TORTURE_HOLD_SECONDS", 2)?),
        })
    }
}

/// Every row, whatever their order.
fn digest(database: &Database, table: &str) -> Result<String> {
    let query =
        format!("SELECT count(*) || ' ' || md5(string_agg(t::text, '|' ORDER BY branch, number)) FROM {table} t");
    Ok(database.client()?.query_one(&query, &[])?.get(0))
}

/// What was done, in words.
fn torture() -> Result<Vec<String>> {
    let torture = Torture::from_environment()?;
    let mut chance = Chance::from_environment();
    let mut words = vec![format!("seed {}", chance.seed())];
    let server = Postgres::shared()?;
    let source = server.create_database("torture")?;
    source.client()?.batch_execute(LEDGER)?;
    let mut chains = [
        Chain::new("time", "updated_at", &source)?,
        Chain::new("xid", "xmin", &source)?,
        Chain::of_database("database", &source)?,
    ];
    let mut naive = Naive::new(source.client()?)?;

    let writers = Writers::start(&source, torture.hold, chance.below(1 << 30) as u64)?;
    let begun = Instant::now();
    for round in 0..torture.incrementals {
        // The first of each chain is the full one; of the others every third is killed.
        let killed = (round % 3 == 2).then(|| chance.moment(Duration::from_millis(700)));
        naive.copy()?;
        all(&mut chains, |chain| chain.increment(killed))?;
        let slot = torture.writing.mul_f64((round + 1) as f64 / torture.incrementals as f64);
        thread::sleep(slot.saturating_sub(begun.elapsed()));
    }
    words.push(writers.stop()?);
    all(&mut chains, |chain| chain.increment(None))?;
    naive.copy()?;

    let expected = digest(&source, "ledger")?;
    all(&mut chains, |chain| chain.conclude(server, &expected))?;
    let lost = naive.lost()?;
    ensure!(lost > 0, "the naive copy lost nothing, so that this test would not have noticed a loss");
    words.extend(chains.iter().map(Chain::words));
    words.push(format!("the naive copy lost {lost} rows"));
    Ok(words)
}

/// Side by side, as they would run for two stores.
fn all(chains: &mut [Chain], each: impl Fn(&mut Chain) -> Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        let running: Vec<_> = chains.iter_mut().map(|chain| scope.spawn(|| each(chain))).collect();
        running.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_| anyhow::bail!("a chain's thread failed")))
    })
}

#[test]
fn nothing_is_lost_between_eight_writers() {
    println!("{}", torture().unwrap().join("\n"));
}
