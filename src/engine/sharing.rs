//! Whether puts that come together may be stored by one request.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::config::SharedPuts;
use crate::engine::Engine;
use crate::logging::RateLimit;
use crate::store::capabilities::SharedPuts as Shares;

/// How long puts go out by themselves after a request that they shared has failed: what makes it fail, such as a full
/// disk, most often lasts, and each failure costs every put in it two exchanges more.
const APART: Duration = Duration::from_secs(1);

/// How long it is not said again that shared requests fail.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// When a request that puts shared has failed last.
#[derive(Debug, Default)]
pub struct Sharing {
    apart_until: Cell<Option<Instant>>,
}

impl Sharing {
    fn may(&self, now: Instant) -> bool {
        self.apart_until.get().is_none_or(|until| until <= now)
    }

    /// A shared request has failed.
    pub fn failed(&self, now: Instant) {
        static LOG: RateLimit = RateLimit::new(LOG_INTERVAL);
        self.apart_until.set(Some(now + APART));
        if let Some(suppressed) = LOG.admit(now) {
            tracing::warn!(
                suppressed,
                "the backend has not stored all of several puts that went out as one putlist: each goes out again by itself"
            );
        }
    }
}

impl Engine {
    /// Whether a put may share its request now. `is_listed` says that it goes out as a `putlist` in any case.
    pub fn shares_puts(&self, is_listed: bool, now: Instant) -> bool {
        let can = self.capabilities();
        let may = match (self.settings().shared_puts, can.shared_puts) {
            (SharedPuts::Off, _) => false,
            (SharedPuts::Hash | SharedPuts::All, Shares::Same) | (SharedPuts::All, Shares::SameIfUnbounded) => true,
            _ => is_listed && can.lists_replace(),
        };
        may && !self.denies_misc() && self.sharing.may(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_puts_go_out_by_themselves_for_a_while() {
        let (sharing, now) = (Sharing::default(), Instant::now());
        assert!(sharing.may(now));
        sharing.failed(now);
        assert!(!sharing.may(now + APART / 2));
        sharing.failed(now + APART / 2);
        assert!(!sharing.may(now + APART));
        assert!(sharing.may(now + APART * 3 / 2));
        assert!(sharing.may(now + APART * 3 / 2));
    }
}
