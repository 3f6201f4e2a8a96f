//! From a request to the backend: judged where it writes, and put into the lane's queue in the same step.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::backend::tyrant::greeting::DatabaseKind;
use crate::command::function::Function;
use crate::command::{Answer, Command, Reason, Reply, Verb};
use crate::config::StaleReply;
use crate::engine::completion::{Cargo, ClientCargo, Form, Found, Passenger};
use crate::engine::records::{self, Probe};
use crate::engine::sequence::{Steps, pieces};
use crate::engine::store::Via;
use crate::engine::write::judging::{Decision, Proposal};
use crate::front::session::{End, Item, Next, Session, Step, Waiting, note_copy_of_pytyrant, now};
use crate::guard::rules::LedgerMode;
use crate::guard::verdict::{self, Change, Refusal, Ticket};
use crate::metrics::{Intervention, Outcome};
use crate::protocol::tyrant::dialect::Dialect;
use crate::protocol::{Protocol, answer};
use crate::recent::Asker;

/// Requests that one write can put on a lane at once: a probe, a hidden record, the write, a read-back.
pub const ROOM: usize = 4;

/// How long a `vanish` waits for bytes behind it. PyTyrant's `copy` has the number of today's `vanish`, and sends the
/// size of a path in the same segment.
const VANISH_GRACE: Duration = Duration::from_millis(25);

impl Session {
    /// Puts a request on its way, or says what it must wait for. `next_byte` is what follows it in the input.
    pub fn dispatch(self: &Rc<Self>, mut item: Item, next_byte: Option<u8>) -> Next {
        if item.wants > 0
            && let Some(waiting) = self.place_for(&item)
        {
            // Others may use it for as long as this waits for its client.
            item.room = None;
            return Next::Wait(item, waiting);
        }
        if self.is_elsewhere() {
            // Its requests stay in their order.
            return Next::Wait(item, Waiting::Settled);
        }
        if self.aloft() == 0 {
            self.links
                .choose(&item.command, self.engine.asks_for_large(&item.command));
        }
        if let Some(by) = self.denies(&item) {
            return self.deny(item, by);
        }
        if !self.engine.knows_backend() && self.engine.via(self.links.current(), 1).is_none() {
            return Next::Wait(item, Waiting::Lane);
        }
        if self.cannot_tell_keys(&item.command) {
            let by = item.command.verb();
            return self.deny(Item { barred: true, ..item }, by);
        }
        match &item.command {
            _ if item.unlooked && self.aloft() > 0 => Next::Wait(item, Waiting::Settled),
            _ if item.unlooked => self.step(item),
            // Alone in its session, and with its key to itself.
            _ if item.edit.is_some() && self.aloft() > 0 => Next::Wait(item, Waiting::Settled),
            _ if item.edit.is_some() => self.step(item),
            command if self.goes_in_pieces(command) && self.aloft() > 0 => Next::Wait(item, Waiting::Settled),
            command if self.goes_in_pieces(command) => self.step(item),
            Command::Stat if item.form.asks_for_version() => self.pass(item, &Command::Stat, Form::AsIs),
            Command::Get { key } if self.engine.settings().verify_reads => {
                let key = key.clone();
                self.verified_get(item, &key)
            }
            Command::Get { .. } | Command::Vsiz { .. } | Command::Mget { .. } | Command::Size | Command::IterInit => {
                let wire = item.command.clone();
                self.pass(item, &wire, Form::AsIs)
            }
            // With its key to itself, as another thread carries it out.
            command if self.engine.store.takes_long(command) => self.step_alone(item),
            Command::Put { key, value } | Command::PutKeep { key, value } | Command::PutNr { key, value } => {
                let (key, value) = (key.clone(), value.clone());
                self.store(item, &key, value)
            }
            // The record of its tombstone must be stored before.
            Command::Out { .. } if self.engine.kind().holds_records() => self.step_alone(item),
            Command::Out { key } => {
                let key = key.clone();
                self.remove(item, &key)
            }
            Command::PutCat { key, value } if self.engine.stamp_column().is_some() => {
                let (key, value) = (key.clone(), value.clone());
                self.merge(item, &key, &value)
            }
            // What becomes of it depends on what is stored.
            Command::PutShl { .. } => self.step_alone(item),
            Command::PutCat { value, .. } if self.engine.may_begin_stamp(value) => self.step_alone(item),
            Command::PutCat { key, .. } | Command::AddInt { key, .. } | Command::AddDouble { key, .. } => {
                let key = key.clone();
                self.change_unordered(item, &key)
            }
            Command::Misc { function, .. } if passes(function) => {
                let wire = item.command.clone();
                self.pass(item, &wire, Form::AsIs)
            }
            // What was asked before is answered first.
            Command::Vanish
                if may_be_copy(&item) && next_byte.is_some_and(|byte| !self.may_begin(byte)) && self.aloft() == 0 =>
            {
                note_copy_of_pytyrant();
                let interventions = &self.engine.shared.metrics.interventions;
                interventions.of(Intervention::Misread).increment(1);
                self.fail(item.concluding(), End::RefusedCommand);
                Next::Done
            }
            Command::Vanish
                if may_be_copy(&item) && next_byte.is_none() && self.turn() < item.received + VANISH_GRACE =>
            {
                let until = item.received + VANISH_GRACE;
                Next::Wait(item, Waiting::Grace(until))
            }
            _ if self.aloft() > 0 => Next::Wait(item, Waiting::Settled),
            Command::Repl { .. } => Next::Stream(item),
            _ => self.step(item),
        }
    }

    /// What a request has to wait for whose answer did not fit.
    fn place_for(&self, item: &Item) -> Option<Waiting> {
        if !self.has_place_for(item.wants) {
            return Some(Waiting::Taken);
        }
        let is_large = self.engine.settings().limits.is_large_answer(item.wants);
        let shared = Arc::clone(&self.engine.shared);
        (is_large && item.room.is_none()).then(|| Waiting::Room(Box::pin(shared.room(item.wants))))
    }

    /// Whether a byte can be the first of a request.
    fn may_begin(&self, byte: u8) -> bool {
        Protocol::begun_by(byte).is_some_and(|protocol| self.listener.protocols.serve(protocol))
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
                    && self.engine.kind() != DatabaseKind::Foreign
            }
            _ => false,
        }
    }

    /// Sends a request that changes nothing.
    fn pass(self: &Rc<Self>, item: Item, wire: &Command, form: Form) -> Next {
        match self.engine.via(self.links.current(), 1) {
            Some(via) => self.send(&via, wire, item, None, form),
            None => Next::Wait(item, Waiting::Lane),
        }
    }

    /// Sends a `get` whose answer names its key.
    fn verified_get(self: &Rc<Self>, item: Item, key: &Bytes) -> Next {
        // What has never found anything may be denied by the server's mask, and then says so of any record.
        let is_doubted = !self.engine.mget_finds.get();
        let Some(via) = self.engine.via(self.links.current(), 1 + usize::from(is_doubted)) else {
            return Next::Wait(item, Waiting::Lane);
        };
        let form = Form::VerifiedGet {
            confirmed: self.engine.confirmed(key),
            doubted: is_doubted.then(|| self.engine.find(&via, key, item.deadline)),
        };
        let command = item.command.clone();
        if is_doubted {
            return self.send(&via, &command, item, None, form);
        }
        // What else the session has under way may ask for the same key, and would have to be answered in its order.
        let may_join = self.aloft() == 0;
        let deadline = item.deadline;
        let passenger = self.passenger(&command, item, None, form);
        via.submit_read(&command, deadline, passenger, may_join);
        Next::Done
    }

    fn send(self: &Rc<Self>, via: &Via, wire: &Command, item: Item, ticket: Option<Ticket>, form: Form) -> Next {
        let deadline = item.deadline;
        via.submit(wire, deadline, self.passenger(wire, item, ticket, form));
        Next::Done
    }

    /// A request that is about to travel with this command.
    fn passenger(self: &Rc<Self>, wire: &Command, item: Item, ticket: Option<Ticket>, form: Form) -> Passenger {
        self.took_off(ticket.is_some());
        let cargo = Cargo::Client(ClientCargo {
            session: Rc::clone(self),
            item,
            ticket,
            form,
        });
        self.engine.passenger(wire, cargo, self.turn())
    }

    /// `put`, `putkeep`, `putnr`.
    fn store(self: &Rc<Self>, mut item: Item, key: &Bytes, value: Bytes) -> Next {
        let change = self.engine.change_of(&value);
        let with_record = self.engine.keeps_records() && matches!(change, Change::Stamped { .. });
        let may_list = self.engine.kind().is_plain() && !self.engine.denies_misc();
        if with_record && (item.command.verb() == Verb::PutKeep || !may_list) {
            // The stamp's record must follow the value's outcome.
            return self.step_alone(item);
        }
        let hash = self.engine.hash_of(key);
        let (guard, kind) = (&self.engine.shared.guard, self.engine.kind());
        if matches!(change, Change::Unstamped) && kind.holds_records() && guard.may_hold_stamp(hash) {
            // The record of what it may lie over must be stored before.
            return self.step_alone(item);
        }
        let (via, ticket) = match self.judge(&mut item, key, change) {
            Ok(passage) => passage,
            Err(obstacle) => return self.obstructed(item, obstacle),
        };
        if self.engine.wants_record(&ticket) {
            // Something with a stamp was stored just now.
            guard.settle(ticket, verdict::Outcome::Unsent);
            return self.step_alone(item);
        }
        if let (true, Change::Stamped { stamp, .. }) = (with_record, change) {
            return self.send_with_record(&via, item, key, &value, stamp, ticket);
        }
        let wire = match &item.command {
            Command::PutNr { .. } => Command::Put {
                key: key.clone(),
                value,
            },
            other => other.clone(),
        };
        self.send_write(&via, &wire, item, ticket, Form::AsIs)
    }

    /// Sends a write that may share its request with others.
    fn send_write(self: &Rc<Self>, via: &Via, wire: &Command, item: Item, ticket: Ticket, form: Form) -> Next {
        let is_listed = wire.verb() == Verb::Misc;
        // What is sent once more after a failure must do no harm.
        let may_share = ticket.is_idempotent() && !item.apart && self.engine.shares_puts(is_listed, self.turn());
        if !may_share {
            return self.send(via, wire, item, Some(ticket), form);
        }
        let deadline = item.deadline;
        via.submit_write(wire, deadline, self.passenger(wire, item, Some(ticket), form));
        Next::Done
    }

    /// Value and stamp in one `putlist`, the value first.
    fn send_with_record(
        self: &Rc<Self>,
        via: &Via,
        item: Item,
        key: &Bytes,
        value: &Bytes,
        stamp: u64,
        ticket: Ticket,
    ) -> Next {
        let (name, digits) = self.engine.record_of(key, stamp);
        let probe = self.engine.probe(via, &name, item.deadline);
        let wire = Command::Misc {
            function: Bytes::from_static(b"putlist"),
            options: 0,
            arguments: vec![key.clone(), value.clone(), name, digits],
        };
        self.send_write(via, &wire, item, ticket, Form::PutList(probe))
    }

    /// `out` where the backend holds no record of a tombstone: the guard alone remembers it.
    fn remove(self: &Rc<Self>, mut item: Item, key: &Bytes) -> Next {
        match self.judge(&mut item, key, Change::Delete) {
            Ok((via, ticket)) => {
                let wire = item.command.clone();
                self.send(&via, &wire, item, Some(ticket), Form::AsIs)
            }
            Err(obstacle) => self.obstructed(item, obstacle),
        }
    }

    /// A change that a stamp cannot order.
    fn change_unordered(self: &Rc<Self>, mut item: Item, key: &Bytes) -> Next {
        if let Err(refusal) = self.engine.admit_unordered(self.asker(&item), item.command.verb(), key) {
            return self.refuse(item, refusal);
        }
        match self.judge(&mut item, key, Change::Unordered) {
            Ok((via, ticket)) => {
                let wire = item.command.clone();
                self.send(&via, &wire, item, Some(ticket), Form::AsIs)
            }
            Err(obstacle) => self.obstructed(item, obstacle),
        }
    }

    /// `putcat` of columns: like a `put` where they have a stamp.
    fn merge(self: &Rc<Self>, mut item: Item, key: &Bytes, value: &Bytes) -> Next {
        let change = self.engine.change_of(value);
        if !matches!(change, Change::Stamped { .. }) {
            return self.change_unordered(item, key);
        }
        match self.judge(&mut item, key, change) {
            Ok((via, ticket)) => {
                let wire = item.command.clone();
                self.send(&via, &wire, item, Some(ticket), Form::AsIs)
            }
            Err(obstacle) => self.obstructed(item, obstacle),
        }
    }

    fn judge(self: &Rc<Self>, item: &mut Item, key: &Bytes, change: Change<'_>) -> Result<(Via, Ticket), Obstacle> {
        let asker = self.asker(item);
        if self.engine.denies_key(asker, key) {
            return Err(Obstacle::Refused(Refusal::Denied));
        }
        let via = self
            .engine
            .via(self.links.current(), ROOM)
            .ok_or(Obstacle::Wait(Waiting::Lane))?;
        if let Some(until) = self.engine.hold_until() {
            return Err(Obstacle::Wait(Waiting::Hold(until)));
        }
        let proposal = Proposal {
            asker: Some(asker),
            ..Proposal::by(&via, key, change)
        };
        match self.engine.judge(proposal, &mut item.standing) {
            Decision::Go(ticket) => Ok((via, ticket)),
            Decision::Refused(refusal) => Err(Obstacle::Refused(refusal)),
            Decision::Wait(wait) => Err(Obstacle::Wait(Waiting::Guard(wait))),
        }
    }

    fn obstructed(self: &Rc<Self>, item: Item, obstacle: Obstacle) -> Next {
        match obstacle {
            Obstacle::Wait(waiting) => Next::Wait(item, waiting),
            Obstacle::Refused(refusal) => self.refuse(item, refusal),
        }
    }

    fn refuse(self: &Rc<Self>, item: Item, refusal: Refusal) -> Next {
        let answer = self.engine.refusal_answer(item.command.verb(), refusal);
        self.conclude(item.concluding(), Outcome::Refused, answer, self.turn());
        Next::Done
    }

    /// As [`Self::step`], once everything that the session sent before is settled.
    fn step_alone(self: &Rc<Self>, item: Item) -> Next {
        if self.aloft() > 0 {
            Next::Wait(item, Waiting::Settled)
        } else {
            self.step(item)
        }
    }

    /// A command that takes several exchanges, alone in its session until it is done.
    fn step(self: &Rc<Self>, item: Item) -> Next {
        let what = item.concluding();
        let steps = Steps::new(Rc::clone(self), &item);
        let step: Step = match item.edit {
            edit @ Some(_) => Box::pin(steps.carry_out_edit(item.command, edit)),
            None if item.unlooked => Box::pin(steps.carry_out_list(item.command)),
            None => Box::pin(steps.carry_out(item.command)),
        };
        Next::Step(what, step)
    }
}

/// Why a write is not sent now.
enum Obstacle {
    Wait(Waiting),
    Refused(Refusal),
}

/// Whether a `misc` function goes through as it is.
fn passes(function: &[u8]) -> bool {
    matches!(Function::named(function), Function::Read | Function::IterInit)
}

/// Whether a `vanish` may be the `copy` of a PyTyrant that speaks its own dialect to a listener of today's.
fn may_be_copy(item: &Item) -> bool {
    item.form == answer::Form::Binary(Dialect::Tyrant)
}

/// What a client is told about a refused write; `code` 0 says that it was stored.
fn refusal_reply(verb: Verb, code: u8) -> Reply {
    match (verb, code) {
        (Verb::Misc, code) => Reply::Strings {
            code,
            strings: Vec::new(),
        },
        (Verb::Ext, 0) => Reply::Value(Bytes::from_static(crate::engine::sequence::EXT_DONE)),
        (_, code) => Reply::Code(code),
    }
}

/// A refusal with its code, which is 0 where the client is told that the write was stored.
pub fn refused(refusal: Refusal, code: u8, told: Reply) -> Answer {
    let reason = match refusal {
        _ if code == 0 => return Answer::Reply(told),
        Refusal::Stale { .. } => Reason::Stale,
        Refusal::Tie => Reason::Tie,
        Refusal::Future => Reason::Future,
        Refusal::Unstamped => Reason::Unstamped,
        Refusal::Denied => Reason::Denied,
    };
    Answer::Refused { reason, told }
}

impl crate::engine::Engine {
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
    pub fn admit_unordered(&self, asker: Asker, verb: Verb, key: &Bytes) -> Result<(), Refusal> {
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
    pub fn admit_made(&self, asker: Asker, key: &Bytes, made: &[u8]) -> Result<(), Refusal> {
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
    pub fn denies_key(&self, asker: Asker, key: &Bytes) -> bool {
        if !self.is_unwritable(key) {
            return false;
        }
        self.note_refusal(asker, key, Change::Unordered, Refusal::Denied);
        self.shared.guard.enforces()
    }

    /// Whether no client may write this key.
    pub fn is_unwritable(&self, key: &Bytes) -> bool {
        records::is_hidden(key) || self.kind().identity(key).is_none()
    }

    /// Whether stamps have records of their own beside every value.
    pub fn keeps_records(&self) -> bool {
        self.settings().rules.ledger == LedgerMode::Record && self.kind().holds_records()
    }

    /// Name and value of the record that keeps a key's stamp.
    pub fn record_of(&self, key: &Bytes, stamp: u64) -> (Bytes, Bytes) {
        let digits = self.shared.guard.stamp().write(stamp);
        (records::name_of(key), Bytes::from(digits))
    }

    /// Asks for a key's record by `mget`, to see whether that finds what there is.
    fn find(self: &Rc<Self>, via: &Via, key: &Bytes, deadline: std::time::Instant) -> Found {
        let found = Found::default();
        let cargo = Cargo::Find {
            key: key.clone(),
            found: Rc::clone(&found),
        };
        let wire = Command::Mget {
            keys: vec![key.clone()],
        };
        via.submit(&wire, deadline, self.passenger(&wire, cargo, now()));
        found
    }

    /// Asks whether a hidden record is there, just before it is written, where they are counted.
    pub fn probe(self: &Rc<Self>, via: &Via, name: &Bytes, deadline: std::time::Instant) -> Probe {
        if !self.shared.hidden.is_watched() {
            return Probe::default();
        }
        let probe = Probe::asked();
        let cargo = Cargo::Probe(probe.clone());
        let wire = Command::Vsiz { key: name.clone() };
        via.submit(&wire, deadline, self.passenger(&wire, cargo, now()));
        probe
    }
}
