//! A whole guard on the runtime of its caller, without threads, sockets or clocks of its own: what simulations run.
//!
//! Everything that decides anything is the same code that [`Server`](crate::front::server::Server) runs. What is outside comes
//! in from the caller: connections of clients, the way to the backend, the clock, and the seed of all that is random.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::client::route::Route;
use crate::clock::Clock;
use crate::config::{ListenerSettings, Settings};
use crate::engine::claiming::standing::Ending;
use crate::engine::claiming::{self, Identity};
use crate::engine::notice::Notice;
use crate::engine::records::HiddenCount;
use crate::engine::sending::store_of;
use crate::engine::shared::{Phase, Shared};
pub use crate::engine::{At, Way};
use crate::engine::{Engine, LaneLoad, Opened};
use crate::front::gate::Gate;
use crate::front::served::SessionLoad;
use crate::front::worker::Worker;
use crate::guard::Guard;
use crate::guard::ledger::{HashSeed, Ledger};
use crate::metrics::Metrics;
use crate::protocol::link::printable::Printable;
use crate::transport::{Reader, Writer};

/// What is outside of a guard.
pub struct Surroundings {
    /// How the backend is reached.
    pub route: Route,
    /// How the guards are reached, where it is an edge; none where it is a guard.
    pub guards: Vec<At>,
    /// Time since the epoch.
    pub clock: Clock,
    /// Whatever is random follows from it.
    pub seed: u64,
    /// Where it counts: those who start very many guards need not make that anew for each.
    pub metrics: Arc<Metrics>,
    /// Most keys that the ledger remembers; nothing for as many as fit its memory.
    pub ledger_entries: Option<usize>,
}

/// What a guard holds at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    /// Client connections.
    pub sessions: usize,
    /// Lanes that are up.
    pub lanes: usize,
    /// Requests on lanes without an answer.
    pub in_flight: i64,
    /// Keys with something under way.
    pub pending: usize,
    /// Keys remembered.
    pub ledger_entries: usize,
    /// Most keys that may be remembered.
    pub ledger_entries_max: usize,
    /// Keys that the ledger gave up for want of room, since the start.
    pub evicted: u64,
    /// Bytes that the ledger takes.
    pub ledger_bytes: u64,
    /// Most bytes that it may take.
    pub ledger_bytes_max: u64,
    /// Bytes that sessions and lanes hold, as far as workers have told.
    pub buffered: usize,
    /// Until when it may write to the store, where that is claimed and it holds the claim.
    pub claimed_until: Option<Instant>,
    /// The most that any session holds.
    pub fullest_session: SessionLoad,
    /// The most that any lane holds.
    pub fullest_lane: LaneLoad,
}

/// A guard at work. Everything that it does runs within its `LocalSet`: when that is dropped, nothing more happens.
#[derive(Debug)]
pub struct Instance {
    shared: Arc<Shared>,
    listener: Arc<ListenerSettings>,
    workers: Vec<Worker>,
    /// Its claim is kept for as long as this lives.
    _ending: watch::Sender<Option<Ending>>,
}

impl Instance {
    /// Starts a guard whose workers all run within `process`.
    pub fn start(settings: Settings, surroundings: Surroundings, process: &LocalSet) -> Self {
        let mut random = fastrand::Rng::with_seed(surroundings.seed);
        let rules = settings.rules.clone();
        let listener = Arc::new(settings.listeners[0].clone());
        let horizon = Guard::<Notice>::horizon_at_start(&rules, (surroundings.clock)());
        let ledger = match surroundings.ledger_entries {
            Some(entries) => Ledger::with_entries(entries, horizon),
            None => Ledger::with_memory(settings.ledger_memory, horizon),
        };
        let guard = Guard::new(rules, HashSeed([random.u64(..), random.u64(..)]), ledger);
        let shared = Shared::new(
            settings,
            guard,
            surroundings.guards.into(),
            Printable::of(&format!("instance {}", surroundings.seed)),
            surroundings.metrics,
            HiddenCount::uncertain(),
            surroundings.clock,
        );
        shared.begin_by(surroundings.route.clone());
        let gate = Gate::new(Arc::clone(&shared));
        let (ending, told) = watch::channel(None);
        if shared.settings().claims() {
            let identity = Identity {
                instance: random.u64(..),
                holder: format!("instance {}", surroundings.seed),
            };
            process.spawn_local(claiming::attend(Arc::clone(&shared), identity, told));
        }
        let within = process.enter();
        let workers = (0..shared.settings().workers)
            .map(|_| {
                let opened = if shared.guards.is_empty() {
                    Opened::Server
                } else {
                    Opened::Guards
                };
                let store = store_of(&shared, &opened, surroundings.route.clone());
                let engine = Engine::new(Arc::clone(&shared), store, random.fork());
                Worker::start(engine, Arc::clone(&gate))
            })
            .collect();
        drop(within);
        Self {
            shared,
            listener,
            workers,
            _ending: ending,
        }
    }

    /// A client has connected to this worker, by the first listener of the settings. To be called within the instance's
    /// `LocalSet`.
    pub fn open(&self, worker: usize, reader: Reader, writer: Writer) {
        self.workers[worker % self.workers.len()].open(reader, writer, Arc::clone(&self.listener));
    }

    /// Lets every session finish what it has begun, then ends the lanes.
    pub async fn drain(&self) {
        self.shared.phase.send_replace(Phase::Draining);
        self.workers.iter().for_each(|worker| worker.engine.stop());
        for worker in &self.workers {
            worker.drain().await;
        }
    }

    /// What is counted, as it is scraped, but for what is 0.
    pub fn scrape(&self) -> String {
        self.shared.refresh_gauges();
        self.shared.metrics.render_moved()
    }

    /// What the guard holds now.
    pub fn census(&self) -> Census {
        let shared = &self.shared;
        let ledger = shared.guard.ledger();
        Census {
            sessions: shared.sessions.load(Ordering::Relaxed),
            lanes: shared.lanes.load(Ordering::Relaxed),
            in_flight: shared.in_flight.load(Ordering::Relaxed),
            pending: shared.guard.pending(),
            ledger_entries: ledger.len(),
            ledger_entries_max: ledger.entries_max(),
            evicted: ledger.evicted(),
            ledger_bytes: ledger.bytes(),
            ledger_bytes_max: ledger.bytes_max(),
            buffered: shared.memory.held(),
            claimed_until: shared.tenure.until(),
            fullest_session: self
                .workers
                .iter()
                .map(Worker::fullest_session)
                .fold(SessionLoad::default(), SessionLoad::max),
            fullest_lane: self
                .workers
                .iter()
                .map(Worker::fullest_lane)
                .fold(LaneLoad::default(), LaneLoad::max),
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Requests hold their worker, and the worker its lanes: without this a killed guard would never be freed.
        self.workers.iter().for_each(Worker::vanish);
    }
}
