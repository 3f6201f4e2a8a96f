//! How often each command was carried out, for `stat`.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::command::Verb;

/// Threads that count without disturbing one another; more than these share.
const STRIPES: usize = 16;

/// The verbs, by [`Verb`] in its order of declaration.
pub const VERBS: usize = Verb::Repl as usize + 1;

/// A command that found nothing to do, or could not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// A `put`, `putkeep`, `putcat` or `putshl` that stored nothing.
    Put,
    /// An `out` of a record that is not there.
    Out,
    /// A `get` of a record that is not there.
    Get,
}

const CELLS: usize = VERBS + 3;

/// A row of its own for each thread: one row for all cost more than the reads that it counted.
#[derive(Default)]
#[repr(align(128))]
struct Stripe([AtomicU64; CELLS]);

/// Counts since the store was made.
#[derive(Default)]
pub struct Counters([Stripe; STRIPES]);

impl Counters {
    /// Counts a command.
    pub fn count(&self, verb: Verb) {
        self.add(verb as usize);
    }

    /// Counts a miss.
    pub fn miss(&self, miss: Miss) {
        self.add(VERBS + miss as usize);
    }

    /// How often each verb was counted, and each [`Miss`], both in their order of declaration.
    pub fn totals(&self) -> ([u64; VERBS], [u64; 3]) {
        let total = |cell: usize| self.0.iter().map(|stripe| stripe.0[cell].load(Relaxed)).sum();
        (
            std::array::from_fn(total),
            std::array::from_fn(|miss| total(VERBS + miss)),
        )
    }

    fn add(&self, cell: usize) {
        self.0[stripe()].0[cell].fetch_add(1, Relaxed);
    }
}

/// The row of this thread.
fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static STRIPE: usize = NEXT.fetch_add(1, Relaxed) % STRIPES);
    STRIPE.with(|stripe| *stripe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_threads_add_up() {
        let counters = Counters::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|_| counters.count(Verb::Get)));
            }
        });
        counters.count(Verb::Repl);
        counters.miss(Miss::Get);
        let (verbs, misses) = counters.totals();
        assert_eq!((verbs[Verb::Get as usize], verbs[Verb::Repl as usize]), (400, 1));
        assert_eq!((verbs.iter().sum::<u64>(), misses), (401, [0, 0, 1]));
    }
}
