//! How long to wait before the next try to reach the server.

use std::time::Duration;

/// The first pause after a failed try.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The longest pause between two tries. A connection that was up for as long was no failure.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The longest pause behind a connection that has carried something, but not for long.
const PAUSE_USEFUL_MAX: Duration = Duration::from_millis(100);

/// Pauses that double from try to try, each drawn between half and all of its length so that many lanes do not
/// come back in step. To have connected is no success: what counts is that the connection was of use.
#[derive(Debug)]
pub struct Backoff {
    pause: Duration,
    random: fastrand::Rng,
}

impl Backoff {
    /// Starts with the shortest pause.
    pub fn new(random: fastrand::Rng) -> Self {
        Self {
            pause: PAUSE_MIN,
            random,
        }
    }

    /// The pause before the next try.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.pause.mul_f64(0.5 + self.random.f64() / 2.0);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        pause
    }

    /// Begins again with the shortest pause.
    pub fn reset(&mut self) {
        self.pause = PAUSE_MIN;
    }

    /// The pause after a connection that was up for so long, and was of `use`: it gave an answer of the kind that was
    /// asked for. One that stayed up is followed at once, and one that died at its first question is no better than none
    /// at all. One that was of use for a moment counts as a failure too, or a server that some question breaks would be
    /// asked it again without an end; but not the first time, and it is not waited for as long.
    pub fn pause_after(&mut self, up: Duration, useful: bool) -> Duration {
        if up >= PAUSE_MAX {
            self.reset();
            return Duration::ZERO;
        }
        if !useful {
            return self.next_pause();
        }
        let is_first = self.pause == PAUSE_MIN;
        self.pause = self.pause.min(PAUSE_USEFUL_MAX);
        let pause = self.next_pause();
        if is_first { Duration::ZERO } else { pause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_their_bound_and_begin_again() {
        let mut backoff = Backoff::new(fastrand::Rng::with_seed(7));
        let pauses: Vec<_> = (0..12).map(|_| backoff.next_pause()).collect();
        assert!(pauses[0] >= PAUSE_MIN / 2 && pauses[0] <= PAUSE_MIN);
        assert!(pauses[11] >= PAUSE_MAX / 2 && pauses[11] <= PAUSE_MAX);
        backoff.reset();
        assert!(backoff.next_pause() <= PAUSE_MIN);
    }

    #[test]
    fn a_connection_that_dies_at_once_counts_as_a_failure() {
        let moment = Duration::from_millis(1);
        let mut backoff = Backoff::new(fastrand::Rng::with_seed(7));
        let pauses: Vec<_> = (0..12).map(|_| backoff.pause_after(moment, false)).collect();
        assert!(pauses[0] <= PAUSE_MIN && pauses[11] >= PAUSE_MAX / 2);
        assert!(backoff.pause_after(moment, true) <= PAUSE_USEFUL_MAX);
        let pauses: Vec<_> = (0..12).map(|_| backoff.pause_after(moment, true)).collect();
        assert!(
            pauses
                .iter()
                .all(|pause| *pause <= PAUSE_USEFUL_MAX && *pause >= PAUSE_USEFUL_MAX / 2)
        );
        assert_eq!(backoff.pause_after(PAUSE_MAX, false), Duration::ZERO);
        assert_eq!(backoff.pause_after(moment, true), Duration::ZERO, "once is no habit");
        assert!(backoff.pause_after(moment, false) >= PAUSE_MIN);
    }
}
