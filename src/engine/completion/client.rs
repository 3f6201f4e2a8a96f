//! What an outcome calls for where a client has asked by itself.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::clock::now;
use crate::command::function::Function;
use crate::command::{Answer, Command, Kind, Reply};
use crate::engine::Engine;
use crate::engine::channel::Client;
use crate::engine::failure::Failure;
use crate::engine::records::Probe;
use crate::engine::request::Request;
use crate::engine::stamping::values::Values;
use crate::engine::state::Settled;
use crate::logging::RateLimit;
use crate::metrics::{self, RetryKind};
use crate::pairing::owed::Lost;
use crate::protocol::link::told::{Failed, Told};
use crate::protocol::tyrant::opcode::Opcode;
use crate::store::tyrant::lane::ALWAYS_FITS;

/// A client's own request.
#[derive(Debug)]
pub struct ClientRequest {
    /// Who has asked.
    pub client: Rc<dyn Client>,
    /// What.
    pub request: Request,
    /// It is on its way to change something.
    pub writes: bool,
    /// How the answer becomes the client's.
    pub form: Form,
}

/// What `mget` has found, where it has: the value, or nothing where that is too large to be kept beside the answer.
pub type Found = Rc<OnceCell<Option<Bytes>>>;

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

impl ClientRequest {
    pub(super) fn answered(mut self, engine: &Rc<Engine>, reply: Reply, now: Instant) {
        let shared = &engine.shared;
        let size = reply.size();
        if size > ALWAYS_FITS && !self.fits(engine, size) {
            return self.put_off(engine, size);
        }
        self.client.take_room(self.request.room.take(), size);
        if let Command::Get { key } = &self.request.command {
            engine.note_size(key, size);
        }
        let writes = self.writes;
        if matches!(self.form, Form::AsIs) && engine.leaves_in_doubt(&self.request, &reply) {
            engine.clear_up(self.client, self.request, writes, reply);
            return;
        }
        let reply = match &self.form {
            Form::AsIs => reply,
            Form::VerifiedGet { doubted, confirmed } => {
                let reply = match doubted {
                    Some(found) => engine.believed(found.get(), reply),
                    None => reply,
                };
                if let (Command::Get { key }, Reply::Value(value)) = (&self.request.command, &reply) {
                    engine.check_stamp(self.client.channel().links.current(), key, *confirmed, value);
                }
                reply
            }
            Form::PutList(probe) => {
                shared.hidden.written(reply.code(), probe);
                Reply::Code(reply.code())
            }
        };
        self.give(engine, reply, now);
    }

    /// Gives its client the answer, as that may see it.
    fn give(mut self, engine: &Engine, reply: Reply, now: Instant) {
        self.client.channel().landed(self.writes);
        match engine.own(&self.client.channel().listener.keys, &self.request.command, reply) {
            Some(reply) => {
                let (reply, seen) = engine.stripped(Values::of(&self.request.command), reply);
                self.request.seen = self.request.seen.max(seen);
                self.settle(Answer::Reply(reply), now);
            }
            None => self.fail(Failure::LaneLost),
        }
    }

    fn settle(self, answer: Answer, now: Instant) {
        let asked = self.request.settled(Settled::Answered);
        self.client.answered(asked, outcome_of(&answer), answer, now);
    }

    /// What the guard of this edge says that became of it.
    pub(super) fn told(mut self, engine: &Engine, told: Told, now: Instant) {
        match told {
            Told::Answer(Answer::Reply(reply)) => {
                let size = reply.size();
                if size > ALWAYS_FITS && !self.fits(engine, size) {
                    return self.put_off(engine, size);
                }
                self.client.take_room(self.request.room.take(), size);
                self.give(engine, reply, now);
            }
            Told::Answer(answer) => {
                self.client.channel().landed(self.writes);
                self.settle(answer, now);
            }
            // Nothing of it was done.
            Told::Failed(Failed::Stopping | Failed::Waits) => self.lost(engine, Lost::Unsent, false),
            Told::Failed(failed) => {
                self.client.channel().landed(self.writes);
                self.fail(Failure::of(failed));
            }
        }
    }

    /// Whether it stores a value with what the guard of this edge takes for a stamp, so that it may be asked twice.
    pub(super) fn is_stamped(&self, engine: &Engine) -> bool {
        match (&self.request.command, self.request.edit, engine.stamp_of_guard.get()) {
            (Command::Put { .. } | Command::PutNr { .. }, None, _) if engine.guard_gives.get() => {
                self.request.stamp.is_some()
            }
            (Command::Put { value, .. } | Command::PutNr { value, .. }, None, Some(stamp)) => {
                stamp.read(value).is_some()
            }
            _ => false,
        }
    }

    /// Whether it may be asked on another lane: it changes nothing, and nothing that its session has under way does, which
    /// it would have to see, or not.
    pub(super) fn may_ask_elsewhere(&self) -> bool {
        is_repeatable(&self.request.command) && !self.client.channel().writes()
    }

    /// As [`Self::fits`], of what has been announced: whoever asks for it too is told at once that it is large.
    pub(super) fn fits_ahead(&mut self, engine: &Engine, size: usize) -> bool {
        // It is asked again with each read: once it has room, all this is known.
        if self.request.room.is_none()
            && let Command::Get { key } = &self.request.command
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
        if !self.client.has_place_for(size) {
            return false;
        }
        let is_large = engine.settings().limits.is_large_answer(size);
        if is_large && self.request.room.as_ref().is_none_or(|room| room.bytes() < size) {
            self.request.room = engine.shared.memory.try_room(size);
            return self.request.room.is_some();
        }
        true
    }

    /// There is no room for its answer: it is dropped, and asked for again when there is, on a lane for what is large.
    pub(super) fn put_off(self, engine: &Engine, size: usize) {
        let shared = &engine.shared;
        self.client.channel().landed(self.writes);
        if engine.settings().limits.is_large_answer(size) && !shared.memory.can_have_room(size) {
            return self.fail(Failure::ReplyTooLarge);
        }
        shared.metrics.retries.of(RetryKind::Room).increment(1);
        self.client.channel().links.expects(size);
        self.client.channel().again(Request {
            wants: size,
            room: None,
            ..self.request
        });
    }

    /// There is no answer.
    fn fail(self, failure: Failure) {
        let asked = self.request.settled(Settled::Failed);
        self.client.failed(asked, failure);
    }

    /// What was asked could not be found out, and cannot be said.
    pub(super) fn unanswerable(self) {
        self.client.channel().landed(self.writes);
        self.fail(Failure::LaneLost);
    }

    /// The answer, with this code, was larger than allowed.
    pub(super) fn dropped(self, engine: &Engine, code: u8) {
        let shared = &engine.shared;
        if let Form::PutList(probe) = &self.form {
            shared.hidden.written(code, probe);
        }
        self.client.channel().landed(self.writes);
        self.fail(Failure::ReplyTooLarge);
    }

    /// What shared its request has failed: this or another. So the key is read back, and this is sent by itself.
    pub(super) fn undone(self, engine: &Engine, now: Instant) {
        let shared = &engine.shared;
        engine.sharing.failed(now);
        if matches!(self.form, Form::PutList(_)) {
            shared.hidden.doubt();
        }
        self.client.channel().landed(self.writes);
        if now < self.request.deadline {
            shared.metrics.retries.of(RetryKind::Apart).increment(1);
            self.client.channel().again(Request {
                apart: true,
                ..self.request
            });
        } else {
            self.fail(Failure::Deadline);
        }
    }

    pub(super) fn lost(self, engine: &Engine, lost: Lost, is_idempotent: bool) {
        let shared = &engine.shared;
        if matches!(self.form, Form::PutList(_)) && lost == Lost::Sent {
            shared.hidden.doubt();
        }
        self.client.channel().landed(self.writes);
        let again = match (lost, &self.request.command) {
            (Lost::Unsent, _) => Some(RetryKind::Unsent),
            (Lost::Sent, Command::Put { .. } | Command::PutNr { .. }) if is_idempotent => Some(RetryKind::Write),
            (Lost::Sent, command) if is_repeatable(command) => Some(RetryKind::Read),
            _ => None,
        };
        let in_time = now() < self.request.deadline;
        match again {
            Some(kind) if in_time => {
                shared.metrics.retries.of(kind).increment(1);
                self.client.channel().again(Request {
                    retried: self.request.retried || lost == Lost::Sent,
                    ..self.request
                });
            }
            Some(_) => self.fail(Failure::Deadline),
            None => self.fail(Failure::LaneLost),
        }
    }
}

/// How an answer is counted.
pub fn outcome_of(answer: &Answer) -> metrics::Outcome {
    match answer {
        Answer::Reply(reply) if reply.code() == 0 => metrics::Outcome::Answered,
        Answer::Refused { .. } => metrics::Outcome::Refused,
        Answer::Reply(_) | Answer::NoRecord | Answer::Unavailable => metrics::Outcome::Failed,
    }
}

/// Whether a request only asks, so that it may be sent again.
pub fn is_repeatable(command: &Command) -> bool {
    match command {
        Command::Misc { function, .. } => Function::named(function).is_read(),
        command => Opcode::of(command.verb()).kind == Kind::Read,
    }
}

impl Engine {
    /// Which answer to a `get` counts: that of the `mget` just before it, which names its key, where it found a record.
    /// A server whose mask denies `mget` answers it as if there were none (1.1.41, `do_mget`).
    fn believed(&self, found: Option<&Option<Bytes>>, reply: Reply) -> Reply {
        static LOG: RateLimit = RateLimit::new(LOG_INTERVAL);
        match (found, reply) {
            (Some(value), reply) => {
                self.mget_finds.set(true);
                value.clone().map_or(reply, Reply::Value)
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
