//! One key's writes in flight, and who waits for them.
//!
//! A key has such a record only while something is under way. All its writes in flight are on one lane, so that
//! the lane's queue keeps their order; everyone else waits here.

use std::collections::VecDeque;

use super::ledger::Known;
use super::rules::Tie;
use super::verdict::{Admitted, Outcome, ReadCause, Refusal, Stored, UnderWay, WaitCause, Waiter, Wake};
use crate::pairing::LaneId;

/// What a key is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Writes are in flight on the lane.
    Flying,
    /// The key is being read back.
    Reading,
    /// The lane died with writes in flight; its end is awaited.
    Fencing,
    /// Nothing is under way; the key is reserved for waiters of the lane.
    Reserved,
}

/// What to do with a change, decided from what is known of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    Go(Admitted),
    Refuse(Refusal),
    Read(ReadCause),
    Wait(WaitCause),
}

/// The record of a key with something under way.
#[derive(Debug)]
pub(super) struct Pending<W> {
    phase: Phase,
    lane: LaneId,
    /// Writes in flight.
    flying: u32,
    /// Those of them that a stamp does not order.
    unordered: u32,
    /// The greatest stamp in flight; 0 for none.
    newest: u64,
    /// What is in flight has the key to itself.
    alone: bool,
    /// Someone waits to have it so: nobody new takes off before.
    alone_wanted: bool,
    /// What is confirmed; outlives the ledger's entry, which can be evicted meanwhile.
    pub(super) known: Known,
    /// The key must be read back before it is judged again; no stamp above this can be stored.
    doubt: Option<u64>,
    /// A write in flight was lost.
    lost: bool,
    /// Waiters that were woken with a turn and have not come back.
    turns: u32,
    waiters: VecDeque<(LaneId, W)>,
    /// How often everything had changed at once when it was looked at last: see [`super::upheavals`].
    pub(super) upheavals: u32,
    /// Rises with everything that may change the value: what was read for a tie is then out of date. Whoever holds
    /// what was read has a turn, so that the record lives for as long.
    version: u32,
}

impl<W: Waiter> Pending<W> {
    pub(super) fn new(lane: LaneId, known: Known, upheavals: u32) -> Self {
        Self {
            phase: Phase::Reserved,
            lane,
            flying: 0,
            unordered: 0,
            newest: 0,
            alone: false,
            alone_wanted: false,
            known,
            doubt: None,
            lost: false,
            turns: 0,
            waiters: VecDeque::new(),
            upheavals,
            version: 0,
        }
    }

    /// Whether the record can go: nothing under way, nobody waiting.
    pub(super) fn is_idle(&self) -> bool {
        self.phase == Phase::Reserved && self.turns == 0 && self.waiters.is_empty()
    }

    /// What a change from `lane` must wait for, whatever its stamp.
    pub(super) fn obstacle(&self, lane: LaneId, turn: bool) -> Option<WaitCause> {
        match self.phase {
            Phase::Reading => Some(WaitCause::Lookup),
            Phase::Fencing => Some(WaitCause::Fence),
            Phase::Flying | Phase::Reserved if self.lane != lane => Some(WaitCause::OtherLane),
            // Others wait for their turn: whoever is here must not go on for ever.
            Phase::Flying if !turn && self.waiters.iter().any(|(other, _)| *other != lane) => {
                Some(WaitCause::OtherLane)
            }
            Phase::Flying if self.lost => Some(WaitCause::Fence),
            Phase::Flying if self.alone || (self.alone_wanted && !turn) => Some(WaitCause::OlderInFlight),
            _ => None,
        }
    }

    /// The ruling on a stamped write while others of the same lane are in flight.
    pub(super) fn ruling_in_flight(&self, stamp: u64, tie: Tie) -> Option<Ruling> {
        if self.flying == 0 {
            return None;
        }
        if self.unordered > 0 || self.doubt.is_some() {
            return Some(Ruling::Wait(WaitCause::OlderInFlight));
        }
        if let Some(newer) = self.known.newer_than(stamp) {
            return Some(Ruling::Refuse(Refusal::Stale { newer }));
        }
        match stamp.cmp(&self.newest) {
            std::cmp::Ordering::Greater => Some(Ruling::Go(Admitted::Stamped(stamp))),
            std::cmp::Ordering::Equal if tie == Tie::Last => Some(Ruling::Go(Admitted::Stamped(stamp))),
            _ => Some(Ruling::Wait(WaitCause::OlderInFlight)),
        }
    }

    /// Whether something is in flight on this very lane.
    pub(super) fn flies_on(&self, lane: LaneId) -> bool {
        self.flying > 0 && self.lane == lane
    }

    /// What the key is busy with.
    pub(super) fn under_way(&self) -> UnderWay {
        UnderWay {
            state: match self.phase {
                Phase::Flying => "flying",
                Phase::Reading => "reading",
                Phase::Fencing => "fencing",
                Phase::Reserved => "reserved",
            },
            writes: self.flying,
            waiting: self.waiters.len(),
        }
    }

    /// Whether anything is in flight.
    pub(super) fn is_flying(&self) -> bool {
        self.flying > 0
    }

    /// Whether nothing is in flight but values without a stamp, that keep nothing.
    pub(super) fn flies_unstamped(&self) -> bool {
        self.newest == 0 && self.doubt.is_none() && !self.alone
    }

    /// Someone waits until nothing is in flight, to have the key to itself then.
    pub(super) fn want_alone(&mut self) {
        self.alone_wanted = true;
    }

    /// Takes note of a change that is put into the lane's queue in this step.
    pub(super) fn depart(&mut self, admitted: Admitted, out_of_order: bool, alone: bool) {
        self.phase = Phase::Flying;
        // Until the key's record is stored the change itself is not sent, so nothing may come between.
        self.alone = alone || admitted.record().is_some();
        self.flying += 1;
        self.version = self.version.wrapping_add(1);
        match admitted {
            Admitted::Stamped(stamp) | Admitted::Tombstone(stamp) => self.newest = self.newest.max(stamp),
            Admitted::Unstamped { .. } | Admitted::Made(_) | Admitted::Tidy => self.unordered += 1,
            Admitted::Unordered { bound } => {
                self.unordered += 1;
                self.cast_doubt(bound);
            }
        }
        if out_of_order {
            self.cast_doubt(self.newest);
        }
    }

    /// Takes note of what became of a change in flight.
    pub(super) fn arrive(&mut self, admitted: Admitted, outcome: Outcome) {
        self.flying -= 1;
        if matches!(
            admitted,
            Admitted::Unstamped { .. } | Admitted::Made(_) | Admitted::Unordered { .. } | Admitted::Tidy
        ) {
            self.unordered -= 1;
        }
        match (outcome, admitted) {
            (Outcome::Unsent, _) | (_, Admitted::Unstamped { keeps: 0 }) if outcome != Outcome::Lost => {}
            (Outcome::Stored, Admitted::Stamped(stamp) | Admitted::Made(stamp)) => {
                self.known = self.known.with(Known::Stamp(stamp))
            }
            (Outcome::Stored, Admitted::Tombstone(stamp) | Admitted::Unstamped { keeps: stamp }) => {
                self.confirm_record(stamp);
            }
            // The record was removed, or it was not, or it was older than the value: only the backend knows.
            (Outcome::Stored | Outcome::Failed, Admitted::Tidy) => {
                if let Known::Stamp(known) | Known::Record(known) = self.known {
                    self.cast_doubt(known);
                }
            }
            (
                Outcome::Failed,
                Admitted::Stamped(stamp)
                | Admitted::Made(stamp)
                | Admitted::Tombstone(stamp)
                | Admitted::Unstamped { keeps: stamp },
            ) => self.cast_doubt(stamp),
            (
                Outcome::Lost,
                Admitted::Stamped(stamp)
                | Admitted::Made(stamp)
                | Admitted::Tombstone(stamp)
                | Admitted::Unstamped { keeps: stamp },
            ) => self.lose(stamp),
            (Outcome::Lost, Admitted::Unordered { bound }) => self.lose(bound),
            (Outcome::Lost, Admitted::Tidy) => self.lose(0),
            (_, Admitted::Unordered { .. }) | (Outcome::Unsent, _) => {}
        }
        if self.flying == 0 {
            self.newest = 0;
            self.alone = false;
            self.alone_wanted = false;
            self.land();
        }
    }

    /// Nothing is in flight any more. A doubt that waits for the lane's fence is kept for it.
    fn land(&mut self) {
        if self.lost {
            self.phase = Phase::Fencing;
            return;
        }
        self.phase = Phase::Reserved;
        if let Some(bound) = self.doubt.take() {
            self.known = Known::Unknown {
                bound: self.bound(bound),
            };
        }
    }

    /// The record is all that is left of what was stored; nothing else was under way.
    fn confirm_record(&mut self, stamp: u64) {
        self.known = match self.known {
            unknown @ Known::Unknown { .. } => unknown.with(Known::Record(stamp)),
            _ if stamp == 0 => Known::Stamp(0),
            _ => Known::Record(stamp),
        };
    }

    fn lose(&mut self, bound: u64) {
        self.lost = true;
        self.cast_doubt(bound);
    }

    /// From now on the key must be read back before it is judged: no stamp above `bound` can be stored.
    pub(super) fn cast_doubt(&mut self, bound: u64) {
        self.doubt = Some(self.doubt.unwrap_or(0).max(bound));
    }

    /// As [`Self::cast_doubt`], with effect on what is known already.
    pub(super) fn distrust(&mut self, bound: u64) {
        self.version = self.version.wrapping_add(1);
        self.known = Known::Unknown {
            bound: self.bound(bound),
        };
        if self.flying > 0 || self.phase == Phase::Reading || self.phase == Phase::Fencing {
            self.cast_doubt(bound);
        }
    }

    fn bound(&self, bound: u64) -> u64 {
        self.known.bound().max(bound)
    }

    /// What is confirmed, where nothing that is under way puts it in doubt.
    pub(super) fn certain(&self) -> Option<Known> {
        let in_doubt = self.doubt.is_some() || self.unordered > 0 || self.lost;
        (!in_doubt).then_some(self.known)
    }

    /// What must be the same when a value that was read is used.
    pub(super) fn version(&self) -> u32 {
        self.version
    }

    /// The key is being read back from now on.
    pub(super) fn start_reading(&mut self) {
        self.phase = Phase::Reading;
    }

    /// Adds whoever has asked for what is being read: first to be judged by what it shows. Were others to go first, they
    /// would change the key, and it would have to be read again.
    pub(super) fn wait_first(&mut self, lane: LaneId, waiter: W) {
        self.waiters.push_front((lane, waiter));
    }

    /// Takes note of what was read back, or that it could not be. Wakes those who wait.
    pub(super) fn finish_reading(&mut self, stored: Option<&Stored>) {
        self.phase = Phase::Reserved;
        match (stored, self.doubt.take()) {
            // What was read may have been read before the disturbance.
            (_, Some(bound)) => {
                self.known = Known::Unknown {
                    bound: self.bound(bound),
                }
            }
            (Some(stored), None) => self.known = stored.known,
            (None, None) => {}
        }
        self.wake_next(stored);
    }

    /// The lane whose end is awaited.
    pub(super) fn fencing(&self) -> Option<LaneId> {
        (self.phase == Phase::Fencing).then_some(self.lane)
    }

    /// The lane has ended, or its fence timed out. Wakes those who wait.
    pub(super) fn finish_fence(&mut self, ended: bool) {
        self.phase = Phase::Reserved;
        self.lost = false;
        let bound = self.doubt.take().unwrap_or(0);
        self.known = Known::Unknown {
            bound: self.bound(bound),
        };
        if ended {
            self.wake_next(None);
        } else {
            for (_, waiter) in self.waiters.drain(..) {
                waiter.wake(Wake::Unfenced);
            }
        }
    }

    /// Adds someone who waits.
    pub(super) fn wait(&mut self, lane: LaneId, waiter: W) {
        self.waiters.push_back((lane, waiter));
    }

    /// A waiter that was woken with a turn has come back, or passes its turn.
    pub(super) fn take_turn(&mut self) {
        self.turns = self.turns.saturating_sub(1);
    }

    /// After a change in flight has settled: those of the same lane may be judged again at once, the others
    /// when nothing is in flight any more.
    pub(super) fn wake_after_settling(&mut self) {
        match self.phase {
            Phase::Flying => self.wake_lane_mates(),
            Phase::Reserved => self.wake_next(None),
            Phase::Reading | Phase::Fencing => {}
        }
    }

    fn wake_lane_mates(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiters);
        while let Some((lane, waiter)) = waiting.pop_front() {
            if lane == self.lane {
                waiter.wake(Wake::Again {
                    turn: false,
                    stored: None,
                });
            } else {
                self.waiters.push_back((lane, waiter));
            }
        }
    }

    /// Reserves the key for the lane that has waited longest, and wakes everyone of that lane.
    pub(super) fn wake_next(&mut self, stored: Option<&Stored>) {
        while self.phase == Phase::Reserved && self.turns == 0 {
            let Some((next, _)) = self.waiters.front() else {
                return;
            };
            self.lane = *next;
            let mut waiting = std::mem::take(&mut self.waiters);
            while let Some((lane, waiter)) = waiting.pop_front() {
                if lane != self.lane {
                    self.waiters.push_back((lane, waiter));
                } else if waiter.wake(Wake::Again {
                    turn: true,
                    stored: stored.cloned(),
                }) {
                    self.turns += 1;
                }
            }
        }
    }
}
