//! Stamps from the clock of the process, which never steps back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Turns instants into stamps of milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: Instant,
    /// The stamp of the origin.
    stamp: u64,
    late_by: u64,
}

impl Clock {
    /// A clock that begins now, whose late stamps are late by so much.
    pub fn start(late_by: Duration) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            origin: Instant::now(),
            stamp: milliseconds(since_epoch),
            late_by: milliseconds(late_by),
        }
    }

    /// The stamp of a write that is sent then.
    pub fn stamp(&self, then: Instant, late: bool) -> u64 {
        let stamp = self.stamp + milliseconds(then.saturating_duration_since(self.origin));
        if late {
            stamp.saturating_sub(self.late_by)
        } else {
            stamp
        }
    }

    /// Older than every stamp that can be written.
    pub fn base(&self) -> u64 {
        self.stamp.saturating_sub(self.late_by + 1)
    }

    /// A stamp relative to that, at least 1; in 32 bits there is room for seven weeks.
    pub fn relative(&self, stamp: u64) -> u32 {
        u32::try_from(stamp.saturating_sub(self.base()).max(1)).unwrap_or(u32::MAX)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn stamps_follow_time_and_late_ones_stay_behind() {
        let clock = Clock::start(Duration::from_secs(10));
        let then = Instant::now() + Duration::from_millis(5);
        let (stamp, late) = (clock.stamp(then, false), clock.stamp(then, true));
        assert_eq!(stamp - late, 10_000);
        assert_eq!(clock.relative(late), 6);
        assert_eq!(clock.relative(stamp), 10_006);
        assert_eq!(clock.base() + u64::from(clock.relative(stamp)), stamp);
        assert_eq!(clock.relative(0), 1);
        assert_eq!(stamp.to_string().len(), 13);
    }
}
