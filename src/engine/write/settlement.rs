//! What became of writes, told to the guard.

use std::rc::Rc;

use crate::engine::Engine;
use crate::engine::shared::Shared;
use crate::guard::verdict::{Outcome, Ticket};
use crate::pairing::owed::Lost;

/// What an exchange settles when it has its outcome.
#[derive(Debug)]
pub enum Tickets {
    /// Nothing: it only asks.
    None,
    /// One write.
    One(Ticket),
    /// The writes of a list.
    Several(Vec<Ticket>),
}

impl Tickets {
    /// Whether it settles nothing.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::One(_) => false,
            Self::Several(tickets) => tickets.is_empty(),
        }
    }

    /// Whether all of them may be sent twice.
    pub fn are_idempotent(&self) -> bool {
        match self {
            Self::None => false,
            Self::One(ticket) => ticket.is_idempotent(),
            Self::Several(tickets) => tickets.iter().all(Ticket::is_idempotent),
        }
    }

    /// An answer has come, with this code.
    pub fn answered(self, shared: &Shared, code: u8) {
        self.settle(shared, |ticket| outcome_of(ticket, code));
    }

    /// No answer will come.
    pub fn lost(self, shared: &Shared, lost: Lost) {
        let outcome = match lost {
            Lost::Unsent => Outcome::Unsent,
            Lost::Sent => Outcome::Lost,
        };
        self.settle(shared, |_| outcome);
    }

    /// Nothing of it was done, or something else with the key may have been: it has to be read back.
    pub fn failed(self, shared: &Shared) {
        self.settle(shared, |_| Outcome::Failed);
    }

    fn settle(self, shared: &Shared, outcome: impl Fn(&Ticket) -> Outcome) {
        let settle = |ticket: Ticket| {
            let outcome = outcome(&ticket);
            shared.guard.settle(ticket, outcome);
        };
        match self {
            Self::None => {}
            Self::One(ticket) => settle(ticket),
            Self::Several(tickets) => tickets.into_iter().for_each(settle),
        }
    }
}

/// What an answer's code says of a change.
fn outcome_of(ticket: &Ticket, code: u8) -> Outcome {
    // A delete that found nothing has left its tombstone all the same.
    if code == 0 || (code == 1 && ticket.tombstone().is_some()) {
        Outcome::Stored
    } else {
        Outcome::Failed
    }
}

/// A write that was let through and has yet to be sent. When it is dropped before that, the guard is told so.
#[derive(Debug)]
pub struct Pass {
    engine: Rc<Engine>,
    ticket: Option<Ticket>,
    /// What it is settled with when it is dropped.
    otherwise: Outcome,
}

impl Pass {
    /// Nothing of it is at the backend.
    pub fn unsent(engine: &Rc<Engine>, ticket: Ticket) -> Self {
        Self::of(engine, ticket, Outcome::Unsent)
    }

    /// The record of its stamp is stored, and nothing else of it.
    pub fn recorded(engine: &Rc<Engine>, ticket: Ticket) -> Self {
        Self::of(engine, ticket, Outcome::Failed)
    }

    fn of(engine: &Rc<Engine>, ticket: Ticket, otherwise: Outcome) -> Self {
        Self {
            engine: Rc::clone(engine),
            ticket: Some(ticket),
            otherwise,
        }
    }

    /// Its ticket; nothing once it was taken.
    pub fn ticket(&self) -> Option<&Ticket> {
        self.ticket.as_ref()
    }

    /// It is sent now, by this ticket; there is none where it has been taken before.
    pub fn take(&mut self) -> Option<Ticket> {
        self.ticket.take()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.engine.shared.guard.settle(ticket, self.otherwise);
        }
    }
}
