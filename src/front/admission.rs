//! Who is taken in: not too many clients of one host, and not too many at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::DashMap;
use parking_lot::Mutex;

use crate::transport::Host;

/// So much of the time in which nobody came is kept for those who then come together.
const BURST: Duration = Duration::from_millis(100);

/// The clients of all workers.
#[derive(Debug, Default)]
pub struct Admission {
    hosts: DashMap<Host, usize>,
    /// When the next client may be taken in, at the rate that is allowed.
    next: Mutex<Option<Instant>>,
}

/// One client's place among those of its host, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    admission: Arc<Admission>,
    host: Host,
}

impl Admission {
    /// A place for one more client of this host, unless it has so many already.
    pub fn enter(self: &Arc<Self>, host: Host, places: usize) -> Option<Place> {
        let mut taken = self.hosts.entry(host).or_default();
        if *taken >= places {
            return None;
        }
        *taken += 1;
        let admission = Arc::clone(self);
        Some(Place { admission, host })
    }

    /// When a client that has come now may be taken in, at so many per second; zero for no bound.
    pub fn turn(&self, now: Instant, rate: usize) -> Instant {
        if rate == 0 {
            return now;
        }
        let mut next = self.next.lock();
        let least = now.checked_sub(BURST).unwrap_or(now);
        let turn = next.map_or(least, |next| next.max(least));
        *next = Some(turn + Duration::from_secs(1) / u32::try_from(rate).unwrap_or(u32::MAX));
        turn.max(now)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Where the last one leaves, nothing is kept: hosts come and go.
        self.admission.hosts.remove_if_mut(&self.host, |_, taken| {
            *taken -= 1;
            *taken == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_its_places_and_no_more_and_gets_them_back() {
        let admission = Arc::new(Admission::default());
        let (one, other) = (Host::Process(0, Some(1)), Host::Process(0, Some(2)));
        let places: Vec<_> = (0..3).map_while(|_| admission.enter(one, 2)).collect();
        assert_eq!(places.len(), 2);
        assert!(admission.enter(other, 2).is_some());
        drop(places);
        assert!(admission.hosts.is_empty());
        assert!(admission.enter(one, 2).is_some());
    }

    #[test]
    fn clients_that_come_at_once_are_taken_in_at_the_rate() {
        let admission = Admission::default();
        let start = Instant::now();
        let turns: Vec<_> = (0..31).map(|_| admission.turn(start, 100) - start).collect();
        assert_eq!(turns.iter().filter(|turn| turn.is_zero()).count(), 11, "{turns:?}");
        assert_eq!(turns[30], Duration::from_millis(200));
        let later = start + Duration::from_secs(1);
        assert_eq!(admission.turn(later, 100), later);
        assert_eq!(admission.turn(later, 0), later);
    }
}
