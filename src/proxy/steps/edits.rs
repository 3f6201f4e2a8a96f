//! Changes that are made of what is stored. The key is kept to oneself from the reading to the writing, so nothing that
//! goes through this guard can come between. What goes to the backend directly, or by a script function, can.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use super::{Done, Steps, answered, outcome};
use crate::command::edit::Edit;
use crate::command::{Answer, Command, Reply, Verb};
use crate::guard::verdict::{self, Change, Refusal, Ticket};
use crate::journal::Asker;
use crate::metrics::{Outcome, RetryKind};
use crate::pairing::owed::Lost;
use crate::proxy::passenger::NoReply;
use crate::proxy::session::End;
use crate::proxy::store::Via;
use crate::proxy::worker::Worker;

/// A key that this change has to itself. When it is dropped before it is used, nothing has been written.
pub(super) struct Held {
    worker: Rc<Worker>,
    pub(super) via: Via,
    pub(super) ticket: Option<Ticket>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.worker.shared.guard.settle(ticket, verdict::Outcome::Unsent);
        }
    }
}

impl Steps {
    /// Carries out a command with the difference that `edit` makes.
    pub async fn carry_out_edit(mut self, command: Command, edit: Edit) -> Done {
        let (key, value) = match &command {
            Command::Put { key, value } | Command::PutCat { key, value } => (key.clone(), value.clone()),
            Command::AddInt { key, .. } => (key.clone(), Bytes::new()),
            other => {
                debug_assert!(false, "no protocol has such an edit: {other:?}");
                return Ok(answered(Reply::Code(1)));
            }
        };
        let is_put = self.verb == Verb::Put;
        if !is_put && let Err(refusal) = self.worker.admit_unordered(self.asker, self.verb, &key) {
            return Ok(self.refused(refusal));
        }
        loop {
            let change = if is_put {
                self.worker.shared.guard.change_of(&value)
            } else {
                Change::Unordered
            };
            let mut held = match self.hold(&key, change).await? {
                Ok(held) => held,
                Err(refusal) => return Ok(self.refused(refusal)),
            };
            let stored = match self.look(&held, &key, edit).await {
                Ok(Looked::Found(stored)) => stored,
                Ok(Looked::Missing) => return Ok((Outcome::Failed, Answer::NoRecord)),
                Ok(Looked::Failed(reply)) => return Ok(answered(reply)),
                Err(none) => {
                    self.may_repeat(none, true, RetryKind::Read)?;
                    continue;
                }
            };
            // The lane may be another one by now; nothing has been sent on it.
            let Some(via) = self.worker.via(self.link, 1).filter(|via| via.id() == held.via.id()) else {
                self.may_repeat(NoReply::Lost(Lost::Unsent), true, RetryKind::Unsent)?;
                continue;
            };
            // A server takes what lies behind an argument that is too large for it for new requests.
            let size_max = self.worker.settings().limits.request.value_max as usize;
            if value.len() + stored.len() > size_max {
                return Ok(answered(Reply::Code(1)));
            }
            let (wire, said) = edited(&command, edit, &key, &value, &stored);
            let Some(ticket) = held.ticket.take() else {
                return Err(End::LaneLost);
            };
            let is_idempotent = ticket.is_idempotent();
            match outcome(self.send(&via, &wire, vec![ticket])).await {
                Ok(reply) if reply.code() != 0 => return Ok(answered(reply)),
                Ok(reply) => {
                    if is_put {
                        self.record_stamp(&key, &value).await?;
                    }
                    return Ok(answered(said.unwrap_or(reply)));
                }
                Err(none) => {
                    self.may_repeat(none, is_idempotent, RetryKind::Write)?;
                    self.retried |= none == NoReply::Lost(Lost::Sent);
                }
            }
        }
    }

    /// Waits until the key is this change's own.
    async fn hold(&self, key: &Bytes, change: Change<'_>) -> Result<Result<Held, Refusal>, End> {
        if self.worker.denies_key(self.asker, key) {
            return Ok(Err(Refusal::Denied));
        }
        self.hold_as(Some(self.asker), key, change).await
    }

    /// As [`Self::hold`], of any key, and for whom it is counted.
    pub(super) async fn hold_as(
        &self,
        asker: Option<Asker>,
        key: &Bytes,
        change: Change<'_>,
    ) -> Result<Result<Held, Refusal>, End> {
        let passage = self.admit_as(asker, true, key, change).await?;
        Ok(passage.map(|(via, ticket)| Held {
            worker: Rc::clone(&self.worker),
            via,
            ticket: Some(ticket),
        }))
    }

    /// Whether `mget` finds a record.
    async fn mget_finds(&self, via: &Via, key: &Bytes) -> Result<bool, NoReply> {
        let ask = Command::Mget {
            keys: vec![key.clone()],
        };
        match outcome(self.send(via, &ask, Vec::new())).await {
            Ok(Reply::Records(found)) => Ok(!found.is_empty()),
            // An answer without a record is not too large.
            Err(NoReply::TooLarge) => Ok(true),
            Ok(_) => Err(NoReply::Lost(Lost::Sent)),
            Err(none) => Err(none),
        }
    }

    /// Looks at what is stored; only whether there is anything, where that is enough.
    async fn look(&self, held: &Held, key: &Bytes, edit: Edit) -> Result<Looked, NoReply> {
        let is_enough = edit == Edit::IfPresent && !self.worker.settings().verify_reads;
        let ask = if is_enough {
            Command::Vsiz { key: key.clone() }
        } else {
            Command::Mget {
                keys: vec![key.clone()],
            }
        };
        Ok(match outcome(self.send(&held.via, &ask, Vec::new())).await? {
            Reply::Number(_) => Looked::Found(Bytes::new()),
            // `vsiz` says the same where it failed.
            Reply::Code(1) if is_enough && self.worker.store.here().is_some() => Looked::Missing,
            Reply::Code(1) if is_enough => match self.mget_finds(&held.via, key).await? {
                true => Looked::Found(Bytes::new()),
                false => Looked::Missing,
            },
            Reply::Records(found) => match found.into_iter().next() {
                Some((echoed, _)) if echoed == *key && edit == Edit::IfPresent => Looked::Found(Bytes::new()),
                Some((echoed, value)) if echoed == *key => Looked::Found(value),
                Some(_) => return Err(NoReply::Lost(Lost::Sent)),
                None => Looked::Missing,
            },
            other => Looked::Failed(other),
        })
    }
}

/// What a look at a key has shown.
enum Looked {
    Found(Bytes),
    Missing,
    Failed(Reply),
}

/// What is sent for an edit, and what is answered when that succeeds, where it is not the backend's own answer.
fn edited(command: &Command, edit: Edit, key: &Bytes, value: &Bytes, stored: &Bytes) -> (Command, Option<Reply>) {
    let put = |value| Command::Put {
        key: key.clone(),
        value,
    };
    match edit {
        Edit::IfPresent => (command.clone(), None),
        Edit::Prepend => {
            let mut joined = BytesMut::with_capacity(value.len() + stored.len());
            joined.extend_from_slice(value);
            joined.extend_from_slice(stored);
            (put(joined.freeze()), None)
        }
        Edit::Decimal(by) => {
            let sum = Edit::sum(stored, by);
            (put(Bytes::from(sum.to_string())), Some(Reply::Count(sum)))
        }
    }
}
