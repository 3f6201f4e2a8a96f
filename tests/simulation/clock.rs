//! The guard's own clock: what it shows, and what it has shown.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// A clock as a guard is given it.
pub type GuardClock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The true clock at the start, in milliseconds since the epoch.
const EPOCH: u64 = 1_700_000_000_000;

/// A clock was set.
#[derive(Clone, Copy, Debug)]
struct Setting {
    step: u64,
    /// Milliseconds since the start.
    at: u64,
    /// Milliseconds ahead of the true clock.
    offset: i64,
}

/// A clock that can be wrong. Milliseconds since the epoch.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    offset: Arc<AtomicI64>,
    settings: RefCell<Vec<Setting>>,
}

fn shown(at: u64, offset: i64) -> u64 {
    (EPOCH + at).saturating_add_signed(offset)
}

impl Clock {
    /// A clock that is right.
    pub fn new(start: Instant) -> Self {
        let first = Setting {
            step: 0,
            at: 0,
            offset: 0,
        };
        Self {
            start,
            offset: Arc::default(),
            settings: RefCell::new(vec![first]),
        }
    }

    /// The clock as a guard sees it.
    pub fn of_guard(&self) -> GuardClock {
        let (start, offset) = (self.start, Arc::clone(&self.offset));
        Arc::new(move || {
            let right = Duration::from_millis(EPOCH) + (Instant::now() - start);
            let offset = offset.load(Ordering::Relaxed);
            let wrong = Duration::from_millis(offset.unsigned_abs());
            if offset < 0 { right - wrong } else { right + wrong }
        })
    }

    /// Milliseconds since the start.
    pub fn elapsed(&self) -> u64 {
        (Instant::now() - self.start).as_millis() as u64
    }

    /// Sets it; `offset` is how far ahead of the true clock it is from now on. Returns how far it has jumped.
    pub fn set(&self, step: u64, offset: i64) -> i64 {
        let at = self.elapsed();
        self.settings.borrow_mut().push(Setting { step, at, offset });
        offset - self.offset.swap(offset, Ordering::Relaxed)
    }

    /// How far ahead of the true clock it is.
    pub fn offset(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// What it shows.
    pub fn now(&self) -> u64 {
        shown(self.elapsed(), self.offset())
    }

    /// What a clock shows that is right.
    pub fn right(&self) -> u64 {
        shown(self.elapsed(), 0)
    }

    /// The most that it has shown since this step.
    pub fn most_since(&self, step: u64) -> u64 {
        let settings = self.settings.borrow();
        let set = settings.windows(2).filter(|pair| pair[1].step >= step);
        let before = set.map(|pair| shown(pair[1].at, pair[0].offset));
        before.fold(self.now(), u64::max)
    }

    /// The least that it has shown since this step, at which it showed `then`.
    pub fn least_since(&self, step: u64, then: u64) -> u64 {
        let settings = self.settings.borrow();
        let set = settings.iter().filter(|setting| setting.step >= step);
        set.map(|setting| shown(setting.at, setting.offset))
            .fold(then, u64::min)
    }
}
