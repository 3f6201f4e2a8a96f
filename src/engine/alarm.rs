//! What must never happen: counted, and said as an error.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::spawn_local;

use crate::access::keys::KeyAccess;
use crate::clock::now;
use crate::command::{Command, Reply};
use crate::engine::Engine;
use crate::engine::completion::Purpose;
use crate::engine::shared::Shared;
use crate::engine::write::settlement::Tickets;
use crate::guard::Receded;
use crate::guard::ledger::KeyHash;
use crate::guard::verdict::{Change, Learnt, ReadBack};
use crate::logging::RateLimit;
use crate::metrics::{Alarm, Label};
use crate::store::capabilities::Lists;

/// How long an alarm of one kind is not logged again.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

impl Shared {
    /// Something has happened that must not. `what` says what was seen.
    pub fn raise(&self, alarm: Alarm, what: &str) {
        static LOGS: [RateLimit; Alarm::ALL.len()] = [const { RateLimit::new(LOG_INTERVAL) }; Alarm::ALL.len()];
        self.metrics.alarms.of(alarm).increment(1);
        if let Some(suppressed) = LOGS[alarm.index()].admit(now()) {
            tracing::error!(alarm = alarm.as_str(), suppressed, "{what}");
        }
    }
}

impl Engine {
    /// The backend's answer to a command as clients with this access may see it; nothing, and an alarm, where it shows
    /// what they must not.
    pub fn own(&self, access: &KeyAccess, command: &Command, reply: Reply) -> Option<Reply> {
        self.shown(access.leave(command, reply))
    }

    /// As [`Self::own`], once the answer was looked through.
    pub fn shown(&self, own: Option<Reply>) -> Option<Reply> {
        if own.is_none() {
            let what = "a client would have been shown a key outside of its prefix";
            self.shared.raise(Alarm::ForeignKey, what);
        }
        own
    }

    /// The newest stamp of a key that the backend is known to hold, where nothing puts it in doubt.
    pub fn confirmed(&self, key: &Bytes) -> Option<u64> {
        self.shared.guard.confirmed(self.hash_of(key))
    }

    /// Holds what was read of a key, asked for when `confirmed` was confirmed, against what is confirmed now. Where the
    /// two differ a write has come between, and what was read says nothing. A value may be of an older stamp than its
    /// record (a `putcat` after a delete begins one with any digits), so both are read before anything is said.
    pub fn check_stamp(self: &Rc<Self>, link: usize, key: &Bytes, confirmed: Option<u64>, value: &[u8]) {
        let Change::Stamped { stamp: found, .. } = self.change_of(value) else {
            return;
        };
        let Some(confirmed) = confirmed.filter(|stamp| found < *stamp) else {
            return;
        };
        let (engine, key) = (Rc::clone(self), key.clone());
        // Not in this step, in which a lane gives out its answers.
        spawn_local(async move {
            if let (Some(via), Some(now_confirmed)) = (engine.via(link, Some(&key), 1), engine.confirmed(&key))
                && now_confirmed == confirmed
            {
                let ask = engine.question_of(&key);
                let deadline = now() + engine.settings().pairing.request_timeout;
                let purpose = Purpose::Suspicion { key, confirmed };
                engine.send(
                    &via,
                    &ask,
                    deadline,
                    engine.completion(&ask, Tickets::None, purpose, now()),
                );
            }
        });
    }

    /// What a key was found with that had seemed to go back.
    pub fn suspicion_answered(&self, key: &Bytes, confirmed: u64, found: Option<ReadBack>) {
        if let Some(ReadBack {
            stamp,
            record,
            value: Some(_),
        }) = found
            && let Some(found) = stamp.max(record).filter(|found| *found < confirmed)
            && self.confirmed(key) == Some(confirmed)
        {
            self.note_receded(key, Receded { confirmed, found });
        }
    }

    /// Tells the guard what reading a key back has shown.
    pub fn learn(&self, key: &Bytes, hash: KeyHash, found: Option<ReadBack>) {
        let Learnt { receded, ahead } = self.shared.guard.learn(hash, found, (self.shared.clock)());
        if let Some(receded) = receded {
            self.note_receded(key, receded);
        }
        if let Some(stamp) = ahead {
            self.note_ahead(key, stamp);
        }
    }

    fn named(&self, key: &Bytes) -> String {
        let hash = self.shared.guard.key(key).short();
        self.settings().admin_keys.write(key, hash)
    }

    fn note_ahead(&self, key: &Bytes, stamp: u64) {
        let shown = self.named(key);
        let what = format!(
            "the backend holds stamp {stamp} for key {shown}, further ahead of the clock than guard.future_tolerance: \
             something wrote it past ttguard, by a script, or while its rules or its clock were others; it binds nobody"
        );
        self.shared.raise(Alarm::StampAhead, &what);
    }

    fn note_receded(&self, key: &Bytes, receded: Receded) {
        let Receded { confirmed, found } = receded;
        // There `putlist` adds a second record behind the first, which is the one that is read.
        if self.capabilities().lists == Lists::Add {
            return;
        }
        let shown = self.named(key);
        let what = format!(
            "the backend holds stamp {found} for key {shown}, and has stored {confirmed} before: something writes to it \
             past ttguard"
        );
        self.shared.raise(Alarm::StampBack, &what);
    }
}
