//! Guarded writes that take more than one exchange.

use std::rc::Rc;

use bytes::Bytes;

use super::{Call, Done, Guarded, Sequence, answered, outcome};
use crate::command::function::{Function, until_nul};
use crate::command::{Answer, Command, Reply, Verb, columns};
use crate::engine::failure::Failure;
use crate::engine::write::companion::UNAVAILABLE;
use crate::engine::write::refusal::EXT_DONE;
use crate::guard::rules::ExtMeaning;
use crate::guard::verdict::{Change, Refusal};
use crate::metrics::Outcome;

impl Sequence {
    pub(super) fn stamp_of(&self, value: &[u8]) -> Option<u64> {
        self.engine.shared.guard.stamp().read(value)
    }

    /// Writes the record of a stamp after its value was stored, and waits until it is. Gives the code of that: 0, or that
    /// of a record that could not be stored. For nothing where stamps have no records of their own.
    ///
    /// The record is judged like a write of its key: had a delete come between, it would take the delete's tombstone away.
    pub(super) async fn record_stamp(&self, key: &Bytes, value: &[u8]) -> Result<u8, Failure> {
        let Some(stamp) = self.stamp_of(value).filter(|_| self.engine.keeps_records()) else {
            return Ok(0);
        };
        let change = Change::Stamped { stamp, value };
        let Ok(passage) = self.admit_as(None, None, false, key, change).await? else {
            // Something newer is stored, and has a record of its own.
            return Ok(0);
        };
        let (via, tickets) = passage.take();
        let (name, digits) = self.engine.record_of(key, stamp);
        let probe = self.engine.probe(&via, &name, self.deadline);
        let record = Command::Put {
            key: name,
            value: digits,
        };
        let reply = outcome(self.send(&via, &record, tickets)).await;
        let hidden = &self.engine.shared.hidden;
        match reply {
            Ok(reply) => {
                hidden.written(reply.code(), &probe);
                Ok(if reply.code() == 0 { 0 } else { UNAVAILABLE })
            }
            Err(_) => {
                hidden.doubt();
                Err(Failure::LaneLost)
            }
        }
    }

    /// `put` and `putkeep` where the stamp's record must follow the value's outcome.
    pub(super) async fn put_then_record(&mut self, key: Bytes, value: Bytes, keep: bool) -> Done {
        let engine = Rc::clone(&self.engine);
        let (key_sent, value_sent) = (key.clone(), value.clone());
        let wire = if keep {
            Command::PutKeep {
                key: key_sent,
                value: value_sent,
            }
        } else {
            Command::Put {
                key: key_sent,
                value: value_sent,
            }
        };
        match self.guarded(&key, engine.change_of(&value), &wire, !keep).await? {
            Guarded::Answered(reply) if engine.leaves_in_doubt_as(self.form, &wire, &reply) => {
                self.clear_up(&wire, reply).await
            }
            Guarded::Answered(reply) => self.with_record(&key, &value, reply).await,
            Guarded::Refused(refusal) => Ok(self.refused(refusal)),
        }
    }

    /// The answer to a value that was stored, or not, once its record is too.
    async fn with_record(&self, key: &Bytes, value: &[u8], reply: Reply) -> Done {
        let code = if reply.code() == 0 {
            self.record_stamp(key, value).await?
        } else {
            0
        };
        Ok(answered(match (code, reply) {
            (0, reply) => reply,
            (code, Reply::Strings { strings, .. }) => Reply::Strings { code, strings },
            (code, _) => Reply::Code(code),
        }))
    }

    /// `out` in any form: a delete, once its tombstone is stored.
    pub(super) async fn remove(&mut self, key: &Bytes, wire: &Command) -> Done {
        match self.guarded(key, Change::delete(self.stamp), wire, false).await? {
            Guarded::Answered(reply) if self.engine.leaves_in_doubt_as(self.form, wire, &reply) => {
                self.clear_up(wire, reply).await
            }
            Guarded::Answered(reply) => Ok(answered(reply)),
            Guarded::Refused(refusal) => Ok(self.refused(refusal)),
        }
    }

    /// A script function that stands for a guarded command.
    pub(super) async fn ext_mapped(&mut self, meaning: ExtMeaning, key: Bytes, value: Bytes) -> Done {
        let value = match self.stamp {
            Some(stamp) if meaning != ExtMeaning::Out => self.engine.stamping(stamp).value(&value),
            _ => value,
        };
        let (outcome, answer) = match meaning {
            ExtMeaning::Put => self.put_then_record(key, value, false).await?,
            ExtMeaning::PutKeep => self.put_then_record(key, value, true).await?,
            ExtMeaning::Out => {
                let wire = Command::Out { key: key.clone() };
                self.remove(&key, &wire).await?
            }
        };
        Ok(match answer {
            Answer::Reply(Reply::Code(0)) => {
                let done = Reply::Value(Bytes::from_static(EXT_DONE));
                (outcome, Answer::Reply(done))
            }
            other => (outcome, other),
        })
    }

    /// `put` and the like by name: key and value; what follows them the server does not look at.
    pub(super) async fn misc_put(&mut self, call: Call, may_repeat: bool) -> Done {
        let (key, value) = (call.arguments[0].clone(), call.arguments[1].clone());
        let engine = Rc::clone(&self.engine);
        let wire = call.command();
        match self.guarded(&key, engine.change_of(&value), &wire, may_repeat).await? {
            Guarded::Answered(reply) => self.with_record(&key, &value, reply).await,
            Guarded::Refused(refusal) => Ok(self.refused(refusal)),
        }
    }

    /// `put`, `putkeep` and `putcat` of columns, where one of them carries the stamp.
    pub(super) async fn misc_columns(&mut self, call: Call, column: &[u8], may_repeat: bool) -> Done {
        let (key, given) = (call.arguments[0].clone(), call.arguments[1..].to_vec());
        let value = columns::joined(&given);
        let engine = Rc::clone(&self.engine);
        let change = engine.change_by(columns::among(&given, column), &value);
        if Function::named(&call.function) == Function::Unordered && !matches!(change, Change::Stamped { .. }) {
            return self.misc_unordered(call).await;
        }
        match self.guarded(&key, change, &call.command(), may_repeat).await? {
            Guarded::Answered(reply) => Ok(answered(reply)),
            Guarded::Refused(refusal) => Ok(self.refused(refusal)),
        }
    }

    pub(super) async fn misc_out(&mut self, call: Call) -> Done {
        let key = call.arguments[0].clone();
        self.remove(&key, &call.command()).await
    }

    pub(super) async fn misc_unordered(&mut self, call: Call) -> Done {
        let key = call.arguments[0].clone();
        let policy = if Function::named(&call.function) == Function::Unordered {
            Verb::PutCat
        } else {
            Verb::Misc
        };
        if let Err(refusal) = self.engine.admit_unordered(self.asker(), policy, &key) {
            return Ok(self.refused(refusal));
        }
        let (value, function) = (self.value_of(&call), call.function.clone());
        let wire = call.command();
        match &function[..] {
            // What is added to may be the head of a stamp.
            function if until_nul(function) == b"putcat" => {
                // Onto much, with the key to itself.
                if self.engine.may_begin_stamp(&value) || self.engine.store.takes_long(&wire) {
                    return self.append(key, value, wire).await;
                }
            }
            _ => {
                if let Err(refusal) = self.engine.admit_made(self.asker(), &key, &value) {
                    return Ok(self.refused(refusal));
                }
            }
        }
        match self.guarded(&key, Change::Unordered, &wire, false).await? {
            Guarded::Answered(reply) => Ok(answered(reply)),
            Guarded::Refused(refusal) => Ok(self.refused(refusal)),
        }
    }

    /// What a function of `misc` stores: the columns of a row as one value.
    fn value_of(&self, call: &Call) -> Bytes {
        match &call.arguments[1..] {
            [value] => value.clone(),
            given if self.engine.capabilities().has_columns => columns::joined(given),
            given => given.first().cloned().unwrap_or_default(),
        }
    }

    pub(super) fn refused(&self, refusal: Refusal) -> (Outcome, Answer) {
        self.saw(self.engine.saw_in(refusal));
        (Outcome::Refused, self.engine.refusal_answer(self.verb, refusal))
    }
}
