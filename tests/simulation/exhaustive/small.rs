//! One small world: a guard of two workers, its backend, the connections between, and what must hold in the end.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Duration, Instant, sleep};
use ttguard::client::route::{Dial, Dialling, Route};
use ttguard::command::{Command, Reply};
use ttguard::config::Settings;
use ttguard::front::instance::{Instance, Surroundings};
use ttguard::guard::rules::{LedgerMode, Tie};
use ttguard::metrics::Metrics;
use ttguard::protocol::request::Fault;

use super::backend::{Accepted, Backend};
use super::book::{Book, hidden_of, newest_of};
use super::caller::{Caller, Heard};
use super::requests::{FIRST, PRESENT};
use super::wires::{Between, Wires};

/// The clock that all start with, in milliseconds since the epoch.
pub const EPOCH: u64 = 1_700_000_000_000;

/// How long a request may take.
pub const DEADLINE: Duration = Duration::from_millis(100);

/// What an answer may take beyond its deadline: the ways to and fro.
pub const SLACK: Duration = Duration::from_millis(10);

/// After so long every fault, fence and backoff is over.
const QUIET: Duration = Duration::from_millis(900);

/// How a world differs from the others, but for its fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub ledger: LedgerMode,
    /// The keys were written through the guard before: it knows their stamps.
    pub warm: bool,
    pub tie: Tie,
    pub verify_reads: bool,
}

impl Kind {
    /// A guard that keeps stamps in this way.
    pub fn new(ledger: LedgerMode, warm: bool) -> Self {
        Self {
            ledger,
            warm,
            tie: Tie::Last,
            verify_reads: false,
        }
    }

    fn settings(self) -> Settings {
        let mut settings = Settings {
            workers: 2,
            lanes: 1,
            bulk_lanes: 0,
            verify_reads: self.verify_reads,
            claim: false,
            ..Settings::default()
        };
        settings.rules.ledger = self.ledger;
        settings.rules.tie = self.tie;
        let pairing = &mut settings.pairing;
        pairing.request_timeout = DEADLINE;
        pairing.slow_timeout = DEADLINE * 2;
        pairing.fence_timeout = Duration::from_millis(300);
        pairing.start_hold = Duration::from_millis(80);
        pairing.frame_timeout = Duration::from_millis(150);
        pairing.connect_timeout = Duration::from_millis(50);
        settings
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let warmth = if self.warm { "warm" } else { "cold" };
        write!(formatter, "{:?}-{warmth}", self.ledger)
    }
}

#[derive(Debug)]
struct Door {
    wires: Arc<Wires>,
    accepted: mpsc::UnboundedSender<Accepted>,
}

impl Dial for Door {
    fn dial(&self) -> Dialling {
        let (wires, accepted) = (Arc::clone(&self.wires), self.accepted.clone());
        Box::pin(async move {
            sleep(Duration::from_millis(1)).await;
            let (id, dialler, (reader, writer)) = wires.open(Between::GuardAndBackend);
            let _ = accepted.send((id, reader, writer));
            Ok(dialler)
        })
    }
}

struct Process {
    tasks: Rc<LocalSet>,
    instance: Rc<Instance>,
    stop: Rc<Notify>,
    driver: JoinHandle<()>,
}

/// One small world.
pub struct Small {
    pub wires: Arc<Wires>,
    pub backend: Rc<Backend>,
    pub kind: Kind,
    accepted: mpsc::UnboundedSender<Accepted>,
    guard: RefCell<Option<Process>>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
    start: Instant,
}

impl Small {
    /// A world whose guard is up, and past the hold after its start. Nothing is carried before [`Small::carry`].
    pub fn new(kind: Kind) -> Rc<Self> {
        let wires = Arc::<Wires>::default();
        let (accepted, mut connections) = mpsc::unbounded_channel();
        let backend = Backend::new(Arc::clone(&wires), Book::new(kind.tie));
        let serving = Rc::clone(&backend);
        let accepting = spawn_local(async move {
            while let Some(connection) = connections.recv().await {
                serving.serve(connection);
            }
        });
        Rc::new(Self {
            wires,
            backend,
            kind,
            accepted,
            guard: RefCell::new(None),
            tasks: RefCell::new(vec![accepting]),
            start: Instant::now(),
        })
    }

    /// Begins to carry bytes, and starts the guard.
    pub async fn begin(self: &Rc<Self>, at_step: impl AsyncFn(u64) + 'static) {
        let carrying = spawn_local(Arc::clone(&self.wires).carry(at_step));
        self.tasks.borrow_mut().push(carrying);
        self.start_guard();
        sleep(Duration::from_millis(100)).await;
    }

    /// Puts what is there at the start, through the guard or behind its back.
    pub async fn prepare(&self) -> Result<(), String> {
        if self.kind.warm {
            let mut caller = self.connect(0);
            for key in PRESENT {
                let heard = caller.ask(&put(key, FIRST, "first"), DEADLINE).await;
                expect(&heard, &Reply::OK, || format!("preparing {key}"))?;
            }
            drop(caller);
            sleep(Duration::from_millis(10)).await;
            return Ok(());
        }
        let mut unwatched = Book::new(self.kind.tie);
        let mut records = self.backend.records.borrow_mut();
        for key in PRESENT {
            records.execute(&put(key, FIRST, "first"), &mut unwatched);
            if self.kind.ledger == LedgerMode::Record {
                let stamp = Command::Put {
                    key: hidden_of(key.as_bytes()),
                    value: value(FIRST, ""),
                };
                records.execute(&stamp, &mut unwatched);
            }
        }
        Ok(())
    }

    /// The guard's clock.
    pub fn clock(&self) -> u64 {
        EPOCH + self.start.elapsed().as_millis() as u64
    }

    /// Starts a guard.
    pub fn start_guard(&self) {
        let start = self.start;
        let door = Door {
            wires: Arc::clone(&self.wires),
            accepted: self.accepted.clone(),
        };
        let surroundings = Surroundings {
            guards: Vec::new(),
            route: Route::Within(Arc::new(door)),
            clock: Arc::new(move || Duration::from_millis(EPOCH) + start.elapsed()),
            seed: 7,
            metrics: Arc::new(Metrics::new(&Fault::NAMES)),
            ledger_entries: Some(16),
        };
        let tasks = Rc::new(LocalSet::new());
        let instance = Rc::new(Instance::start(self.kind.settings(), surroundings, &tasks));
        let stop = Rc::new(Notify::new());
        let (within, stopped) = (Rc::clone(&tasks), Rc::clone(&stop));
        let driver = spawn_local(async move { within.run_until(stopped.notified()).await });
        *self.guard.borrow_mut() = Some(Process {
            tasks,
            instance,
            stop,
            driver,
        });
    }

    /// The guard's process ends at once.
    pub async fn end_guard(&self) {
        let process = self.guard.borrow_mut().take();
        if let Some(process) = process {
            process.stop.notify_one();
            let _ = process.driver.await;
        }
    }

    /// Ends the world.
    pub async fn end(&self) {
        self.end_guard().await;
        self.tasks.take().iter().for_each(JoinHandle::abort);
        self.wires.end();
    }

    /// A client connects to a worker.
    pub fn connect(&self, worker: usize) -> Caller {
        let (id, dialler, (reader, writer)) = self.wires.open(Between::ClientAndGuard);
        if let Some(process) = self.guard.borrow().as_ref() {
            let _within = process.tasks.enter();
            process.instance.open(worker, reader, writer);
        }
        Caller::new(id, dialler)
    }

    /// What a key holds.
    pub fn stored(&self, key: &[u8]) -> Option<Bytes> {
        self.backend.records.borrow().get(key).cloned()
    }

    /// Waits until nothing is under way any more, and sees that nothing is left over.
    pub async fn settle(&self) -> Result<(), String> {
        sleep(QUIET).await;
        let guard = self.guard.borrow();
        let census = guard.as_ref().map(|process| process.instance.census());
        let census = census.ok_or("no guard")?;
        let is_clean = census.sessions == 0
            && census.lanes == 2
            && census.in_flight == 0
            && census.pending == 0
            && census.buffered == 0;
        if is_clean {
            Ok(())
        } else {
            Err(format!("not back to the base line: {census:?}"))
        }
    }

    /// What the guard believes of a key fits what the backend stores: an older write is refused, a newer one is not.
    pub async fn judge(&self, worker: usize, key: &'static str) -> Result<(), String> {
        let mut caller = self.connect(worker);
        let before = self.stored(key.as_bytes());
        let newest = newest_of(&self.backend.records.borrow(), key.as_bytes());
        let get = Command::Get { key: Bytes::from(key) };
        let shown = caller.ask(&get, DEADLINE + SLACK).await;
        let right = before.clone().map_or(Reply::Code(1), Reply::Value);
        expect(&shown, &right, || format!("reading {key} back"))?;
        if let Some(newest) = newest {
            let heard = caller.ask(&put(key, newest - 1, "older"), DEADLINE + SLACK).await;
            expect(&heard, &Reply::Code(2), || format!("{key} below {newest}"))?;
            if self.stored(key.as_bytes()) != before {
                return Err(format!("{key}: an older write was stored"));
            }
        }
        let newer = newest.map_or(0, |newest| newest + 1).max(self.clock());
        let heard = caller.ask(&put(key, newer, "newer"), DEADLINE + SLACK).await;
        expect(&heard, &Reply::OK, || format!("{key} above {newest:?}"))?;
        if self.stored(key.as_bytes()) != Some(value(newer, "newer")) {
            return Err(format!("{key}: a newer write was acknowledged and is not stored"));
        }
        Ok(())
    }

    /// What the backend found wrong.
    pub fn broken(&self) -> Result<(), String> {
        self.backend.book.borrow().violation.clone().map_or(Ok(()), Err)
    }
}

/// An answer must be this one.
pub fn expect(heard: &Heard, right: &Reply, what: impl Fn() -> String) -> Result<(), String> {
    if *heard == Heard::Answer(right.clone()) {
        Ok(())
    } else {
        Err(format!("{}: {heard:?} instead of {right:?}", what()))
    }
}

/// A value of this stamp.
pub fn value(stamp: u64, text: &str) -> Bytes {
    Bytes::from(format!("{stamp:013}{text}"))
}

/// A put of a stamped value.
pub fn put(key: &'static str, stamp: u64, text: &str) -> Command {
    Command::Put {
        key: Bytes::from(key),
        value: value(stamp, text),
    }
}
