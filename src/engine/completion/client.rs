//! What an outcome calls for where a client has asked by itself.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{outcome_of, outcome_when};
use crate::backend::tyrant::lane::ALWAYS_FITS;
use crate::command::function::Function;
use crate::command::{Answer, Command, Kind, Reply};
use crate::engine::Engine;
use crate::engine::records::Probe;
use crate::front::session::{End, Item, Session, now};
use crate::guard::verdict::{Outcome, Ticket};
use crate::logging::RateLimit;
use crate::metrics::{self, RetryKind};
use crate::pairing::owed::Lost;
use crate::protocol::tyrant::opcode::Opcode;

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
    /// Whether it is on its way to change something.
    fn writes(&self) -> bool {
        self.ticket.is_some()
    }

    pub(super) fn answered(mut self, engine: &Rc<Engine>, reply: Reply, now: Instant) {
        let shared = &engine.shared;
        let size = reply.size();
        if size > ALWAYS_FITS && !self.fits(engine, size) {
            return self.put_off(engine, size);
        }
        self.session.take_room(self.item.room.take(), size);
        if let Command::Get { key } = &self.item.command {
            engine.note_size(key, size);
        }
        let writes = self.writes();
        if let Some(ticket) = self.ticket {
            let outcome = outcome_of(&ticket, reply.code());
            shared.guard.settle(ticket, outcome);
        }
        if matches!(self.form, Form::AsIs) && engine.leaves_in_doubt(&self.item, &reply) {
            engine.clear_up(self.session, self.item, writes, reply);
            return;
        }
        let reply = match self.form {
            Form::AsIs => reply,
            Form::VerifiedGet { doubted, confirmed } => {
                let reply = match doubted {
                    Some(found) => engine.believed(found.get(), reply),
                    None => reply,
                };
                if let (Command::Get { key }, Reply::Value(value)) = (&self.item.command, &reply) {
                    engine.check_stamp(self.session.links.current(), key, confirmed, value);
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
        self.session.landed(writes);
        match engine.own(&self.session.listener.keys, &self.item.command, reply) {
            Some(reply) => {
                let answer = Answer::Reply(reply);
                self.session.conclude(self.item.concluding(), outcome, answer, now);
            }
            None => self.session.fail(self.item.concluding(), End::LaneLost),
        }
    }

    /// Whether it may be asked on another lane: it changes nothing, and nothing that its session has under way does, which
    /// it would have to see, or not.
    pub(super) fn may_ask_elsewhere(&self) -> bool {
        is_repeatable(&self.item.command) && !self.session.writes()
    }

    /// As [`Self::fits`], of what has been announced: whoever asks for it too is told at once that it is large.
    pub(super) fn fits_ahead(&mut self, engine: &Engine, size: usize) -> bool {
        // It is asked again with each read: once it has room, all this is known.
        if self.item.room.is_none()
            && let Command::Get { key } = &self.item.command
        {
            engine.note_size(key, size);
        }
        self.fits(engine, size)
    }

    /// Whether there is place behind what its client has not taken, and room among all that clients have not taken, for
    /// an answer of so many bytes.
    fn fits(&mut self, engine: &Engine, size: usize) -> bool {
        if !self.may_ask_elsewhere() {
            // Asked again it would do something again, or see what was asked for behind it.
            return true;
        }
        if !self.session.has_place_for(size) {
            return false;
        }
        let is_large = engine.settings().limits.is_large_answer(size);
        if is_large && self.item.room.as_ref().is_none_or(|room| room.bytes() < size) {
            self.item.room = engine.shared.try_room(size);
            return self.item.room.is_some();
        }
        true
    }

    /// There is no room for its answer: it is dropped, and asked for again when there is, on a lane for what is large.
    pub(super) fn put_off(self, engine: &Engine, size: usize) {
        let shared = &engine.shared;
        self.session.landed(self.writes());
        if engine.settings().limits.is_large_answer(size) && !shared.can_have_room(size) {
            return self.session.fail(self.item.concluding(), End::ReplyTooLarge);
        }
        shared.metrics.retries.of(RetryKind::Room).increment(1);
        self.session.links.expects(size);
        self.session.retry(Item {
            wants: size,
            room: None,
            ..self.item
        });
    }

    /// The answer, with this code, was larger than allowed.
    pub(super) fn dropped(self, engine: &Engine, code: u8) {
        let shared = &engine.shared;
        let writes = self.writes();
        if let Some(ticket) = self.ticket {
            let outcome = outcome_of(&ticket, code);
            shared.guard.settle(ticket, outcome);
        }
        if let Form::PutList(probe) = &self.form {
            shared.hidden.written(code, probe);
        }
        self.session.landed(writes);
        self.session.fail(self.item.concluding(), End::ReplyTooLarge);
    }

    /// What shared its request has failed: this or another. So the key is read back, and this is sent by itself.
    pub(super) fn undone(self, engine: &Engine, now: Instant) {
        let shared = &engine.shared;
        engine.sharing.failed(now);
        let writes = self.writes();
        if let Some(ticket) = self.ticket {
            shared.guard.settle(ticket, Outcome::Failed);
        }
        if matches!(self.form, Form::PutList(_)) {
            shared.hidden.doubt();
        }
        self.session.landed(writes);
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

    pub(super) fn lost(self, engine: &Engine, lost: Lost) {
        let shared = &engine.shared;
        let writes = self.writes();
        let stamped = self.ticket.as_ref().is_some_and(Ticket::is_idempotent);
        if let Some(ticket) = self.ticket {
            shared.guard.settle(ticket, outcome_when(lost));
        }
        if matches!(self.form, Form::PutList(_)) && lost == Lost::Sent {
            shared.hidden.doubt();
        }
        self.session.landed(writes);
        let again = match (lost, &self.item.command) {
            (Lost::Unsent, _) => Some(RetryKind::Unsent),
            (Lost::Sent, Command::Put { .. } | Command::PutNr { .. }) if stamped => Some(RetryKind::Write),
            (Lost::Sent, command) if is_repeatable(command) => Some(RetryKind::Read),
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

/// Whether a request only asks, so that it may be sent again.
fn is_repeatable(command: &Command) -> bool {
    match command {
        Command::Misc { function, .. } => Function::named(function).is_read(),
        command => Opcode::of(command.verb()).kind == Kind::Read,
    }
}

impl Engine {
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
