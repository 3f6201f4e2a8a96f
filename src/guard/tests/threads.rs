//! Several threads on few keys through one guard: nobody is forgotten, nothing locks up.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::support::{NOW, rules};
use crate::guard::ledger::{HashSeed, Ledger};
use crate::guard::verdict::{Change, Outcome, ReadBack, Ticket, Verdict, Waiter, Wake};
use crate::guard::{Guard, Origin};
use crate::pairing::LaneId;

const KEYS: u64 = 3;
const LEDGER_ENTRIES: usize = 2;
const CHANGES: u64 = 4_000;

/// Far more than any wait takes; whoever waits longer has been forgotten.
const PATIENCE: Duration = Duration::from_secs(30);

const NOTHING: ReadBack = ReadBack {
    stamp: None,
    record: None,
    value: None,
};

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
    guard: Arc<Guard<Alarm>>,
    lane: LaneId,
    random: fastrand::Rng,
    flying: VecDeque<Ticket>,
}

impl Worker {
    fn run(mut self) {
        for _ in 0..CHANGES {
            self.change();
            if self.random.u8(..) < 128 {
                self.settle_one();
            }
            if self.random.u8(..) == 0 {
                self.guard.distrust_everything(Duration::from_millis(NOW));
            }
            assert!(self.guard.ledger().len() <= LEDGER_ENTRIES);
        }
        while self.settle_one() {}
    }

    /// One change, from the first judgement until it is sent or refused.
    fn change(&mut self) {
        let key = self.guard.key(&self.random.u64(..KEYS).to_be_bytes());
        let stamp = NOW - self.random.u64(..1_000);
        let value = format!("{stamp:013}");
        let change = match self.random.u8(..10) {
            0 => Change::Delete,
            1 => Change::Unstamped,
            2 => Change::Unordered,
            _ => Change::Stamped {
                stamp,
                value: value.as_bytes(),
            },
        };
        let (mut turn, mut stored) = (false, None);
        let alone = self.random.u8(..) < 40;
        loop {
            let alarm = Alarm::default();
            let origin = Origin {
                lane: self.lane,
                turn,
                alone,
            };
            let now = Duration::from_millis(NOW);
            let verdict = self
                .guard
                .judge(key, change, origin, now, stored.as_ref(), || alarm.clone());
            match verdict {
                Verdict::Go(ticket) => return self.flying.push_back(ticket),
                Verdict::Refuse(_) => return,
                Verdict::Read(_) => drop(self.guard.learn(key, Some(NOTHING), Duration::from_millis(NOW))),
                // A real lane's queue empties by itself.
                Verdict::Wait(_) => while self.settle_one() {},
            }
            if self.random.u8(..) < 25 {
                if let Some(Wake::Again { turn: true, .. }) = alarm.leave() {
                    self.guard.pass_turn(key);
                }
                return;
            }
            (turn, stored) = match alarm.sleep() {
                Wake::Again { turn, stored } => (turn, stored),
                Wake::Unfenced => (false, None),
            };
        }
    }

    fn settle_one(&mut self) -> bool {
        let Some(ticket) = self.flying.pop_front() else {
            return false;
        };
        let outcome = match self.random.u8(..20) {
            0 => Outcome::Failed,
            _ => Outcome::Stored,
        };
        self.guard.settle(ticket, outcome);
        true
    }
}

#[test]
fn threads_neither_lock_up_nor_forget_a_waiter() {
    for threads in 2..=4 {
        let ledger = Ledger::with_entries(LEDGER_ENTRIES, NOW);
        let guard = Arc::new(Guard::new(rules(), HashSeed([1, 2]), ledger));
        let workers: Vec<_> = (1..=threads)
            .map(|number| Worker {
                guard: Arc::clone(&guard),
                lane: LaneId(number),
                random: fastrand::Rng::with_seed(number),
                flying: VecDeque::new(),
            })
            .map(|worker| thread::spawn(|| worker.run()))
            .collect();
        for worker in workers {
            worker.join().expect("no worker panics");
        }
        assert_eq!(guard.pending(), 0);
    }
}
