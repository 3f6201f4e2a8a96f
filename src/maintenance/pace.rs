//! How fast records are changed.

use std::thread;
use std::time::{Duration, Instant};

/// So many changes in a second at most.
pub(super) struct Pace {
    rate: Option<u64>,
    /// When the next one may be made.
    due: Instant,
}

impl Pace {
    /// Of so many in a second; as fast as can be where there is no rate.
    pub(super) fn of(rate: Option<u64>) -> Self {
        Self {
            rate,
            due: Instant::now(),
        }
    }

    /// Waits until one more may be made. Time that was lost is not made up for.
    pub(super) fn wait(&mut self) {
        let Some(rate) = self.rate else {
            return;
        };
        let now = Instant::now();
        thread::sleep(self.due.saturating_duration_since(now));
        self.due = self.due.max(now) + Duration::from_secs(1) / u32::try_from(rate).unwrap_or(u32::MAX);
    }
}
