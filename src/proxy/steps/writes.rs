//! Guarded writes that take more than one exchange.

use std::sync::Arc;

use bytes::Bytes;

use super::{Call, Done, EXT_STORED, Guarded, Steps, answered, outcome};
use crate::command::function::Function;
use crate::command::{Command, Reply, Verb};
use crate::guard::rules::ExtMeaning;
use crate::guard::verdict::{Change, Refusal};
use crate::metrics::Outcome;
use crate::proxy::dispatch::refusal_reply;
use crate::proxy::session::End;

impl Steps {
    pub(super) fn stamp_of(&self, value: &[u8]) -> Option<u64> {
        self.worker.shared.guard.stamp().read(value)
    }

    /// Writes the record of a stamp after its value was stored, and waits until it is. For nothing where stamps have no
    /// records of their own.
    ///
    /// The record is judged like a write of its key: had a delete come between, it would take the delete's tombstone away.
    pub(super) async fn record_stamp(&self, key: &Bytes, value: &Bytes) -> Result<(), End> {
        let Some(stamp) = self.stamp_of(value).filter(|_| self.worker.keeps_records()) else {
            return Ok(());
        };
        let change = Change::Stamped { stamp, value };
        let Ok((via, ticket)) = self.admit_uncounted(key, change).await? else {
            // Something newer is stored, and has a record of its own.
            return Ok(());
        };
        let (name, digits) = self.worker.record_of(key, stamp);
        let probe = self.worker.probe(&via, &name, self.deadline);
        let record = Command::Put {
            key: name,
            value: digits,
        };
        let reply = outcome(self.send(&via, &record, vec![ticket])).await;
        let hidden = &self.worker.shared.hidden;
        match reply {
            Ok(reply) => {
                hidden.written(reply.code(), &probe);
                Ok(())
            }
            Err(_) => {
                hidden.doubt();
                Err(End::LaneLost)
            }
        }
    }

    /// `put` and `putkeep` where the stamp's record must follow the value's outcome.
    pub(super) async fn put_then_record(&mut self, key: Bytes, value: Bytes, keep: bool) -> Done {
        let shared = Arc::clone(&self.worker.shared);
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
        match self.guarded(&key, shared.guard.change_of(&value), &wire, !keep).await? {
            Guarded::Answered(reply) => {
                if reply.code() == 0 {
                    self.record_stamp(&key, &value).await?;
                }
                Ok(answered(reply))
            }
            Guarded::Refused(refusal) => Ok(self.refused(refusal)),
        }
    }

    pub(super) fn is_guarded_put(&self, function: &[u8]) -> bool {
        let settings = self.worker.settings();
        let mapped = &settings.rules.ext;
        let name = std::str::from_utf8(function).ok();
        name.and_then(|name| mapped.get(name)) == Some(&ExtMeaning::Put)
    }

    /// A script function that stands for a guarded put.
    pub(super) async fn ext_put(&mut self, key: Bytes, value: Bytes) -> Done {
        let (outcome, reply) = self.put_then_record(key, value, false).await?;
        Ok(match reply {
            Reply::Code(0) => (outcome, Reply::Value(Bytes::from_static(EXT_STORED))),
            other => (outcome, other),
        })
    }

    pub(super) async fn misc_put(&mut self, call: Call, may_repeat: bool) -> Done {
        let (key, value) = (call.arguments[0].clone(), call.arguments[1].clone());
        let shared = Arc::clone(&self.worker.shared);
        let wire = call.command();
        match self
            .guarded(&key, shared.guard.change_of(&value), &wire, may_repeat)
            .await?
        {
            Guarded::Answered(reply) => {
                if reply.code() == 0 {
                    self.record_stamp(&key, &value).await?;
                }
                Ok(answered(reply))
            }
            Guarded::Refused(refusal) => Ok(self.refused(refusal)),
        }
    }

    pub(super) async fn misc_out(&mut self, call: Call) -> Done {
        let key = call.arguments[0].clone();
        match self.guarded(&key, Change::Delete, &call.command(), false).await? {
            Guarded::Answered(reply) => Ok(answered(reply)),
            Guarded::Refused(refusal) => Ok(self.refused(refusal)),
        }
    }

    pub(super) async fn misc_unordered(&mut self, call: Call) -> Done {
        let key = call.arguments[0].clone();
        let policy = if Function::named(&call.function) == Function::Unordered {
            Verb::PutCat
        } else {
            Verb::Misc
        };
        if let Err(refusal) = self.worker.admit_unordered(policy, &key) {
            return Ok(self.refused(refusal));
        }
        match self.guarded(&key, Change::Unordered, &call.command(), false).await? {
            Guarded::Answered(reply) => Ok(answered(reply)),
            Guarded::Refused(refusal) => Ok(self.refused(refusal)),
        }
    }

    pub(super) fn refused(&self, refusal: Refusal) -> (Outcome, Reply) {
        let code = self.worker.refusal_code(refusal);
        (Outcome::Refused, refusal_reply(self.verb, code))
    }
}
