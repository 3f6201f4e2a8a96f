//! When the requests of an open loop are due, and waiting for that.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// What one connection sends of a fixed rate: every so manieth request, in its turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    start: Instant,
    rate: u64,
    connections: u64,
    /// Of the next request, counted over all connections.
    index: u64,
}

impl Schedule {
    /// The requests of the connection with this number, of `rate` a second over all `connections`.
    pub fn new(start: Instant, rate: u64, connections: usize, number: usize) -> Self {
        Self {
            start,
            rate,
            connections: connections as u64,
            index: number as u64,
        }
    }

    /// When the next request is due. It stays so, however long those before it took.
    pub fn due(&self) -> Instant {
        let nanoseconds = u128::from(self.index) * 1_000_000_000 / u128::from(self.rate);
        self.start + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// The next request has been sent.
    pub fn advance(&mut self) {
        self.index += self.connections;
    }

    /// How many requests are due from now on and before `end`.
    pub fn left_before(&self, end: Instant) -> u64 {
        let time = end.saturating_duration_since(self.start).as_nanos();
        let before = (time * u128::from(self.rate)).div_ceil(1_000_000_000);
        let before = u64::try_from(before).unwrap_or(u64::MAX);
        before.saturating_sub(self.index).div_ceil(self.connections)
    }
}

/// Waits for instants.
#[derive(Debug)]
pub(super) enum Pacer {
    /// To the microsecond or so, by a timer of the kernel: tokio's own count whole milliseconds, and whatever they are
    /// late would be measured as the server's latency.
    Fine(AsyncFd<OwnedFd>),
    /// To the millisecond, where there is no such timer.
    Coarse,
}

impl Pacer {
    /// A pacer; to be called within a runtime.
    pub fn new() -> Self {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let Ok(timer) = timerfd_create(TimerfdClockId::Monotonic, flags) else {
            return Self::Coarse;
        };
        ttguard_descriptors::watched(timer).map_or(Self::Coarse, Self::Fine)
    }

    /// Waits until it is `due`; not at all where it already was.
    pub async fn wait(&self, due: Instant) {
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            match self {
                Self::Fine(timer) if set(timer, left).is_ok() => match timer.readable().await {
                    // Setting it again takes back that it has fired.
                    Ok(mut fired) => fired.clear_ready(),
                    Err(_) => tokio::time::sleep_until(due).await,
                },
                _ => tokio::time::sleep_until(due).await,
            }
        }
    }
}

fn set(timer: &AsyncFd<OwnedFd>, left: Duration) -> rustix::io::Result<()> {
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    let it_value = Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    };
    let once = Itimerspec {
        it_interval: zero,
        it_value,
    };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &once).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_connections_together_keep_the_rate() {
        let start = Instant::now();
        let mut dues = Vec::new();
        for number in 0..3 {
            let mut schedule = Schedule::new(start, 10, 3, number);
            for _ in 0..4 {
                dues.push(schedule.due() - start);
                schedule.advance();
            }
        }
        dues.sort();
        let expected: Vec<_> = (0..12).map(|index| Duration::from_millis(index * 100)).collect();
        assert_eq!(dues, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_moves_no_due_time_after_it() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, 100, 1, 0);
        let mut latencies = Vec::new();
        for answer_takes in [5, 45, 1, 1, 1, 1, 1, 1] {
            let due = schedule.due();
            schedule.advance();
            Pacer::Coarse.wait(due).await;
            tokio::time::sleep(Duration::from_millis(answer_takes)).await;
            latencies.push((Instant::now() - due).as_millis());
        }
        // Due at 0, 10, 20... What waits behind the slow one is as late as whoever asked for it saw it.
        assert_eq!(latencies, [5, 45, 36, 27, 18, 9, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_is_what_would_still_have_been_sent() {
        let start = Instant::now();
        for (rate, connections, number) in [(10, 3, 0), (10, 3, 2), (7, 2, 1), (1, 5, 4)] {
            for end in [0, 1, 333, 1000, 4001] {
                let end = start + Duration::from_millis(end);
                let schedule = Schedule::new(start, rate, connections, number);
                let mut sending = schedule;
                let mut sent = 0;
                while sending.due() < end {
                    sending.advance();
                    sent += 1;
                }
                assert_eq!(schedule.left_before(end), sent, "{rate} {connections} {number} {end:?}");
            }
        }
    }

    #[tokio::test]
    async fn the_fine_pacer_waits_and_can_be_used_again() {
        let pacer = Pacer::new();
        for _ in 0..20 {
            let due = Instant::now() + Duration::from_micros(300);
            pacer.wait(due).await;
            assert!(Instant::now() >= due);
        }
        pacer.wait(Instant::now()).await;
    }
}
