//! What `ttguard verify` and `ttguard gc` ask of the ttguard that they work through: hidden records are shown, and single
//! ones removed while nobody else can touch their key.
//!
//! Removing one directly at the backend would race with a delete: what was looked at is an old tombstone, and what is
//! removed is the new one that came in between. There is no removal "if it is still this" in Tyrant's protocol, but here
//! the key can be held. Only what goes around this ttguard is not kept off.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::{Call, Done, Sequence, answered, outcome};
use crate::command::{Command, Reply};
use crate::engine::completion::NoReply;
use crate::engine::failure::Failure;
use crate::engine::records;
use crate::engine::sending::Via;
use crate::engine::write::settlement::Tickets;
use crate::guard::verdict::{Change, ReadBack};
use crate::metrics::RetryKind;
use crate::pairing::owed::Lost;

/// The answer that nothing was to be done, or could be.
pub(super) const LEFT: u8 = 1;

/// The answer to an age that is too small, and where stamps have no age.
const DENIED: u8 = 5;

/// What the record of a key is to become.
enum Becomes {
    /// What it is.
    Same,
    /// Nothing.
    Gone,
    /// This stamp.
    Stamp(u64),
}

pub(super) fn says(code: u8) -> Done {
    let strings = Vec::new();
    Ok(answered(Reply::Strings { code, strings }))
}

impl Sequence {
    /// `ttguard_rnum`: the backend's own count, as a decimal number.
    pub(super) async fn count_all(&mut self) -> Done {
        match self.exchange(&Command::Rnum, true).await? {
            Reply::Count(count) => Ok(answered(Reply::Strings {
                code: 0,
                strings: vec![Bytes::from(count.to_string())],
            })),
            _ => says(LEFT),
        }
    }

    /// `ttguard_iternext`: whatever the backend's iterator gives; only its keys where there is an argument.
    pub(super) async fn iter_next_all(&mut self, call: Call) -> Done {
        if !call.arguments.is_empty() {
            return match self.exchange(&Command::IterNext, false).await? {
                Reply::Value(key) => Ok(answered(Reply::Strings {
                    code: 0,
                    strings: vec![key, Bytes::new()],
                })),
                _ => says(LEFT),
            };
        }
        let next = Command::Misc {
            function: Bytes::from_static(b"iternext"),
            options: 0,
            arguments: Vec::new(),
        };
        Ok(answered(self.exchange(&next, false).await?))
    }

    /// `ttguard_stored`: the records of these keys as the backend has them.
    pub(super) async fn stored(&mut self, call: Call) -> Done {
        let keys = call.arguments;
        if keys.is_empty() {
            return says(0);
        }
        Ok(answered(match self.exchange(&Command::Mget { keys }, true).await? {
            Reply::Records(found) => Reply::Strings {
                code: 0,
                strings: found.into_iter().flat_map(|(key, value)| [key, value]).collect(),
            },
            other => Reply::Strings {
                code: other.code(),
                strings: Vec::new(),
            },
        }))
    }

    /// `ttguard_forget`: removes the tombstone of a key that has no record, when it is older than so many milliseconds, or
    /// further ahead of the clock than any guard lets in: code 0. Code 1 where there is no such tombstone, and 5 for an age within which writes are expected to be late.
    pub(super) async fn forget(&mut self, call: Call) -> Done {
        let shared = &self.engine.shared;
        let (settings, format) = (self.engine.settings(), shared.guard.stamp());
        let [age, key] = &call.arguments[..] else {
            return says(LEFT);
        };
        let age = std::str::from_utf8(age).ok().and_then(|age| age.parse().ok());
        let age = age
            .map(Duration::from_millis)
            .filter(|age| *age >= settings.rules.age_min());
        let now = (shared.clock)();
        let Some(newest) = age.and_then(|age| format.at(now.saturating_sub(age))) else {
            return says(DENIED);
        };
        let engine = Rc::clone(&self.engine);
        self.tidy(key.clone(), |found| match (&found.value, found.record) {
            (None, Some(stamp)) if stamp < newest || engine.is_ahead(stamp) => Becomes::Gone,
            _ => Becomes::Same,
        })
        .await
    }

    /// `ttguard_mend`: a `timestamp.` record that is older than its value, or too far ahead of the clock, goes, or becomes what it should be where there
    /// is to be one beside every value: code 0. Code 1 where there is no such record. The value stays as it is.
    pub(super) async fn mend(&mut self, call: Call) -> Done {
        let [key] = &call.arguments[..] else {
            return says(LEFT);
        };
        let (engine, keeps) = (Rc::clone(&self.engine), self.engine.keeps_records());
        self.tidy(key.clone(), |found| match (found.stamp, found.record) {
            (Some(value), Some(record)) if engine.is_ahead(record) && keeps => Becomes::Stamp(value),
            (_, Some(record)) if engine.is_ahead(record) && found.value.is_some() => Becomes::Gone,
            (Some(value), Some(record)) if record < value && keeps => Becomes::Stamp(value),
            (Some(value), Some(record)) if record < value => Becomes::Gone,
            _ => Becomes::Same,
        })
        .await
    }

    /// Has the key to itself from looking at it until its record is what it is to become.
    async fn tidy(&mut self, key: Bytes, decide: impl Fn(&ReadBack) -> Becomes) -> Done {
        if !self.engine.capabilities().holds_records {
            return says(LEFT);
        }
        loop {
            if let Some(code) = self.try_to_tidy(&key, &decide).await? {
                return says(code);
            }
        }
    }

    /// One try; nothing where it has to be tried again.
    async fn try_to_tidy(&self, key: &Bytes, decide: impl Fn(&ReadBack) -> Becomes) -> Result<Option<u8>, Failure> {
        let Ok(passage) = self.admit_as(None, None, true, key, Change::Tidy).await? else {
            return Ok(Some(LEFT));
        };
        let found = match self.found(&passage.via, key).await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) => return Ok(Some(LEFT)),
            Err(none) => {
                self.may_repeat(none, true, RetryKind::Read)?;
                return Ok(None);
            }
        };
        let wire = match decide(&found) {
            Becomes::Same => return Ok(Some(LEFT)),
            Becomes::Gone => Command::Out {
                key: records::name_of(key),
            },
            Becomes::Stamp(stamp) => {
                let (key, value) = self.engine.record_of(key, stamp);
                Command::Put { key, value }
            }
        };
        // The lane may be another one by now; nothing has been sent on it.
        let Some(via) = self.via_to(passage.via.id(), key) else {
            self.may_repeat(NoReply::Lost(Lost::Unsent), true, RetryKind::Unsent)?;
            return Ok(None);
        };
        let (_, tickets) = passage.take();
        self.write_record(&via, &wire, tickets).await
    }

    /// Removes or writes a record whose key this change has to itself; nothing where it has to be tried again.
    async fn write_record(&self, via: &Via, wire: &Command, tickets: Tickets) -> Result<Option<u8>, Failure> {
        let hidden = &self.engine.shared.hidden;
        match outcome(self.send(via, wire, tickets)).await {
            Ok(reply) if reply.code() == 0 => {
                if matches!(wire, Command::Out { .. }) {
                    hidden.removed();
                }
                Ok(Some(0))
            }
            // Whether the record is there was seen just before: the backend did not do as it was told.
            Ok(_) => {
                hidden.doubt();
                Ok(Some(LEFT))
            }
            Err(none) => {
                hidden.doubt();
                self.may_repeat(none, false, RetryKind::Write)?;
                Ok(None)
            }
        }
    }
}
