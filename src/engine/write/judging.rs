//! Whether a write may go now: what is asked of the guard, and what it answers in the terms of whoever asks.

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;

use super::settlement::{Pass, Tickets};
use crate::engine::Engine;
use crate::engine::sending::Via;
use crate::engine::waiting::{GuardWait, Standing, Turn};
use crate::guard::Origin;
use crate::guard::verdict::{Change, Refusal, Ticket, Verdict};
use crate::pairing::LaneId;
use crate::recent::Asker;

/// Requests that one write can put on a lane at once: a probe, a hidden record, the write, a read-back.
pub const ROOM: usize = 4;

/// Why a write is not sent now.
#[derive(Debug)]
pub enum Obstacle {
    /// The guard refuses it.
    Refused(Refusal),
    /// There is no lane with room for it.
    Lane,
    /// Writes are held until then.
    Hold(Instant),
    /// Its key has to be worth judging again first.
    Key(GuardWait),
}

/// A write that was let through, and its way. To be used before anything is awaited, but for those that have their key to
/// themselves.
#[derive(Debug)]
pub struct Passage {
    /// By which it goes.
    pub via: Via,
    /// By which it is settled; [unsent](Pass::unsent) where it is dropped.
    pub pass: Pass,
}

impl Passage {
    /// Of a write that was let through.
    pub fn of(engine: &Rc<Engine>, via: Via, ticket: Ticket) -> Self {
        let pass = Pass::unsent(engine, ticket);
        Self { via, pass }
    }

    /// It goes now.
    pub fn take(mut self) -> (Via, Tickets) {
        let tickets = self.pass.take().map_or(Tickets::None, Tickets::One);
        (self.via, tickets)
    }
}

impl Engine {
    /// Judges a write that goes by this link, where there is a lane for it, and says what is in its way otherwise.
    pub fn admit(
        self: &Rc<Self>,
        asker: Asker<'_>,
        link: usize,
        key: &Bytes,
        change: Change<'_>,
        standing: &mut Standing,
    ) -> Result<Passage, Obstacle> {
        if self.denies_key(asker, key) {
            return Err(Obstacle::Refused(Refusal::Denied));
        }
        let via = self.via(link, Some(key), ROOM).ok_or(Obstacle::Lane)?;
        if let Some(until) = self.hold_until() {
            return Err(Obstacle::Hold(until));
        }
        if let Some(until) = self.below_mark(change) {
            return Err(Obstacle::Hold(until));
        }
        let proposal = Proposal {
            asker: Some(asker),
            ..Proposal::by(&via, key, change)
        };
        match self.judge(proposal, standing) {
            Decision::Go(ticket) => Ok(Passage::of(self, via, ticket)),
            Decision::Refused(refusal) => Err(Obstacle::Refused(refusal)),
            Decision::Wait(wait) => Err(Obstacle::Key(wait)),
        }
    }
}

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
    pub asker: Option<Asker<'a>>,
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

    fn count(&self, asker: Asker<'_>, proposal: Proposal<'_>, decision: &Decision) {
        let Proposal { key, change, .. } = proposal;
        let refusal = match decision {
            Decision::Go(ticket) => ticket.would_refuse(),
            Decision::Refused(refusal) => Some(*refusal),
            Decision::Wait(_) => return,
        };
        match refusal {
            None => {
                self.let_in(change);
                self.count_passage(asker, change);
            }
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
