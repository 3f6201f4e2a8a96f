//! A change is judged: it goes, is refused, waits, or has its key read.

use std::time::Duration;

use dashmap::mapref::entry::Entry;

use super::ledger::{KeyHash, Known};
use super::pending::{Pending, Ruling};
use super::rules::{Mode, Rules};
use super::ruling::{observed, ruling_at_once, ruling_on_tie, within};
use super::verdict::{Admitted, Change, ReadCause, Refusal, Stored, Ticket, Verdict, WaitCause, Waiter};
use super::{Guard, Origin};
use crate::pairing::LaneId;

impl<W: Waiter> Guard<W> {
    /// Judges a change. `now` is time since the epoch; `stored` is what the waiter was last given, if anything;
    /// `waiter` is made only when the answer is to wait or to read.
    ///
    /// After [`Verdict::Go`] the caller must put the change into the lane's queue before it does anything else.
    /// After [`Verdict::Read`] it must read the key back and call [`Guard::learn`], whatever becomes of the waiter.
    pub fn judge(
        &self,
        key: KeyHash,
        change: Change<'_>,
        origin: Origin,
        now: Duration,
        stored: Option<&Stored>,
        waiter: impl FnOnce() -> W,
    ) -> Verdict {
        let rules = &**self.rules.load();
        let at_once = ruling_at_once(rules, change, now);
        self.latest(rules, now);
        if let (Some(refusal), Mode::Enforce) = (at_once, rules.mode) {
            if origin.turn {
                self.pass_turn(key);
            }
            return Verdict::Refuse(refusal);
        }
        match self.pending.entry(key) {
            Entry::Vacant(vacant) => {
                let upheavals = self.upheavals.count();
                let known = self.ledger.get(key);
                let ruling = observed(rules, self.ruling(rules, change, known, now, None));
                let (ruling, would_refuse) = (within(rules, ruling.0, now), at_once.or(ruling.1));
                let mut pending = Pending::new(origin.lane, known, upheavals);
                let verdict = self.carry_out(&mut pending, key, ruling, would_refuse, origin, waiter);
                if !pending.is_idle() {
                    vacant.insert(pending);
                }
                verdict
            }
            Entry::Occupied(mut occupied) => {
                let pending = self.brought_up_to_date(occupied.get_mut());
                if origin.turn {
                    pending.take_turn();
                }
                let ruling = self.ruling_under_way(rules, pending, change, origin, now, stored);
                let ruling = observed(rules, ruling);
                let (ruling, would_refuse) = (within(rules, ruling.0, now), at_once.or(ruling.1));
                let verdict = self.carry_out(pending, key, ruling, would_refuse, origin, waiter);
                pending.wake_next(None);
                if pending.is_idle() {
                    occupied.remove();
                }
                verdict
            }
        }
    }

    /// Begins to read a key back ahead of a change that would have to wait for that, as long as nothing of the key is
    /// under way. Judging it is left to [`Guard::judge`], which finds what was learned, or waits for it.
    ///
    /// After `Some` the caller must read the key back and call [`Guard::learn`]. What a tie needs is not read ahead: it
    /// holds for whoever waits for it only.
    pub fn look_ahead(&self, key: KeyHash, change: Change<'_>, lane: LaneId, now: Duration) -> Option<ReadCause> {
        let rules = &**self.rules.load();
        if ruling_at_once(rules, change, now).is_some() && rules.mode == Mode::Enforce {
            return None;
        }
        let Entry::Vacant(vacant) = self.pending.entry(key) else {
            return None;
        };
        let upheavals = self.upheavals.count();
        let known = self.ledger.get(key);
        match self.ruling(rules, change, known, now, None) {
            Ruling::Read(cause) if cause != ReadCause::Tie => {
                let mut pending = Pending::new(lane, known, upheavals);
                pending.start_reading();
                vacant.insert(pending);
                Some(cause)
            }
            _ => None,
        }
    }

    fn ruling_under_way(
        &self,
        rules: &Rules,
        pending: &mut Pending<W>,
        change: Change<'_>,
        origin: Origin,
        now: Duration,
        stored: Option<&Stored>,
    ) -> Ruling {
        if let Some(cause) = pending.obstacle(origin.lane, origin.turn) {
            return Ruling::Wait(cause);
        }
        if origin.alone && pending.is_flying() {
            pending.want_alone();
            return Ruling::Wait(WaitCause::OlderInFlight);
        }
        match change {
            Change::Stamped { stamp, .. } => {
                if let Some(ruling) = pending.ruling_in_flight(stamp, rules.tie) {
                    return ruling;
                }
            }
            Change::Delete | Change::DeleteAt(_) if pending.is_flying() => {
                return Ruling::Wait(WaitCause::OlderInFlight);
            }
            _ => {}
        }
        let stored = stored.filter(|stored| stored.version == pending.version());
        match self.ruling(rules, change, pending.known, now, stored) {
            go @ Ruling::Go(Admitted::Unstamped { keeps: 0 }) if pending.flies_unstamped() => go,
            _ if matches!(change, Change::Unstamped) && pending.is_flying() => Ruling::Wait(WaitCause::OlderInFlight),
            ruling => ruling,
        }
    }

    /// The ruling when nothing that matters is in flight.
    fn ruling(
        &self,
        rules: &Rules,
        change: Change<'_>,
        known: Known,
        now: Duration,
        stored: Option<&Stored>,
    ) -> Ruling {
        match change {
            Change::Tidy => Ruling::Go(Admitted::Tidy),
            Change::Unstamped => self.ruling_on_unstamped(known),
            Change::Unordered => Ruling::Go(Admitted::Unordered {
                bound: Self::horizon_at_start(rules, now),
            }),
            Change::Made => Ruling::Go(Admitted::Made(0)),
            Change::Delete => self.ruling_on_delete(rules, known, now),
            Change::DeleteAt(stamp) => self.ruling_on_delete_at(rules, stamp, known, now),
            Change::Stamped { stamp, value } => match known {
                Known::Unknown { .. } => Ruling::Read(ReadCause::Unknown),
                Known::Absent if stamp > self.ledger.horizon() => Ruling::Go(Admitted::Stamped(stamp)),
                Known::Absent => Ruling::Read(ReadCause::Horizon),
                Known::Stamp(equal) if stamp == equal => ruling_on_tie(rules.tie, stamp, value, stored),
                known => match known.newer_than(stamp) {
                    Some(newer) => Ruling::Refuse(Refusal::Stale { newer }),
                    None => Ruling::Go(Admitted::Stamped(stamp)),
                },
            },
        }
    }

    /// A value without a stamp would make forgotten what it lies over, once the ledger has forgotten it too: so the key's
    /// record keeps that. Where a stamp may be stored that nobody remembers, the key is read first.
    fn ruling_on_unstamped(&self, known: Known) -> Ruling {
        match known {
            Known::Stamp(keeps) | Known::Record(keeps) => Ruling::Go(Admitted::Unstamped { keeps }),
            Known::Absent if self.ledger.horizon() == 0 => Ruling::Go(Admitted::Unstamped { keeps: 0 }),
            Known::Absent => Ruling::Read(ReadCause::Horizon),
            Known::Unknown { .. } => Ruling::Read(ReadCause::Unknown),
        }
    }

    /// A tombstone is the newest known stamp, or the clock less the tolerance, whichever is newer. So it is no further ahead
    /// than what was let in: what is found beyond that is not known. Where a newer stamp may be stored than either, the key
    /// is read first.
    fn ruling_on_delete(&self, rules: &Rules, known: Known, now: Duration) -> Ruling {
        let floor = rules.stamp.at(now.saturating_sub(rules.delete_tolerance)).unwrap_or(0);
        match known {
            Known::Stamp(stamp) | Known::Record(stamp) => Ruling::Go(Admitted::Tombstone(stamp.max(floor))),
            Known::Absent if self.ledger.horizon() <= floor => Ruling::Go(Admitted::Tombstone(floor)),
            Known::Absent => Ruling::Read(ReadCause::Delete),
            Known::Unknown { .. } => Ruling::Read(ReadCause::Unknown),
        }
    }

    /// A delete with a stamp is ordered as a write is, and its stamp is its tombstone's. In observe mode, where nothing is
    /// refused, it is one as any other.
    fn ruling_on_delete_at(&self, rules: &Rules, stamp: u64, known: Known, now: Duration) -> Ruling {
        match known {
            _ if rules.mode == Mode::Observe => self.ruling_on_delete(rules, known, now),
            Known::Stamp(newer) | Known::Record(newer) if stamp < newer => Ruling::Refuse(Refusal::Stale { newer }),
            Known::Absent if stamp <= self.ledger.horizon() => Ruling::Read(ReadCause::Delete),
            Known::Unknown { .. } => Ruling::Read(ReadCause::Unknown),
            Known::Stamp(_) | Known::Record(_) | Known::Absent => Ruling::Go(Admitted::Tombstone(stamp)),
        }
    }

    fn carry_out(
        &self,
        pending: &mut Pending<W>,
        key: KeyHash,
        ruling: Ruling,
        would_refuse: Option<Refusal>,
        origin: Origin,
        waiter: impl FnOnce() -> W,
    ) -> Verdict {
        match ruling {
            Ruling::Go(admitted) => {
                let lane = origin.lane;
                pending.depart(admitted, would_refuse.is_some(), origin.alone);
                Verdict::Go(Ticket {
                    key,
                    admitted,
                    lane,
                    would_refuse,
                })
            }
            Ruling::Refuse(refusal) => Verdict::Refuse(refusal),
            Ruling::Wait(cause) => {
                pending.wait(origin.lane, waiter());
                Verdict::Wait(cause)
            }
            Ruling::Read(cause) => {
                pending.start_reading();
                pending.wait_first(origin.lane, waiter());
                Verdict::Read(cause)
            }
        }
    }
}
