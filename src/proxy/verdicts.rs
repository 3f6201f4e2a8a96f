//! What is counted, measured and noted of each verdict.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::account;
use super::worker::Worker;
use crate::guard::verdict::{Change, Refusal};
use crate::journal::{Asker, Refused};
use crate::logging::RateLimit;
use crate::metrics::{Judged, Side};

impl Worker {
    /// Counts a change that was let through.
    pub fn count_passage(&self, asker: Asker, change: Change<'_>) {
        let judged = match change {
            Change::Stamped { .. } => Judged::Accepted,
            Change::Unstamped => Judged::Unstamped,
            Change::Delete => Judged::Deleted,
            Change::Unordered => Judged::Unordered,
            Change::Tidy => return,
        };
        self.shared.metrics.verdicts.of(judged, asker.protocol).increment(1);
    }

    /// Measures how far a stamp is from the clock.
    pub fn measure_offset(&self, stamp: u64) {
        let shared = &self.shared;
        let format = shared.guard.stamp();
        let Some(now) = format.at((shared.clock)()) else {
            return;
        };
        let (side, offset) = if stamp <= now {
            (Side::Behind, format.between(stamp, now))
        } else {
            (Side::Ahead, format.between(now, stamp))
        };
        shared.metrics.stamp_offset.of(side).record(offset.unwrap_or_default());
    }

    /// Counts a refusal, carried out or, in observe mode, not; takes note of it and logs it.
    pub fn note_refusal(&self, asker: Asker, key: &Bytes, change: Change<'_>, refusal: Refusal) {
        static LOG: RateLimit = RateLimit::new(Duration::from_secs(1));
        let shared = &self.shared;
        let (metrics, format) = (&shared.metrics, shared.guard.stamp());
        let (enforced, at) = (shared.guard.enforces(), (shared.clock)());
        let stamp = match change {
            Change::Stamped { stamp, .. } => Some(stamp),
            Change::Unstamped | Change::Delete | Change::Unordered | Change::Tidy => None,
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
            let verdict = account::judged(refusal);
            metrics.verdicts.of(verdict, asker.protocol).increment(1);
        } else {
            let reason = account::observed(refusal);
            metrics.observed.of(reason, asker.protocol).increment(1);
        }
        let key_hash = shared.guard.key(key).short();
        shared.journal.refused(Refused {
            at,
            key,
            key_hash,
            asker,
            reason: account::observed(refusal),
            stamp,
            newer,
            off_by,
            enforced,
        });
        if let Some(suppressed) = LOG.admit(Instant::now()) {
            let key = self.settings().admin_keys.write(key, key_hash);
            let client = asker.peer;
            tracing::info!(key, %client, ?refusal, enforced, suppressed, "refused a write");
        }
    }
}
