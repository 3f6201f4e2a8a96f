//! How often everything has changed at once.
//!
//! Keys with something under way can be very many. What such a change does to each of them is done when it is looked at
//! next: until then nobody has used what is known of it, so that it makes no difference, and to tell all of them takes
//! no longer than to tell one.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// In a cache line of its own: it is read with each judgement, and hardly ever written.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Upheavals {
    count: AtomicU32,
    bound: AtomicU64,
}

impl Upheavals {
    /// How many there were. Where it is not what it was, nothing holds that was known of any key.
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// No stamp above this can be stored of a key that has not been looked at since.
    pub(super) fn bound(&self) -> u64 {
        self.bound.load(Ordering::Relaxed)
    }

    /// There is one more.
    pub(super) fn add(&self, bound: u64) {
        // Before the count, which shows it.
        self.bound.fetch_max(bound, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Release);
    }
}
