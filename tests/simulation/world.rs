//! One run: a backend, a guard that may be killed, clients, the network between them, and the checks.

mod blows;
mod checks;
mod guard;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout};

use self::guard::Process;
use crate::accounts::Accounts;
use crate::client;
use crate::clock::Clock;
use crate::faults::{Fault, Tally};
use crate::history::History;
use crate::network::Network;
use crate::plan::Plan;
use crate::server::Server;
use crate::trace::Trace;

thread_local! {
    static CURRENT: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// The run of this thread.
pub fn current() -> Option<Rc<World>> {
    CURRENT.with(|current| current.borrow().clone())
}

/// What came of a run.
#[derive(Debug)]
pub struct Verdict {
    /// The promise that was broken first, and how.
    pub violation: Option<String>,
    pub faults: Tally,
    pub hash: u64,
    pub steps: u64,
    /// Bytes that the side has written on whose bytes a small world has its one fault.
    pub written: u64,
    /// Keys that nothing was promised for: when all faults had healed, ever, and all keys.
    pub tainted: [usize; 3],
    /// What happened, when it was asked for.
    pub lines: Vec<String>,
}

impl Verdict {
    /// The last lines of what happened.
    pub fn tail(&self, count: usize) -> String {
        self.lines[self.lines.len().saturating_sub(count)..].join("\n")
    }
}

/// Everything of one run.
pub struct World {
    pub plan: Plan,
    pub network: Network,
    pub server: Server,
    pub history: RefCell<History>,
    /// The guard's clock.
    pub clock: Clock,
    pub accounts: RefCell<Accounts>,
    random: RefCell<Rng>,
    faults: RefCell<Tally>,
    trace: RefCell<Trace>,
    guard: RefCell<Option<Process>>,
    /// Until when the guard's process stands still.
    stalled_until: Cell<u64>,
    generation: Cell<u64>,
    healed: Cell<bool>,
    violation: RefCell<Option<String>>,
}

impl World {
    /// Milliseconds since the start.
    pub fn now(&self) -> u64 {
        self.clock.elapsed()
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.trace.borrow().steps()
    }

    /// Takes note of a step.
    pub fn trace(&self, facts: &[u64], text: impl FnOnce() -> String) {
        let now = self.now();
        self.trace.borrow_mut().note(now, facts, text);
    }

    /// Whether a fault of this probability strikes now. None does once all have healed.
    pub fn strikes(&self, probability: f64) -> bool {
        probability > 0.0 && !self.healed.get() && self.random.borrow_mut().f64() < probability
    }

    /// Counts a fault.
    pub fn strike(&self, fault: Fault) {
        self.trace(&[6, fault as u64], || format!("fault: {fault:?}"));
        self.faults.borrow_mut().strike(fault);
    }

    /// A number below `bound`, or 0.
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 {
            0
        } else {
            self.random.borrow_mut().u64(..bound)
        }
    }

    /// One or the other.
    pub fn flip(&self) -> bool {
        self.random.borrow_mut().bool()
    }

    /// A source of random numbers for one task.
    pub fn fork(&self) -> Rng {
        self.random.borrow_mut().fork()
    }

    /// Whether a fault of this kind has struck.
    pub fn has_struck(&self, fault: Fault) -> bool {
        self.faults.borrow().of(fault) > 0
    }

    /// Whether all faults are over.
    pub fn healed(&self) -> bool {
        self.healed.get()
    }

    /// Which guard process runs.
    pub fn generation(&self) -> u64 {
        self.generation.get()
    }

    /// Until when the guard's process stands still, or stood last.
    pub fn stalled_until(&self) -> u64 {
        self.stalled_until.get()
    }

    /// Whether the guard's process stands still.
    pub fn is_stalled(&self) -> bool {
        self.now() < self.stalled_until.get()
    }

    /// A promise was broken. Only the first one counts.
    pub fn violated(&self, promise: &str, how: impl FnOnce() -> String) {
        let mut violation = self.violation.borrow_mut();
        if violation.is_none() {
            let how = format!("{promise}: {}", how());
            self.trace(&[7], || format!("BROKEN {how}"));
            self.trace.borrow_mut().stop_writing();
            *violation = Some(how);
        }
    }

    fn is_broken(&self) -> bool {
        self.violation.borrow().is_some()
    }

    async fn run(self: Rc<Self>, accepted: mpsc::UnboundedReceiver<crate::server::Accepted>) {
        let carrying = {
            let world = Rc::clone(&self);
            spawn_local(async move { world.network.carry(Rc::clone(&world)).await })
        };
        let serving = spawn_local(Server::accept(Rc::clone(&self), accepted));
        self.start_guard();
        spawn_local(Rc::clone(&self).jump_clock());
        let inspecting = spawn_local(Rc::clone(&self).inspect());
        let clients: Vec<_> = (0..self.plan.clients.count)
            .map(|number| match self.plan.script.get(number) {
                Some(script) => spawn_local(client::recite(Rc::clone(&self), number, script.clone())),
                None => spawn_local(client::live(Rc::clone(&self), number)),
            })
            .collect();
        Rc::clone(&self).strike_blows().await;
        sleep(Duration::from_millis(self.plan.duration.saturating_sub(self.now()))).await;
        self.heal();
        for client in clients {
            if timeout(Duration::from_secs(30), client).await.is_err() {
                self.violated("I12", || "a client waits for ever".to_owned());
            }
        }
        if !self.is_broken() {
            self.quiet().await;
        }
        for task in [inspecting, carrying, serving] {
            task.abort();
        }
    }

    fn heal(&self) {
        self.trace(&[9], || "all faults have healed".to_owned());
        self.healed.set(true);
        self.server.heal();
        self.network.sweep();
    }
}

/// Runs a plan. With `speaks` the verdict has the last lines of what happened.
pub fn run(seed: u64, plan: Plan, speaks: bool) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let tasks = LocalSet::new();
    let verdict = tasks.block_on(&runtime, async {
        let (sender, accepted) = mpsc::unbounded_channel();
        let world = Rc::new(World {
            network: Network::default(),
            server: Server::new(&plan, sender),
            history: RefCell::new(History::new(&plan)),
            clock: Clock::new(Instant::now()),
            random: RefCell::new(Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))),
            faults: RefCell::default(),
            trace: RefCell::new(Trace::new(speaks)),
            accounts: RefCell::default(),
            guard: RefCell::new(None),
            stalled_until: Cell::new(0),
            generation: Cell::new(0),
            healed: Cell::new(false),
            violation: RefCell::new(None),
            plan,
        });
        CURRENT.with(|current| *current.borrow_mut() = Some(Rc::clone(&world)));
        Rc::clone(&world).run(accepted).await;
        // What is torn down from here on is no part of the run.
        CURRENT.with(|current| current.borrow_mut().take());
        let process = world.guard.borrow_mut().take();
        drop(process);
        world
    });
    drop(tasks);
    drop(runtime);
    let trace = verdict.trace.replace(Trace::new(false));
    let violation = crate::panics::taken().or(verdict.violation.borrow().clone());
    Verdict {
        violation,
        faults: verdict.faults.borrow().clone(),
        hash: trace.hash(),
        steps: trace.steps(),
        written: verdict.network.written(),
        tainted: verdict.history.borrow().tainted(),
        lines: trace.into_lines(),
    }
}
