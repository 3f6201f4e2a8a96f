//! Several threads on few keys through one guard, whose ledger has no room for all of them: no older write is let
//! through over a newer one, no refusal rests on what was never stored, nobody is forgotten, nothing locks up.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::support::{NOW, rules};
use crate::guard::ledger::{HashSeed, Known, Ledger};
use crate::guard::verdict::{Admitted, Change, Outcome, ReadBack, Refusal, Ticket, Verdict, Waiter, Wake};
use crate::guard::{Guard, Origin};
use crate::pairing::LaneId;

const KEYS: usize = 5;
const LEDGER_ENTRIES: usize = 2;
const CHANGES: u64 = 4_000;

/// Far more than any wait takes; whoever waits longer has been forgotten.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the backend holds of a key.
#[derive(Default)]
struct Record {
    /// The value's own stamp.
    own: Option<u64>,
    /// What the key's hidden record holds.
    record: Option<u64>,
    has_value: bool,
    /// Every stamp that was ever stored.
    ever: BTreeSet<u64>,
}

impl Record {
    fn newest(&self) -> Option<u64> {
        self.own.max(self.record)
    }

    /// A change is carried out.
    fn change(&mut self, admitted: Admitted) {
        let before = self.newest();
        let goes_above = |stamp| {
            assert!(
                before.is_none_or(|before| before <= stamp),
                "{admitted:?} is let through over {before:?}"
            );
        };
        match admitted {
            Admitted::Stamped(stamp) | Admitted::Made(stamp) => {
                goes_above(stamp);
                self.own = Some(stamp);
                self.has_value = true;
                self.ever.insert(stamp);
            }
            Admitted::Tombstone(stamp) => {
                goes_above(stamp);
                (self.own, self.record) = (None, Some(stamp));
                self.has_value = false;
                self.ever.insert(stamp);
            }
            Admitted::Unstamped { keeps } => {
                goes_above(keeps);
                self.own = None;
                if keeps > 0 {
                    self.record = Some(keeps);
                }
                self.has_value = true;
            }
            // It leaves the stamp as it was.
            Admitted::Unordered { .. } => self.has_value = true,
            Admitted::Tidy => {}
        }
    }

    fn forget(&mut self) {
        (self.own, self.record) = (None, None);
    }

    fn read(&self) -> ReadBack {
        let value = || self.own.map_or_else(String::new, |stamp| format!("{stamp:013}"));
        ReadBack {
            stamp: self.own,
            record: self.record,
            value: self.has_value.then(|| value().into()),
        }
    }
}

/// What the threads share.
struct Table {
    guard: Guard<Alarm>,
    records: Mutex<[Record; KEYS]>,
    /// Milliseconds since the epoch: one passes with each change.
    clock: AtomicU64,
    lanes: AtomicU64,
}

impl Table {
    fn now(&self) -> Duration {
        Duration::from_millis(self.clock.load(Ordering::Relaxed))
    }

    fn records<T>(&self, with: impl FnOnce(&mut [Record; KEYS]) -> T) -> T {
        with(&mut self.records.lock().expect("nobody panicked"))
    }

    fn new_lane(&self) -> LaneId {
        LaneId(self.lanes.fetch_add(1, Ordering::Relaxed))
    }
}

/// A waiter that a thread sleeps on.
#[derive(Clone, Default)]
struct Alarm(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    wake: Option<Wake>,
    gone: bool,
}

impl Waiter for Alarm {
    fn wake(self, wake: Wake) -> bool {
        let (state, signal) = &*self.0;
        let mut state = state.lock().expect("nobody panicked");
        if !state.gone {
            state.wake = Some(wake);
            signal.notify_one();
        }
        !state.gone
    }
}

impl Alarm {
    fn sleep(&self) -> Wake {
        let (state, signal) = &*self.0;
        let state = state.lock().expect("nobody panicked");
        let (mut state, _) = signal
            .wait_timeout_while(state, PATIENCE, |state| state.wake.is_none())
            .expect("nobody panicked");
        state.wake.take().expect("no waiter is forgotten")
    }

    /// Listens no more; what came before is handed back.
    fn leave(&self) -> Option<Wake> {
        let mut state = self.0.0.lock().expect("nobody panicked");
        state.gone = true;
        state.wake.take()
    }
}

/// One worker with one lane of its own, whose queue answers in order.
struct Worker {
    table: Arc<Table>,
    lane: LaneId,
    random: fastrand::Rng,
    flying: VecDeque<(usize, Ticket)>,
}

impl Worker {
    fn new(table: &Arc<Table>, seed: u64) -> Self {
        Self {
            table: Arc::clone(table),
            lane: table.new_lane(),
            random: fastrand::Rng::with_seed(seed),
            flying: VecDeque::new(),
        }
    }

    fn run(mut self) {
        for _ in 0..CHANGES {
            let (key, now) = (
                self.random.usize(..KEYS),
                self.table.clock.fetch_add(1, Ordering::Relaxed),
            );
            let stamp = now + 10 - self.random.u64(..50);
            match self.random.u8(..20) {
                0 | 1 => self.change(key, None),
                2 => self.disturb(key),
                _ => self.change(key, Some(stamp)),
            }
            if self.random.bool() {
                self.settle_one();
            }
            if self.random.u32(..1_500) == 0 {
                self.table
                    .records(|records| records.iter_mut().for_each(Record::forget));
                self.table.guard.distrust_everything(self.table.now());
            }
            assert!(self.table.guard.ledger().len() <= LEDGER_ENTRIES);
        }
        while self.settle_one() {}
    }

    /// A put, or a delete.
    fn change(&mut self, key: usize, stamp: Option<u64>) {
        let value = stamp.map(|stamp| format!("{stamp:013}"));
        let change = match (stamp, &value) {
            (Some(stamp), Some(value)) => Change::Stamped {
                stamp,
                value: value.as_bytes(),
            },
            _ => Change::Delete,
        };
        self.bring(key, change);
    }

    /// A change that a stamp does not order.
    fn disturb(&mut self, key: usize) {
        let change = if self.random.bool() {
            Change::Unstamped
        } else {
            Change::Unordered
        };
        self.bring(key, change);
    }

    /// One change, from the first judgement until it is sent or refused.
    fn bring(&mut self, key: usize, change: Change<'_>) {
        let hash = self.table.guard.key(&key.to_be_bytes());
        let (mut turn, mut stored) = (false, None);
        let alone = self.random.u8(..) < 40;
        loop {
            let alarm = Alarm::default();
            let origin = Origin {
                lane: self.lane,
                turn,
                alone,
            };
            let now = self.table.now();
            let verdict = self
                .table
                .guard
                .judge(hash, change, origin, now, stored.as_ref(), || alarm.clone());
            match verdict {
                Verdict::Go(ticket) => return self.flying.push_back((key, ticket)),
                Verdict::Refuse(refusal) => return self.refused(key, refusal),
                Verdict::Read(_) => {
                    let found = self.table.records(|records| records[key].read());
                    self.table.guard.learn(hash, Some(found), now);
                }
                // A real lane's queue empties by itself.
                Verdict::Wait(_) => while self.settle_one() {},
            }
            if self.random.u8(..) < 25 {
                if let Some(Wake::Again { turn: true, .. }) = alarm.leave() {
                    self.table.guard.pass_turn(hash);
                }
                return;
            }
            (turn, stored) = match alarm.sleep() {
                Wake::Again { turn, stored } => (turn, stored),
                Wake::Unfenced => (false, None),
            };
        }
    }

    fn refused(&self, key: usize, refusal: Refusal) {
        if let Refusal::Stale { newer } = refusal {
            let was_stored = self.table.records(|records| records[key].ever.contains(&newer));
            assert!(was_stored, "refused for {newer}, which was never stored");
        }
    }

    fn carry_out(&self, key: usize, ticket: &Ticket) {
        self.table.records(|records| records[key].change(ticket.admitted));
    }

    fn settle_one(&mut self) -> bool {
        let Some((key, ticket)) = self.flying.pop_front() else {
            return false;
        };
        let outcome = match self.random.u8(..40) {
            0 => {
                self.flying.push_front((key, ticket));
                self.lose_lane();
                return true;
            }
            1 | 2 => Outcome::Failed,
            _ => Outcome::Stored,
        };
        if outcome == Outcome::Stored || self.random.bool() {
            self.carry_out(key, &ticket);
        }
        self.table.guard.settle(ticket, outcome);
        true
    }

    /// The lane breaks. The backend has carried out some of what was on it, from the first on, before it ends.
    fn lose_lane(&mut self) {
        let lost = std::mem::take(&mut self.flying);
        let carried = self.random.usize(..=lost.len());
        let mut keys = Vec::new();
        for (key, ticket) in lost {
            keys.push((key, ticket.admitted));
            self.table.guard.settle(ticket, Outcome::Lost);
        }
        for (key, admitted) in &keys[..carried] {
            self.table.records(|records| records[*key].change(*admitted));
        }
        self.table.guard.fenced(self.lane, true);
        self.lane = self.table.new_lane();
    }
}

#[test]
fn threads_break_no_promise_lock_nothing_up_and_forget_no_waiter() {
    for threads in 2..=4 {
        let ledger = Ledger::with_entries(LEDGER_ENTRIES, 0);
        let table = Arc::new(Table {
            guard: Guard::new(rules(), HashSeed([1, 2]), ledger),
            records: Mutex::default(),
            clock: AtomicU64::new(NOW),
            lanes: AtomicU64::new(1),
        });
        let workers: Vec<_> = (0..threads)
            .map(|seed| Worker::new(&table, seed))
            .map(|worker| thread::spawn(|| worker.run()))
            .collect();
        for worker in workers {
            worker.join().expect("no worker panics");
        }
        assert_eq!(table.guard.pending(), 0);
        assert!(table.guard.ledger().evicted() > 100, "nothing is evicted");
        // What is remembered at the end refuses what is older than what is stored.
        let mut last = Worker::new(&table, 0);
        for key in 0..KEYS {
            let Some(newest) = table.records(|records| records[key].newest()) else {
                continue;
            };
            last.change(key, Some(newest - 1));
            while last.settle_one() {}
        }
    }
}

#[test]
fn everything_is_forgotten_when_those_at_work_on_a_key_are_done() {
    let guard = Guard::<Alarm>::new(rules(), HashSeed([1, 2]), Ledger::with_entries(64, 0));
    let key = guard.key(b"key");
    guard.ledger.put(key, Known::Stamp(NOW));
    thread::scope(|threads| {
        // Someone settles a write, say, and has not remembered it yet.
        let at_work = guard.pending.shards()[0].write();
        threads.spawn(|| guard.distrust_everything(Duration::from_millis(NOW)));
        while guard.upheavals.count() == 0 {
            thread::yield_now();
        }
        for _ in 0..10_000 {
            thread::yield_now();
            assert_eq!(guard.ledger.get(key), Known::Stamp(NOW));
        }
        drop(at_work);
    });
    assert_eq!(guard.ledger.get(key), Known::Absent);
}
