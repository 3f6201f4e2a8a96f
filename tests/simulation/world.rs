//! One run: a backend, a guard that may be killed, clients, the network between them, and the checks.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Instant, sleep, timeout};
use ttguard::backend::tyrant::connect::{Dial, Dialling, Route};
use ttguard::proxy::instance::{Census, Instance, Surroundings};
use ttguard::transport::{READ_ROOM, Reader, Writer};

use crate::accounts::{Accounts, Scrape};
use crate::client;
use crate::clock::Clock;
use crate::faults::{Fault, Tally};
use crate::history::History;
use crate::network::{Between, Network};
use crate::plan::{Blow, Plan};
use crate::records::Records;
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

/// A guard process.
struct Process {
    tasks: Rc<LocalSet>,
    instance: Rc<Instance>,
    stop: Rc<Notify>,
    driver: JoinHandle<()>,
    accepts: bool,
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
    generation: Cell<u64>,
    healed: Cell<bool>,
    violation: RefCell<Option<String>>,
}

#[derive(Debug)]
struct Door;

impl Dial for Door {
    fn dial(&self) -> Dialling {
        match current() {
            Some(world) => Server::dial(world),
            None => Box::pin(std::future::pending()),
        }
    }
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

    /// Whether all faults are over.
    pub fn healed(&self) -> bool {
        self.healed.get()
    }

    /// Which guard process runs.
    pub fn generation(&self) -> u64 {
        self.generation.get()
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

    /// A client connects to a worker of the guard.
    pub fn connect(&self, worker: usize) -> Option<(u64, Reader, Writer)> {
        let guard = self.guard.borrow();
        let process = guard.as_ref().filter(|process| process.accepts)?;
        let (id, (reader, writer), acceptor) = self.network.open(self, Between::ClientAndGuard);
        self.accounts.borrow_mut().connected();
        let _within = process.tasks.enter();
        process.instance.open(worker, acceptor.0, acceptor.1);
        Some((id, reader, writer))
    }

    fn start_guard(&self) {
        let skew = &self.plan.clock.skew;
        self.set_clock(
            skew[self.generation.get() as usize % skew.len()],
            Fault::GuardClockSkewed,
        );
        self.generation.set(self.generation.get() + 1);
        self.history.borrow_mut().guard_starts(self);
        let surroundings = Surroundings {
            route: Route::Within(Arc::new(Door)),
            clock: self.clock.of_guard(),
            seed: self.random.borrow_mut().u64(..),
            ledger_entries: self.plan.ledger_entries,
        };
        let tasks = Rc::new(LocalSet::new());
        let instance = Rc::new(Instance::start(self.plan.settings.clone(), surroundings, &tasks));
        let stop = Rc::new(Notify::new());
        let (within, stopped) = (Rc::clone(&tasks), Rc::clone(&stop));
        let driver = spawn_local(async move { within.run_until(stopped.notified()).await });
        *self.guard.borrow_mut() = Some(Process {
            tasks,
            instance,
            stop,
            driver,
            accepts: true,
        });
    }

    fn set_clock(&self, offset: i64, fault: Fault) {
        let jump = self.clock.set(self.steps(), offset);
        if jump != 0 {
            self.strike(fault);
        }
        self.trace(&[14, jump as u64], || format!("the guard's clock is set by {jump} ms"));
    }

    async fn jump_clock(self: Rc<Self>) {
        for (at, by) in self.plan.clock.jumps.clone() {
            sleep(Duration::from_millis(at.saturating_sub(self.now()))).await;
            let fault = if by > 0 {
                Fault::GuardClockAhead
            } else {
                Fault::GuardClockBack
            };
            self.set_clock(self.clock.offset() + by, fault);
        }
    }

    /// The guard's process ends at once. What it had written is on its way.
    async fn end_guard(&self) {
        let process = self.guard.borrow_mut().take();
        let Some(process) = process else {
            return;
        };
        let evicted = process.instance.census().evicted;
        if evicted > 0 {
            self.strike(Fault::Evicted);
        }
        process.stop.notify_one();
        let _ = process.driver.await;
        let census = process.instance.census();
        let settings = &self.plan.settings;
        // Only an orderly end retires lanes.
        let retired = if process.accepts {
            0
        } else {
            settings.workers * settings.lanes
        };
        let scrape = Scrape::of(&process.instance.scrape());
        let mut accounts = self.accounts.borrow_mut();
        accounts.guard_ended(self, &scrape, census.sessions, census.lanes, retired);
        drop(accounts);
        drop(process.tasks);
        drop(process.instance);
        self.server.guard_ended(self);
    }

    async fn drain_guard(&self) {
        let (tasks, instance) = match self.guard.borrow_mut().as_mut() {
            Some(process) => {
                process.accepts = false;
                (Rc::clone(&process.tasks), Rc::clone(&process.instance))
            }
            None => return,
        };
        let before = self.now();
        let draining = Rc::clone(&instance);
        let task = tasks.spawn_local(async move { draining.drain().await });
        let _ = task.await;
        let pairing = &self.plan.settings.pairing;
        let links = (self.plan.settings.workers * self.plan.settings.lanes) as u32;
        let workers = self.plan.settings.workers as u32;
        let grace = Duration::from_secs(2);
        let most = (pairing.request_timeout + grace) * workers + (pairing.fence_timeout + grace) * links;
        if Duration::from_millis(self.now() - before) > most + Duration::from_millis(100) {
            self.violated("I14", || format!("draining took {} ms", self.now() - before));
        }
        drop(tasks);
        drop(instance);
        self.end_guard().await;
    }

    async fn blow(&self, blow: Blow) {
        self.trace(&[8], || format!("blow: {blow:?}"));
        match blow {
            Blow::RestartKept { down } => self.restart(down, None, Fault::RestartKept).await,
            Blow::RestartEmpty { down } => {
                self.restart(down, Some(Records::of(self.plan.database)), Fault::RestartEmpty)
                    .await;
            }
            Blow::RestartOlder { down } => {
                let older = self.server.older();
                self.restart(down, Some(older), Fault::RestartOlder).await;
            }
            Blow::Refuse { during } => self.server.refusing_until.set(self.now() + during),
            Blow::Pause { during } => {
                self.strike(Fault::Paused);
                self.server.paused_until.set(self.now() + during);
            }
            Blow::KillGuard { down } => {
                self.strike(Fault::GuardKilled);
                self.end_guard().await;
                sleep(Duration::from_millis(down)).await;
                self.start_guard();
            }
            Blow::StallAndKillGuard { during } => {
                self.strike(Fault::GuardKilledStalled);
                self.network.stall_lanes(self.now() + during);
                sleep(Duration::from_millis(self.below(during / 4 + 2))).await;
                self.end_guard().await;
                self.start_guard();
            }
            Blow::DrainGuard => {
                self.strike(Fault::GuardDrained);
                self.drain_guard().await;
                self.start_guard();
            }
        }
    }

    async fn restart(&self, down: u64, records: Option<Records>, fault: Fault) {
        self.strike(fault);
        self.server.stop();
        sleep(Duration::from_millis(down + 1)).await;
        self.server.start(self, records);
    }

    async fn strike_blows(self: Rc<Self>) {
        for (at, blow) in self.plan.blows.clone() {
            sleep(Duration::from_millis(at.saturating_sub(self.now()))).await;
            self.blow(blow).await;
        }
    }

    /// Looks now and then whether bounds are kept.
    async fn inspect(self: Rc<Self>) {
        loop {
            sleep(Duration::from_millis(29)).await;
            if self.below(8) == 0 {
                self.server.take_snapshot();
            }
            let Some(census) = self.guard.borrow().as_ref().map(|process| process.instance.census()) else {
                continue;
            };
            self.check_memory(&census);
            let settings = &self.plan.settings;
            if census.lanes > settings.workers * settings.lanes {
                self.violated("I10", || format!("{census:?}"));
            }
            self.network.check_connections(&self);
        }
    }

    /// What the guard holds, against what the settings allow.
    fn check_memory(&self, census: &Census) {
        let (settings, limits) = (&self.plan.settings, &self.plan.settings.limits);
        let (session, lane) = (&census.fullest_session, &census.fullest_lane);
        let ledger_memory = self.plan.ledger_entries.map_or(settings.ledger_memory, |_| u64::MAX);
        for (what, held, most) in [
            ("keys", census.ledger_entries as u64, census.ledger_entries_max as u64),
            (
                "bytes of the ledger",
                census.ledger_bytes,
                census.ledger_bytes_max.min(ledger_memory),
            ),
            (
                "bytes of half-received requests",
                census.buffered as u64,
                limits.buffer_memory as u64,
            ),
            (
                "bytes that a client has not read",
                session.backlog as u64,
                // Of the update log as much is held as was read at once.
                limits
                    .session_backlog
                    .max(if self.plan.clients.follows_log() { READ_ROOM } else { 0 }) as u64,
            ),
            (
                "unanswered requests of a session",
                session.owed as u64,
                limits.pipeline as u64,
            ),
            (
                "requests of a session on lanes",
                session.aloft as u64,
                limits.pipeline as u64,
            ),
            // The question that ends a spell of priming may go beyond it.
            (
                "requests on a lane",
                lane.requests as u64,
                limits.lane_queue as u64 + u64::from(settings.primed_lanes > 0),
            ),
            // One request more may go beyond it.
            (
                "bytes before a lane",
                lane.bytes as u64,
                2 * limits.request.frame_max as u64,
            ),
        ] {
            if held > most {
                self.violated("I9", || format!("{held} {what}, {most} are allowed"));
            }
        }
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

    /// After all faults: everything is back to where it was, and every promise holds.
    async fn quiet(self: &Rc<Self>) {
        sleep(Duration::from_secs(12)).await;
        let Some(quiet) = self.check_base_line("after quiet") else {
            return;
        };
        let before = (self.accounts.borrow().clone(), quiet);
        if let Err(how) = timeout(Duration::from_secs(20), client::probe(self)).await {
            self.violated("I12", || format!("a probe waits for ever: {how}"));
        }
        sleep(Duration::from_secs(2)).await;
        if let Some(scrape) = self.check_base_line("after the probes") {
            self.accounts.borrow().check_calm(self, &before, &scrape);
        }
        self.history.borrow_mut().check_end(self, &self.server.records.borrow());
        self.drain_guard().await;
        self.accounts.borrow().check_end(self, &self.history.borrow());
    }

    /// Nothing is left over; returns what is counted.
    fn check_base_line(&self, when: &str) -> Option<Scrape> {
        let guard = self.guard.borrow();
        let process = guard.as_ref()?;
        let census = process.instance.census();
        let lanes = self.plan.settings.workers * self.plan.settings.lanes;
        let is_clean = census.sessions == 0
            && census.lanes == lanes
            && census.in_flight == 0
            && census.pending == 0
            && census.buffered == 0;
        if !is_clean {
            self.violated("I12", || format!("{when}: {census:?}, {lanes} lanes are configured"));
        }
        let scrape = Scrape::of(&process.instance.scrape());
        self.accounts.borrow().check_quiet(self, &scrape);
        self.network.check_connections(self);
        Some(scrape)
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
