//! What all workers share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::claim::Tenure;
use crate::client::route::Route;
use crate::clock::{Clock, now};
use crate::config::Settings;
use crate::engine::claiming::standing::Standing;
use crate::engine::inquiries::Inquiries;
use crate::engine::memory::Memory;
use crate::engine::notice::Notice;
use crate::engine::records::HiddenCount;
use crate::engine::stamping::giving::Giving;
use crate::engine::tally::Tally;
use crate::engine::whereabouts::wanted::{LookUps, Reason};
use crate::guard::Guard;
use crate::logging::RateLimit;
use crate::metrics::{Alarm, Metrics};
use crate::pairing::LaneIds;
use crate::protocol::link::hello::Welcome;
use crate::protocol::link::printable::Printable;
use crate::recent::Recent;
use crate::recent::history::{Levels, Reading};
use crate::store;
use crate::store::events::OtherRun;
use crate::store::guards::At;
use crate::store::guards::fault::OpenFault;
use crate::store::tyrant::greeting::{Greeting, Run};
use crate::transport::tls::Trusted;

/// How long a write is held before it is asked again whether the earlier process has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// How often lanes are asked whether their server is still there, while connections reach another run of it.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How long it counts that another run of the server was met.
const STRANGER_KEPT: Duration = Duration::from_secs(30);

/// How long the same is not said again.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// How often a worker that is not stuck says so.
const BEAT: Duration = Duration::from_millis(500);

/// Signs of life of each worker, for whoever watches the process.
#[derive(Debug)]
pub struct Pulse(Vec<AtomicBool>);

impl Pulse {
    fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| AtomicBool::new(false)).collect())
    }

    /// Waits until a worker should show the next one.
    pub async fn next(&self) {
        tokio::time::sleep(BEAT).await;
    }

    /// A worker shows one.
    pub fn beat(&self, worker: usize) {
        self.0[worker].store(true, Ordering::Relaxed);
    }

    /// Whether each worker has shown one since this was asked last.
    pub fn all_beat(&self) -> bool {
        let silent = self.0.iter().filter(|beat| !beat.swap(false, Ordering::Relaxed));
        // All of them are asked, so that each has to show a new one.
        silent.count() == 0
    }
}

/// How far the proxy is with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It serves.
    Serving,
    /// It serves, and says that it is about to stop: nobody should send clients here any more.
    Leaving,
    /// It listens no more, and its sessions finish what was asked.
    Draining,
}

/// What every worker is to do now.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the operator decided.
    pub settings: Arc<Settings>,
    /// How the backend is reached: nowhere for a store in this process, and for a name that was not looked up yet.
    pub route: Route,
}

/// What is known of the backend from its greetings.
#[derive(Debug, Default)]
struct Backend {
    /// Which run of the server all connections are to reach; `None` before the first.
    run: Option<Run>,
    /// Lanes that are up, all of them of that run.
    lanes: usize,
    /// When a connection has last reached another run while there were lanes.
    stranger: Option<Stranger>,
    /// Since when no lane has come up that was tried for.
    out_of_reach_since: Option<Instant>,
    /// Guarded writes wait until then, for what a former process of ours may have left in the server's buffers.
    hold_until: Option<Instant>,
    /// A former process of ours still writes: guarded writes wait for as long.
    has_predecessor: bool,
    /// It should have ended, and why this one is not ready therefore.
    overdue: Option<String>,
}

/// The guard that an edge has links to.
#[derive(Debug, Default)]
struct Serving {
    /// Which process it is.
    guard: u64,
    /// The epoch of its claim.
    epoch: u64,
    links: usize,
    /// When it said that it serves, for the first time.
    since: Option<Instant>,
}

impl Serving {
    /// The epochs of this guard and of another one, which was `asked` after this one had said that it serves, and says the
    /// same: two hold the claim of one store, or there are two stores. Where either keeps no claim nothing is known.
    fn beside(&self, epoch: u64, asked: Instant) -> Option<(u64, u64)> {
        let is_later = self.since.is_some_and(|since| asked > since);
        let are_claims = self.epoch > 0 && epoch > 0;
        (self.links > 0 && is_later && are_claims).then_some((self.epoch, epoch))
    }
}

/// Another run of the server than the one that has the lanes.
#[derive(Debug)]
struct Stranger {
    error: OtherRun,
    /// When it was met last.
    met: Instant,
    /// When the lanes were asked last whether their server is still there.
    asked: Instant,
}

/// What all workers share: the guard, the settings, the metrics, and what is known of the backend.
pub struct Shared {
    /// The judge.
    pub guard: Guard<Notice>,
    /// What this process calls itself, for people: the same wherever it is named.
    pub name: Printable,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What happened lately.
    pub recent: Recent,
    /// How many records are hidden.
    pub hidden: HiddenCount,
    /// The clock that stamps are held against.
    pub clock: Clock,
    /// When this proxy started, by that clock.
    pub started: Duration,
    /// How long this process may write to the store, and up to which stamp.
    pub tenure: Arc<Tenure>,
    /// How far it is with the store's claim.
    pub claim: watch::Sender<Standing>,
    /// Where backend connections get their ids from.
    pub lane_ids: Arc<LaneIds>,
    /// Open client connections.
    pub sessions: AtomicUsize,
    /// Clients that there are descriptors for.
    pub places: AtomicUsize,
    /// Lanes that are up.
    pub lanes: AtomicUsize,
    /// Lanes that may still become primed ones.
    primes: AtomicUsize,
    /// Requests on lanes without an answer.
    pub in_flight: AtomicI64,
    /// What clients have asked and found.
    pub tally: Tally,
    /// The memory that sessions share.
    pub memory: Arc<Memory>,
    /// What operators ask.
    pub inquiries: Inquiries,
    /// How far the proxy is with its end.
    pub phase: watch::Sender<Phase>,
    /// What the operator decided. Workers have a copy of it of their own.
    pub plan: watch::Sender<Arc<Plan>>,
    backend: Mutex<Backend>,
    /// Which server is the backend, where that is spoken to by TLS.
    pub trusted: Arc<Trusted>,
    /// The guards of an edge, and which of them serves.
    pub guards: Arc<[At]>,
    serving: Mutex<Serving>,
    /// What stamps are given by, where ttguard gives them.
    pub giving: Giving,
    /// Held by whoever may be about to name another route to the backend.
    pub replanning: Mutex<()>,
    /// Times that all connections have moved to another backend.
    pub moves: AtomicU64,
    /// Look-ups of the backend's name that are wanted.
    pub look_ups: LookUps,
    /// Rises when connections of before are not to be used any more: with each run of the server, and each move.
    pub runs: watch::Sender<u64>,
    /// Rises when the lanes are to ask their server for a sign of life.
    pub doubts: watch::Sender<u64>,
    /// Links that have not parted with the former backend.
    moving: watch::Sender<usize>,
    /// Signs of life of the workers.
    pub pulse: Pulse,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// The state of a proxy that has just started: an edge where there are `guards`. `hidden` says whether the backend is known to be empty.
    pub fn new(
        settings: Settings,
        guard: Guard<Notice>,
        guards: Arc<[At]>,
        name: Printable,
        metrics: Arc<Metrics>,
        hidden: HiddenCount,
        clock: Clock,
    ) -> Arc<Self> {
        let (workers, claims) = (settings.workers, settings.claims());
        let primes = AtomicUsize::new(settings.primed_lanes);
        let trusted = Arc::default();
        Arc::new(Self {
            guard,
            name,
            metrics,
            recent: Recent::default(),
            hidden,
            started: clock(),
            clock,
            tenure: Arc::new(if claims {
                Tenure::none(now())
            } else {
                Tenure::unlimited(now())
            }),
            claim: watch::Sender::new(if claims {
                Standing::Unknown { is_tried: false }
            } else {
                Standing::Unclaimed
            }),
            lane_ids: Arc::default(),
            sessions: AtomicUsize::new(0),
            places: AtomicUsize::new(usize::MAX),
            lanes: AtomicUsize::new(0),
            primes,
            in_flight: AtomicI64::new(0),
            tally: Tally::default(),
            memory: Arc::new(Memory::new(&settings.limits)),
            inquiries: Inquiries::default(),
            phase: watch::Sender::new(Phase::Serving),
            plan: watch::Sender::new(Arc::new(Plan {
                route: store::direct_route(&settings.backend, &trusted),
                settings: Arc::new(settings),
            })),
            backend: Mutex::default(),
            trusted,
            guards,
            serving: Mutex::default(),
            giving: Giving::new(now()),
            replanning: Mutex::new(()),
            moves: AtomicU64::new(0),
            look_ups: LookUps::default(),
            runs: watch::Sender::new(0),
            doubts: watch::Sender::new(0),
            moving: watch::Sender::new(0),
            pulse: Pulse::new(workers),
        })
    }

    /// A lane has greeted the server. When it turns out to be another run than before, nothing that is remembered of it
    /// holds any more: it may have come back empty, or with older records.
    ///
    /// # Errors
    /// When that is another run than the one which has lanes now. Either the server was started again, and these lanes
    /// are about to end; or the same address leads to several servers. The lane must not be used: what one connection
    /// stores would not be there for another. The lanes that are up are asked for a sign of life, which tells the two
    /// cases apart.
    pub fn greeted(&self, greeting: &Greeting, now: Instant) -> Result<(), OtherRun> {
        let start_hold = self.settings().pairing.start_hold;
        let mut backend = self.backend.lock();
        self.check_run(&mut backend, &greeting.run, now)?;
        let is_same = match &backend.run {
            None => {
                backend.hold_until = Some(now + start_hold);
                true
            }
            Some(before) => before.is_same(&greeting.run),
        };
        let is_other = backend.run.as_ref().is_some_and(|run| run.is_other(&greeting.run));
        backend.run = Some(greeting.run.clone());
        backend.lanes += 1;
        backend.out_of_reach_since = None;
        if is_other {
            backend.stranger = None;
            self.runs.send_modify(|runs| *runs += 1);
        }
        drop(backend);
        if !is_same {
            static LOG: RateLimit = RateLimit::new(LOG_INTERVAL);
            if let Some(suppressed) = LOG.admit(now) {
                tracing::warn!(
                    run = %greeting.run,
                    suppressed,
                    "the backend was started again: everything that was known of its records is forgotten"
                );
            }
            self.guard.distrust_everything((self.clock)());
            self.hidden.doubt();
            self.tally.restart();
        }
        Ok(())
    }

    /// A connection of its own has reached this run of the server.
    ///
    /// # Errors
    /// When lanes of another run are up: see [`Self::greeted`].
    pub fn greeted_aside(&self, run: &Run, now: Instant) -> Result<(), OtherRun> {
        let mut backend = self.backend.lock();
        self.check_run(&mut backend, run, now)?;
        match &backend.run {
            // The lanes have yet to find out what this means.
            Some(known) if known.is_other(run) => Err(OtherRun {
                known: known.clone(),
                met: run.clone(),
            }),
            _ => Ok(()),
        }
    }

    fn check_run(&self, backend: &mut Backend, met: &Run, now: Instant) -> Result<(), OtherRun> {
        let Some(known) = backend
            .run
            .as_ref()
            .filter(|run| backend.lanes > 0 && run.is_other(met))
        else {
            return Ok(());
        };
        let error = OtherRun {
            known: known.clone(),
            met: met.clone(),
        };
        let last_asked = backend.stranger.as_ref().map(|stranger| stranger.asked);
        let asks = last_asked.is_none_or(|asked| now.saturating_duration_since(asked) >= ASK_AGAIN);
        backend.stranger = Some(Stranger {
            error: error.clone(),
            met: now,
            asked: last_asked.filter(|_| !asks).unwrap_or(now),
        });
        if asks {
            self.doubts.send_modify(|doubts| *doubts += 1);
        }
        Err(error)
    }

    /// A guard that serves has welcomed this edge, which had been `asked` for then.
    ///
    /// # Errors
    /// When links to another guard are up, which has the same claim or a later one: then there are two stores, and what one
    /// client stores would not be there for another.
    pub fn linked(&self, welcome: &Welcome, asked: Instant) -> Result<(), OpenFault> {
        let mut serving = self.serving.lock();
        if serving.guard != welcome.instance {
            if serving.links > 0 && welcome.epoch <= serving.epoch {
                let beside = serving.beside(welcome.epoch, asked);
                drop(serving);
                self.met_claimants(beside);
                return Err(OpenFault::OtherGuard);
            }
            *serving = Serving {
                guard: welcome.instance,
                epoch: welcome.epoch,
                links: 0,
                since: Some(now()),
            };
            self.runs.send_modify(|runs| *runs += 1);
            self.giving.time.said(now(), welcome.clock);
        }
        if welcome.gives {
            self.giving.begin_at_edge(welcome.newest);
        }
        serving.links += 1;
        Ok(())
    }

    /// A guard has said that it serves, with this epoch, when it was `asked` for a sign of life. Whether it is to be asked
    /// anything more: not where another has welcomed this edge since it was linked to, with a later claim.
    pub fn heard(&self, guard: u64, epoch: u64, asked: Instant) -> bool {
        let mut serving = self.serving.lock();
        if serving.guard == guard {
            // It has risen where the store was emptied.
            serving.epoch = serving.epoch.max(epoch);
            return true;
        }
        let beside = serving.beside(epoch, asked);
        drop(serving);
        self.met_claimants(beside);
        beside.is_none_or(|(serves, other)| other > serves)
    }

    fn met_claimants(&self, beside: Option<(u64, u64)>) {
        if let Some((serves, other)) = beside {
            let what = format!(
                "two guards say that they hold the claim, with epochs {serves} and {other}: only the one that has the links \
                 is asked"
            );
            self.raise(Alarm::TwoClaimants, &what);
        }
    }

    /// A link to this guard is no more.
    pub fn unlinked(&self, guard: u64) {
        let mut serving = self.serving.lock();
        if serving.guard == guard {
            serving.links = serving.links.saturating_sub(1);
        }
    }

    /// Another lane has the place of one that goes on for a while.
    pub fn lane_handed_over(&self) {
        self.lanes.fetch_sub(1, Ordering::Relaxed);
    }

    /// A lane is no more, whether it `has_place` or had handed that over.
    pub fn lane_gone(&self, has_place: bool) {
        self.lanes.fetch_sub(has_place.into(), Ordering::Relaxed);
        let mut backend = self.backend.lock();
        backend.lanes = backend.lanes.saturating_sub(1);
    }

    /// The server of a lane has answered after another run of it was met: there are two of them at once.
    pub fn proved(&self, now: Instant) {
        let is_recent = |stranger: &&Stranger| now.saturating_duration_since(stranger.met) < STRANGER_KEPT;
        let what = self
            .backend
            .lock()
            .stranger
            .as_ref()
            .filter(is_recent)
            .map(|stranger| stranger.error.to_string());
        if let Some(what) = what {
            let what =
                format!("{what}, and answer: two servers stand behind one address, and only one of them is used");
            self.raise(Alarm::TwoServers, &what);
        }
    }

    /// A lane cannot be opened. Where that goes on, the backend may have got another address.
    pub fn lane_missed(&self, now: Instant) {
        let since = *self.backend.lock().out_of_reach_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= self.settings().pairing.fail_fast_after {
            self.look_ups.ask(Reason::OutOfReach);
        }
    }

    /// Whether any lane is up.
    pub fn has_lanes(&self) -> bool {
        self.lanes.load(Ordering::Relaxed) > 0
    }

    /// Whether one lane more may be primed.
    pub fn take_prime(&self) -> bool {
        let take = |left: usize| left.checked_sub(1);
        self.primes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }

    /// An earlier process still writes to the backend.
    pub fn await_predecessor(&self) {
        self.backend.lock().has_predecessor = true;
    }

    /// An earlier process has not ended in time, and why this one is not ready therefore.
    pub fn predecessor_overdue(&self, why: String) {
        let mut backend = self.backend.lock();
        // It may have ended in this moment.
        if backend.has_predecessor {
            backend.overdue = Some(why);
            self.metrics.predecessor_overdue.set(1.0);
        }
    }

    /// Whether an earlier process still writes to the backend.
    pub fn has_predecessor(&self) -> bool {
        self.backend.lock().has_predecessor
    }

    /// Why this process is not ready as long as an earlier one does not end.
    pub fn overdue_predecessor(&self) -> Option<String> {
        self.backend.lock().overdue.clone()
    }

    /// The earlier process has ended; `in_order` when the backend was done with its writes by then.
    ///
    /// It may have let in stamps up to now plus the tolerance, which is more than when this process started: so the
    /// horizon is set anew, and whatever was read meanwhile is forgotten, before any write is judged.
    pub fn predecessor_gone(&self, in_order: bool) {
        let now = Instant::now();
        self.guard.distrust_everything((self.clock)());
        let mut backend = self.backend.lock();
        backend.has_predecessor = false;
        backend.overdue = None;
        self.metrics.predecessor_overdue.set(0.0);
        // The claim is free as soon as the earlier process has ended.
        self.tenure.want(0);
        backend.hold_until = Some(if in_order {
            now
        } else {
            now + self.settings().pairing.start_hold
        });
    }

    /// Reaches the backend by this route, from the start on.
    pub fn begin_by(&self, route: Route) {
        self.plan.send_modify(|plan| {
            let settings = Arc::clone(&plan.settings);
            *plan = Arc::new(Plan { settings, route });
        });
    }

    /// Whether lanes are on their way to another backend.
    pub fn is_moving(&self) -> bool {
        *self.moving.borrow() > 0
    }

    /// Works by another plan from now on. Where that reaches the backend by another route than before, all connections
    /// move: there is one thing that each worker has to part with for each of its links, and one for all of its slow
    /// commands.
    /// Without a route it stays as it is. Another one is only to be named while [`Self::replanning`] is held and nothing
    /// [moves](Self::is_moving).
    pub fn replan(&self, settings: Arc<Settings>, route: Option<Route>) {
        self.plan.send_modify(|plan| {
            let route = route.unwrap_or_else(|| plan.route.clone());
            self.change(plan, Plan { settings, route });
        });
        self.look_ups.ask_if_unknown();
    }

    fn change(&self, plan: &mut Arc<Plan>, new: Plan) {
        if new.route != plan.route && plan.route != Route::Nowhere {
            let settings = &new.settings;
            self.moving.send_replace(settings.workers * (settings.links() + 1));
            self.runs.send_modify(|runs| *runs += 1);
        }
        *plan = Arc::new(new);
    }

    /// The way to this address of the backend that these settings name.
    pub fn route_to(&self, address: SocketAddr, settings: &Settings) -> Route {
        Route::to(address, settings.backend.is_encrypted().then_some(&self.trusted))
    }

    /// The backend of this name is reached by another route from now on: whether it is, for the settings may name
    /// another backend meanwhile, or the connections still be on their way to the route before.
    pub fn move_to(&self, name: &str, address: SocketAddr) -> bool {
        let _alone = self.replanning.lock();
        self.plan.send_if_modified(|plan| {
            let is_it = plan.settings.backend.host_port() == Some(name);
            let moves = is_it && !self.is_moving();
            if moves {
                let settings = Arc::clone(&plan.settings);
                let route = self.route_to(address, &settings);
                self.change(plan, Plan { settings, route });
            }
            moves
        })
    }

    /// A link has parted with the former backend. The last one forgets what was known of that: nothing is under way
    /// to it any more, and nothing is on its way to the new one yet, so that no outcome of the one is taken for an
    /// outcome of the other. Then all of them go on.
    pub async fn parted(&self) {
        let mut all_parted = self.moving.subscribe();
        self.moving.send_modify(|left| {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.tenure.moved();
                self.guard.distrust_everything((self.clock)());
                self.hidden.doubt();
                self.tally.restart();
                self.moves.fetch_add(1, Ordering::Relaxed);
                let mut backend = self.backend.lock();
                (backend.run, backend.stranger, backend.out_of_reach_since) = (None, None, None);
                tracing::info!("the lanes move to another backend: everything that was known of records is forgotten");
            }
        });
        let _ = all_parted.wait_for(|left| *left == 0).await;
    }

    /// Until when guarded writes wait after a start; nothing when that is over.
    pub fn hold_until(&self, now: Instant) -> Option<Instant> {
        let mut backend = self.backend.lock();
        if backend.has_predecessor {
            return Some(now + LOOK_AGAIN);
        }
        if backend.hold_until.is_some_and(|until| until <= now) {
            backend.hold_until = None;
        }
        backend.hold_until
    }

    /// What the operator decided, as of now. Workers ask [their own copy](crate::engine::Engine::settings).
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.plan.borrow().settings)
    }

    /// Whether the proxy is to stop.
    pub fn is_stopping(&self) -> bool {
        *self.phase.borrow() != Phase::Serving
    }

    /// Sets the gauges that mirror state.
    pub fn refresh_gauges(&self) {
        let (metrics, settings) = (&self.metrics, self.settings());
        let limits = &settings.limits;
        let ledger = self.guard.ledger();
        metrics.sessions.set(self.sessions.load(Ordering::Relaxed) as f64);
        metrics.sessions_max.set(self.sessions_max(&settings) as f64);
        let lanes = self.lanes.load(Ordering::Relaxed);
        let (lane_queue, lane_unsent) = self.recent.lanes.load();
        metrics.lanes.set(lanes as f64);
        metrics
            .lanes_down
            .set(store::lanes_wanted(&settings).saturating_sub(lanes) as f64);
        metrics.lane_queue.set(lane_queue as f64);
        metrics.lane_unsent.set(lane_unsent as f64);
        metrics.in_flight.set(self.in_flight.load(Ordering::Relaxed) as f64);
        metrics.buffered.set(self.memory.held() as f64);
        metrics.buffered_max.set(limits.buffer_memory as f64);
        metrics.ledger_max.set(ledger.bytes_max() as f64);
        metrics.ledger_entries.set(ledger.len() as f64);
        metrics.ledger_bytes.set(ledger.bytes() as f64);
        metrics.ledger_evicted.absolute(ledger.evicted());
        metrics.pending_keys.set(self.guard.pending() as f64);
        metrics.horizon_age.set(self.horizon_age());
        let (round_trip, offset) = self.recent.lanes.round_trip().unwrap_or_default();
        metrics.link_round_trip.set(round_trip);
        metrics.link_clock_offset.set(offset);
        let gives = settings.is_edge() && self.giving.newest_given() > 0;
        metrics
            .stamp_max_offset
            .set(if gives { settings.max_offset.as_secs_f64() } else { 0.0 });
        metrics.edge.set(if settings.is_edge() { 1.0 } else { 0.0 });
        metrics.claim_held.set(if self.tenure.is_held() { 1.0 } else { 0.0 });
        metrics.claim_epoch.set(self.claim.borrow().epoch().unwrap_or(0) as f64);
    }

    /// Clients that may be connected at once: as many as the settings allow and descriptors are there for.
    pub fn sessions_max(&self, settings: &Settings) -> usize {
        settings.limits.sessions.min(self.places.load(Ordering::Relaxed))
    }

    /// Takes a sample of the figures for the history. `uptime` is time by a clock that never goes back.
    pub fn sample(&self, uptime: Duration) {
        self.refresh_gauges();
        let levels = Levels {
            sessions: self.sessions.load(Ordering::Relaxed) as f64,
            lanes: self.lanes.load(Ordering::Relaxed) as f64,
            in_flight: self.in_flight.load(Ordering::Relaxed) as f64,
            ledger_bytes: self.guard.ledger().bytes() as f64,
            horizon_age: self.horizon_age(),
        };
        let reading = Reading::of(&self.metrics, levels);
        self.recent.history.lock().tick(uptime, (self.clock)(), &reading);
    }

    /// Now minus the horizon, in seconds; 0 where stamps are no time.
    pub fn horizon_age(&self) -> f64 {
        let (format, horizon) = (self.guard.stamp(), self.guard.ledger().horizon());
        let Some(now) = format.at((self.clock)()) else {
            return 0.0;
        };
        let ahead = format.between(now, horizon).unwrap_or_default();
        let behind = format.between(horizon, now).unwrap_or_default();
        behind.as_secs_f64() - ahead.as_secs_f64()
    }
}
