//! The clock that stamps are given by: it follows time, and never gives one twice, nor an older one.

use std::sync::atomic::{AtomicU64, Ordering};

/// A hybrid logical clock, of one process: [`now`, or one more than what it gave or learnt last](Self::take).
///
/// It learns from what its clients read, so that who reads a value and then writes it is never refused for the clock of the
/// machine that it asks by. It does not learn from what was refused for being too far in the future: nobody's wrong clock
/// spreads.
#[derive(Debug, Default)]
pub struct HybridClock {
    last: AtomicU64,
}

impl HybridClock {
    /// A stamp at this time by the clock, which nobody else of this process is given. It is above whatever was given or
    /// learnt before.
    pub fn take(&self, now: u64) -> u64 {
        let next = |last: u64| now.max(last.saturating_add(1));
        let take = |last| Some(next(last));
        let before = self.last.fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        match before {
            Ok(last) | Err(last) => next(last),
        }
    }

    /// A stamp was read: what is given from now on is above it.
    pub fn learn(&self, stamp: u64) {
        // Mostly it is known already.
        if self.last.load(Ordering::Acquire) < stamp {
            self.last.fetch_max(stamp, Ordering::AcqRel);
        }
    }

    /// The newest stamp that it gave or learnt.
    pub fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_time_and_counts_on_where_that_stands_still_or_goes_back() {
        let clock = HybridClock::default();
        assert_eq!([100, 100, 50, 200].map(|now| clock.take(now)), [100, 101, 102, 200]);
        assert_eq!(clock.last(), 200);
    }

    #[test]
    fn what_was_read_is_older_than_what_is_written_then() {
        let clock = HybridClock::default();
        clock.learn(500);
        clock.learn(400);
        assert_eq!(clock.take(100), 501);
        clock.learn(u64::MAX);
        assert_eq!(clock.take(100), u64::MAX, "there is nothing above");
    }

    #[test]
    fn threads_never_share_a_stamp() {
        let clock = HybridClock::default();
        let taken = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..2000).map(|at| clock.take(at / 7)).collect::<Vec<_>>()))
                .collect();
            takers
                .into_iter()
                .flat_map(|taker| {
                    let taken = taker.join().expect("it does not panic");
                    assert!(taken.is_sorted_by(|before, after| before < after));
                    taken
                })
                .collect::<std::collections::BTreeSet<_>>()
        });
        assert_eq!(taken.len(), 8000);
    }
}
