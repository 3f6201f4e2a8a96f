//! What an outcome calls for where a client has asked by itself.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{outcome_of, outcome_when};
use crate::command::function::Function;
use crate::command::{Answer, Command, Kind, Reply};
use crate::guard::verdict::{Outcome, Ticket};
use crate::logging::RateLimit;
use crate::metrics::{self, RetryKind};
use crate::pairing::owed::Lost;
use crate::protocol::tyrant::opcode::Opcode;
use crate::proxy::records::Probe;
use crate::proxy::session::{End, Item, Session, now};
use crate::proxy::worker::Worker;

/// A client's own request.
#[derive(Debug)]
pub struct ClientCargo {
    pub session: Rc<Session>,
    pub item: Item,
    pub ticket: Option<Ticket>,
    pub form: Form,
}

/// The value that `mget` has found, where it has.
pub type Found = Rc<OnceCell<Bytes>>;

/// How long it is not said again that `mget` does not find what there is.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// How the backend's answer becomes the client's.
#[derive(Debug)]
pub enum Form {
    /// As it is.
    AsIs,
    /// A `get` whose answer names its key, when this was the newest stamp that the backend was known to hold. Where
    /// `mget` has not found anything yet it is `doubted`: the key was asked for by `mget` and then by `get`.
    VerifiedGet {
        doubted: Option<Found>,
        confirmed: Option<u64>,
    },
    /// A `put` that went out as a `putlist` of value and stamp; the probe has said whether the stamp's record is new.
    PutList(Probe),
}

impl ClientCargo {
    pub(super) fn answered(self, worker: &Rc<Worker>, reply: Reply, now: Instant) {
        let shared = &worker.shared;
        if let Some(ticket) = self.ticket {
            let outcome = outcome_of(&ticket, reply.code());
            shared.guard.settle(ticket, outcome);
        }
        if matches!(self.form, Form::AsIs) && worker.leaves_in_doubt(&self.item, &reply) {
            worker.clear_up(self.session, self.item, reply);
            return;
        }
        let reply = match self.form {
            Form::AsIs => reply,
            Form::VerifiedGet { doubted, confirmed } => {
                let reply = match doubted {
                    Some(found) => worker.believed(found.get(), reply),
                    None => reply,
                };
                if let (Command::Get { key }, Reply::Value(value)) = (&self.item.command, &reply) {
                    worker.check_stamp(self.session.links.current(), key, confirmed, value);
                }
                reply
            }
            Form::PutList(probe) => {
                shared.hidden.written(reply.code(), &probe);
                Reply::Code(reply.code())
            }
        };
        let outcome = if reply.code() == 0 {
            metrics::Outcome::Answered
        } else {
            metrics::Outcome::Failed
        };
        self.session.landed();
        match worker.own(&self.session.listener.keys, &self.item.command, reply) {
            Some(reply) => {
                let answer = Answer::Reply(reply);
                self.session.conclude(self.item.concluding(), outcome, answer, now);
            }
            None => self.session.fail(self.item.concluding(), End::LaneLost),
        }
    }

    /// The answer, with this code, was larger than allowed.
    pub(super) fn dropped(self, worker: &Worker, code: u8) {
        let shared = &worker.shared;
        if let Some(ticket) = self.ticket {
            let outcome = outcome_of(&ticket, code);
            shared.guard.settle(ticket, outcome);
        }
        if let Form::PutList(probe) = &self.form {
            shared.hidden.written(code, probe);
        }
        self.session.landed();
        self.session.fail(self.item.concluding(), End::ReplyTooLarge);
    }

    /// What shared its request has failed: this or another. So the key is read back, and this is sent by itself.
    pub(super) fn undone(self, worker: &Worker, now: Instant) {
        let shared = &worker.shared;
        worker.sharing.failed(now);
        if let Some(ticket) = self.ticket {
            shared.guard.settle(ticket, Outcome::Failed);
        }
        if matches!(self.form, Form::PutList(_)) {
            shared.hidden.doubt();
        }
        self.session.landed();
        if now < self.item.deadline {
            shared.metrics.retries.of(RetryKind::Apart).increment(1);
            self.session.retry(Item {
                apart: true,
                ..self.item
            });
        } else {
            self.session.fail(self.item.concluding(), End::Deadline);
        }
    }

    pub(super) fn lost(self, worker: &Worker, lost: Lost) {
        let shared = &worker.shared;
        let verb = self.item.command.verb();
        let stamped = self.ticket.as_ref().is_some_and(Ticket::is_idempotent);
        if let Some(ticket) = self.ticket {
            shared.guard.settle(ticket, outcome_when(lost));
        }
        if matches!(self.form, Form::PutList(_)) && lost == Lost::Sent {
            shared.hidden.doubt();
        }
        self.session.landed();
        let again = match (lost, &self.item.command) {
            (Lost::Unsent, _) => Some(RetryKind::Unsent),
            (Lost::Sent, Command::Put { .. } | Command::PutNr { .. }) if stamped => Some(RetryKind::Write),
            (Lost::Sent, _) if Opcode::of(verb).kind == Kind::Read => Some(RetryKind::Read),
            (Lost::Sent, Command::Misc { function, .. }) if Function::named(function).is_read() => {
                Some(RetryKind::Read)
            }
            _ => None,
        };
        let in_time = now() < self.item.deadline;
        match again {
            Some(kind) if in_time => {
                shared.metrics.retries.of(kind).increment(1);
                self.session.retry(Item {
                    retried: self.item.retried || lost == Lost::Sent,
                    ..self.item
                });
            }
            Some(_) => self.session.fail(self.item.concluding(), End::Deadline),
            None => self.session.fail(self.item.concluding(), End::LaneLost),
        }
    }
}

impl Worker {
    /// Which answer to a `get` counts: that of the `mget` just before it, which names its key, where it found a record.
    /// A server whose mask denies `mget` answers it as if there were none (1.1.41, `do_mget`).
    fn believed(&self, found: Option<&Bytes>, reply: Reply) -> Reply {
        static LOG: RateLimit = RateLimit::new(LOG_INTERVAL);
        match (found, reply) {
            (Some(value), _) => {
                self.mget_finds.set(true);
                Reply::Value(value.clone())
            }
            (None, Reply::Value(value)) => {
                if let Some(suppressed) = LOG.admit(now()) {
                    tracing::warn!(
                        suppressed,
                        "get finds a record that mget has not found: where this goes on, the backend's mask denies mget, by \
                         which the guard reads stamps back too: allow it there"
                    );
                }
                Reply::Value(value)
            }
            (None, reply) => reply,
        }
    }
}
