//! Writes that take one exchange: judged, and put into the lane's queue in the same step.

use bytes::Bytes;

use super::{Next, Pipeline};
use crate::command::{Command, Verb};
use crate::engine::completion::Form;
use crate::engine::request::{Request, Waiting};
use crate::engine::sending::Via;
use crate::engine::state::Cause;
use crate::engine::write::companion::Companion;
use crate::engine::write::judging::{Obstacle, Passage};
use crate::engine::write::settlement::Tickets;
use crate::guard::verdict::{Change, Refusal};
use crate::metrics::Outcome;

impl Pipeline {
    /// `put`, `putkeep`, `putnr`.
    pub(super) fn put(&self, mut request: Request, key: Bytes, value: Bytes) -> Next {
        let engine = self.engine();
        let change = engine.change_of(&value);
        let companion = engine.companion_of(&key, change, request.command.verb());
        if matches!(companion, Companion::Before | Companion::After) {
            return self.run_alone(request);
        }
        let passage = match self.admit(&mut request, &key, change) {
            Ok(passage) => passage,
            Err(obstacle) => return self.obstructed(request, obstacle),
        };
        if passage.pass.ticket().is_some_and(|ticket| engine.wants_record(ticket)) {
            // Something with a stamp was stored just now.
            drop(passage);
            return self.run_alone(request);
        }
        let (via, tickets) = passage.take();
        let (wire, form) = match companion {
            Companion::Beside(stamp) => {
                let (name, digits) = engine.record_of(&key, stamp);
                let probe = engine.probe(&via, &name, request.deadline);
                let wire = Command::Misc {
                    function: Bytes::from_static(b"putlist"),
                    options: 0,
                    // The value first.
                    arguments: vec![key, value, name, digits],
                };
                (wire, Form::PutList(probe))
            }
            _ => match &request.command {
                Command::PutNr { .. } => (Command::Put { key, value }, Form::AsIs),
                other => (other.clone(), Form::AsIs),
            },
        };
        self.send_shared(&via, &wire, request, tickets, form)
    }

    /// Sends a write that may share its request with others.
    fn send_shared(&self, via: &Via, wire: &Command, request: Request, tickets: Tickets, form: Form) -> Next {
        let is_listed = wire.verb() == Verb::Misc;
        let turn = self.channel().turn();
        // What is sent once more after a failure must do no harm.
        let may_share = tickets.are_idempotent() && !request.apart && self.engine().shares_puts(is_listed, turn);
        if !may_share {
            return self.send(via, wire, request, tickets, form);
        }
        let deadline = request.deadline;
        let completion = self.completion(wire, request, tickets, form);
        self.engine().send_write(via, wire, deadline, completion);
        Next::Gone
    }

    /// A change that a stamp cannot order.
    pub(super) fn change_unordered(&self, request: Request, key: &Bytes) -> Next {
        let asker = self.channel().asker(&request);
        if let Err(refusal) = self.engine().admit_unordered(asker, request.command.verb(), key) {
            return self.refuse(request, refusal);
        }
        self.change(request, key, Change::Unordered)
    }

    /// `putcat` of columns.
    pub(super) fn merge(&self, request: Request, key: &Bytes, value: &Bytes) -> Next {
        match self.engine().change_of(value) {
            change @ Change::Stamped { .. } => self.change(request, key, change),
            _ => self.change_unordered(request, key),
        }
    }

    /// Sends a change as it is, once it is let through.
    pub(super) fn change(&self, mut request: Request, key: &Bytes, change: Change<'_>) -> Next {
        match self.admit(&mut request, key, change) {
            Ok(passage) => {
                let ((via, tickets), wire) = (passage.take(), request.command.clone());
                self.send(&via, &wire, request, tickets, Form::AsIs)
            }
            Err(obstacle) => self.obstructed(request, obstacle),
        }
    }

    fn admit(&self, request: &mut Request, key: &Bytes, change: Change<'_>) -> Result<Passage, Obstacle> {
        let channel = self.channel();
        let asker = channel.asker(request);
        let standing = &mut request.standing;
        self.engine()
            .admit(asker, channel.links.current(), key, change, standing)
    }

    fn obstructed(&self, request: Request, obstacle: Obstacle) -> Next {
        match obstacle {
            Obstacle::Lane => Self::wait(request, Cause::Lane),
            Obstacle::Hold(until) => Self::wait(request, Cause::Hold(until)),
            Obstacle::Key(wait) => Next::Waits(request, Waiting::Guard(wait)),
            Obstacle::Refused(refusal) => self.refuse(request, refusal),
        }
    }

    fn refuse(&self, mut request: Request, refusal: Refusal) -> Next {
        request.seen = request.seen.max(self.engine().saw_in(refusal));
        let answer = self.engine().refusal_answer(request.command.verb(), refusal);
        self.answer(request, Outcome::Refused, answer);
        Next::Gone
    }
}
