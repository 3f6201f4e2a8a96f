//! How a worker knows that it was kept from its sockets: by long work of its own, or because the process or the machine
//! stood still.
//!
//! What comes in such a stall waits in the kernel, which does not say for how long. It counts as having come when the
//! worker looked last: a request that may be past its deadline is one, and its client is reset rather than answered when
//! it may ask for something else already.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::task::yield_now;
use tokio::time::sleep;

use crate::clock::now;
use crate::engine::Engine;
use crate::logging::RateLimit;

/// Beats in the time that a request may take: what is not seen of a stall is an eighth of that at most.
const BEATS: u32 = 16;

/// The least time between two beats: what is less is as likely a busy machine.
const PERIOD_MIN: Duration = Duration::from_millis(5);

/// The most: with more, short stalls would hardly be seen, with less a worker that rests would hardly sleep.
const PERIOD_MAX: Duration = Duration::from_millis(125);

/// Sockets that the runtime finds ready in one look at them.
const READY_MAX: usize = 1024;

/// The heartbeat of one worker.
#[derive(Debug)]
pub struct Heartbeat {
    period: Cell<Duration>,
    last: Cell<Instant>,
    /// Since when what is read now may have waited, while the worker catches up with a stall.
    behind: Cell<Option<Instant>>,
}

impl Heartbeat {
    /// It beats so often that a stall is seen which is long for a request that may take `request_timeout`.
    pub fn new(request_timeout: Duration, now: Instant) -> Self {
        Self {
            period: Cell::new(period_of(request_timeout)),
            last: Cell::new(now),
            behind: Cell::new(None),
        }
    }

    /// When bytes that are read `now` came, at the earliest.
    pub fn came(&self, now: Instant) -> Instant {
        let last = self.last.get();
        let is_late = now.saturating_duration_since(last) > 2 * self.period.get();
        self.behind.get().unwrap_or(if is_late { last } else { now })
    }

    /// Beats `now`; how long the beat was due.
    fn beat(&self, now: Instant) -> Duration {
        let last = self.last.replace(now);
        let since = now.saturating_duration_since(last);
        if since > 2 * self.period.get() && self.behind.get().is_none() {
            self.behind.set(Some(last));
        }
        since.saturating_sub(self.period.get())
    }

    /// What came in a stall has been read.
    fn caught_up(&self, now: Instant) {
        self.behind.set(None);
        self.last.set(now);
    }
}

fn period_of(request_timeout: Duration) -> Duration {
    (request_timeout / BEATS).clamp(PERIOD_MIN, PERIOD_MAX)
}

/// Keeps the worker's heart beating, for as long as it is polled.
pub async fn attend(engine: Rc<Engine>, heartbeat: Rc<Heartbeat>) {
    loop {
        heartbeat
            .period
            .set(period_of(engine.settings().pairing.request_timeout));
        sleep(heartbeat.period.get()).await;
        let due = heartbeat.beat(now());
        let metrics = &engine.shared.metrics;
        metrics.worker_delay.record(due);
        if heartbeat.behind.get().is_some() {
            metrics.worker_stalls.increment(1);
            note_stall(due);
            // Each time the runtime has looked at the sockets, and whoever was woken by that has had its turn.
            for _ in 0..2 + engine.shared.sessions.load(Ordering::Relaxed) / READY_MAX {
                yield_now().await;
            }
            heartbeat.caught_up(now());
        }
    }
}

fn note_stall(due: Duration) {
    static LOG: RateLimit = RateLimit::new(Duration::from_secs(10));
    if let Some(suppressed) = LOG.admit(Instant::now()) {
        tracing::warn!(
            ?due,
            suppressed,
            "a worker was kept from its sockets: the machine is overloaded, the process stood still, or something took long; \
             what waited too long for that is reset, not answered late"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(100);

    #[test]
    fn it_beats_often_enough_to_see_what_is_long_for_a_request() {
        let of = |millis| period_of(Duration::from_millis(millis)).as_millis();
        assert_eq!((of(10), of(160), of(2000), of(60_000)), (5, 10, 125, 125));
    }

    #[test]
    fn what_is_read_after_a_stall_came_when_it_began() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let heartbeat = Heartbeat::new(PERIOD * BEATS, start);
        assert_eq!(heartbeat.came(at(90)), at(90));
        assert_eq!(heartbeat.beat(at(100)), Duration::ZERO);
        assert_eq!(heartbeat.came(at(300)), at(300), "it is one beat late");
        // Before it beats again, and until all that waited is read.
        assert_eq!(heartbeat.came(at(3100)), at(100));
        assert_eq!(heartbeat.beat(at(3100)), Duration::from_millis(2900));
        assert_eq!(heartbeat.came(at(3101)), at(100));
        // A second one while it catches up does not make the first one shorter.
        assert_eq!(heartbeat.beat(at(4000)), Duration::from_millis(800));
        assert_eq!(heartbeat.came(at(4001)), at(100));
        heartbeat.caught_up(at(4002));
        assert_eq!(heartbeat.came(at(4003)), at(4003));
    }
}
