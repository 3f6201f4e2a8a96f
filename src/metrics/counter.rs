//! A counter with a cell for each thread: exact, bounded, and no cell is written by two busy threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ::metrics::CounterFn;

use super::shard::{SHARDS, shard_of_thread};

/// Counters that share a block: a shard of theirs fills two cache lines, which are fetched together.
const COUNTERS: usize = 16;

#[repr(align(128))]
struct Shard([AtomicU64; COUNTERS]);

/// The cells of a few counters.
struct Block([Shard; SHARDS]);

/// One counter.
///
/// It is either added to or [set](CounterFn::absolute), never both.
pub struct Cells {
    block: Arc<Block>,
    at: usize,
}

impl Cells {
    /// What has been counted so far.
    pub fn sum(&self) -> u64 {
        self.block.0.iter().map(|shard| shard.0[self.at].load(Relaxed)).sum()
    }
}

impl CounterFn for Cells {
    fn increment(&self, value: u64) {
        self.block.0[shard_of_thread()].0[self.at].fetch_add(value, Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.block.0[0].0[self.at].fetch_max(value, Relaxed);
    }
}

/// Gives out counters, block by block.
#[derive(Default)]
pub struct Allotment {
    block: Option<Arc<Block>>,
    given: usize,
}

impl Allotment {
    /// A new counter, at zero.
    pub fn next(&mut self) -> Arc<Cells> {
        let at = self.given % COUNTERS;
        if at == 0 {
            let shard = || Shard([const { AtomicU64::new(0) }; COUNTERS]);
            self.block = Some(Arc::new(Block(std::array::from_fn(|_| shard()))));
        }
        self.given += 1;
        let block = self.block.as_ref().expect("the first counter has made a block");
        let block = Arc::clone(block);
        Arc::new(Cells { block, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_threads_and_neighbours_stay_apart() {
        const THREADS: usize = SHARDS + 3;
        let mut allotment = Allotment::default();
        let counters: Vec<_> = (0..COUNTERS + 2).map(|_| allotment.next()).collect();
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for (at, counter) in counters.iter().enumerate() {
                        (0..1000).for_each(|_| counter.increment(at as u64));
                    }
                });
            }
        });
        for (at, counter) in counters.iter().enumerate() {
            assert_eq!(counter.sum(), (at * THREADS * 1000) as u64);
        }
    }

    #[test]
    fn a_counter_that_is_set_only_rises() {
        let counter = Allotment::default().next();
        counter.absolute(7);
        counter.absolute(3);
        assert_eq!(counter.sum(), 7);
    }
}
