//! When each byte of a session came, so that the time of a request counts from when it was asked, not from when its
//! turn came.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bytes that come closer together than this count as one arrival, at the time of the first.
const GRAIN: Duration = Duration::from_millis(1);

/// When the bytes that are not taken up yet have come.
#[derive(Debug, Default)]
pub struct Arrivals {
    received: u64,
    /// Where the bytes of each arrival end, and when they came. As many as there are bytes at most, and no more than
    /// one for each [`GRAIN`].
    marks: VecDeque<(u64, Instant)>,
}

impl Arrivals {
    /// Bytes have come.
    pub fn came(&mut self, bytes: usize, now: Instant) {
        self.received += bytes as u64;
        match self.marks.back_mut() {
            Some((end, at)) if now.saturating_duration_since(*at) < GRAIN => *end = self.received,
            _ => self.marks.push_back((self.received, now)),
        }
    }

    /// Gives back room that is not needed now.
    pub fn shrink(&mut self) {
        self.marks.shrink_to_fit();
    }

    /// How many bytes have come before the last `left`.
    pub fn before(&self, left: usize) -> u64 {
        self.received - left as u64
    }

    /// All but the last `left` bytes are taken up: when the last of them came. Nothing when none ever came.
    pub fn taken(&mut self, left: usize) -> Option<Instant> {
        let taken = self.received - left as u64;
        while self.marks.front().is_some_and(|(end, _)| *end < taken) {
            self.marks.pop_front();
        }
        self.marks.front().map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_came_when_its_last_byte_did() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.taken(0), None);
        arrivals.came(10, at(0));
        arrivals.came(10, at(5));
        arrivals.came(10, at(9));
        assert_eq!(arrivals.taken(22), Some(at(0)), "8 bytes of the first arrival");
        assert_eq!(arrivals.taken(20), Some(at(0)), "all of it");
        assert_eq!(arrivals.taken(19), Some(at(5)), "one byte more");
        assert_eq!(arrivals.taken(0), Some(at(9)));
        arrivals.came(1, at(20));
        assert_eq!(arrivals.taken(0), Some(at(20)));
    }

    #[test]
    fn bytes_that_trickle_in_take_little_memory() {
        let start = Instant::now();
        let mut arrivals = Arrivals::default();
        for byte in 0..100_000 {
            arrivals.came(1, start + Duration::from_micros(byte));
        }
        assert_eq!(arrivals.marks.len(), 100);
        assert_eq!(arrivals.taken(0), Some(start + Duration::from_millis(99)));
        assert_eq!(arrivals.marks.len(), 1);
    }
}
