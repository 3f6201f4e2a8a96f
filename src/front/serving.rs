//! What one worker's thread does: accepts clients where the plan says, until the proxy drains.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::LocalOptions;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout, timeout_at};

use crate::admin::access::Access;
use crate::clock::now;
use crate::config::ListenerSettings;
use crate::engine::sending::store_of;
use crate::engine::shared::Phase;
use crate::engine::{Engine, Opened};
use crate::front::gate::Gate;
use crate::front::listener::{self, Listener, Listening};
use crate::front::start_error::StartError;
use crate::front::worker::{Departure, Worker};
use crate::logging::RateLimit;
use crate::recent::history;
use crate::transport::tls::Identity;
use crate::transport::{self, Reader, Writer};

/// How often sessions are looked at while an answer waits for room.
const RELIEF: Duration = Duration::from_millis(50);

/// How long a worker leaves a listener alone that it cannot accept from.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Threads of each worker for what takes long because there is much of it: see [`crate::engine::apart`]. They come and go as they
/// are needed, beside those of slow commands.
const THREADS_APART: usize = 4;

/// Listens on an address.
pub fn bind(
    settings: &ListenerSettings,
    identity: Option<Arc<Identity>>,
    shared: bool,
) -> Result<Arc<Listening>, StartError> {
    let listening = Listening::bind(settings, identity, shared).map_err(|error| StartError::Bind {
        setting: "listen",
        address: settings.address.to_string(),
        error,
    })?;
    Ok(Arc::new(listening))
}

/// Listens on admin's address, where its access allows that.
pub fn bind_admin(host_port: &str, access: &Access, shared: bool) -> Result<std::net::TcpListener, StartError> {
    let fault = |error| StartError::Bind {
        setting: "admin",
        address: host_port.to_owned(),
        error,
    };
    let (socket, bound) = listener::bind_first(host_port, shared).map_err(fault)?;
    access.may_listen(bound)?;
    socket.listen(128).map_err(fault)?;
    socket.set_nonblocking(true).map_err(fault)?;
    Ok(socket.into())
}

/// The thread of one worker. Returns how it ended.
pub fn run_worker(index: usize, gate: Arc<Gate>, opened: Opened) -> io::Result<Departure> {
    let shared = Arc::clone(&gate.shared);
    let threads = shared.settings().limits.slow_connections + THREADS_APART;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(threads)
        .build_local(LocalOptions::default())?;
    runtime.block_on(async move {
        let route = shared.plan.borrow().route.clone();
        let store = store_of(&shared, &opened, route);
        let worker = Worker::start(Engine::new(shared, store, fastrand::Rng::new()), gate);
        Ok(serve(index, worker).await)
    })
}

/// One place where a worker accepts clients. Without its `stop` the task takes in who has connected, and ends.
struct Accepting {
    listening: Arc<Listening>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Serves clients until the proxy drains, then lets them finish.
async fn serve(index: usize, worker: Worker) -> Departure {
    let worker = Rc::new(worker);
    let engine = Rc::clone(&worker.engine);
    let polling = spawn_local({
        let engine = Rc::clone(&engine);
        async move { engine.busy_poll.run().await }
    });
    let looking = spawn_local(look(Rc::clone(&worker), index));
    let mut plans = engine.shared.plan.subscribe();
    let mut listening = worker.gate.listening.subscribe();
    let mut phase = engine.shared.phase.subscribe();
    let mut accepting: Vec<Accepting> = Vec::new();
    loop {
        plans.mark_unchanged();
        listening.mark_unchanged();
        follow(&worker, &mut accepting);
        tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase == Phase::Draining) => break,
            changed = plans.changed() => if changed.is_err() {
                break;
            },
            changed = listening.changed() => if changed.is_err() {
                break;
            },
            () = engine.shared.pulse.next() => engine.shared.pulse.beat(index),
        }
    }
    for Accepting { stop, task, .. } in accepting {
        drop(stop);
        let _ = task.await;
    }
    looking.abort();
    let departure = worker.drain().await;
    polling.abort();
    departure
}

/// Looks after a worker's lanes and sessions, for as long as it is polled.
async fn look(worker: Rc<Worker>, number: usize) {
    let mut ticks = interval(history::SAMPLE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let memory = &worker.engine.shared.memory;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                worker.tell_lanes(number);
                worker.look_at_sessions();
            }
            () = memory.relief.notified() => {}
            () = sleep(RELIEF), if memory.is_wanted() => {}
        }
        worker.relieve();
    }
}

/// Does what the plan says: accepts where it says so and nowhere else.
fn follow(worker: &Rc<Worker>, accepting: &mut Vec<Accepting>) {
    worker.catch_up();
    let planned = worker.gate.listening();
    accepting.retain(|one| planned.iter().any(|listening| Arc::ptr_eq(listening, &one.listening)));
    for listening in &planned {
        if accepting.iter().any(|one| Arc::ptr_eq(listening, &one.listening)) {
            continue;
        }
        match listening.listener() {
            Ok(listener) => {
                let (stop, stopped) = oneshot::channel();
                let task = spawn_local(accept(Rc::clone(worker), listener, stopped));
                let listening = Arc::clone(listening);
                accepting.push(Accepting { listening, stop, task });
            }
            // No descriptors left, as a rule. The others accept here.
            Err(error) => tracing::error!(%error, address = %listening.address, "a worker cannot accept"),
        }
    }
}

async fn accept(worker: Rc<Worker>, listener: Listener, mut stopped: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            accepted = listener.accept() => match accepted {
                Ok((reader, writer)) => {
                    let (settings, identity) = planned(&worker, &listener);
                    let Some(writer) = worker.greet(writer, &settings) else {
                        continue;
                    };
                    let rate = worker.engine.settings().limits.session_rate;
                    let turn = worker.gate.admission.turn(now(), rate);
                    // Those behind it wait in the kernel.
                    let is_last = turn > now() && timeout_at(turn.into(), &mut stopped).await.is_ok();
                    open(&worker, reader, writer, &settings, identity.as_ref());
                    if is_last {
                        break;
                    }
                }
                Err(error) if transport::concerns_one_client(&error) => {
                    tracing::debug!(%error, "a client was gone before it was accepted");
                }
                Err(error) => {
                    note_unaccepted(&error);
                    // Most often there are no descriptors left: they come back as sessions end.
                    if timeout(ACCEPT_PAUSE, &mut stopped).await.is_ok() {
                        break;
                    }
                }
            }
        }
    }
    let (settings, identity) = planned(&worker, &listener);
    for (reader, writer) in listener.take_last() {
        if let Some(writer) = worker.greet(writer, &settings) {
            open(&worker, reader, writer, &settings, identity.as_ref());
        }
    }
}

/// How a client of this listener is served by the plan of this moment. The worker may have yet to hear of that plan, but
/// whoever connects after a reload has been answered is served by it.
fn planned(worker: &Worker, listener: &Listener) -> (Arc<ListenerSettings>, Option<Arc<Identity>>) {
    worker.catch_up();
    match worker
        .gate
        .listening
        .borrow()
        .iter()
        .find(|one| one.address == listener.address)
    {
        Some(one) => (Arc::clone(&one.settings), one.identity.clone()),
        // It is not listened there any more; who had connected by then is served as before.
        None => (Arc::clone(&listener.settings), listener.identity.clone()),
    }
}

/// Says once in a while that clients wait to be accepted.
fn note_unaccepted(error: &io::Error) {
    static LOG: RateLimit = RateLimit::new(Duration::from_secs(1));
    if let Some(suppressed) = LOG.admit(std::time::Instant::now()) {
        tracing::warn!(%error, suppressed, "clients that have connected cannot be accepted");
    }
}

/// Serves a client that has connected.
fn open(
    worker: &Rc<Worker>,
    reader: Reader,
    writer: Writer,
    settings: &Arc<ListenerSettings>,
    identity: Option<&Arc<Identity>>,
) {
    match identity {
        None => worker.open(reader, writer, Arc::clone(settings)),
        Some(identity) => worker.open_encrypted(reader, writer, Arc::clone(settings), identity),
    }
}
