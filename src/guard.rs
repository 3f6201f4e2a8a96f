//! Judges writes by their stamps. Pure: it never awaits and knows no socket; time comes in as an argument.
//!
//! A write is [judged](Guard::judge) and, in the same step, put into its lane's queue; when its outcome is known it is
//! [settled](Guard::settle). What is confirmed goes into the [ledger]; what is under way has a record of its own for
//! as long as it lasts.

mod distrust;
pub mod hybrid;
mod judging;
pub mod ledger;
mod moment;
mod pending;
pub mod rules;
mod ruling;
mod settling;
pub mod spread;
pub mod stamp;
mod upheavals;
pub mod verdict;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use dashmap::DashMap;

use self::ledger::{HashSeed, KeyHash, Known, Ledger};
use self::pending::Pending;
use self::rules::{Mode, Policy, Rules};
use self::ruling::ruling_at_once;
use self::stamp::StampFormat;
use self::upheavals::Upheavals;
use self::verdict::{Change, Glance, Refusal, Waiter};
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

    /// How far ahead of the clock a stamp may be.
    pub fn future_tolerance(&self) -> Duration {
        self.rules.load().future_tolerance
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
