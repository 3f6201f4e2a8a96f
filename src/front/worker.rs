//! A worker at work: its lanes kept up, its sessions counted, and an orderly end.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::{Instant, timeout, timeout_at};

use crate::clock::now;
use crate::config::ListenerSettings;
use crate::engine::shared::Plan;
use crate::engine::{Engine, LaneLoad};
use crate::front::behalf::serve_for;
use crate::front::context::Context;
use crate::front::gate::Gate;
use crate::front::heartbeat;
use crate::front::link::Link;
use crate::front::served::{Served, SessionLoad};
use crate::front::session::{Edge, Session};
use crate::transport::{Reader, Writer};

/// How long sessions that are cut off, and fences, may take beyond the time that they are given.
const DRAIN_GRACE: Duration = Duration::from_secs(2);

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
    sessions: Rc<Sessions>,
}

impl Worker {
    /// Begins to keep the worker's lanes up.
    pub fn start(engine: Rc<Engine>, gate: Arc<Gate>) -> Self {
        engine.start();
        let context = Context::new(Rc::clone(&engine));
        spawn_local(heartbeat::attend(Rc::clone(&engine), Rc::clone(&context.heartbeat)));
        Self {
            engine,
            gate,
            context,
            plan: RefCell::default(),
            sessions: Rc::default(),
        }
    }

    /// Serves a client that was [admitted](crate::front::accept), and gives up its seat when it ends.
    pub(super) fn serve(
        &self,
        reader: Reader,
        writer: Writer,
        listener: Arc<ListenerSettings>,
        seat: impl Sized + 'static,
    ) {
        let who = writer.who();
        let session = Session::new(Rc::clone(&self.context), writer, who, Arc::clone(&listener));
        let served: Rc<dyn Served> = Rc::<Session>::clone(&session);
        let number = self.sessions.add(&served);
        drop(served);
        let (sessions, context, gate) = (
            Rc::clone(&self.sessions),
            Rc::clone(&self.context),
            Arc::clone(&self.gate),
        );
        spawn_local(async move {
            let mut seat = Some(seat);
            if let Some(mut edge) = session.serve(reader, BytesMut::new()).await {
                let keep = |served: &Rc<dyn Served>| sessions.put(number, served);
                // Boxed, as next to no session becomes a link.
                match edge.behalf.take() {
                    None => Box::pin(serve_edge(edge, context, gate, listener, keep)).await,
                    Some(behalf) => {
                        // Its client takes one of its own.
                        seat = None;
                        Box::pin(serve_for(behalf, edge, context, gate, listener, keep)).await;
                    }
                }
            }
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
        self.engine.store.fullest()
    }

    /// Tells what its lanes are like, for the dashboard.
    pub fn tell_lanes(&self, number: usize) {
        let shown = self.engine.store.shown(number, now());
        self.engine.shared.recent.lanes.tell(number, shown);
    }

    /// Works by the plan of this moment from now on.
    pub fn catch_up(&self) {
        let plan = Arc::clone(&self.engine.shared.plan.borrow());
        let before = self.plan.replace(Some(Arc::clone(&plan)));
        if before.is_none_or(|before| !Arc::ptr_eq(&before, &plan)) {
            self.engine.follow(&plan);
        }
    }

    /// Stops the worker: waits until its sessions have finished what they have begun, for `drain_timeout` at most, and
    /// fences its lanes.
    pub async fn drain(&self) -> Departure {
        self.engine.stop();
        let settings = self.engine.settings();
        let until = Instant::now() + settings.drain_timeout;
        let drained = timeout_at(until, self.sessions.all_ended()).await.is_ok();
        if !drained {
            self.sessions.cut();
            let _ = timeout(DRAIN_GRACE, self.sessions.all_ended()).await;
        }
        // A slow command goes on when its client has gone, and may write for as long.
        let quiet = timeout_at(until, self.engine.no_slow_command()).await.is_ok();
        let fenced = self.engine.retire().await && quiet;
        Departure { drained, fenced }
    }

    /// Drops what was in flight, as the end of the process does.
    pub fn vanish(&self) {
        self.engine.store.abandon();
    }
}

/// Serves an edge by its link, which `keep` takes note of.
async fn serve_edge(
    edge: Edge,
    context: Rc<Context>,
    gate: Arc<Gate>,
    listener: Arc<ListenerSettings>,
    keep: impl FnOnce(&Rc<dyn Served>),
) {
    let Some(writer) = edge.writer else {
        return;
    };
    let link = Link::new(context, writer, listener);
    let served: Rc<dyn Served> = Rc::<Link>::clone(&link);
    keep(&served);
    drop(served);
    link.serve(edge.reader, edge.input, gate).await;
}

/// The sessions of one worker.
#[derive(Debug, Default)]
struct Sessions {
    open: RefCell<BTreeMap<u64, Weak<dyn Served>>>,
    next: Cell<u64>,
    ended: Notify,
}

impl Sessions {
    /// Takes note of a session; returns its number.
    fn add(&self, session: &Rc<dyn Served>) -> u64 {
        let number = self.next.get();
        self.next.set(number + 1);
        self.put(number, session);
        number
    }

    /// Takes note of what has this number from now on.
    fn put(&self, number: u64, session: &Rc<dyn Served>) {
        self.open.borrow_mut().insert(number, Rc::downgrade(session));
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
