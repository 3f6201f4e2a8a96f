//! What is counted, measured and noted of each verdict.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::command::Reason;
use crate::engine::Engine;
use crate::guard::spread::Lies;
use crate::guard::verdict::{Change, Refusal};
use crate::logging::RateLimit;
use crate::metrics::{Judged, Side};
use crate::recent::{Asker, Refused};

/// No clock is so far ahead: what is, is no time.
const NO_CLOCK: Duration = Duration::from_secs(30 * 24 * 3600);

impl Engine {
    /// Counts a change that was let through.
    pub fn count_passage(&self, asker: Asker<'_>, change: Change<'_>) {
        let judged = match change {
            Change::Stamped { .. } | Change::Made => Judged::Accepted,
            Change::Unstamped => Judged::Unstamped,
            Change::Delete | Change::DeleteAt(_) => Judged::Deleted,
            Change::Unordered => Judged::Unordered,
            Change::Tidy => return,
        };
        self.shared.metrics.verdicts.of(judged, asker.protocol).increment(1);
    }

    /// Counts where the stamp of a judged value lies, and measures how far that is from the clock: so that it can be seen
    /// whether values carry a stamp at all, and whose clock is right.
    pub fn measure_stamp(&self, change: Change<'_>, refusal: Option<Refusal>) {
        let lies = match change {
            Change::Stamped { stamp, .. } => match (self.measure_offset(stamp), refusal) {
                (None, _) => Lies::Timeless,
                (_, Some(Refusal::Future)) => Lies::Future,
                (Some(age), _) => Lies::behind(age),
            },
            Change::Unstamped => Lies::Nowhere,
            Change::Delete | Change::DeleteAt(_) | Change::Made | Change::Unordered | Change::Tidy => return,
        };
        self.shared.metrics.stamps.of(lies).increment(1);
    }

    /// Measures how far a stamp is from the clock. Returns how far behind it is, where it is a time.
    fn measure_offset(&self, stamp: u64) -> Option<Duration> {
        let shared = &self.shared;
        let format = shared.guard.stamp();
        let now = format.at((shared.clock)())?;
        let (side, offset) = if stamp <= now {
            (Side::Behind, format.between(stamp, now))
        } else {
            (Side::Ahead, format.between(now, stamp))
        };
        let offset = offset.unwrap_or_default();
        shared.metrics.stamp_offset.of(side).record(offset);
        Some(if side == Side::Behind { offset } else { Duration::ZERO })
    }

    /// Counts a refusal, carried out or, in observe mode, not; takes note of it and logs it.
    pub fn note_refusal(&self, asker: Asker<'_>, key: &Bytes, change: Change<'_>, refusal: Refusal) {
        let shared = &self.shared;
        let (metrics, format) = (&shared.metrics, shared.guard.stamp());
        let (enforced, at) = (shared.guard.enforces(), (shared.clock)());
        let stamp = match change {
            Change::Stamped { stamp, .. } | Change::DeleteAt(stamp) => Some(stamp),
            Change::Unstamped | Change::Delete | Change::Made | Change::Unordered | Change::Tidy => None,
        };
        let (newer, off_by) = match (refusal, stamp) {
            (Refusal::Stale { newer }, Some(stamp)) => (Some(newer), format.between(stamp, newer)),
            (Refusal::Stale { newer }, None) => (Some(newer), None),
            (Refusal::Future, Some(stamp)) => {
                let ahead = format.at(at).and_then(|now| format.between(now, stamp));
                (None, ahead)
            }
            _ => (None, None),
        };
        if let (Refusal::Stale { .. }, Some(age)) = (refusal, off_by) {
            metrics.stale_age.record(age);
        }
        if enforced {
            let verdict = Judged::refused(refusal.reason());
            metrics.verdicts.of(verdict, asker.protocol).increment(1);
        } else {
            let reason = refusal.reason();
            metrics.observed.of(reason, asker.protocol).increment(1);
        }
        let key_hash = shared.guard.key(key).short();
        let is_first = shared.recent.refused(Refused {
            at,
            key,
            key_hash,
            asker,
            reason: refusal.reason(),
            stamp,
            newer,
            off_by,
            enforced,
        });
        if let (true, Refusal::Future, Some(ahead)) = (is_first, refusal, off_by) {
            self.hint(asker, key, ahead);
        }
        // A stamp of the far future is most likely none, but a part of the value, which is never logged.
        let (stamp, off_by) = match (refusal, off_by) {
            (Refusal::Stale { .. }, off_by) => (stamp, off_by),
            (_, off_by) => (None, off_by.filter(|ahead| *ahead < NO_CLOCK)),
        };
        let key = || self.settings().admin_keys.write(key, key_hash);
        log_refusal(asker, key, refusal.reason(), (stamp, newer, off_by), enforced);
    }

    /// The first time that a client is refused for a time that is yet to come, it is told to whoever runs this what that
    /// may mean: the client itself is given a code at most.
    fn hint(&self, asker: Asker<'_>, key: &Bytes, ahead: Duration) {
        static LOG: RateLimit = RateLimit::new(Duration::from_secs(1));
        let Some(suppressed) = LOG.admit(Instant::now()) else {
            return;
        };
        let shared = &self.shared;
        let key = self.settings().admin_keys.write(key, shared.guard.key(key).short());
        let (client, digits, enforced) = (asker.who, shared.guard.stamp().digits(), shared.guard.enforces());
        if ahead < NO_CLOCK {
            let ahead_seconds = ahead.as_secs_f64();
            tracing::warn!(key, %client, ahead_seconds, enforced, suppressed, "a stamp is further ahead than future_tolerance: is the clock of this client right?");
        } else {
            let years = ahead.as_secs() / (365 * 24 * 3600);
            tracing::warn!(
                key,
                %client,
                digits,
                years_ahead = years,
                enforced,
                suppressed,
                "the digits at the head of a value are a time far ahead: does this value carry a stamp? stamp.digits says how \
                 many digits are one; with --mode observe nothing is refused, and what would be is counted"
            );
        }
    }
}

/// Says that a write is refused, or, in observe mode, would be: with its stamp, that of what is stored, and how far the two,
/// or the first and the clock, are apart.
fn log_refusal(
    asker: Asker<'_>,
    key: impl FnOnce() -> String,
    reason: Reason,
    (stamp, newer, apart): (Option<u64>, Option<u64>, Option<Duration>),
    enforced: bool,
) {
    static LOG: RateLimit = RateLimit::new(Duration::from_secs(1));
    let Some(suppressed) = LOG.admit(Instant::now()) else {
        return;
    };
    let (key, client, reason) = (key(), asker.who, reason.name());
    let by_seconds = apart.map(|apart| apart.as_secs_f64());
    if enforced {
        tracing::info!(key, %client, reason, stamp, newer, by_seconds, suppressed, "refused a write");
    } else {
        tracing::info!(
            key,
            %client,
            reason,
            stamp,
            newer,
            by_seconds,
            suppressed,
            "let a write through that would be refused in enforce mode"
        );
    }
}
