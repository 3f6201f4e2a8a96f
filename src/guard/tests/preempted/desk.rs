//! A guard, the backend that it stands before, and what was promised of each key.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::actions::{Action, Start};
use crate::guard::ledger::{HashSeed, KeyHash, Ledger};
use crate::guard::tests::bell::{Bell, Rung};
use crate::guard::tests::support::{NOW, rules};
use crate::guard::verdict::{Admitted, Change, Outcome, ReadBack, Refusal, Stored, Ticket, Verdict};
use crate::guard::{Guard, Origin};
use crate::pairing::LaneId;

/// The key that everything is about. Those above it share its part of the ledger, and no lock of the table of what is
/// under way.
pub(super) const KEY: usize = 0;
const KEYS: usize = 3;

pub(super) const OLDER: u64 = NOW + 1;
pub(super) const STORED: u64 = NOW + 10;
pub(super) const MIDDLE: u64 = NOW + 15;
pub(super) const FLYING: u64 = NOW + 20;
pub(super) const NEWER: u64 = NOW + 30;
/// Of the other keys: what is dropped for them raises the horizon no further than the key's own stamp.
const OTHER: u64 = NOW + 40;

/// When a write is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carriage {
    AtOnce,
    AtItsSettling,
}

/// A change that waits for its verdict.
struct Errand {
    key: usize,
    lane: u64,
    /// Nothing for a delete.
    stamp: Option<u64>,
    bell: Bell,
}

/// A change that was let through.
struct Flight {
    key: usize,
    stamp: u64,
    ticket: Ticket,
    is_carried_out: bool,
}

struct State {
    guard: Guard<Bell>,
    keys: Vec<KeyHash>,
    carriage: Carriage,
    /// The newest stamp that the backend holds of each key.
    stored: RefCell<BTreeMap<usize, u64>>,
    flights: RefCell<Vec<Flight>>,
    errands: RefCell<Vec<Errand>>,
    /// Keys that are being read back.
    reading: RefCell<Vec<usize>>,
    /// The backend is being emptied: a verdict may be from before.
    vanishing: Cell<bool>,
    story: RefCell<String>,
}

#[derive(Clone)]
pub(super) struct Desk(Rc<State>);

impl Desk {
    pub(super) fn start(carriage: Carriage, start: Start) -> Self {
        let guard = Guard::new(rules(), HashSeed([1, 2]), Ledger::with_entries(2, 0));
        let keys = choose_keys(&guard);
        let desk = Self(Rc::new(State {
            guard,
            keys,
            carriage,
            stored: RefCell::default(),
            flights: RefCell::default(),
            errands: RefCell::default(),
            reading: RefCell::default(),
            vanishing: Cell::new(false),
            story: RefCell::default(),
        }));
        desk.bring_to(start);
        desk
    }

    /// What is told when a promise is broken.
    pub(super) fn tell(&self, story: &str) {
        story.clone_into(&mut self.0.story.borrow_mut());
    }

    fn broken(&self, how: &str) -> ! {
        panic!("{how}; {}", self.0.story.borrow())
    }

    /// Does it unless it would have to wait for a lock; whether it was done.
    pub(super) fn act_if_free(&self, action: Action) -> bool {
        let guard = &self.0.guard;
        let mut shards = guard.pending.shards().iter().enumerate();
        let own = part_under_way(guard, self.0.keys[KEY]);
        let is_free = shards.all(|(number, shard)| {
            let needed = if action.is_of_key() { number == own } else { true };
            // The other keys lie elsewhere.
            let needed = needed && !(action == Action::Evict && number == own);
            !needed || shard.try_write().is_some()
        });
        if is_free && guard.ledger.is_free() {
            self.act(action);
            return true;
        }
        false
    }

    pub(super) fn act(&self, action: Action) {
        match action {
            Action::Put { lane, stamp } => self.put(KEY, lane, stamp),
            Action::Store { lane, stamp } => self.store(KEY, lane, stamp),
            Action::Delete { lane } => self.judge(KEY, lane, None, None),
            Action::Settle(outcome) => self.settle(KEY, outcome),
            Action::Learn => self.learn(KEY),
            Action::Fenced { ended } => {
                // What was lost on the lane has been carried out by then, or never will be.
                self.0.guard.fenced(LaneId(1), ended);
            }
            Action::Evict => (KEY + 1..KEYS).for_each(|key| self.store(key, 9, OTHER + key as u64)),
            Action::Vanish => {
                self.0.vanishing.set(true);
                self.0.stored.borrow_mut().clear();
                self.0.guard.distrust_everything(Duration::from_millis(NOW));
            }
            Action::Return => self.0.guard.distrust_everything(Duration::from_millis(NOW / 2)),
        }
    }

    pub(super) fn put(&self, key: usize, lane: u64, stamp: u64) {
        self.judge(key, lane, Some(stamp), None);
    }

    fn store(&self, key: usize, lane: u64, stamp: u64) {
        self.put(key, lane, stamp);
        let is_own = |flight: &Flight| flight.key == key && flight.stamp == stamp && flight.ticket.lane == LaneId(lane);
        // Answers come in order: those before it have theirs first.
        while self.0.flights.borrow().iter().any(is_own) {
            self.answer_next(key, Outcome::Stored);
        }
    }

    /// Judges a change; sends it where it goes.
    fn judge(&self, key: usize, lane: u64, stamp: Option<u64>, come: Option<(bool, Option<Stored>)>) {
        let value = stamp.map(|stamp| format!("{stamp:013}"));
        let change = match (&value, stamp) {
            (Some(value), Some(stamp)) => Change::Stamped {
                stamp,
                value: value.as_bytes(),
            },
            _ => Change::Delete,
        };
        let (turn, stored) = come.unwrap_or_default();
        let origin = Origin {
            lane: LaneId(lane),
            turn,
            alone: false,
        };
        let bell = Bell::default();
        let now = Duration::from_millis(NOW);
        let (hash, guard) = (self.0.keys[key], &self.0.guard);
        let verdict = guard.judge(hash, change, origin, now, stored.as_ref(), || bell.clone());
        match verdict {
            Verdict::Go(ticket) => self.sent(key, ticket),
            Verdict::Refuse(Refusal::Stale { newer }) => self.refused(key, newer),
            Verdict::Refuse(_) => {}
            Verdict::Wait(_) | Verdict::Read(_) => {
                if matches!(verdict, Verdict::Read(_)) {
                    self.0.reading.borrow_mut().push(key);
                }
                self.0.errands.borrow_mut().push(Errand { key, lane, stamp, bell });
            }
        }
    }

    fn sent(&self, key: usize, ticket: Ticket) {
        let (Admitted::Stamped(stamp) | Admitted::Tombstone(stamp)) = ticket.admitted else {
            unreachable!("nothing else is asked for");
        };
        let mut flight = Flight {
            key,
            stamp,
            ticket,
            is_carried_out: false,
        };
        if self.0.carriage == Carriage::AtOnce {
            self.carry_out(&mut flight);
        }
        self.0.flights.borrow_mut().push(flight);
    }

    fn carry_out(&self, flight: &mut Flight) {
        if std::mem::replace(&mut flight.is_carried_out, true) {
            return;
        }
        let before = self.0.stored.borrow_mut().insert(flight.key, flight.stamp);
        if before.is_some_and(|before| before > flight.stamp) {
            self.broken(&format!("{} is let through over {before:?}", flight.stamp));
        }
    }

    fn refused(&self, key: usize, newer: u64) {
        let stored = self.0.stored.borrow().get(&key).copied();
        if stored.is_none_or(|stored| stored < newer) && !self.0.vanishing.get() {
            self.broken(&format!("refused for {newer}, and {stored:?} is stored"));
        }
    }

    fn settle(&self, key: usize, outcome: Outcome) {
        while self.answer_next(key, outcome) {}
    }

    /// The oldest change of the key in flight is answered; whether there was one.
    fn answer_next(&self, key: usize, outcome: Outcome) -> bool {
        let next = {
            let mut flights = self.0.flights.borrow_mut();
            let at = flights.iter().position(|flight| flight.key == key);
            at.map(|at| flights.remove(at))
        };
        let Some(flight) = next else {
            return false;
        };
        self.answered(flight, outcome);
        true
    }

    fn answered(&self, mut flight: Flight, outcome: Outcome) {
        // Where it is carried out at once it has been, whatever the answer says.
        let outcome = match (outcome, flight.is_carried_out) {
            (Outcome::Unsent, true) => Outcome::Failed,
            (outcome, _) => outcome,
        };
        if matches!(outcome, Outcome::Stored | Outcome::Lost) {
            self.carry_out(&mut flight);
        }
        self.0.guard.settle(flight.ticket, outcome);
    }

    /// What is there now is told of a key that is being read back.
    pub(super) fn learn(&self, key: usize) {
        let is_read = {
            let mut reading = self.0.reading.borrow_mut();
            let at = reading.iter().position(|one| *one == key);
            at.map(|at| reading.remove(at))
        };
        if is_read.is_none() {
            return;
        }
        let stamp = self.0.stored.borrow().get(&key).copied();
        let value = stamp.map(|stamp| format!("{stamp:013}").into());
        let found = ReadBack {
            stamp,
            record: None,
            value,
        };
        self.0
            .guard
            .learn(self.0.keys[key], Some(found), Duration::from_millis(NOW));
    }

    /// Those that were woken are judged again; whether there were any.
    pub(super) fn answer_errands(&self) -> bool {
        let all = std::mem::take(&mut *self.0.errands.borrow_mut());
        let (woken, asleep): (Vec<_>, Vec<_>) = all.into_iter().partition(|errand| errand.bell.has_rung());
        self.0.errands.borrow_mut().extend(asleep);
        let any = !woken.is_empty();
        for errand in woken {
            let come = match errand.bell.take() {
                Some(Rung::Again { turn, stored }) => (turn, stored),
                _ => (false, None),
            };
            self.judge(errand.key, errand.lane, errand.stamp, Some(come));
        }
        any
    }

    /// Both actions are over: every promise holds, before what is in flight is answered and after it.
    pub(super) fn check(&self) {
        self.0.vanishing.set(false);
        let lane = self.0.flights.borrow().first().map(|flight| flight.ticket.lane.0);
        // The oldest of all, where something may be in flight: a verdict on it rests on what is known.
        self.put(KEY, lane.unwrap_or(1), NOW);
        self.come_to_rest();
        for key in 0..KEYS {
            let newest = self.0.stored.borrow().get(&key).copied();
            let just_older = newest.map_or(NOW, |newest| newest - 1);
            self.put(key, 1, just_older);
            self.come_to_rest();
            let newest = self.0.stored.borrow().get(&key).copied();
            let just_newer = newest.map_or(NOW, |newest| newest + 1);
            self.put(key, 2, just_newer);
            self.come_to_rest();
            if self.0.stored.borrow().get(&key) != Some(&just_newer) {
                self.broken(&format!("{just_newer} is not stored, the newest of all"));
            }
        }
    }

    /// Everything is answered, read, fenced, and judged again until nothing is under way.
    fn come_to_rest(&self) {
        for _ in 0..100 {
            (0..KEYS).for_each(|key| self.learn(key));
            let woken = self.answer_errands();
            (0..KEYS).for_each(|key| self.settle(key, Outcome::Stored));
            (1..10).for_each(|lane| self.0.guard.fenced(LaneId(lane), true));
            let is_at_rest = self.0.errands.borrow().is_empty() && self.0.flights.borrow().is_empty();
            if !woken && is_at_rest && self.0.guard.pending() == 0 {
                return;
            }
        }
        self.broken("a waiter is forgotten, or nothing ends");
    }
}

/// A key, and others in its part of the ledger that share no lock with it elsewhere.
fn choose_keys(guard: &Guard<Bell>) -> Vec<KeyHash> {
    let key = guard.key(b"key");
    let is_beside = |other: &KeyHash| {
        guard.ledger.part_of(*other) == guard.ledger.part_of(key)
            && part_under_way(guard, *other) != part_under_way(guard, key)
    };
    let others = (0u32..)
        .map(|number| guard.key(&number.to_be_bytes()))
        .filter(is_beside);
    std::iter::once(key).chain(others).take(KEYS).collect()
}

/// The part of the table of what is under way that a key belongs to.
fn part_under_way(guard: &Guard<Bell>, key: KeyHash) -> usize {
    guard.pending.determine_shard(guard.pending.hash_usize(&key))
}
