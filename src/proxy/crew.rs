//! A worker at work: its lanes kept up, its sessions counted, and an orderly end.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::timeout;

use super::inquiry;
use super::passenger::Passenger;
use super::session::{Session, SessionLoad};
use super::shared::Shared;
use super::store::Store;
use super::worker::Worker;
use crate::backend::embedded::Embedded;
use crate::backend::embedded::line::{Line, LineLimits};
use crate::backend::tyrant::connect::Route;
use crate::backend::tyrant::fence::LastSeen;
use crate::backend::tyrant::lane::{LaneLimits, LaneLoad};
use crate::backend::tyrant::link::{Link, LinkSettings};
use crate::config::ListenerSettings;
use crate::metrics::CloseReason;
use crate::transport::{Reader, Writer};

/// How long sessions may take to end once the proxy is stopping, beyond the time that a request may take.
const DRAIN_GRACE: Duration = Duration::from_secs(2);

/// The embedded store as one worker knows it.
pub fn embedded_store(shared: &Shared, store: Arc<Embedded>) -> Store {
    let limits = LineLimits {
        requests_max: shared.settings.limits.lane_queue,
        bytes_max: shared.settings.limits.request.frame_max,
    };
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
    let settings = &shared.settings;
    let link = LinkSettings {
        route: route.clone(),
        ids: Arc::clone(&shared.lane_ids),
        lane: LaneLimits {
            requests_max: settings.limits.lane_queue,
            bytes_max: settings.limits.request.frame_max,
            reply: settings.limits.reply,
            priming: None,
        },
        connect_timeout: settings.pairing.connect_timeout,
        fence_timeout: settings.pairing.fence_timeout,
    };
    Store::Tyrant {
        route,
        links: (0..settings.links())
            .map(|index| {
                let mut link = link.clone();
                if index < settings.lanes && shared.take_prime() {
                    link.lane.priming = Some(settings.pairing.request_timeout);
                }
                Rc::new(Link::new(link))
            })
            .collect(),
        last_seen: Rc::new(LastSeen::default()),
    }
}

/// A link, and the task that keeps its lane up.
type KeptUp = (Rc<Link<Passenger>>, JoinHandle<()>);

/// A worker with everything that works for it.
#[derive(Debug)]
pub struct Crew {
    pub worker: Rc<Worker>,
    links: RefCell<Vec<KeptUp>>,
    sessions: Rc<Sessions>,
}

impl Crew {
    /// Begins to keep the worker's lanes up.
    pub fn start(worker: Rc<Worker>) -> Self {
        let mut links = Vec::new();
        if let Store::File(line) = &worker.store {
            spawn_local(Rc::clone(line).attend(Rc::clone(&worker)));
        }
        if let Store::Tyrant {
            links: all, last_seen, ..
        } = &worker.store
        {
            for link in all {
                let keep_up = Rc::clone(link).keep_up(Rc::clone(&worker), Rc::clone(last_seen), worker.random());
                links.push((Rc::clone(link), spawn_local(keep_up)));
            }
        }
        spawn_local(inquiry::attend(Rc::clone(&worker)));
        Self {
            worker,
            links: RefCell::new(links),
            sessions: Rc::default(),
        }
    }

    /// Serves a client that has connected to a listener with these settings.
    pub fn open(&self, reader: Reader, writer: Writer, listener: Arc<ListenerSettings>) {
        let shared = Arc::clone(&self.worker.shared);
        let metrics = &shared.metrics;
        metrics.sessions_opened.increment(1);
        if shared.sessions.fetch_add(1, Ordering::Relaxed) >= shared.settings.limits.sessions {
            shared.sessions.fetch_sub(1, Ordering::Relaxed);
            metrics.sessions_closed.of(CloseReason::Limit).increment(1);
            writer.reset();
            return;
        }
        let session = Session::new(Rc::clone(&self.worker), writer, listener);
        let number = self.sessions.add(&session);
        let sessions = Rc::clone(&self.sessions);
        spawn_local(async move {
            session.serve(reader).await;
            shared.sessions.fetch_sub(1, Ordering::Relaxed);
            sessions.open.borrow_mut().remove(&number);
            sessions.ended.notify_one();
        });
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

    /// Stops the worker: waits until its sessions have finished what they have begun, and fences its lanes.
    pub async fn drain(&self) {
        self.worker.stop();
        let pairing = &self.worker.shared.settings.pairing;
        let _ = timeout(pairing.request_timeout + DRAIN_GRACE, self.sessions.all_ended()).await;
        for (link, task) in self.links.take() {
            link.retire();
            let _ = timeout(pairing.fence_timeout + DRAIN_GRACE, task).await;
        }
    }

    /// Drops what was in flight, as the end of the process does.
    pub fn vanish(&self) {
        for (link, _) in self.links.take() {
            if let Some(lane) = link.lane() {
                lane.abandon().for_each(drop);
            }
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

    async fn all_ended(&self) {
        while !self.open.borrow().is_empty() {
            self.ended.notified().await;
        }
    }
}
