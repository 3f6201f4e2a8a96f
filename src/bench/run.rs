//! One measurement of one target: threads, their clients, and who watches over them.

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use super::Fault;
use super::book::Book;
use super::check::Checker;
use super::client::{Bench, Client};
use super::clock::Clock;
use super::frames::Frames;
use super::question::Draw;
use super::tally::Tally;
use super::trouble::Trouble;
use super::watch::{Stop, Watch};
use crate::client::Connection;
use crate::client::place::Place;
use crate::config::{End, Load};
use crate::protocol::tyrant::limits::Limits;

/// When what is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// From here on requests are sent.
    pub begin: Instant,
    /// From here on they are measured.
    pub measure_from: Instant,
    /// Here they end; nothing where their number ends them.
    pub end: Option<Instant>,
}

impl Plan {
    fn from_now(load: &Load) -> Self {
        let begin = Instant::now();
        let measure_from = begin + load.warmup;
        Self {
            begin,
            measure_from,
            end: match load.end {
                End::After(duration) => Some(measure_from + duration),
                End::Requests(_) => None,
            },
        }
    }

    /// Whether a request that is meant to start then is measured.
    pub fn measures(&self, intended: Instant) -> bool {
        intended >= self.measure_from && self.end.is_none_or(|end| intended < end)
    }
}

/// What all threads of a measurement share.
#[derive(Debug)]
pub(super) struct Run {
    place: Place,
    pub load: Load,
    /// The first of its keys.
    pub first_key: u32,
    pub clock: Clock,
    pub book: Arc<Book>,
    pub checker: Checker,
    /// Set to end before the plan does.
    pub stop: AtomicBool,
    /// Requests that were answered or, where no answer is owed, sent: of the filling and the warm-up too.
    pub done: AtomicU64,
    /// Requests that may still be measured, where their number ends the measurement.
    turns: AtomicU64,
    /// The next key that is to have a first record.
    filled: AtomicU32,
    plan: OnceLock<Plan>,
    fault: Mutex<Option<Fault>>,
}

impl Run {
    pub fn new(place: Place, load: Load, first_key: u32, clock: Clock, book: Arc<Book>) -> Self {
        let turns = match load.end {
            End::After(_) => 0,
            End::Requests(count) => count,
        };
        let checker = Checker {
            base: clock.base(),
            allow_misses: load.allow_misses,
        };
        Self {
            place,
            load,
            first_key,
            clock,
            book,
            checker,
            stop: AtomicBool::new(false),
            done: AtomicU64::new(0),
            turns: AtomicU64::new(turns),
            filled: AtomicU32::new(0),
            plan: OnceLock::new(),
            fault: Mutex::new(None),
        }
    }

    /// Takes one of the requests that end the measurement; false when there are no more.
    pub fn take_turn(&self) -> bool {
        let taken = self
            .turns
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.is_ok()
    }

    /// Of the requests that end the measurement, those that are left.
    pub fn turns_left(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// The place of the next key that is to have a first record, while there are any.
    pub fn next_to_fill(&self) -> Option<u32> {
        if self.stopped() {
            return None;
        }
        let next = self.filled.fetch_add(1, Ordering::Relaxed);
        (next < self.load.keys).then_some(next)
    }

    /// The plan, once all clients are ready.
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.get()
    }

    /// Connects to the target.
    pub async fn connect(&self) -> Result<Connection, Trouble> {
        connect(&self.place, self.load.timeout).await
    }

    fn fail(&self, doing: &'static str, trouble: Trouble) {
        self.fault
            .lock()
            .get_or_insert(Fault::target(&self.place, doing, trouble));
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether all is to end now.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Runs the load once, after every key has been written once where `fill` says so.
///
/// # Errors
/// When it cannot begin. Whatever happens after that is part of what was measured.
pub(super) fn run(run: &Arc<Run>, fill: bool, watch: &mut Watch) -> Result<(Tally, Plan, Option<Stop>), Fault> {
    let threads = run.load.threads;
    let runtime = || Builder::new_current_thread().enable_all().build();
    let runtimes: Vec<_> = (0..threads).map(|_| runtime()).collect::<io::Result<_>>()?;
    let gate = Barrier::new(threads);
    let mut tally = Tally::new(&run.load.mix);
    let mut stop = None;
    thread::scope(|scope| {
        let gate = &gate;
        let handles: Vec<_> = runtimes
            .into_iter()
            .enumerate()
            .map(|(thread, runtime)| scope.spawn(move || work(run, thread, runtime, fill, gate)))
            .collect();
        stop = watch.until(run, || handles.iter().all(thread::ScopedJoinHandle::is_finished));
        for handle in handles {
            match handle.join() {
                Ok(theirs) => tally.add(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    match (run.fault.lock().take(), run.plan()) {
        (Some(fault), _) => Err(fault),
        (None, Some(plan)) => Ok((tally, *plan, stop)),
        (None, None) => Err(match stop {
            Some(Stop::Silent) => Fault::silent(&run.place, patience(&run.load)),
            _ => Fault::Interrupted,
        }),
    }
}

/// The connections of a thread, among all.
fn share(connections: usize, threads: usize, thread: usize) -> Range<usize> {
    connections * thread / threads..connections * (thread + 1) / threads
}

/// What a thread does; all threads begin each part together.
fn work(run: &Arc<Run>, thread: usize, runtime: Runtime, fill: bool, gate: &Barrier) -> Tally {
    let load = &run.load;
    let bench = Rc::new(RefCell::new(Bench {
        draw: Draw::new(load, run.first_key, fastrand::u64(..)),
        // The top of the 48 bits is the thread's, so that no two values are the same.
        frames: Frames::new(load, (thread as u64) << 40),
        tally: Tally::new(&load.mix),
    }));
    let local = LocalSet::new();
    let clients = local.block_on(
        &runtime,
        connect_all(run, &bench, share(load.connections, load.threads, thread)),
    );
    gate.wait();
    let clients = match clients {
        Some(clients) if fill && !run.stopped() => Some(local.block_on(&runtime, filled(run, clients))),
        clients => clients,
    };
    gate.wait();
    if let Some(clients) = clients.filter(|_| !run.stopped()) {
        let plan = *run.plan.get_or_init(|| Plan::from_now(load));
        local.block_on(&runtime, async {
            let mut working = JoinSet::new();
            for client in clients {
                working.spawn_local(client.work(plan));
            }
            while working.join_next().await.is_some() {}
        });
    }
    drop(local);
    drop(runtime);
    let tally = &mut bench.borrow_mut().tally;
    std::mem::replace(tally, Tally::new(&load.mix))
}

/// Opens one connection.
pub(super) async fn connect(place: &Place, patience: Duration) -> Result<Connection, Trouble> {
    let deadline = Instant::now() + patience;
    Ok(Connection::connect(place.route(), Limits::REPLY, Some(deadline)).await?)
}

/// Opens connections one after the other, as a listener with a short queue likes it.
async fn connect_all(run: &Arc<Run>, bench: &Rc<RefCell<Bench>>, numbers: Range<usize>) -> Option<Vec<Client>> {
    let mut clients = Vec::with_capacity(numbers.len());
    for number in numbers {
        if run.stopped() {
            return None;
        }
        match run.connect().await {
            Ok(link) => clients.push(Client::new(Arc::clone(run), Rc::clone(bench), number, link)),
            Err(trouble) => {
                run.fail("opening connections", trouble);
                return None;
            }
        }
    }
    Some(clients)
}

async fn filled(run: &Arc<Run>, clients: Vec<Client>) -> Vec<Client> {
    let mut filling = JoinSet::new();
    for mut client in clients {
        filling.spawn_local(async move {
            let result = client.fill().await;
            (client, result)
        });
    }
    let mut clients = Vec::new();
    while let Some(Ok((client, result))) = filling.join_next().await {
        if let Err(trouble) = result {
            run.fail("storing the first records", trouble);
        }
        clients.push(client);
    }
    clients
}

/// How long nothing may be answered before all ends.
pub(super) fn patience(load: &Load) -> Duration {
    load.timeout * 2
}
