//! What a process has to know to give stamps, shared by its workers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::time::GuardTime;
use crate::guard::hybrid::HybridClock;
use crate::guard::stamp::StampFormat;

/// How long a start waits for the clock to pass what was let in before it, at most: where it is further ahead than that, the
/// clock was put back, and what is given goes on from there.
const START_WAIT: Duration = Duration::from_secs(2);

/// For so long a guard may let in stamps after it raised the mark of its claim last, as far as its clock goes.
const RENEWALS: Duration = Duration::from_secs(1);

/// What a process has to know to give stamps.
#[derive(Debug)]
pub struct Giving {
    /// The time of an edge's guard.
    pub time: GuardTime,
    clock: HybridClock,
    /// Stamps that are given here are above this one, which was let in before this process gave any.
    before: AtomicU64,
    /// The newest stamp that was let in here, of those that ttguard gave.
    let_in: AtomicU64,
}

/// Raises a number that many raise, and mostly finds it there.
fn raise(number: &AtomicU64, to: u64) {
    if number.load(Ordering::Acquire) < to {
        number.fetch_max(to, Ordering::AcqRel);
    }
}

impl Giving {
    /// Of a process that has given none yet.
    pub fn new(now: Instant) -> Self {
        Self {
            time: GuardTime::new(now),
            clock: HybridClock::default(),
            before: AtomicU64::new(0),
            let_in: AtomicU64::new(0),
        }
    }

    /// A stamp at this time; nothing as long as it could be one that was given before this process began.
    pub fn give(&self, format: StampFormat, now: Duration) -> Option<u64> {
        let (now, before) = (format.at(now)?, self.before.load(Ordering::Acquire));
        if now <= before {
            if format.between(now, before).unwrap_or_default() <= START_WAIT {
                return None;
            }
            self.clock.learn(before);
        }
        Some(self.clock.take(now))
    }

    /// The newest stamp that was given or learnt; 0 where none was.
    pub fn newest_given(&self) -> u64 {
        self.clock.last()
    }

    /// A client is about to see this stamp: what is given from now on is above it.
    pub fn learn(&self, stamp: u64) {
        self.clock.learn(stamp);
    }

    /// A write with this stamp was let in here.
    pub fn let_in(&self, stamp: u64) {
        raise(&self.let_in, stamp);
    }

    /// The newest stamp that is known to have been let in, here or before.
    pub fn newest(&self) -> u64 {
        let before = self.before.load(Ordering::Acquire);
        self.let_in.load(Ordering::Acquire).max(before)
    }

    /// The guard of an edge that has given nothing yet knows of this stamp.
    pub fn begin_at_edge(&self, newest: u64) {
        if self.clock.last() == 0 {
            raise(&self.before, newest);
        }
    }

    /// A guard begins behind another, which let in no stamp above this mark. Where that is not known to be exact, the mark
    /// was up to `lead` ahead of that guard's clock.
    pub fn begin_at_guard(&self, format: StampFormat, mark: u64, is_exact: bool, lead: Duration, now: Duration) {
        if !format.is_given() {
            return;
        }
        let ahead = lead.saturating_sub(RENEWALS).as_micros();
        let newest = mark.saturating_sub(if is_exact { 0 } else { u64::try_from(ahead).unwrap_or(0) });
        // A mark that is further ahead was raised for somebody whose clock was: it says nothing of what was given.
        if is_exact || format.at(now + lead).is_some_and(|furthest| newest <= furthest) {
            raise(&self.before, newest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn giving() -> (Giving, StampFormat, impl Fn(u64) -> Duration) {
        let seconds = |seconds| Duration::from_secs(1_700_000_000 + seconds);
        (
            Giving::new(Instant::now()),
            StampFormat::given(Default::default()),
            seconds,
        )
    }

    #[test]
    fn an_edge_that_begins_waits_for_the_clock_to_pass_what_was_let_in() {
        let (edge, format, at) = giving();
        edge.begin_at_edge(format.at(at(1)).expect("a time"));
        assert_eq!(edge.give(format, at(0)), None);
        assert_eq!(edge.give(format, at(1)), None, "not the same twice");
        assert_eq!(edge.give(format, at(2)), format.at(at(2)));
        // What its guards say later it has been told by what it was answered.
        edge.begin_at_edge(format.max());
        assert_eq!(edge.give(format, at(3)), format.at(at(3)));
    }

    #[test]
    fn where_the_clock_was_put_back_stamps_go_on_from_what_was_let_in() {
        let (edge, format, at) = giving();
        let newest = format.at(at(3600)).expect("a time");
        edge.begin_at_edge(newest);
        assert_eq!(edge.give(format, at(0)), Some(newest + 1));
        assert_eq!(edge.give(format, at(1)), Some(newest + 2));
    }

    #[test]
    fn a_guard_that_begins_knows_what_the_mark_says() {
        let lead = Duration::from_secs(5);
        for (mark, is_exact, newest) in [
            // Left in order: the mark is what was let in.
            (2, true, Some(2)),
            // Killed: the mark was ahead by the lead, but for the last renewal.
            (5, false, Some(1)),
            (200, true, Some(200)),
            // Raised for somebody far ahead.
            (200, false, None),
        ] {
            let (guard, format, at) = giving();
            let mark = format.at(at(mark)).expect("a time");
            guard.begin_at_guard(format, mark, is_exact, lead, at(0));
            let newest = newest.map_or(0, |newest| format.at(at(newest)).expect("a time"));
            assert_eq!(guard.newest(), newest, "{mark} {is_exact}");
            guard.let_in(newest + SECOND);
            assert_eq!(guard.newest(), newest + SECOND);
        }
    }
}
