//! What the guard's tests share.

use std::time::Duration;

use bytes::Bytes;

pub(super) use super::bell::{Bell, Rung};
use crate::guard::ledger::{HashSeed, KeyHash, Known, Ledger};
use crate::guard::rules::Rules;
use crate::guard::stamp::StampFormat;
use crate::guard::verdict::{
    Change, Learnt, Outcome, ReadBack, ReadCause, Refusal, Stored, Ticket, Verdict, WaitCause,
};
use crate::guard::{Guard, Origin, Receded};
use crate::pairing::LaneId;

/// The time at which everything happens unless a test says otherwise, in milliseconds.
pub(super) const NOW: u64 = 1_000_000;

/// A guard with one key on its desk.
pub(super) struct Desk {
    pub(super) guard: Guard<Bell>,
    pub(super) key: KeyHash,
}

impl Desk {
    /// Stamps of 13 digits in milliseconds, 50 ms of tolerance ahead and 10 behind, and a horizon of 0: an empty
    /// backend.
    pub(super) fn new() -> Self {
        Self::with(rules(), 64, 0)
    }

    pub(super) fn with(rules: Rules, entries: usize, horizon: u64) -> Self {
        let guard = Guard::new(rules, HashSeed([1, 2]), Ledger::with_entries(entries, horizon));
        let key = guard.key(b"k");
        Self { guard, key }
    }

    pub(super) fn judge(&self, lane: u64, change: Change<'_>, come: Come) -> (Verdict, Bell) {
        let bell = Bell::default();
        let origin = Origin {
            lane: LaneId(lane),
            turn: come.turn,
            alone: come.alone,
        };
        let now = Duration::from_millis(NOW);
        let verdict = self
            .guard
            .judge(self.key, change, origin, now, come.stored.as_ref(), || bell.clone());
        (verdict, bell)
    }

    /// Judges a put of `stamp` followed by `body`.
    pub(super) fn put_body(&self, lane: u64, stamp: u64, body: &str, come: Come) -> (Verdict, Bell) {
        let value = format!("{stamp:013}{body}");
        let change = Change::Stamped {
            stamp,
            value: value.as_bytes(),
        };
        self.judge(lane, change, come)
    }

    /// Judges a put of `stamp` that comes for the first time.
    pub(super) fn put(&self, lane: u64, stamp: u64) -> (Verdict, Bell) {
        self.put_body(lane, stamp, "", Come::default())
    }

    /// Has the key looked up ahead of a put of `stamp`.
    pub(super) fn look_ahead(&self, lane: u64, stamp: u64) -> Option<ReadCause> {
        let value = format!("{stamp:013}");
        let change = Change::Stamped {
            stamp,
            value: value.as_bytes(),
        };
        let now = Duration::from_millis(NOW);
        self.guard.look_ahead(self.key, change, LaneId(lane), now)
    }

    /// Stores `stamp` and hears of it.
    pub(super) fn store(&self, lane: u64, stamp: u64) {
        let ticket = self.put(lane, stamp).goes();
        self.guard.settle(ticket, Outcome::Stored);
    }

    /// Tells what reading back has shown: a value with this stamp, or a record of it alone.
    pub(super) fn learn(&self, stamp: Option<u64>, value: Option<&str>) -> Option<Receded> {
        let record = if value.is_none() { stamp } else { None };
        self.learn_both(stamp.filter(|_| value.is_some()), record, value)
            .receded
    }

    /// Tells what reading back has shown: the value's own stamp, the record's, and the value.
    pub(super) fn learn_both(&self, stamp: Option<u64>, record: Option<u64>, value: Option<&str>) -> Learnt {
        let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
        let found = ReadBack { stamp, record, value };
        self.guard.learn(self.key, Some(found), Duration::from_millis(NOW))
    }

    pub(super) fn known(&self) -> Known {
        self.guard.ledger().get(self.key)
    }
}

pub(super) fn rules() -> Rules {
    Rules {
        stamp: StampFormat::default(),
        future_tolerance: Duration::from_millis(50),
        delete_tolerance: Duration::from_millis(10),
        ..Rules::default()
    }
}

/// How a change comes to the judge.
#[derive(Default)]
pub(super) struct Come {
    pub(super) turn: bool,
    pub(super) stored: Option<Stored>,
    pub(super) alone: bool,
}

impl Bell {
    /// What a woken waiter comes back with.
    pub(super) fn come(&self) -> Come {
        match self.take() {
            Some(Rung::Again { turn, stored }) => Come {
                turn,
                stored,
                alone: false,
            },
            other => panic!("not woken to judge again: {other:?}"),
        }
    }

    pub(super) fn is_unfenced(&self) -> bool {
        matches!(self.take(), Some(Rung::Unfenced))
    }
}

/// What a test expects of a verdict.
pub(super) trait Expected {
    fn goes(self) -> Ticket;
    fn refused(self) -> Refusal;
    fn waits(self, cause: WaitCause) -> Bell;
    fn reads(self, cause: ReadCause) -> Bell;
}

impl Expected for (Verdict, Bell) {
    fn goes(self) -> Ticket {
        match self.0 {
            Verdict::Go(ticket) => ticket,
            other => panic!("expected to go, but {other:?}"),
        }
    }

    fn refused(self) -> Refusal {
        match self.0 {
            Verdict::Refuse(refusal) => refusal,
            other => panic!("expected a refusal, but {other:?}"),
        }
    }

    fn waits(self, cause: WaitCause) -> Bell {
        match self.0 {
            Verdict::Wait(found) if found == cause => self.1,
            other => panic!("expected to wait for {cause:?}, but {other:?}"),
        }
    }

    fn reads(self, cause: ReadCause) -> Bell {
        match self.0 {
            Verdict::Read(found) if found == cause => self.1,
            other => panic!("expected a read for {cause:?}, but {other:?}"),
        }
    }
}
