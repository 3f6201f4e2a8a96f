//! The time of an edge's guard, by which the edge gives stamps.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Nothing is known of it.
const UNKNOWN: i64 = i64::MIN;

/// The time of an edge's guard, as it was said on links, and counted on since by a clock that only goes forward: whatever is
/// done to the clock of the edge's own machine changes no stamp.
#[derive(Debug)]
pub struct GuardTime {
    base: Instant,
    /// Microseconds since the epoch at the base.
    epoch: AtomicI64,
}

impl GuardTime {
    /// Nothing was said yet.
    pub fn new(base: Instant) -> Self {
        Self {
            base,
            epoch: AtomicI64::new(UNKNOWN),
        }
    }

    /// At this instant the guard's clock said so.
    pub fn said(&self, at: Instant, time: Duration) {
        let time = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        self.epoch
            .store(time.saturating_sub(self.since_base(at)), Ordering::Release);
    }

    /// The guard's time at an instant; nothing as long as none was said.
    pub fn at(&self, at: Instant) -> Option<Duration> {
        let epoch = self.epoch.load(Ordering::Acquire);
        let time = (epoch != UNKNOWN).then(|| epoch.saturating_add(self.since_base(at)))?;
        Some(Duration::from_micros(u64::try_from(time).unwrap_or(0)))
    }

    fn since_base(&self, at: Instant) -> i64 {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        match at.checked_duration_since(self.base) {
            Some(since) => micros(since),
            None => -micros(self.base.saturating_duration_since(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_from_what_was_said_last() {
        let (base, seconds) = (Instant::now(), Duration::from_secs);
        let time = GuardTime::new(base);
        assert_eq!(time.at(base), None);
        time.said(base + seconds(10), seconds(1_000));
        assert_eq!(time.at(base + seconds(15)), Some(seconds(1_005)));
        assert_eq!(time.at(base + seconds(9)), Some(seconds(999)));
        time.said(base + seconds(20), seconds(500));
        assert_eq!(
            time.at(base + seconds(21)),
            Some(seconds(501)),
            "the guard's clock was put back"
        );
        time.said(base + seconds(20), seconds(5));
        assert_eq!(time.at(base), Some(seconds(0)), "before the epoch there is nothing");
    }
}
