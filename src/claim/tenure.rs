//! For how long a process may write.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

/// Without an end.
const FOREVER: u64 = u64::MAX;

/// For how long this process may write to its store, and up to which stamp; shared by all who send anything there.
#[derive(Debug)]
pub struct Tenure {
    /// Instants are counted from here.
    base: Instant,
    /// Nanoseconds from then until which the claim is held; 0 where it is not.
    until: AtomicU64,
    /// No stamp above this may be let in.
    mark: AtomicU64,
    /// A stamp above the mark that waits to be let in.
    wanted: AtomicU64,
    /// Told when one does.
    asked: Notify,
    /// Rises when the claim was lost to another.
    deposed: watch::Sender<u64>,
    /// Which store it is about. Held while that changes, or the tenure does.
    generation: Mutex<u64>,
}

impl Tenure {
    /// Of a store that nobody else can write to, or to which others are known not to.
    pub fn unlimited(now: Instant) -> Self {
        Self::with(now, FOREVER)
    }

    /// Of one that has yet to be claimed.
    pub fn none(now: Instant) -> Self {
        Self::with(now, 0)
    }

    fn with(base: Instant, until: u64) -> Self {
        Self {
            base,
            until: AtomicU64::new(until),
            mark: AtomicU64::new(u64::MAX),
            wanted: AtomicU64::new(0),
            asked: Notify::new(),
            deposed: watch::Sender::new(0),
            generation: Mutex::new(0),
        }
    }

    fn since_base(&self, at: Instant) -> u64 {
        let nanoseconds = at.saturating_duration_since(self.base).as_nanos();
        // Never 0, which says that nothing is held.
        u64::try_from(nanoseconds).unwrap_or(FOREVER - 1).clamp(1, FOREVER - 1)
    }

    /// Whether it was held when that was last looked at: to be asked before a write is judged. It costs no look at the
    /// clock.
    pub fn is_held(&self) -> bool {
        self.until.load(Ordering::Acquire) != 0
    }

    /// Whether a write may be sent now: to be asked right before it is.
    pub fn holds(&self, now: impl FnOnce() -> Instant) -> bool {
        match self.until.load(Ordering::Acquire) {
            0 => false,
            FOREVER => true,
            until => self.since_base(now()) < until,
        }
    }

    /// When it ends if it is not extended; nothing where it is not held, or has no end.
    pub fn until(&self) -> Option<Instant> {
        match self.until.load(Ordering::Acquire) {
            0 | FOREVER => None,
            until => Some(self.base + Duration::from_nanos(until)),
        }
    }

    /// Which store it is about.
    pub fn generation(&self) -> u64 {
        *self.generation.lock()
    }

    /// It is held until then, and stamps up to the mark may be let in; unless it is about another store by now. Whether it
    /// is held.
    pub fn extend(&self, until: Instant, mark: u64, generation: u64) -> bool {
        let now = self.generation.lock();
        if *now == generation {
            // Who sees that it is held sees the mark.
            self.mark.store(mark, Ordering::Release);
            self.until.store(self.since_base(until), Ordering::Release);
        }
        *now == generation
    }

    /// From now on it is about another store, which has yet to be claimed. One without an end stays as it is.
    pub fn moved(&self) {
        let mut generation = self.generation.lock();
        *generation += 1;
        self.end();
    }

    /// It is held no more, and may be again. One without an end stays as it is.
    pub fn lapse(&self) {
        let _still = self.generation.lock();
        self.end();
    }

    /// To be called with the generation locked.
    fn end(&self) {
        if self.until.load(Ordering::Acquire) != FOREVER {
            self.until.store(0, Ordering::Release);
        }
    }

    /// It was lost to another: what is on its way has to stop.
    pub fn depose(&self) {
        self.lapse();
        self.deposed.send_modify(|times| *times += 1);
    }

    /// Tells when the claim is lost.
    pub fn depositions(&self) -> watch::Receiver<u64> {
        self.deposed.subscribe()
    }

    /// Whether a stamp may be let in.
    pub fn reaches(&self, stamp: u64) -> bool {
        stamp <= self.mark.load(Ordering::Acquire)
    }

    /// Asks for the mark to be raised to a stamp.
    pub fn want(&self, stamp: u64) {
        self.wanted.fetch_max(stamp, Ordering::AcqRel);
        self.asked.notify_one();
    }

    /// The greatest stamp that waits to be let in, or was; 0 where none has waited.
    pub fn wanted(&self) -> u64 {
        self.wanted.load(Ordering::Acquire)
    }

    /// Waits until a stamp waits to be let in.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_held_until_its_end_and_no_longer() {
        let start = Instant::now();
        let tenure = Tenure::none(start);
        let at = |millis| start + Duration::from_millis(millis);
        assert!(!tenure.is_held() && !tenure.holds(|| at(0)));
        assert!(tenure.extend(at(1000), 50, 0));
        assert!(tenure.is_held() && tenure.holds(|| at(0)) && tenure.holds(|| at(999)));
        assert!(
            !tenure.holds(|| at(1000)) && !tenure.holds(|| at(5000)),
            "whatever it looks like"
        );
        assert_eq!(tenure.until(), Some(at(1000)));
        assert!(tenure.extend(at(2000), 60, 0));
        assert!(tenure.holds(|| at(1500)) && tenure.reaches(60) && !tenure.reaches(61));
        tenure.lapse();
        assert!(!tenure.is_held() && !tenure.holds(|| at(0)));
    }

    #[test]
    fn without_an_end_the_clock_is_not_looked_at() {
        let tenure = Tenure::unlimited(Instant::now());
        assert!(tenure.is_held() && tenure.holds(|| panic!("nobody asks for the time")) && tenure.reaches(u64::MAX));
        assert_eq!(tenure.until(), None);
    }

    #[test]
    fn who_sends_is_told_that_it_was_deposed() {
        let tenure = Tenure::none(Instant::now());
        let told = tenure.depositions();
        assert!(tenure.extend(Instant::now() + Duration::from_secs(1), 0, 0));
        tenure.depose();
        assert!(!tenure.is_held() && told.has_changed().is_ok_and(|changed| changed));
        tenure.want(7);
        tenure.want(5);
        assert_eq!(tenure.wanted(), 7);
    }

    #[test]
    fn what_was_confirmed_by_one_store_says_nothing_of_the_next() {
        let tenure = Tenure::none(Instant::now());
        let until = Instant::now() + Duration::from_secs(1);
        let before = tenure.generation();
        assert!(tenure.extend(until, 1, before));
        tenure.moved();
        assert!(!tenure.is_held() && !tenure.extend(until, 1, before) && !tenure.is_held());
        assert!(tenure.extend(until, 1, tenure.generation()) && tenure.is_held());
    }
}
