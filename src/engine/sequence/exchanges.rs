//! Exchanges with the store, for commands that take several: the way to it, judging, sending, and sending again.

use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{sleep_until, timeout_at};

use super::{Guarded, Sequence, outcome};
use crate::clock::now;
use crate::command::{Command, Reply};
use crate::engine::completion::{Completion, NoReply, Purpose, Told, Unrecorded};
use crate::engine::failure::Failure;
use crate::engine::sending::Via;
use crate::engine::waiting::{GuardWait, Standing, Unfenced};
use crate::engine::write::judging::{Decision, Passage, Proposal, ROOM};
use crate::engine::write::settlement::{Pass, Tickets};
use crate::guard::verdict::{Change, Refusal};
use crate::metrics::RetryKind;
use crate::pairing::LaneId;
use crate::pairing::owed::Lost;
use crate::recent::Asker;

impl Sequence {
    /// Waits for a lane with room for so many requests. What has begun at one backend is not ended at another: what was
    /// read from the one says nothing of the other.
    pub(super) async fn via(&self, key: Option<&[u8]>, requests: usize) -> Result<Via, Failure> {
        loop {
            if let Some(via) = self.engine.via(self.link, key, requests) {
                let moves = self.engine.shared.moves.load(Ordering::Relaxed);
                return match self.moves.replace(Some(moves)) {
                    Some(before) if before != moves => Err(Failure::LaneLost),
                    _ => Ok(via),
                };
            }
            let gives_up_at = self.engine.gives_up_at(self.link).filter(|at| *at < self.deadline);
            let (until, end) = match gives_up_at {
                Some(at) => (at, Failure::BackendDown),
                None => (self.deadline, Failure::Deadline),
            };
            let changed = self.engine.changed.notified();
            timeout_at(until.into(), changed).await.map_err(|_| end)?;
        }
    }

    /// Waits until this process may write to the store.
    pub(super) async fn claimed(&self) -> Result<(), Failure> {
        while let Some(until) = self.engine.unclaimed_until() {
            self.hold(until).await?;
        }
        Ok(())
    }

    /// As [`Self::via`], for all that belongs to a guarded write. After a start those are held back for a while.
    pub async fn via_for_write(&self, key: Option<&[u8]>) -> Result<Via, Failure> {
        loop {
            let via = self.via(key, ROOM).await?;
            let Some(until) = self.engine.hold_until() else {
                return Ok(via);
            };
            self.hold(until).await?;
        }
    }

    /// Waits until then.
    pub(super) async fn hold(&self, until: Instant) -> Result<(), Failure> {
        sleep_until(until.min(self.deadline).into()).await;
        if until > self.deadline {
            return Err(Failure::Deadline);
        }
        Ok(())
    }

    /// The way by this lane, where it is still up and has room.
    pub(super) fn via_to(&self, lane: LaneId, key: &[u8]) -> Option<Via> {
        self.engine.via(self.link, Some(key), 1).filter(|via| via.id() == lane)
    }

    /// Writes the record of this stamp while the key is held by these tickets' change.
    pub(super) async fn keep(&self, via: &Via, key: &Bytes, tickets: Tickets, stamp: u64) -> Result<Pass, Unrecorded> {
        let Tickets::One(ticket) = tickets else {
            return Err(Unrecorded::Lost(Lost::Unsent));
        };
        let told = self.engine.record_first(via, key, ticket, stamp, self.deadline).await;
        told.unwrap_or(Err(Unrecorded::Lost(Lost::Sent)))
    }

    /// Sends a command, by which these writes are settled.
    pub(super) fn send(&self, via: &Via, command: &Command, tickets: Tickets) -> Told {
        let (completion, reply) = self.completion(command, tickets, Vec::new());
        self.engine.send(via, command, self.deadline, completion);
        reply
    }

    /// As [`Self::send`], for a change that has its key to itself.
    pub(super) fn send_alone(&self, via: &Via, command: &Command, tickets: Tickets) -> Told {
        let (completion, reply) = self.completion(command, tickets, Vec::new());
        self.engine.send_alone(via, command, self.deadline, completion);
        reply
    }

    /// Sends a read of these keys, whose answer may name no others.
    pub(super) fn ask(&self, via: &Via, command: &Command, asked: Vec<Bytes>) -> Told {
        let (completion, reply) = self.completion(command, Tickets::None, asked);
        self.engine.send(via, command, self.deadline, completion);
        reply
    }

    /// What travels with one exchange, and where its outcome is told.
    fn completion(&self, command: &Command, tickets: Tickets, asked: Vec<Bytes>) -> (Completion, Told) {
        let (reply_to, reply) = oneshot::channel();
        let purpose = Purpose::Exchange { reply_to, asked };
        (self.engine.completion(command, tickets, purpose, now()), reply)
    }

    /// Sends a command that is not judged; again where that cannot do harm.
    pub(super) async fn exchange(&self, command: &Command, is_idempotent: bool) -> Result<Reply, Failure> {
        loop {
            let via = self.via(command.key(), 1).await?;
            let reply = self.send(&via, command, Tickets::None);
            match outcome(reply).await {
                Ok(reply) => return Ok(reply),
                Err(none) => self.may_repeat(none, is_idempotent, RetryKind::Read)?,
            }
        }
    }

    pub(super) fn may_repeat(&self, none: NoReply, is_idempotent: bool, kind: RetryKind) -> Result<(), Failure> {
        let NoReply::Lost(lost) = none else {
            return Err(Failure::ReplyTooLarge);
        };
        if now() >= self.deadline {
            return Err(Failure::Deadline);
        }
        let kind = match lost {
            Lost::Unsent => RetryKind::Unsent,
            Lost::Sent if is_idempotent => kind,
            Lost::Sent => return Err(Failure::LaneLost),
        };
        self.engine.shared.metrics.retries.of(kind).increment(1);
        Ok(())
    }

    pub async fn woken(&self, mut wait: GuardWait) -> Result<Standing, Failure> {
        match timeout_at(self.deadline.into(), wait.woken()).await {
            Ok(Ok(standing)) => Ok(standing),
            Ok(Err(Unfenced)) if self.retried => Err(Failure::LaneLost),
            Ok(Err(Unfenced)) => Ok(Standing::default()),
            Err(_) => Err(Failure::Deadline),
        }
    }

    /// Judges until there is a verdict, and counts it. What is let through is to be sent before anything is awaited.
    pub(super) async fn admit(
        &self,
        alone: bool,
        key: &Bytes,
        change: Change<'_>,
    ) -> Result<Result<Passage, Refusal>, Failure> {
        if self.engine.denies_key(self.asker(), key) {
            return Ok(Err(Refusal::Denied));
        }
        self.admit_as(Some(self.asker()), None, alone, key, change).await
    }

    /// As [`Self::admit`], of any key: for whom it is counted, by which lane it goes where that is not the client's, and
    /// whether it must have its key to itself.
    pub(super) async fn admit_as(
        &self,
        asker: Option<Asker<'_>>,
        lane: Option<LaneId>,
        alone: bool,
        key: &Bytes,
        change: Change<'_>,
    ) -> Result<Result<Passage, Refusal>, Failure> {
        let mut standing = Standing::default();
        loop {
            let via = self.via_for_write(Some(key)).await?;
            // Its verdict could not be told any more.
            if now() >= self.deadline {
                return Err(Failure::Deadline);
            }
            if let Some(until) = self.engine.below_mark(change) {
                self.hold(until).await?;
                continue;
            }
            let proposal = Proposal {
                lane: lane.unwrap_or(via.id()),
                alone,
                asker,
                ..Proposal::by(&via, key, change)
            };
            match self.engine.judge(proposal, &mut standing) {
                Decision::Go(ticket) => return Ok(Ok(Passage::of(&self.engine, via, ticket))),
                Decision::Refused(refusal) => return Ok(Err(refusal)),
                Decision::Wait(wait) => standing = self.woken(wait).await?,
            }
        }
    }

    /// One guarded exchange; sent again where that cannot do harm.
    pub(super) async fn guarded(
        &mut self,
        key: &Bytes,
        change: Change<'_>,
        command: &Command,
        may_repeat: bool,
    ) -> Result<Guarded, Failure> {
        let alone = self.engine.store.takes_long(command);
        loop {
            let passage = match self.admit(alone, key, change).await? {
                Ok(passage) => passage,
                Err(refusal) => return Ok(Guarded::Refused(refusal)),
            };
            let (via, tickets) = passage.take();
            let is_idempotent = may_repeat && tickets.are_idempotent();
            let reply = self.send_guarded(&via, key, command, tickets, alone);
            match outcome(reply).await {
                Ok(reply) => return Ok(Guarded::Answered(reply)),
                Err(none) => {
                    self.may_repeat(none, is_idempotent, RetryKind::Write)?;
                    self.retried |= none == NoReply::Lost(Lost::Sent);
                }
            }
        }
    }

    /// Sends what was let through; when it wants a record, once that is stored. `alone` says that it has its key to itself.
    pub(super) fn send_guarded(
        &self,
        via: &Via,
        key: &Bytes,
        command: &Command,
        tickets: Tickets,
        alone: bool,
    ) -> Told {
        match tickets {
            Tickets::One(ticket) if self.engine.wants_record(&ticket) => {
                let changes = vec![(key.clone(), ticket)];
                self.engine
                    .send_recorded(via, self.link, changes, command.clone(), self.deadline)
            }
            tickets if alone => self.send_alone(via, command, tickets),
            tickets => self.send(via, command, tickets),
        }
    }
}
