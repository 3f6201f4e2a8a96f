//! How long a sign of life takes, and how far the guard's clock is from ours.

use std::time::{Duration, Instant};

/// Of so many the best counts: where an answer was held up, it says little of the clock.
const WINDOW: usize = 8;

/// What one sign of life told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoundTrip {
    /// From the question to the answer.
    pub time: Duration,
    /// The guard's clock minus ours, in seconds, as if both ways took as long.
    pub offset: f64,
    /// Half way between the two.
    pub at: Instant,
    /// What the guard's clock said then.
    pub theirs: Duration,
}

impl RoundTrip {
    /// Of a question that was asked `time` before it was answered, at `now` by our clock, when the guard's clock said
    /// `theirs`.
    pub fn of(time: Duration, now: Duration, theirs: Duration, answered: Instant) -> Self {
        let ours = now.as_secs_f64() - time.as_secs_f64() / 2.0;
        Self {
            time,
            offset: theirs.as_secs_f64() - ours,
            at: answered.checked_sub(time / 2).unwrap_or(answered),
            theirs,
        }
    }
}

/// The last round trips of a link.
#[derive(Debug, Default)]
pub struct RoundTrips {
    last: [Option<RoundTrip>; WINDOW],
    next: usize,
}

impl RoundTrips {
    /// Takes note of one.
    pub fn saw(&mut self, trip: RoundTrip) {
        self.last[self.next] = Some(trip);
        self.next = (self.next + 1) % WINDOW;
    }

    /// The shortest of the last ones.
    pub fn best(&self) -> Option<RoundTrip> {
        self.last.iter().flatten().min_by_key(|trip| trip.time).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_of_the_last_ones_tells_the_clock() {
        let milliseconds = Duration::from_millis;
        let mut trips = RoundTrips::default();
        assert_eq!(trips.best(), None);
        // Asked at 10.000 by our clock, answered at 10.010, and half way there the guard's was at 12.005.
        trips.saw(RoundTrip::of(
            milliseconds(10),
            milliseconds(10_010),
            milliseconds(12_005),
            Instant::now(),
        ));
        trips.saw(RoundTrip::of(
            milliseconds(400),
            milliseconds(10_800),
            milliseconds(12_800),
            Instant::now(),
        ));
        let best = trips.best().expect("some");
        assert_eq!(best.time, milliseconds(10));
        assert!((best.offset - 2.0).abs() < 1e-6, "{}", best.offset);
        for _ in 0..WINDOW {
            trips.saw(RoundTrip::of(
                milliseconds(20),
                milliseconds(20_000),
                milliseconds(20_000),
                Instant::now(),
            ));
        }
        assert_eq!(
            trips.best().map(|trip| trip.time),
            Some(milliseconds(20)),
            "the old ones are gone"
        );
    }
}
