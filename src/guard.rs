//! Judges writes by their stamps. Pure: it never awaits and knows no socket; time comes in as an argument.
//!
//! A write is [judged](Guard::judge) and, in the same step, put into its lane's queue; when its outcome is known it is
//! [settled](Guard::settle). What is confirmed goes into the [ledger]; what is under way has a record of its own for
//! as long as it lasts.

pub mod ledger;
mod moment;
mod pending;
pub mod rules;
mod ruling;
pub mod spread;
pub mod stamp;
mod upheavals;
pub mod verdict;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use self::ledger::{HashSeed, KeyHash, Known, Ledger};
use self::moment::moment;
use self::pending::{Pending, Ruling};
use self::rules::{Mode, Policy, Rules};
use self::ruling::{observed, ruling_at_once, ruling_on_tie, within};
use self::stamp::StampFormat;
use self::upheavals::Upheavals;
use self::verdict::{
    Admitted, Change, Glance, Learnt, Outcome, ReadBack, ReadCause, Refusal, Stored, Ticket, Verdict, WaitCause, Waiter,
};
use crate::command::Verb;
use crate::pairing::LaneId;

/// Independent parts of the table of keys with something under way, each with a lock of its own.
const PENDING_SHARDS: usize = 64;

/// Where a change comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The lane whose queue it would join.
    pub lane: LaneId,
    /// Whether the waiter was woken with a turn since it was last judged.
    pub turn: bool,
    /// Whether it must have the key to itself: it goes when nothing else is in flight, and until it is settled nothing
    /// else goes. So what is read of the key meanwhile holds until it is changed.
    pub alone: bool,
}

/// The backend has stored a stamp, and now holds an older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receded {
    /// What was stored.
    pub confirmed: u64,
    /// What is there.
    pub found: u64,
}

/// The judge and its memory, shared by all workers.
#[derive(Debug)]
pub struct Guard<W> {
    stamp: StampFormat,
    /// Replaced as a whole: one judgement sees one set of rules.
    rules: ArcSwap<Rules>,
    seed: HashSeed,
    ledger: Ledger,
    /// The newest stamp that any guard can have let in so far. It never falls, so that what was let in before the clock
    /// went back, or the tolerance was lowered, binds as before.
    latest: AtomicU64,
    /// Locked before the ledger, never after it; one key at a time. The keys are hashed under a secret seed already,
    /// so the table needs none of its own.
    pending: DashMap<KeyHash, Pending<W>, foldhash::fast::FixedState>,
    /// Looked at while the key's record is locked, and before the ledger.
    upheavals: Upheavals,
}

impl<W: Waiter> Guard<W> {
    /// A guard that remembers nothing yet. The ledger's horizon says what the backend may hold already: see
    /// [`Guard::horizon_at_start`].
    pub fn new(rules: Rules, seed: HashSeed, ledger: Ledger) -> Self {
        Self {
            stamp: rules.stamp,
            rules: ArcSwap::from_pointee(rules),
            seed,
            latest: AtomicU64::new(ledger.horizon()),
            ledger,
            pending: DashMap::with_hasher_and_shard_amount(foldhash::fast::FixedState::default(), PENDING_SHARDS),
            upheavals: Upheavals::default(),
        }
    }

    /// The horizon in front of a backend that holds what earlier guards let in: nothing above now plus
    /// `future_tolerance`, or anything where stamps are no time.
    pub fn horizon_at_start(rules: &Rules, now: Duration) -> u64 {
        rules.stamp.at(now + rules.future_tolerance).unwrap_or(u64::MAX)
    }

    /// How a value's stamp is read: the same for as long as the guard lives, since what it remembers is such stamps.
    pub fn stamp(&self) -> StampFormat {
        self.stamp
    }

    /// Judges by other rules from the next judgement on. The ledger stays as it is, and stays right:
    ///
    /// - From `observe` to `enforce`: what observe let through against its verdict left its key in doubt when it
    ///   departed, whatever its stamp, so the key is read back before its first enforced verdict. Verdicts that are
    ///   still in flight were counted in the same way. The other way round nothing needs to be known.
    /// - Another `future_tolerance`: the horizon never falls, and lies above everything that is not remembered, be it
    ///   let in under a greater tolerance or found at the start. With a smaller one, keys that hold a stamp further
    ///   ahead refuse older writes until the clock gets there, as they did before. A process that *starts* with a
    ///   smaller one than the one before it knows nothing of such stamps: so it is lowered here, not by a restart.
    /// - Another `delete_tolerance`, `tie`, or policy speaks of changes to come only. What a `tie` needs to know is read
    ///   from the backend each time.
    /// - Another `ledger`: a key that is read back takes the newer of the value's stamp and its record's, in both modes.
    ///
    /// # Panics
    /// In tests, when the stamp's format differs: what is remembered would be read as something else.
    pub fn change_rules(&self, rules: Rules) {
        debug_assert_eq!(rules.stamp, self.stamp, "the format of stamps stays");
        self.rules.store(Arc::new(rules));
    }

    /// What is remembered.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Keys with something under way.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// What is known of a key now, for an operator to see.
    pub fn glance(&self, key: KeyHash) -> Glance {
        // The ledger is looked at while the key's record is locked, and the horizon after it: see `Ledger::get`.
        match self.pending.get(&key) {
            Some(pending) => Glance {
                known: self.known_of(&pending),
                under_way: Some(pending.under_way()),
                horizon: self.ledger.horizon(),
            },
            None => Glance {
                known: self.ledger.get(key),
                under_way: None,
                horizon: self.ledger.horizon(),
            },
        }
    }

    /// The hash under which a key is remembered.
    pub fn key(&self, key: &[u8]) -> KeyHash {
        self.seed.hash(key)
    }

    /// Whether the backend may hold a stamp of this key: then a value without one does not go by itself.
    pub fn may_hold_stamp(&self, key: KeyHash) -> bool {
        let known = match self.pending.get(&key) {
            Some(pending) => Some(self.known_of(&pending)).filter(|_| pending.flies_unstamped()),
            None => Some(self.ledger.get(key)),
        };
        match known {
            Some(Known::Stamp(0)) => false,
            Some(Known::Absent) => self.ledger.horizon() > 0,
            _ => true,
        }
    }

    /// Whether a value that is made of what is stored has a stamp too far ahead of the clock to be stored.
    pub fn refuses_made(&self, made: Change<'_>, now: Duration) -> Option<Refusal> {
        let is_stamped = matches!(made, Change::Stamped { .. });
        ruling_at_once(&self.rules.load(), made, now).filter(|_| is_stamped)
    }

    /// The newest stamp that any guard can have let in until now.
    fn latest(&self, rules: &Rules, now: Duration) -> u64 {
        let latest = Self::horizon_at_start(rules, now);
        self.latest.fetch_max(latest, Ordering::AcqRel).max(latest)
    }

    /// The change that storing `value` is.
    pub fn change_of<'a>(&self, value: &'a [u8]) -> Change<'a> {
        match self.stamp.read(value) {
            Some(stamp) => Change::Stamped { stamp, value },
            None => Change::Unstamped,
        }
    }

    /// Whether a command that a stamp cannot order may pass; the refusal is for the caller to carry out.
    pub fn admit_unordered(&self, verb: Verb) -> Result<(), Refusal> {
        match self.rules.load().unordered.of(verb) {
            Policy::Pass => Ok(()),
            Policy::Refuse => Err(Refusal::Denied),
        }
    }

    /// Whether refusals are carried out.
    pub fn enforces(&self) -> bool {
        self.rules.load().mode == Mode::Enforce
    }

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
            Change::Delete if pending.is_flying() => return Ruling::Wait(WaitCause::OlderInFlight),
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
            Change::Delete => self.ruling_on_delete(rules, known, now),
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

    /// Tells the guard what became of a change that was let through.
    pub fn settle(&self, ticket: Ticket, outcome: Outcome) {
        let Entry::Occupied(mut occupied) = self.pending.entry(ticket.key) else {
            debug_assert!(false, "a ticket's key has a record until the ticket is settled");
            return;
        };
        let pending = self.brought_up_to_date(occupied.get_mut());
        debug_assert!(
            pending.flies_on(ticket.lane),
            "all writes of a key in flight are on one lane"
        );
        let before = pending.known;
        pending.arrive(ticket.admitted, outcome);
        if pending.known != before {
            self.ledger.put(ticket.key, pending.known);
        }
        pending.wake_after_settling();
        if pending.is_idle() {
            occupied.remove();
        }
    }

    /// The newest stamp of a key that the backend is known to hold, where nothing puts it in doubt.
    pub fn confirmed(&self, key: KeyHash) -> Option<u64> {
        let known = match self.pending.get(&key) {
            Some(pending) if self.is_up_to_date(&pending) => pending.certain()?,
            Some(_) => return None,
            None => self.ledger.get(key),
        };
        match known {
            Known::Stamp(stamp) => Some(stamp),
            Known::Absent | Known::Record(_) | Known::Unknown { .. } => None,
        }
    }

    /// Tells the guard what reading a key back has shown; `None` when it could not be read. What is there counts, also
    /// when it is older than what is known to have been stored, which must not be; but a stamp that no guard can have let
    /// in counts for nothing. Where there is nothing, what is known for certain stays.
    pub fn learn(&self, key: KeyHash, found: Option<ReadBack>, now: Duration) -> Learnt {
        let Entry::Occupied(mut occupied) = self.pending.entry(key) else {
            debug_assert!(false, "a key that is read back has a record");
            return Learnt::default();
        };
        let latest = self.latest(&self.rules.load(), now);
        let pending = self.brought_up_to_date(occupied.get_mut());
        let certain = pending.certain();
        let ahead = found.as_ref().and_then(|found| found.ahead(latest));
        let receded = match (certain, &found) {
            // A record that is gone may have been evicted.
            (Some(Known::Stamp(confirmed)), Some(found)) if found.value.is_some() && ahead.is_none() => {
                let found = found.known(latest).bound();
                (0 < found && found < confirmed).then_some(Receded { confirmed, found })
            }
            _ => None,
        };
        let stored = found.map(|found| Stored {
            known: match certain {
                // What a delete has left may be nowhere but here: a table holds no record of it.
                Some(known @ (Known::Stamp(_) | Known::Record(_))) if found == ReadBack::default() => known,
                _ => found.known(latest),
            },
            value: found.value,
            version: pending.version(),
        });
        pending.finish_reading(stored.as_ref());
        if pending.known != Known::Absent {
            self.ledger.put(key, pending.known);
        }
        if pending.is_idle() {
            occupied.remove();
        }
        Learnt { receded, ahead }
    }

    /// A waiter that was woken with a turn will not judge again.
    pub fn pass_turn(&self, key: KeyHash) {
        if let Entry::Occupied(mut occupied) = self.pending.entry(key) {
            let pending = self.brought_up_to_date(occupied.get_mut());
            pending.take_turn();
            pending.wake_next(None);
            if pending.is_idle() {
                occupied.remove();
            }
        }
    }

    /// A lane that died with writes in flight has ended (the backend is done with all that it had buffered), or its
    /// fence has timed out. Its keys are read back before they are judged again.
    pub fn fenced(&self, lane: LaneId, ended: bool) {
        (0..Self::PARTS).for_each(|part| self.fenced_in(part, lane, ended));
    }

    /// Parts of the keys with something under way, for [`Self::fenced_in`].
    pub const PARTS: usize = PENDING_SHARDS;

    /// As [`Self::fenced`], for the keys of one part alone: where very many have something under way, others can have
    /// their turn in between.
    pub fn fenced_in(&self, part: usize, lane: LaneId, ended: bool) {
        let hash_of = |(key, _): &(KeyHash, _)| self.pending.hash_usize(key) as u64;
        let mut shard = self.pending.shards()[part].write();
        let all: Vec<_> = shard.drain().collect();
        for (key, mut slot) in all {
            let pending = self.brought_up_to_date(slot.get_mut());
            if pending.fencing() == Some(lane) {
                pending.finish_fence(ended);
                self.ledger.put(key, pending.known);
            }
            if !pending.is_idle() {
                let kept = (key, slot);
                shard.insert(hash_of(&kept), kept, hash_of);
            }
        }
    }

    /// Something changed many keys at once (`vanish`, `restore`, a backend that came back as another): nothing that
    /// is remembered holds any more. Takes as long as there are parts, not keys.
    pub fn distrust_everything(&self, now: Duration) {
        let horizon = Self::horizon_at_start(&self.rules.load(), now).max(self.ledger.horizon());
        self.distrust_pending(horizon);
        self.ledger.clear(horizon);
        // What came under way meanwhile took what it knows from the ledger of before.
        self.distrust_pending(horizon);
    }

    fn distrust_pending(&self, horizon: u64) {
        moment();
        self.upheavals.add(horizon);
        moment();
        // Whoever was at work on a key, and did not see it, is done before this returns: what they remember is forgotten
        // with all else.
        for part in self.pending.shards() {
            drop(part.write());
        }
        moment();
    }

    fn is_up_to_date(&self, pending: &Pending<W>) -> bool {
        pending.upheavals == self.upheavals.count()
    }

    /// The record of a key with what has befallen it since it was looked at last.
    fn brought_up_to_date<'a>(&self, pending: &'a mut Pending<W>) -> &'a mut Pending<W> {
        let upheavals = self.upheavals.count();
        if pending.upheavals != upheavals {
            pending.upheavals = upheavals;
            pending.distrust(self.upheavals.bound());
        }
        pending
    }

    /// What is known of a key now that has something under way.
    fn known_of(&self, pending: &Pending<W>) -> Known {
        if self.is_up_to_date(pending) {
            return pending.known;
        }
        Known::Unknown {
            bound: pending.known.bound().max(self.upheavals.bound()),
        }
    }
}

#[cfg(test)]
mod tests;
