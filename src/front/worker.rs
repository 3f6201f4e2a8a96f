//! A worker at work: its lanes kept up, its sessions counted, and an orderly end.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, timeout, timeout_at};

use crate::client::route::Route;
use crate::clock::now;
use crate::config::{ListenerSettings, Settings};
use crate::engine::Engine;
use crate::engine::completion::Passenger;
use crate::engine::inquiry;
use crate::engine::shared::{Plan, Shared};
use crate::engine::store::Store;
use crate::front::accept::Seat;
use crate::front::context::Context;
use crate::front::gate::Gate;
use crate::front::heartbeat;
use crate::front::session::{Session, SessionLoad};
use crate::recent::lanes;
use crate::store::embedded::Embedded;
use crate::store::embedded::line::{Line, LineLimits};
use crate::store::tyrant::fence::LastSeen;
use crate::store::tyrant::lane::{LaneLimits, LaneLoad};
use crate::store::tyrant::link::{Link, LinkSettings};
use crate::transport::{Reader, Writer};

/// How long sessions that are cut off, and fences, may take beyond the time that they are given.
const DRAIN_GRACE: Duration = Duration::from_secs(2);

/// The embedded store as one worker knows it.
pub fn embedded_store(shared: &Shared, store: Arc<Embedded>) -> Store {
    let limits = line_limits(&shared.settings());
    match Line::new(Arc::clone(&store), limits, Arc::clone(&shared.lane_ids)) {
        Some(line) => Store::File(Rc::new(line)),
        None => Store::Embedded {
            store,
            lane: shared.lane_ids.next(),
        },
    }
}

/// A Tyrant server as one worker knows it: its lanes, none of them up yet.
pub fn tyrant_store(shared: &Shared, route: Route) -> Store {
    let settings = shared.settings();
    let link = LinkSettings {
        route,
        ids: Arc::clone(&shared.lane_ids),
        lane: lane_limits(&settings),
        connect_timeout: settings.pairing.connect_timeout,
        fence_timeout: settings.pairing.fence_timeout,
    };
    Store::Tyrant {
        links: (0..settings.links())
            .map(|index| {
                let mut link = link.clone();
                if index >= settings.lanes {
                    // What is large holds up only what is large too.
                    link.lane.large = None;
                } else if shared.take_prime() {
                    link.lane.priming = Some(settings.pairing.request_timeout);
                }
                Rc::new(Link::new(link))
            })
            .collect(),
        last_seen: Rc::new(LastSeen::default()),
    }
}

fn line_limits(settings: &Settings) -> LineLimits {
    LineLimits {
        requests_max: settings.limits.lane_queue,
        bytes_max: settings.limits.request.frame_max,
    }
}

/// A lane is handed over for a value that is so many times as large as what counts as large: for less, a new connection
/// costs more than the others wait.
const HAND_OVER: usize = 32;

fn lane_limits(settings: &Settings) -> LaneLimits {
    LaneLimits {
        requests_max: settings.limits.lane_queue,
        bytes_max: settings.limits.request.frame_max,
        reply: settings.limits.reply,
        large: Some(settings.bulk_size.saturating_mul(HAND_OVER)),
        priming: None,
    }
}

/// A link, and the task that keeps its lane up.
type KeptUp = (Rc<Link<Passenger>>, JoinHandle<()>);

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// No session had to be cut off.
    pub drained: bool,
    /// The backend is known to be done with all that this worker ever sent.
    pub fenced: bool,
}

impl Departure {
    /// How both of them ended.
    pub fn and(self, other: Self) -> Self {
        Self {
            drained: self.drained && other.drained,
            fenced: self.fenced && other.fenced,
        }
    }
}

/// A worker with everything that works for it.
#[derive(Debug)]
pub struct Worker {
    pub engine: Rc<Engine>,
    /// What it shares with the other workers.
    pub(super) gate: Arc<Gate>,
    context: Rc<Context>,
    /// What it works by, once it has looked.
    plan: RefCell<Option<Arc<Plan>>>,
    links: RefCell<Vec<KeptUp>>,
    sessions: Rc<Sessions>,
}

impl Worker {
    /// Begins to keep the worker's lanes up.
    pub fn start(engine: Rc<Engine>, gate: Arc<Gate>) -> Self {
        let mut links = Vec::new();
        if let Store::File(line) = &engine.store {
            spawn_local(Rc::clone(line).attend(Rc::clone(&engine)));
        }
        if let Store::Tyrant {
            links: all, last_seen, ..
        } = &engine.store
        {
            for link in all {
                let keep_up = Rc::clone(link).keep_up(Rc::clone(&engine), Rc::clone(last_seen), engine.random());
                links.push((Rc::clone(link), spawn_local(keep_up)));
            }
        }
        spawn_local(inquiry::attend(Rc::clone(&engine)));
        let context = Context::new(Rc::clone(&engine));
        spawn_local(heartbeat::attend(Rc::clone(&context)));
        spawn_local(ask_for_proof(Rc::clone(&engine)));
        Self {
            engine,
            gate,
            context,
            plan: RefCell::default(),
            links: RefCell::new(links),
            sessions: Rc::default(),
        }
    }

    /// Serves a client that was [admitted](crate::front::accept).
    pub(super) fn serve(&self, reader: Reader, writer: Writer, listener: Arc<ListenerSettings>, seat: Seat) {
        let session = Session::new(Rc::clone(&self.context), writer, listener);
        let number = self.sessions.add(&session);
        let sessions = Rc::clone(&self.sessions);
        spawn_local(async move {
            session.serve(reader).await;
            drop(seat);
            sessions.open.borrow_mut().remove(&number);
            sessions.ended.notify_one();
        });
    }

    /// Has sessions whose clients ask nothing give back their buffers; to be called each second.
    pub fn look_at_sessions(&self) {
        let open = self.sessions.open.borrow();
        open.values()
            .filter_map(Weak::upgrade)
            .for_each(|session| session.look());
    }

    /// Looks for room where memory is short: what is not needed is given back, then those sessions end that hold most, and
    /// those in whose way others wait.
    pub fn relieve(&self) {
        let (engine, now) = (&self.engine, now());
        let (settings, memory) = (engine.settings(), &engine.shared.memory);
        let most = settings.limits.buffer_memory;
        engine.held.tell(memory, &settings.limits);
        let mut open: Vec<_> = self.sessions.open.borrow().values().filter_map(Weak::upgrade).collect();
        if memory.is_wanted() {
            let patience = settings.pairing.request_timeout / 8;
            open.iter().for_each(|session| session.make_way(patience, now));
        }
        if memory.excess(most) == 0 {
            return;
        }
        let spare = open.iter().map(|session| session.give_back()).sum();
        // Somewhat more than is needed, so that this is not done for each request that comes.
        let mut excess = memory.excess(most - most / 16).saturating_sub(spare);
        // Where it is not this worker's sessions that hold too much, it is another's.
        let mut beyond = engine.held.loose().saturating_sub(most / 2 / settings.workers);
        open.sort_by_cached_key(|session| Reverse(session.loose()));
        for session in open {
            let loose = session.loose();
            if excess == 0 || beyond == 0 || loose == 0 {
                break;
            }
            session.shed();
            excess = excess.saturating_sub(loose);
            beyond = beyond.saturating_sub(loose);
        }
    }

    /// The most that any of its sessions holds.
    pub fn fullest_session(&self) -> SessionLoad {
        let open = self.sessions.open.borrow();
        let loads = open.values().filter_map(Weak::upgrade).map(|session| session.load());
        loads.fold(SessionLoad::default(), SessionLoad::max)
    }

    /// The most that any of its lanes holds.
    pub fn fullest_lane(&self) -> LaneLoad {
        let links = self.links.borrow();
        let loads = links.iter().filter_map(|(link, _)| Some(link.lane()?.load()));
        loads.fold(LaneLoad::default(), LaneLoad::max)
    }

    /// Tells what its lanes are like, for the dashboard.
    pub fn tell_lanes(&self, number: usize) {
        let shared = &self.engine.shared;
        let now = now();
        let shown = |(index, (link, _)): (usize, &KeptUp)| {
            let (record, lane) = (link.record(), link.lane());
            let load = lane.as_ref().map(|lane| lane.load()).unwrap_or_default();
            lanes::Shown {
                worker: number,
                link: index,
                bulk: index >= self.engine.settings().lanes,
                state: if lane.is_some() { "up" } else { "down" }.into(),
                for_seconds: now.saturating_duration_since(record.since).as_secs_f64(),
                lane: lane.map(|lane| lane.id().0),
                requests: load.requests,
                unsent_bytes: load.bytes,
                connected: record.connected,
                fencing: record.fencing,
                last_fault: record.last_fault,
            }
        };
        let links = self.links.borrow();
        shared
            .recent
            .lanes
            .tell(number, links.iter().enumerate().map(shown).collect());
    }

    /// Works by the plan of this moment from now on.
    pub fn catch_up(&self) {
        let plan = Arc::clone(&self.engine.shared.plan.borrow());
        let before = self.plan.replace(Some(Arc::clone(&plan)));
        if before.is_none_or(|before| !Arc::ptr_eq(&before, &plan)) {
            self.change_settings(&plan.settings, &plan.route);
        }
    }

    /// Works by other settings, and reaches the backend by this route.
    fn change_settings(&self, settings: &Settings, route: &Route) {
        self.engine.change_settings(settings);
        if let Store::File(line) = &self.engine.store {
            line.change_limits(line_limits(settings));
        }
        if let Store::Tyrant { links, .. } = &self.engine.store {
            let before = self.engine.store.route();
            if before.is_some_and(|before| before != *route && before != Route::Nowhere) {
                spawn_local(Rc::clone(&self.engine).part_slow_commands());
            }
            for link in links {
                link.change(|link| {
                    link.route.clone_from(route);
                    link.lane = LaneLimits {
                        priming: link.lane.priming.map(|_| settings.pairing.request_timeout),
                        large: link.lane.large.and(lane_limits(settings).large),
                        ..lane_limits(settings)
                    };
                    link.connect_timeout = settings.pairing.connect_timeout;
                    link.fence_timeout = settings.pairing.fence_timeout;
                });
            }
        }
    }

    /// Stops the worker: waits until its sessions have finished what they have begun, for `drain_timeout` at most, and
    /// fences its lanes.
    pub async fn drain(&self) -> Departure {
        self.engine.stop();
        let settings = self.engine.settings();
        let pairing = &settings.pairing;
        let until = Instant::now() + settings.drain_timeout;
        let drained = timeout_at(until, self.sessions.all_ended()).await.is_ok();
        if !drained {
            self.sessions.cut();
            let _ = timeout(DRAIN_GRACE, self.sessions.all_ended()).await;
        }
        // A slow command goes on when its client has gone, and may write for as long.
        let mut fenced = timeout_at(until, self.engine.no_slow_command()).await.is_ok();
        for (link, task) in self.links.take() {
            link.retire();
            fenced &= timeout(pairing.fence_timeout + DRAIN_GRACE, task).await.is_ok();
        }
        Departure {
            drained,
            fenced: fenced && self.engine.is_fenced(),
        }
    }

    /// Drops what was in flight, as the end of the process does.
    pub fn vanish(&self) {
        for (link, _) in self.links.take() {
            for lane in link.lanes() {
                lane.abandon().for_each(drop);
            }
        }
    }
}

/// Has the lanes of a worker ask their server for a sign of life, whenever there is doubt.
async fn ask_for_proof(engine: Rc<Engine>) {
    let Store::Tyrant { links, .. } = &engine.store else {
        return;
    };
    let mut doubts = engine.shared.doubts.subscribe();
    while doubts.changed().await.is_ok() {
        let deadline = now() + engine.settings().pairing.request_timeout;
        for lane in links.iter().filter_map(|link| link.lane()) {
            lane.ask_for_proof(deadline);
        }
    }
}

/// The sessions of one worker.
#[derive(Debug, Default)]
struct Sessions {
    open: RefCell<BTreeMap<u64, Weak<Session>>>,
    next: Cell<u64>,
    ended: Notify,
}

impl Sessions {
    /// Takes note of a session; returns its number.
    fn add(&self, session: &Rc<Session>) -> u64 {
        let number = self.next.get();
        self.next.set(number + 1);
        self.open.borrow_mut().insert(number, Rc::downgrade(session));
        number
    }

    /// Ends what does not end by itself.
    fn cut(&self) {
        let open: Vec<_> = self.open.borrow().values().filter_map(Weak::upgrade).collect();
        tracing::warn!(sessions = open.len(), "drain_timeout is over: sessions are cut off");
        open.iter().for_each(|session| session.cut());
    }

    async fn all_ended(&self) {
        while !self.open.borrow().is_empty() {
            self.ended.notified().await;
        }
    }
}
