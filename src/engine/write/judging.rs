//! What sessions ask the guard, and what it answers in their terms.

use std::rc::Rc;

use bytes::Bytes;

use crate::engine::Engine;
use crate::engine::sending::Via;
use crate::engine::waiting::{GuardWait, Standing, Turn};
use crate::guard::Origin;
use crate::guard::verdict::{Change, Refusal, Ticket, Verdict};
use crate::pairing::LaneId;
use crate::recent::Asker;

/// A change that would be made.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    pub key: &'a Bytes,
    pub change: Change<'a>,
    /// By which the key is read back, at once, where the judge asks for that.
    pub via: &'a Via,
    /// That carries the change.
    pub lane: LaneId,
    /// It must have its key to itself.
    pub alone: bool,
    /// For whom the verdict is counted and noted: nobody where this is part of a change that has been counted.
    pub asker: Option<Asker>,
}

impl<'a> Proposal<'a> {
    /// A change that goes by `via`.
    pub fn by(via: &'a Via, key: &'a Bytes, change: Change<'a>) -> Self {
        Self {
            key,
            change,
            via,
            lane: via.id(),
            alone: false,
            asker: None,
        }
    }
}

/// What the guard decided, in the terms of a session.
#[derive(Debug)]
pub enum Decision {
    Go(Ticket),
    Refused(Refusal),
    Wait(GuardWait),
}

impl Engine {
    /// Judges a change. What is known of its key from a former wait is used up by that.
    pub fn judge(self: &Rc<Self>, proposal: Proposal<'_>, standing: &mut Standing) -> Decision {
        let decision = self.decide(proposal, standing);
        if let Some(asker) = proposal.asker {
            self.count(asker, proposal, &decision);
        }
        decision
    }

    fn count(&self, asker: Asker, proposal: Proposal<'_>, decision: &Decision) {
        let Proposal { key, change, .. } = proposal;
        let refusal = match decision {
            Decision::Go(ticket) => ticket.would_refuse(),
            Decision::Refused(refusal) => Some(*refusal),
            Decision::Wait(_) => return,
        };
        match refusal {
            None => self.count_passage(asker, change),
            Some(refusal) => self.note_refusal(asker, key, change, refusal),
        }
        self.measure_stamp(change, refusal);
    }

    fn decide(self: &Rc<Self>, proposal: Proposal<'_>, standing: &mut Standing) -> Decision {
        let Proposal {
            key,
            change,
            via,
            lane,
            alone,
            ..
        } = proposal;
        let shared = &self.shared;
        let hash = self.hash_of(key);
        let Standing { turn, stored } = std::mem::take(standing);
        let origin = Origin {
            lane,
            turn: turn.is_some_and(Turn::spend),
            alone,
        };
        let mut wait = None;
        let verdict = shared
            .guard
            .judge(hash, change, origin, (shared.clock)(), stored.as_ref(), || {
                let (notice, guard_wait) = GuardWait::new(shared, hash);
                wait = Some(guard_wait);
                notice
            });
        match (verdict, wait) {
            (Verdict::Go(ticket), _) => Decision::Go(ticket),
            (Verdict::Refuse(refusal), _) => Decision::Refused(refusal),
            (Verdict::Wait(cause), Some(mut wait)) => {
                wait.cause = cause.into();
                shared.metrics.waits.of(cause.into()).increment(1);
                Decision::Wait(wait)
            }
            (Verdict::Read(cause), Some(wait)) => {
                shared.metrics.lookups.of(cause.into()).increment(1);
                self.read_back(via, key, hash, None);
                Decision::Wait(wait)
            }
            (Verdict::Wait(_) | Verdict::Read(_), None) => unreachable!("the guard keeps a waiter with every wait"),
        }
    }
}
