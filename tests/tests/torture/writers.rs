//! Eight sessions that change the table in every way, until they are told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use postgres::{Client, Transaction};
use vb_tests::chance::Chance;
use vb_tests::servers::Database;

const WRITERS: u64 = 8;
/// Keys that rows begin with; a change of key leads out of this range.
const KEYS: usize = 24_000;

/// The running sessions.
pub(crate) struct Writers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<Tally>>>,
}

#[derive(Default)]
struct Tally {
    committed: u64,
    rolled_back: u64,
    refused: u64,
    held: u64,
}

impl Writers {
    pub(crate) fn start(database: &Database, hold: Duration, seed: u64) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |number: u64| {
            let client = database.client()?;
            let (stop, chance) = (Arc::clone(&stop), Chance::new(seed + number));
            Ok(thread::spawn(move || Writer { client, chance, hold, tally: Tally::default() }.run(&stop)))
        };
        let threads = (0..WRITERS).map(start).collect::<Result<_>>()?;
        Ok(Self { stop, threads })
    }

    /// Stops them; what they did.
    pub(crate) fn stop(self) -> Result<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = Tally::default();
        for thread in self.threads {
            let Ok(tally) = thread.join() else { bail!("a writer failed") };
            let tally = tally?;
            ensure!(tally.committed > 0, "a writer committed nothing");
            sum.committed += tally.committed;
            sum.rolled_back += tally.rolled_back;
            sum.refused += tally.refused;
            sum.held += tally.held;
        }
        let Tally { committed, rolled_back, refused, held } = sum;
        Ok(format!("{committed} transactions, {rolled_back} rolled back, {refused} refused, {held} held open"))
    }
}

struct Writer {
    client: Client,
    chance: Chance,
    hold: Duration,
    tally: Tally,
}

impl Writer {
    fn run(mut self, stop: &AtomicBool) -> Result<Tally> {
        self.client.batch_execute("SET lock_timeout = '300ms'")?;
        while !stop.load(Ordering::Relaxed) {
            let mut transaction = self.client.transaction()?;
            // A lock that another writer holds, or a key that is there, is no failure: that transaction is over.
            match work(&mut transaction, &mut self.chance, self.hold, &mut self.tally) {
                Ok(()) if self.chance.below(8) > 0 => {
                    transaction.commit()?;
                    self.tally.committed += 1;
                }
                Ok(()) => {
                    transaction.rollback()?;
                    self.tally.rolled_back += 1;
                }
                Err(error) => {
                    ensure!(error.code().is_some(), "a writer lost its server: {error}");
                    transaction.rollback()?;
                    self.tally.refused += 1;
                }
            }
        }
        Ok(self.tally)
    }
}

/// One transaction. Its `now()` is that of its first command, its number comes with its first change, and both may be long ago when it
/// ends.
fn work(
    transaction: &mut Transaction<'_>,
    chance: &mut Chance,
    hold: Duration,
    tally: &mut Tally,
) -> Result<(), postgres::Error> {
    transaction.batch_execute("SELECT now()")?;
    pause(chance, hold, tally);
    for _ in 0..1 + chance.below(5) {
        let statement = statement(chance);
        match chance.below(8) {
            0 => {
                let mut savepoint = transaction.savepoint("rolled_back")?;
                savepoint.batch_execute(&statement)?;
                savepoint.rollback()?;
            }
            1 => {
                let mut savepoint = transaction.savepoint("kept")?;
                savepoint.batch_execute(&statement)?;
                savepoint.commit()?;
            }
            _ => transaction.batch_execute(&statement)?,
        }
    }
    pause(chance, hold, tally);
    Ok(())
}

fn pause(chance: &mut Chance, hold: Duration, tally: &mut Tally) {
    if chance.below(40) == 0 {
        tally.held += 1;
        thread::sleep(chance.moment(hold));
    } else {
        thread::sleep(chance.moment(Duration::from_millis(8)));
    }
}

fn statement(chance: &mut Chance) -> String {
    let branch = ["a", "b", "c"][chance.below(3)];
    let number = chance.below(KEYS);
    let few = format!("branch = '{branch}' AND number BETWEEN {number} AND {}", number + chance.below(6));
    match chance.below(10) {
        0..=2 => format!(
            "INSERT INTO ledger VALUES ('{branch}', {number}, md5(random()::text), {}) ON CONFLICT DO NOTHING",
            chance.below(1000)
        ),
        3..=5 => format!("UPDATE ledger SET amount = amount + 1 WHERE {few}"),
        6 | 7 => format!("DELETE FROM ledger WHERE {few}"),
        8 => format!("UPDATE ledger SET number = number + {} WHERE {few}", 1 + chance.below(2 * KEYS)),
        _ => format!("UPDATE ledger SET branch = 'c' WHERE {few}"),
    }
}
