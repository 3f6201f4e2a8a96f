//! How long a session waits, and for what.

use std::pin::Pin;
use std::time::Instant;

use tokio::time::Sleep;

use super::Task;
use crate::front::session::{BACKLOG_PAUSE, End};

impl Task {
    /// Sets the timer to an instant at or before the next at which something is overdue; false when there is none.
    pub(super) fn arm(&self, timer: Pin<&mut Sleep>, hungry: bool) -> bool {
        let waited_for = self.pipeline.looks_at();
        let half_sent = self.half_sent_until(hungry).filter(|_| !self.is_cut(hungry));
        let cut = self.cut.and_then(|cut| cut.next(self.session.channel.turn()));
        let paused = self.session.share.paused_until();
        let taken = self.taken_until();
        let ends = [waited_for, half_sent, cut, paused, taken, self.idle_until(hungry)];
        let Some(next) = ends.into_iter().flatten().min() else {
            return false;
        };
        // One that is set to an earlier instant stays: whoever asks often does not have it set again for each request.
        if timer.is_elapsed() || timer.deadline() > next.into() {
            timer.reset(next.into());
        }
        true
    }

    /// Until when the rest of a half-sent request is waited for.
    fn half_sent_until(&self, hungry: bool) -> Option<Instant> {
        let begun = self.begun.filter(|_| hungry && !self.input.is_empty())?;
        let deadline = begun + self.session.engine().settings().pairing.frame_deadline;
        Some(deadline.min(self.progress + self.patience()))
    }

    /// Until when a client with much unread has to take some of it.
    fn taken_until(&self) -> Option<Instant> {
        let settings = self.session.engine().settings();
        let (backlog, patience) = (settings.limits.session_backlog, settings.pairing.frame_timeout);
        let inner = &mut *self.session.inner.borrow_mut();
        inner
            .taking
            .until(inner.out.len(), backlog, patience, self.session.channel.turn())
    }

    /// Whether it has taken too little of that by now.
    fn takes_too_little(&self, now: Instant) -> bool {
        let least = self
            .session
            .engine()
            .settings()
            .limits
            .session_backlog
            .min(BACKLOG_PAUSE);
        let is_over = self.taken_until().is_some_and(|until| until <= now);
        let inner = &mut *self.session.inner.borrow_mut();
        is_over && inner.taking.is_stuck(inner.out.len(), least, now)
    }

    /// Until when a client may ask nothing. Whether it is owed anything shows by then.
    fn idle_until(&self, hungry: bool) -> Option<Instant> {
        let patience = self.session.engine().settings().limits.idle_timeout;
        let asks_nothing = hungry && self.input.is_empty() && self.last.is_none();
        (asks_nothing && !patience.is_zero()).then(|| self.served.max(self.progress) + patience)
    }

    pub(super) fn overdue(&mut self, hungry: bool) -> Option<End> {
        let now = self.session.channel.turn();
        if self.pipeline.fail_overdue(now) {
            return None;
        }
        let is_over = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        if self.takes_too_little(now) {
            return Some(End::Backlog);
        }
        let is_stuck = is_over(self.half_sent_until(hungry));
        if let (true, Some(cut)) = (is_stuck, &mut self.cut) {
            // What was asked before is still answered.
            cut.end_at(now);
            return None;
        }
        if is_stuck {
            return Some(End::HalfSent);
        }
        if is_over(self.idle_until(hungry)) {
            if self.session.channel.in_flight() == 0 && !self.session.owes() {
                return Some(End::Idle);
            }
            self.served = now;
        }
        None
    }
}
