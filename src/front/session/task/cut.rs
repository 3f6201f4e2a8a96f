//! When a session of a proxy that drains has heard enough.

use std::time::{Duration, Instant};

use super::Task;
use crate::clock::now;
use crate::front::session::End;
use crate::front::session::ending::LINGER;

/// How long a drained session waits for a moment in which its client asks nothing. One that asks again as soon as it is
/// answered never has such a moment.
const PAUSE: Duration = Duration::from_millis(100);

/// The end of a client's requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// No request that begins later is read.
    first_bytes: Instant,
    /// Nothing is read any more.
    last_bytes: Instant,
}

impl Cut {
    /// That of a drain which begins at this instant.
    pub(super) fn from(drain: Instant) -> Self {
        let first_bytes = drain + PAUSE;
        Self {
            first_bytes,
            last_bytes: first_bytes + LINGER,
        }
    }

    /// Nothing is read from this instant on.
    pub(super) fn end_at(&mut self, now: Instant) {
        self.first_bytes = self.first_bytes.min(now);
        self.last_bytes = now;
    }

    /// The next instant at which less is read than before it.
    pub(super) fn next(self, now: Instant) -> Option<Instant> {
        let instants = [self.first_bytes, self.last_bytes];
        instants.into_iter().filter(|instant| *instant > now).min()
    }
}

impl Task {
    /// Whether a drained session's client has asked for more meanwhile. Its answers are acknowledged when this returns,
    /// and nothing has come since: so the reset that follows takes nothing away but what crosses it on its way. What has
    /// come is to be read, even when the time for that is over by then.
    pub(super) async fn asks_on(&self, end: &End) -> bool {
        let writer = self.session.writer.borrow().clone();
        let (End::Drain, false, Some(writer)) = (end, self.at_end || self.is_cut(true), writer) else {
            return false;
        };
        writer.acknowledged(LINGER).await;
        !self.is_cut(true) && writer.has_unread()
    }

    /// Whether nothing more is read of a drained session.
    pub(super) fn is_cut(&self, hungry: bool) -> bool {
        let is_half_sent = hungry && !self.input.is_empty();
        self.cut.is_some_and(|cut| {
            let until = if is_half_sent { cut.last_bytes } else { cut.first_bytes };
            until <= now()
        })
    }

    /// How long a half-sent request may stay without progress.
    pub(super) fn patience(&self) -> Duration {
        let patience = self.session.engine().settings().pairing.frame_timeout;
        match self.cut {
            Some(_) => patience.min(LINGER),
            None => patience,
        }
    }
}
