//! The backend: modelled after the real server, with its threads, its zombies and everything that can go wrong with it.

mod conversation;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::sleep;
use ttguard::client::route::Dialling;
use ttguard::command::Reply;
use ttguard::transport::{Reader, Writer};

use self::conversation::Conversation;
use crate::faults::Fault;
use crate::history::Bearer;
use crate::network::Between;
use crate::plan::{Database, Plan};
use crate::records::Records;
use crate::world::World;

/// A connection that was accepted and is to be served.
pub type Accepted = (u64, Reader, Writer);

/// The state of the backend.
#[derive(Debug)]
pub struct Server {
    pub records: RefCell<Records>,
    /// An earlier state, for restarts with older records.
    snapshot: RefCell<Records>,
    is_up: Cell<bool>,
    pub refusing_until: Cell<u64>,
    pub paused_until: Cell<u64>,
    pid: Cell<u64>,
    started: Cell<u64>,
    threads: RefCell<Rc<Semaphore>>,
    serving: RefCell<Vec<AbortHandle>>,
    /// Which guard process each connection is of.
    owners: RefCell<BTreeMap<u64, u64>>,
    /// Connections that were accepted and are never served.
    ignored: RefCell<Vec<(Reader, Writer)>>,
    /// When the guard that runs now got its first answer.
    first_answer: Cell<Option<u64>>,
    /// When each former guard process got its first answer, if it did, and when it ended.
    former_guards: RefCell<Vec<(Option<u64>, u64)>>,
    database: Database,
    accepted: mpsc::UnboundedSender<Accepted>,
}

impl Server {
    /// An empty backend; whoever holds the other end of `accepted` serves its connections.
    pub fn new(plan: &Plan, accepted: mpsc::UnboundedSender<Accepted>) -> Self {
        let threads = plan.server.threads;
        Self {
            records: RefCell::new(Records::of(plan.database)),
            snapshot: RefCell::new(Records::of(plan.database)),
            database: plan.database,
            is_up: Cell::new(true),
            refusing_until: Cell::new(0),
            paused_until: Cell::new(0),
            pid: Cell::new(100),
            started: Cell::new(0),
            threads: RefCell::new(Rc::new(Semaphore::new(threads))),
            serving: RefCell::default(),
            owners: RefCell::default(),
            ignored: RefCell::default(),
            first_answer: Cell::new(None),
            former_guards: RefCell::default(),
            accepted,
        }
    }

    /// The guard opens a connection.
    pub fn dial(world: Rc<World>) -> Dialling {
        Box::pin(async move {
            sleep(Duration::from_millis(world.below(world.plan.network.latency + 1))).await;
            let server = &world.server;
            if world.strikes(world.plan.kernel.late_failure) {
                world.strike(Fault::LateFailure);
                sleep(Duration::from_millis(world.plan.kernel.late)).await;
                return Err(io::ErrorKind::TimedOut.into());
            }
            let refuses = world.now() < server.refusing_until.get();
            if refuses && !world.healed() {
                world.strike(Fault::Refused);
            }
            if refuses || !server.is_up.get() {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (id, dialler, (reader, writer)) = world.network.open(&world, Between::GuardAndServer);
            server.owners.borrow_mut().insert(id, world.generation());
            if world.strikes(world.plan.kernel.stillborn) {
                world.strike(Fault::Stillborn);
                world.network.reset_at_once(&world, id);
            }
            if world.strikes(world.plan.server.silent) {
                world.strike(Fault::SilentAccept);
                server.ignored.borrow_mut().push((reader, writer));
            } else {
                let _ = server.accepted.send((id, reader, writer));
            }
            Ok(dialler)
        })
    }

    /// Takes note of what it holds now, for a restart with older records.
    pub fn take_snapshot(&self) {
        *self.snapshot.borrow_mut() = self.records.borrow().clone();
    }

    /// The process ends.
    pub fn stop(&self) {
        self.is_up.set(false);
        self.serving.take().iter().for_each(AbortHandle::abort);
        self.ignored.take();
    }

    /// The process is started again, with all its records, with none, or with those of the snapshot.
    pub fn start(&self, world: &World, records: Option<Records>) {
        if let Some(records) = records {
            world.history.borrow_mut().replaced(world.steps(), &records);
            *self.records.borrow_mut() = records;
        }
        self.pid.set(self.pid.get() + 1);
        self.started.set(world.now());
        *self.threads.borrow_mut() = Rc::new(Semaphore::new(world.plan.server.threads));
        self.is_up.set(true);
    }

    /// The records of the snapshot.
    pub fn older(&self) -> Records {
        self.snapshot.borrow().clone()
    }

    /// The guard process that ran until now has ended.
    pub fn guard_ended(&self, world: &World) {
        let first = self.first_answer.take();
        self.former_guards.borrow_mut().push((first, world.now()));
    }

    /// Closes what was accepted and never served.
    pub fn heal(&self) {
        self.ignored.take();
        self.refusing_until.set(0);
        self.paused_until.set(0);
    }

    /// By what comes what is carried out now on this connection.
    pub fn bearer(&self, world: &World, line: u64) -> Bearer {
        let owner = self.owners.borrow().get(&line).copied().unwrap_or(1);
        if owner < world.generation() {
            Bearer::FormerGuard
        } else if world.network.abandoned(line).is_some() {
            Bearer::LostLane
        } else {
            Bearer::Lane
        }
    }

    /// Whether a write that is carried out now, on this connection, is later than any fence is promised to hold.
    pub fn is_late(&self, world: &World, line: u64) -> bool {
        let owner = self.owners.borrow().get(&line).copied().unwrap_or(1);
        let pairing = &world.plan.settings.pairing;
        let slack = Duration::from_millis(3);
        let beyond = |since: u64, now: u64, patience: Duration| Duration::from_millis(now - since) + slack >= patience;
        let abandoned = world.network.abandoned(line);
        let former = self.former_guards.borrow();
        let until = former.get(owner as usize - 1).map_or(world.now(), |(_, ended)| *ended);
        if abandoned.is_some_and(|since| since < until && beyond(since, until, pairing.fence_timeout)) {
            return true;
        }
        // A guard holds writes back for `start_hold` after the first answer, for what a former one left behind.
        let running = (owner < world.generation()).then(|| (self.first_answer.get(), world.now()));
        let mut later = former.iter().skip(owner as usize).copied().chain(running);
        later.any(|(first, until)| first.is_some_and(|first| beyond(first, until, pairing.start_hold)))
    }

    /// Serves every connection, each in a task of its own, for ever.
    pub async fn accept(world: Rc<World>, mut accepted: mpsc::UnboundedReceiver<Accepted>) {
        while let Some((id, reader, writer)) = accepted.recv().await {
            let task = spawn_local(Conversation::new(&world, id, writer).serve(reader));
            world.server.serving.borrow_mut().push(task.abort_handle());
        }
    }

    fn stat(&self, world: &World) -> Reply {
        let real = (world.now() - self.started.get()) as f64 / 1000.0;
        let time = 1_700_000_000.0 + world.now() as f64 / 1000.0;
        let (pid, count) = (self.pid.get(), self.records.borrow().iter().count());
        let kind = self.database.name();
        Reply::Value(Bytes::from(format!(
            "version\t1.1.41\ntime\t{time:.6}\npid\t{pid}\ntype\t{kind}\nrnum\t{count}\nru_real\t{real:.6}\n"
        )))
    }
}

/// One unit of the update log that a request of this tag is sent. Both the backend and whoever asked can make it.
pub fn unit_of_log(tag: u64, number: u64) -> String {
    format!("<{tag}:{number}>")
}
