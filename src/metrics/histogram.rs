//! A histogram of fixed buckets, sharded by thread: exact, bounded, without a lock.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use ::metrics::HistogramFn;

/// More threads than this share shards, which costs time but loses nothing.
const SHARDS: usize = 16;

/// One shard fills four cache lines: 31 counts, the last one used for all above the last bound, and the sum.
const COUNTS: usize = 31;

/// Aligned so that no two threads write to one line, nor to one pair of lines fetched together.
#[repr(align(128))]
struct Shard {
    counts: [AtomicU64; COUNTS],
    /// The bits of an `f64`: integers would wrap, as ages reach a day.
    sum: AtomicU64,
}

/// The buckets of one histogram.
pub struct Buckets {
    bounds: &'static [f64],
    shards: Box<[Shard]>,
}

/// The numbers of one histogram at one moment.
#[derive(Debug, PartialEq)]
pub struct Snapshot {
    /// How many values fell in each bucket; the last one is for all above the last bound.
    pub counts: Vec<u64>,
    /// The values added up, in their unit.
    pub sum: f64,
}

impl Buckets {
    /// Empty buckets with these upper bounds, inclusive and rising.
    ///
    /// # Panics
    ///
    /// When there are more than 30, or they do not rise.
    pub fn new(bounds: &'static [f64]) -> Self {
        assert!(bounds.len() < COUNTS, "too many bounds");
        assert!(bounds.windows(2).all(|two| two[0] < two[1]), "bounds do not rise");
        let shard = |_| Shard {
            counts: [const { AtomicU64::new(0) }; COUNTS],
            sum: AtomicU64::new(0),
        };
        Self {
            bounds,
            shards: (0..SHARDS).map(shard).collect(),
        }
    }

    /// What has been recorded so far. While others record, the sum may lag behind the counts.
    pub fn snapshot(&self) -> Snapshot {
        let count = |at: usize| self.shards.iter().map(|shard| shard.counts[at].load(Relaxed)).sum();
        Snapshot {
            counts: (0..=self.bounds.len()).map(count).collect(),
            sum: self
                .shards
                .iter()
                .map(|shard| f64::from_bits(shard.sum.load(Relaxed)))
                .sum(),
        }
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        self.record_many(value, 1);
    }

    /// Durations and ages are never negative: what is (a clock that was set back) counts as 0, and
    /// so does what is no number.
    fn record_many(&self, value: f64, count: usize) {
        let value = if value.is_finite() { value.max(0.0) } else { 0.0 };
        let shard = &self.shards[shard_of_thread()];
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        shard.counts[bucket].fetch_add(count as u64, Relaxed);
        let added = value * count as f64;
        let _ = shard
            .sum
            .fetch_update(Relaxed, Relaxed, |bits| Some((f64::from_bits(bits) + added).to_bits()));
    }
}

/// Threads take shards in turn, and keep them.
fn shard_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: usize = NEXT.fetch_add(1, Relaxed) % SHARDS;
    }
    SHARD.with(|shard| *shard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        let buckets = Buckets::new(&[1.0, 2.0]);
        for value in [0.0, 1.0, 1.5, 2.0, 2.5, 1e9] {
            buckets.record(value);
        }
        let Snapshot { counts, sum } = buckets.snapshot();
        assert_eq!(counts, [2, 2, 2]);
        assert_eq!(sum, 1e9 + 7.0);
    }

    #[test]
    fn what_is_no_duration_counts_as_zero() {
        let buckets = Buckets::new(&[1.0]);
        for value in [-3.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            buckets.record(value);
        }
        let expected = Snapshot {
            counts: vec![4, 0],
            sum: 0.0,
        };
        assert_eq!(buckets.snapshot(), expected);
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        const THREADS: usize = SHARDS + 3;
        const EACH: usize = 5_000;
        let buckets = Buckets::new(&[1.0, 2.0, 3.0]);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let buckets = &buckets;
                scope.spawn(move || (0..EACH).for_each(|_| buckets.record((thread % 4) as f64 + 0.5)));
            }
        });
        let Snapshot { counts, sum } = buckets.snapshot();
        let each = |wanted| (0..THREADS).filter(|thread| thread % 4 == wanted).count() * EACH;
        assert_eq!(counts, [0, 1, 2, 3].map(|wanted| each(wanted) as u64));
        let expected: f64 = (0..4).map(|wanted| each(wanted) as f64 * (wanted as f64 + 0.5)).sum();
        assert_eq!(sum, expected);
    }

    #[test]
    fn many_at_once_count_as_many() {
        let buckets = Buckets::new(&[1.0]);
        buckets.record_many(0.25, 8);
        assert_eq!(
            buckets.snapshot(),
            Snapshot {
                counts: vec![8, 0],
                sum: 2.0
            }
        );
    }
}
