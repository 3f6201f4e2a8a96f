//! Which way a request goes.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Behind, Next, Pipeline};
use crate::clock::now;
use crate::command::function::Function;
use crate::command::{Command, Verb};
use crate::engine::Engine;
use crate::engine::completion::{Form, Found, Purpose};
use crate::engine::denial::note_copy_of_pytyrant;
use crate::engine::failure::Failure;
use crate::engine::request::{Request, StampStage, Waiting};
use crate::engine::sending::Via;
use crate::engine::sequence::pieces;
use crate::engine::state::Cause;
use crate::engine::write::settlement::Tickets;
use crate::guard::verdict::Change;
use crate::metrics::Intervention;
use crate::protocol::answer;
use crate::protocol::tyrant::dialect::Dialect;

/// How long a `vanish` waits for bytes behind it. PyTyrant's `copy` has the number of today's `vanish`, and sends the
/// size of a path in the same segment.
const VANISH_GRACE: Duration = Duration::from_millis(25);

/// The way of a request.
enum Way {
    /// It changes nothing.
    Pass,
    /// A `get` of this key, whose answer names it.
    VerifiedGet(Bytes),
    /// `put`, `putkeep`, `putnr` of this key and value.
    Put(Bytes, Bytes),
    /// `out` where the backend holds no record of a tombstone: the guard alone remembers it.
    Remove(Bytes),
    /// `putcat` of columns to this key: like a `put` where they have a stamp.
    Merge(Bytes, Bytes),
    /// A change of this key that a stamp cannot order.
    Unordered(Bytes),
    /// In several exchanges.
    Sequence,
    /// An endless answer.
    Stream,
    /// A `vanish` of which it shows by what follows whether it is one.
    Vanish,
}

impl Pipeline {
    /// Puts a request on its way, or says what it must wait for.
    pub(super) fn route(&self, mut request: Request, behind: Behind) -> Next {
        let (channel, engine) = (self.channel(), self.engine());
        if request.wants > 0
            && let Some(waiting) = self.place_for(&request)
        {
            // Others may use it for as long as this waits for its client.
            request.room = None;
            return Next::Waits(request, waiting);
        }
        if channel.is_elsewhere() {
            // A client's requests stay in their order.
            return Self::wait(request, Cause::Earlier);
        }
        if channel.in_flight() == 0 {
            channel
                .links
                .choose(&request.command, engine.asks_for_large(&request.command));
        }
        if let Some(by) = channel.denies(&request) {
            return self.deny(request, by);
        }
        if !engine.knows_backend() && engine.via(channel.links.current(), None, 1).is_none() {
            return Self::wait(request, Cause::Lane);
        }
        if channel.cannot_tell_keys(&request.command) {
            let by = request.command.verb();
            return self.deny(
                Request {
                    barred: true,
                    ..request
                },
                by,
            );
        }
        if engine.is_edge() {
            return self.ask_guard(request, behind);
        }
        if let Some(cause) = engine.stamp(&mut request) {
            return Self::wait(request, cause);
        }
        match self.way_of(&request) {
            Way::Pass => self.pass(request),
            Way::VerifiedGet(key) => self.verified_get(request, key),
            Way::Put(key, value) => self.put(request, key, value),
            Way::Remove(key) => {
                let change = Change::delete(request.stamp);
                self.change(request, &key, change)
            }
            Way::Merge(key, value) => self.merge(request, &key, &value),
            Way::Unordered(key) => self.change_unordered(request, &key),
            Way::Sequence => self.run_alone(request),
            Way::Stream if channel.in_flight() > 0 => Self::wait(request, Cause::Earlier),
            Way::Stream => Next::Streams(request),
            Way::Vanish => self.vanish(request, behind),
        }
    }

    fn way_of(&self, request: &Request) -> Way {
        let engine = self.engine();
        match &request.command {
            // With its key to itself, or once its keys are looked at.
            _ if request.unlooked || request.edit.is_some() || request.stamping == StampStage::InSequence => {
                Way::Sequence
            }
            command if self.goes_in_pieces(command) => Way::Sequence,
            Command::Stat if request.form.asks_for_version() => Way::Pass,
            Command::Get { key } if engine.settings().verify_reads => Way::VerifiedGet(key.clone()),
            // Of what is stored a part is not the client's.
            Command::Vsiz { .. } if engine.given_format().is_some() => Way::Sequence,
            Command::Misc { function, .. } if engine.given_format().is_some() && Function::reads_part(function) => {
                Way::Sequence
            }
            Command::Get { .. } | Command::Vsiz { .. } | Command::Mget { .. } | Command::Size | Command::IterInit => {
                Way::Pass
            }
            // With its key to itself, as another thread carries it out.
            command if engine.store.takes_long(command) => Way::Sequence,
            Command::Put { key, value } | Command::PutKeep { key, value } | Command::PutNr { key, value } => {
                Way::Put(key.clone(), value.clone())
            }
            // The record of its tombstone must be stored before.
            Command::Out { .. } if engine.capabilities().holds_records => Way::Sequence,
            Command::Out { key } => Way::Remove(key.clone()),
            Command::PutCat { key, value } if engine.stamp_column().is_some() => Way::Merge(key.clone(), value.clone()),
            // What becomes of it depends on what is stored.
            Command::PutShl { .. } => Way::Sequence,
            Command::PutCat { value, .. } if engine.may_begin_stamp(value) => Way::Sequence,
            Command::PutCat { key, .. } | Command::AddInt { key, .. } | Command::AddDouble { key, .. } => {
                Way::Unordered(key.clone())
            }
            Command::Misc { function, .. } if passes(function) => Way::Pass,
            Command::Vanish if may_be_copy(request) => Way::Vanish,
            Command::Repl { .. } => Way::Stream,
            _ => Way::Sequence,
        }
    }

    /// What a request has to wait for whose answer did not fit.
    fn place_for(&self, request: &Request) -> Option<Waiting> {
        if !self.client.has_place_for(request.wants) {
            return Some(Waiting::Look(Cause::Taken));
        }
        let engine = self.engine();
        let is_large = engine.settings().limits.is_large_answer(request.wants);
        let memory = Arc::clone(&engine.shared.memory);
        (is_large && request.room.is_none()).then(|| Waiting::Room(Box::pin(memory.room(request.wants))))
    }

    /// Whether a read asks for so many keys that they are asked for a piece at a time.
    fn goes_in_pieces(&self, command: &Command) -> bool {
        match command {
            Command::Mget { keys } => keys.len() > pieces::WHOLE_MAX,
            // In a skeleton a function of any name can mean anything.
            Command::Misc {
                function, arguments, ..
            } => {
                arguments.len() > pieces::WHOLE_MAX
                    && Function::lists(function)
                    && self.engine().capabilities().knows_functions
            }
            _ => false,
        }
    }

    /// Sends a request that changes nothing.
    fn pass(&self, request: Request) -> Next {
        let wire = request.command.clone();
        match self.engine().via(self.channel().links.current(), wire.key(), 1) {
            Some(via) => self.send(&via, &wire, request, Tickets::None, Form::AsIs),
            None => Self::wait(request, Cause::Lane),
        }
    }

    /// Sends a `get` whose answer names its key.
    fn verified_get(&self, request: Request, key: Bytes) -> Next {
        let (channel, engine) = (self.channel(), self.engine());
        // What has never found anything may be denied by the server's mask, and then says so of any record.
        let is_doubted = !engine.mget_finds.get();
        let Some(via) = engine.via(channel.links.current(), Some(&key), 1 + usize::from(is_doubted)) else {
            return Self::wait(request, Cause::Lane);
        };
        let form = Form::VerifiedGet {
            confirmed: engine.confirmed(&key),
            doubted: is_doubted.then(|| engine.find(&via, &key, request.deadline)),
        };
        let command = Command::Get { key };
        if is_doubted {
            return self.send(&via, &command, request, Tickets::None, form);
        }
        // What else the client has in flight may ask for the same key, and would have to be answered in its order.
        let may_join = channel.in_flight() == 0;
        let deadline = request.deadline;
        let completion = self.completion(&command, request, Tickets::None, form);
        engine.send_read(&via, &command, deadline, completion, may_join);
        Next::Gone
    }

    /// A `vanish` to a listener of today's dialect, which may be the `copy` of a PyTyrant that speaks its own.
    pub(super) fn vanish(&self, request: Request, behind: Behind) -> Next {
        let channel = self.channel();
        let until = request.received + VANISH_GRACE;
        match behind {
            // What was asked before is answered first.
            Behind::Else if channel.in_flight() == 0 => {
                note_copy_of_pytyrant();
                let interventions = &self.engine().shared.metrics.interventions;
                interventions.of(Intervention::Misread).increment(1);
                self.fail(request, Failure::RefusedCommand);
                Next::Gone
            }
            Behind::Nothing if channel.turn() < until => Self::wait(request, Cause::Grace(until)),
            _ if self.engine().is_edge() => self.ask_whole(request),
            _ => self.run_alone(request),
        }
    }
}

/// Whether a `misc` function goes through as it is.
fn passes(function: &[u8]) -> bool {
    matches!(Function::named(function), Function::Read | Function::IterInit)
}

/// Whether a `vanish` may be the `copy` of a PyTyrant that speaks its own dialect to a listener of today's.
pub(super) fn may_be_copy(request: &Request) -> bool {
    request.command.verb() == Verb::Vanish && request.form == answer::Form::Binary(Dialect::Tyrant)
}

impl Engine {
    /// Asks for a key's record by `mget`, to see whether that finds what there is.
    fn find(self: &Rc<Self>, via: &Via, key: &Bytes, deadline: std::time::Instant) -> Found {
        let found = Found::default();
        let purpose = Purpose::Find {
            key: key.clone(),
            found: Rc::clone(&found),
        };
        let wire = Command::Mget {
            keys: vec![key.clone()],
        };
        self.send(
            via,
            &wire,
            deadline,
            self.completion(&wire, Tickets::None, purpose, now()),
        );
        found
    }
}
