//! Reading, working and writing at the same time: one producing thread, some workers, and the caller's thread, which
//! consumes the blocks in the order in which they were produced.
//!
//! A fixed number of blocks goes round, so memory is bounded and the buffers are reused. Whoever stops (an error, a panic)
//! drops its ends of the channels, and the others then stop too: nobody waits for ever.

use crate::error::{GzipError, Result};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle, scope};

/// One buffer on its way from the input to the output. A block from the pool still holds its last contents.
#[derive(Default)]
pub(crate) struct Block {
    /// What the producer read.
    pub(crate) source: Vec<u8>,
    /// What the worker made of it.
    pub(crate) result: Vec<u8>,
    /// Where `source` begins in the input.
    pub(crate) offset: u64,
}

/// A block for a worker, and where it sends the result. Dropped without a result, it tells the consumer of a panic.
struct Order {
    block: Block,
    done: Sender<Result<Block>>,
}

/// The producer's end.
pub(crate) struct Feed {
    pool: Receiver<Block>,
    orders: Sender<Order>,
    sequence: Sender<Receiver<Result<Block>>>,
}

impl Feed {
    /// A block to fill, as soon as one is free.
    ///
    /// # Errors
    /// If the consumer has stopped; its own error is the one that the caller sees.
    pub(crate) fn block(&self) -> Result<Block> {
        self.pool.recv().map_err(|_| GzipError::Thread)
    }

    /// Hands a block to the workers.
    pub(crate) fn work(&self, block: Block) -> Result<()> {
        let (done, result) = channel();
        self.sequence.send(result).map_err(|_| GzipError::Thread)?;
        self.orders.send(Order { block, done }).map_err(|_| GzipError::Thread)
    }

    /// Hands a block, whose result is there already, to the consumer.
    pub(crate) fn ready(&self, block: Block) -> Result<()> {
        let (done, result) = channel();
        done.send(Ok(block)).map_err(|_| GzipError::Thread)?;
        self.sequence.send(result).map_err(|_| GzipError::Thread)
    }
}

/// Runs `produce` on one thread and `threads` workers, each made by `worker`; calls `consume` here, in order.
///
/// # Errors
/// The first in the order of the blocks; what `produce` says comes last.
pub(crate) fn run<Produced, Worker>(
    threads: usize,
    produce: impl FnOnce(&Feed) -> Result<Produced> + Send,
    worker: impl Fn() -> Worker + Sync,
    consume: impl FnMut(&Block) -> Result<()>,
) -> Result<Produced>
where
    Produced: Send,
    Worker: FnMut(&mut Block) -> Result<()>,
{
    let worker = &worker;
    scope(|scope| {
        let (recycle, pool) = channel();
        let (sequence, results) = channel();
        let (orders, work) = channel();
        let work = Arc::new(Mutex::new(work));
        for _ in 0..2 * threads + 2 {
            recycle.send(Block::default()).map_err(|_| GzipError::Thread)?;
        }
        let workers = (0..threads)
            .map(|_| Arc::clone(&work))
            .map(|work| spawn(scope, move || work_off(&work, worker())))
            .collect::<Result<Vec<_>>>()?;
        let producer = spawn(scope, move || produce(&Feed { pool, orders, sequence }))?;
        let consumed = consume_all(results, recycle, consume);
        let produced = producer.join();
        for worker in workers {
            // Its panic has reached the consumer as a block without a result.
            let _panicked = worker.join();
        }
        consumed?;
        produced.map_err(|_| GzipError::Thread)?
    })
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    task: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    Builder::new().spawn_scoped(scope, task).map_err(|_| GzipError::Thread)
}

fn work_off(work: &Mutex<Receiver<Order>>, mut worker: impl FnMut(&mut Block) -> Result<()>) {
    loop {
        let order = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Order { mut block, done }) = order else { return };
        let result = worker(&mut block).map(|()| block);
        let _consumer_has_stopped = done.send(result);
    }
}

/// Takes both channel ends by value: when it returns, for whatever reason, the producer stops.
#[allow(clippy::needless_pass_by_value)]
fn consume_all(
    results: Receiver<Receiver<Result<Block>>>,
    recycle: Sender<Block>,
    mut consume: impl FnMut(&Block) -> Result<()>,
) -> Result<()> {
    for result in &results {
        let block = result.recv().map_err(|_| GzipError::Thread)??;
        consume(&block)?;
        let _producer_has_finished = recycle.send(block);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endless(feed: &Feed) -> Result<()> {
        for offset in 0.. {
            let mut block = feed.block()?;
            block.offset = offset;
            feed.work(block)?;
        }
        Ok(())
    }

    #[test]
    fn a_panicking_worker_is_an_error() {
        let worker = || |block: &mut Block| if block.offset == 40 { panic!("on purpose") } else { Ok(()) };
        let mut seen = 0;
        let outcome = run(3, endless, worker, |_| {
            seen += 1;
            Ok(())
        });
        assert!(matches!(outcome, Err(GzipError::Thread)));
        assert_eq!(seen, 40);
    }

    #[test]
    fn a_panicking_producer_is_an_error() {
        let produce = |_: &Feed| -> Result<()> { panic!("on purpose") };
        assert!(matches!(run(2, produce, || |_: &mut Block| Ok(()), |_| Ok(())), Err(GzipError::Thread)));
    }

    #[test]
    fn a_failing_consumer_stops_an_endless_producer() {
        let full = || GzipError::Write(std::io::ErrorKind::StorageFull.into());
        let outcome =
            run(2, endless, || |_: &mut Block| Ok(()), |block| if block.offset == 9 { Err(full()) } else { Ok(()) });
        assert!(matches!(outcome, Err(GzipError::Write(_))));
    }

    #[test]
    fn no_more_blocks_than_the_pool_holds() {
        let mut offsets = Vec::new();
        let produce = |feed: &Feed| {
            for offset in 0..1000 {
                let mut block = feed.block()?;
                block.source.push(0);
                block.offset = offset;
                feed.work(block)?;
            }
            Ok(())
        };
        let mut uses = 0;
        let consume = |block: &Block| {
            offsets.push(block.offset);
            uses = uses.max(block.source.len());
            Ok(())
        };
        run(3, produce, || |_: &mut Block| Ok(()), consume).unwrap();
        assert!(offsets.iter().copied().eq(0..1000));
        assert!(uses >= 1000 / 8, "the pool holds eight blocks, so one of them was used at least 125 times: {uses}");
    }
}
