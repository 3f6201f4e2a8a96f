//! A histogram of fixed buckets, sharded by thread: exact, bounded, without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ::metrics::HistogramFn;

use super::shard::{SHARDS, shard_of_thread};

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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// How many values fell in each bucket; the last one is for all above the last bound.
    pub counts: Vec<u64>,
    /// The values added up, in their unit.
    pub sum: f64,
}

impl Snapshot {
    /// Adds what another histogram of the same bounds holds.
    pub fn add(&mut self, other: &Self) {
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum += other.sum;
    }

    /// What was recorded since an earlier snapshot of the same histogram.
    pub fn since(&self, before: &Self) -> Self {
        let earlier = before.counts.iter().copied().chain(std::iter::repeat(0));
        let counts = self.counts.iter().zip(earlier);
        Self {
            counts: counts.map(|(count, earlier)| count.saturating_sub(earlier)).collect(),
            sum: self.sum - before.sum,
        }
    }

    /// The value below which this share of all values lies, evenly spread within its bucket; above the last bound that
    /// bound. Nothing where nothing was recorded.
    pub fn quantile(&self, share: f64, bounds: &[f64]) -> Option<f64> {
        let total: u64 = self.counts.iter().sum();
        if total == 0 {
            return None;
        }
        let rank = share * total as f64;
        let (mut below, mut from) = (0.0, 0.0);
        for (count, bound) in self.counts.iter().zip(bounds) {
            let within = *count as f64;
            if *count > 0 && below + within >= rank {
                return Some(from + (bound - from) * ((rank - below) / within).clamp(0.0, 1.0));
            }
            below += within;
            from = *bound;
        }
        Some(from)
    }
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
    fn a_quantile_lies_within_the_bucket_that_holds_it() {
        let bounds = [1.0, 2.0, 4.0];
        let snapshot = |counts: [u64; 4]| Snapshot {
            counts: counts.to_vec(),
            sum: 0.0,
        };
        assert_eq!(snapshot([0; 4]).quantile(0.5, &bounds), None);
        assert_eq!(snapshot([4, 0, 0, 0]).quantile(0.5, &bounds), Some(0.5));
        assert_eq!(snapshot([2, 0, 2, 0]).quantile(0.75, &bounds), Some(3.0));
        assert_eq!(snapshot([1, 0, 0, 9]).quantile(0.99, &bounds), Some(4.0));
        let since = snapshot([3, 1, 0, 9]).since(&snapshot([1, 1, 0, 0]));
        assert_eq!(since.counts, [2, 0, 0, 9]);
        assert_eq!(snapshot([3, 0, 0, 0]).since(&Snapshot::default()).counts, [3, 0, 0, 0]);
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
