//! What is refused without the judge's word, and what a client is told of a refusal.

use bytes::Bytes;

use crate::command::{Answer, Reply, Verb};
use crate::config::StaleReply;
use crate::engine::{Engine, records};
use crate::guard::verdict::{Change, Refusal};
use crate::recent::Asker;

/// What a mapped script function answers when it was carried out.
pub const EXT_DONE: &[u8] = b"ok";

/// What a client is told about a refused write; `code` 0 says that it was stored.
fn refusal_reply(verb: Verb, code: u8) -> Reply {
    match (verb, code) {
        (Verb::Ext, 0) => Reply::Value(Bytes::from_static(EXT_DONE)),
        (verb, code) => super::companion::of_code(verb, code),
    }
}

/// A refusal with its code, which is 0 where the client is told that the write was stored.
pub fn refused(refusal: Refusal, code: u8, told: Reply) -> Answer {
    if code == 0 {
        return Answer::Reply(told);
    }
    let reason = refusal.reason();
    Answer::Refused { reason, told }
}

impl Engine {
    /// The code that a refusal is answered with. With `stale_reply = "ok"` a write that lost against a newer one is
    /// answered as a success; nothing else is.
    pub fn refusal_code(&self, refusal: Refusal) -> u8 {
        match refusal {
            Refusal::Stale { .. } | Refusal::Tie if self.settings().stale_reply == StaleReply::Ok => 0,
            Refusal::Stale { .. } | Refusal::Tie => 2,
            Refusal::Future => 3,
            Refusal::Unstamped => 4,
            Refusal::Denied => 5,
        }
    }

    /// What a client is told about a refused write.
    pub fn refusal_answer(&self, verb: Verb, refusal: Refusal) -> Answer {
        let code = self.refusal_code(refusal);
        refused(refusal, code, refusal_reply(verb, code))
    }

    /// Refuses a command that a stamp cannot order, where the operator said so.
    pub fn admit_unordered(&self, asker: Asker<'_>, verb: Verb, key: &Bytes) -> Result<(), Refusal> {
        match self.shared.guard.admit_unordered(verb) {
            Err(refusal) => {
                self.note_refusal(asker, key, Change::Unordered, refusal);
                if self.shared.guard.enforces() {
                    Err(refusal)
                } else {
                    Ok(())
                }
            }
            Ok(()) => Ok(()),
        }
    }

    /// Whether bytes that are added to a value can be a part of its stamp: then what is stored decides what it becomes.
    pub fn may_begin_stamp(&self, added: &[u8]) -> bool {
        let is_time = self.shared.guard.stamp().unit().nanoseconds().is_some();
        is_time && added.first().is_some_and(u8::is_ascii_digit)
    }

    /// Refuses what would be stored with a stamp too far ahead of the clock, by a command that a stamp cannot order.
    pub fn admit_made(&self, asker: Asker<'_>, key: &Bytes, made: &[u8]) -> Result<(), Refusal> {
        let (shared, change) = (&self.shared, self.change_of(made));
        match shared.guard.refuses_made(change, (shared.clock)()) {
            Some(refusal) => {
                self.note_refusal(asker, key, change, refusal);
                if shared.guard.enforces() { Err(refusal) } else { Ok(()) }
            }
            None => Ok(()),
        }
    }

    /// Whether a stamp is further ahead of the clock than a write's may be.
    pub fn is_ahead(&self, stamp: u64) -> bool {
        let change = Change::Stamped { stamp, value: b"" };
        let now = (self.shared.clock)();
        self.shared.guard.refuses_made(change, now).is_some()
    }

    /// Whether a write is denied because of its key: the name of a record that keeps a stamp, which only ttguard writes,
    /// or one that names another record each time.
    pub fn denies_key(&self, asker: Asker<'_>, key: &Bytes) -> bool {
        if !self.is_unwritable(key) {
            return false;
        }
        self.note_refusal(asker, key, Change::Unordered, Refusal::Denied);
        self.shared.guard.enforces()
    }

    /// Whether no client may write this key.
    pub fn is_unwritable(&self, key: &Bytes) -> bool {
        records::is_hidden(key) || self.capabilities().identity(key).is_none()
    }
}
