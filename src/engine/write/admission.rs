//! Whether a write may go now, by the lane of whoever asks.

use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;

use super::judging::{Decision, Proposal};
use super::settlement::{Pass, Tickets};
use crate::engine::Engine;
use crate::engine::sending::Via;
use crate::engine::waiting::{GuardWait, Standing};
use crate::guard::verdict::{Change, Refusal, Ticket};
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
        asker: Asker,
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
