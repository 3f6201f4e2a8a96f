//! Edges before two guards of one store: guards paused, cut off and killed, links cut and edges killed, as a seed says.
//!
//! Whatever happens: an answer is one to its question; what was acknowledged is there, or something newer; nothing older
//! than what was acknowledged is let in; no two guards write at once; and when all is well again every client is served.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use fastrand::Rng;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep, timeout};
use ttguard::client::route::Route;
use ttguard::command::{Command, Reply, Shape};
use ttguard::config::{Address, BackendUrl, Edges, ListenerSettings, Settings};
use ttguard::front::instance::{At, Surroundings, Way};
use ttguard::metrics::Metrics;
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::request::Fault;
use ttguard::protocol::tyrant::limits::Limits;
use ttguard::protocol::tyrant::reply::ReplyDecoder;
use ttguard::protocol::tyrant::request;
use ttguard::store::embedded::Embedded;
use ttguard::transport::{Reader, Writer};

use crate::claims::process::{Pause, Process, holders};
use crate::claims::store;
use crate::claims::wires::{Between, Door, Wires};
use crate::seeds::setting;

const GUARDS: usize = 2;
const EDGES: usize = 3;
const CLIENTS: usize = 2;

const CLAIM_TIMEOUT: Duration = Duration::from_millis(1_000);

/// How long anything goes wrong.
const TROUBLE: Duration = Duration::from_secs(30);

/// How long it takes at most until all are served again: the last pause, a silence, a hold, a link.
const RECOVERY: Duration = Duration::from_secs(8);

const SEEDS: u64 = 20;

type Connections = mpsc::UnboundedSender<(usize, Reader, Writer)>;

/// What a client has seen of its own key.
#[derive(Default)]
struct Seen {
    /// The newest stamp that was acknowledged.
    acknowledged: Cell<u64>,
    answered: Cell<u64>,
}

struct World {
    wires: Arc<Wires>,
    to_store: Connections,
    to_guard: Connections,
    guards: RefCell<Vec<Process>>,
    edges: RefCell<Vec<Process>>,
    pauses: Vec<Pause>,
    store: Embedded,
    start: Instant,
    seed: u64,
    seen: Vec<Seen>,
    /// Of every process that there ever was.
    metrics: RefCell<Vec<Arc<Metrics>>>,
    violation: RefCell<Option<String>>,
}

/// A client's connection.
pub struct Asking {
    reader: Reader,
    writer: Writer,
    decoder: ReplyDecoder,
    input: BytesMut,
}

impl Asking {
    /// By this connection.
    pub fn by(reader: Reader, writer: Writer) -> Self {
        Self {
            reader,
            writer,
            decoder: ReplyDecoder::new(Limits::REPLY),
            input: BytesMut::new(),
        }
    }

    pub async fn ask(&mut self, command: &Command, shape: Shape) -> io::Result<Reply> {
        let mut out = Outgoing::new();
        request::encode(command, &mut out);
        self.writer.write_ready(&mut out)?;
        loop {
            if let Some(reply) = self.decoder.decode(shape, &mut self.input).map_err(io::Error::other)? {
                return Ok(reply);
            }
            let read = timeout(Duration::from_secs(3), self.reader.read(&mut self.input)).await;
            if read?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn key(client: usize) -> String {
    format!("key-{client}")
}

fn value(stamp: u64, client: usize) -> String {
    format!("{stamp:013}{}", key(client))
}

impl World {
    fn settings(&self, is_edge: bool) -> Settings {
        let url = BackendUrl::Tyrant(Address::Tcp("127.0.0.1:1".to_owned()));
        let mut listener = ListenerSettings::new(Address::Tcp("127.0.0.1:0".to_owned()));
        listener.edges = Edges::Any;
        let mut settings = Settings {
            edge_of: vec![url.clone(); if is_edge { GUARDS } else { 0 }],
            backend: url,
            listeners: vec![listener],
            workers: 1,
            bulk_lanes: 0,
            primed_lanes: 0,
            claim_timeout: CLAIM_TIMEOUT,
            standby: !is_edge,
            ..Settings::default()
        };
        settings.pairing.start_hold = Duration::from_millis(200);
        settings.pairing.request_timeout = Duration::from_millis(600);
        settings.pairing.fence_timeout = Duration::from_millis(300);
        settings.pairing.connect_timeout = Duration::from_millis(300);
        settings
    }

    fn clock(&self) -> Duration {
        Duration::from_secs(1_700_000_000) + self.start.elapsed()
    }

    fn surroundings(&self, seed: u64, route: Route, guards: Vec<At>) -> Surroundings {
        let start = self.start;
        let metrics = Arc::new(Metrics::new(&Fault::NAMES));
        self.metrics.borrow_mut().push(Arc::clone(&metrics));
        Surroundings {
            guards,
            route,
            clock: Arc::new(move || Duration::from_secs(1_700_000_000) + start.elapsed()),
            seed: self.seed ^ seed,
            metrics,
            ledger_entries: Some(64),
        }
    }

    fn door(&self, between: Between, guard: usize, accepted: &Connections) -> Route {
        Route::Within(Arc::new(Door {
            wires: Arc::clone(&self.wires),
            between,
            guard,
            accepted: accepted.clone(),
        }))
    }

    fn guard(&self, guard: usize, generation: u64) -> Process {
        let route = self.door(Between::Store(guard), guard, &self.to_store);
        let surroundings = self.surroundings((guard as u64 + 1) << 32 ^ generation, route, Vec::new());
        Process::start(self.settings(false), surroundings, self.pauses[guard].clone())
    }

    fn edge(&self, edge: usize, generation: u64) -> Process {
        let at = |guard| At {
            url: format!("guard {guard}"),
            way: Way::Route(self.door(Between::Link(edge, guard), guard, &self.to_guard)),
            names: None,
        };
        let guards = (0..GUARDS).map(at).collect();
        let surroundings = self.surroundings((edge as u64 + 9) << 40 ^ generation, Route::Nowhere, guards);
        Process::start(self.settings(true), surroundings, self.pauses[GUARDS + edge].clone())
    }

    /// Who may write now.
    fn holders(&self) -> Vec<usize> {
        holders(&self.guards.borrow())
    }

    fn violated(&self, what: String) {
        self.violation
            .borrow_mut()
            .get_or_insert_with(|| format!("{what} at {:?}", self.start.elapsed()));
    }

    /// The store at one end of a connection of this guard's.
    async fn serve(self: Rc<Self>, guard: usize, reader: Reader, writer: Writer) {
        let saw = |command: &Command| {
            let others: Vec<_> = self.holders().into_iter().filter(|holder| *holder != guard).collect();
            if matches!(command, Command::Put { key, .. } if key.starts_with(b"key-")) && !others.is_empty() {
                self.violated(format!("a write of guard {guard} arrived while {others:?} may write"));
            }
        };
        store::serve(&self.store, reader, writer, || self.clock(), saw).await;
    }

    /// A client of an edge's, whose key nobody else writes: newer and older values in turn, and what is there.
    async fn work(self: Rc<Self>, client: usize) {
        let edge = client % EDGES;
        let mut stamp = 0;
        loop {
            let ((reader, writer), (theirs, answers)) = self.wires.open(Between::Client);
            self.edges.borrow()[edge].open(theirs, answers);
            let mut asking = Asking::by(reader, writer);
            while self.exchange(client, &mut stamp, &mut asking).await.is_ok() {
                let seen = &self.seen[client];
                seen.answered.set(seen.answered.get() + 1);
                sleep(Duration::from_millis(10)).await;
            }
            drop(asking);
            sleep(Duration::from_millis(30)).await;
        }
    }

    async fn exchange(&self, client: usize, stamp: &mut u64, asking: &mut Asking) -> io::Result<()> {
        let put = |stamp: u64| Command::Put {
            key: key(client).into(),
            value: value(stamp, client).into(),
        };
        *stamp = (*stamp + 2).max(self.clock().as_millis() as u64);
        match asking.ask(&put(*stamp), Shape::Code).await?.code() {
            0 => self.seen[client].acknowledged.set(*stamp),
            code => self.violated(format!("a newer write of client {client} was answered with {code}")),
        }
        let late = asking.ask(&put(*stamp - 1), Shape::Code).await?.code();
        if late != 2 {
            self.violated(format!("a stale write of client {client} was answered with {late}"));
        }
        let get = Command::Get {
            key: key(client).into(),
        };
        let found = asking.ask(&get, Shape::Value).await?;
        if found != Reply::Value(value(*stamp, client).into()) {
            self.violated(format!("client {client} has read {found:?} instead of {stamp}"));
        }
        Ok(())
    }

    /// Pauses, cuts off and kills for a while.
    async fn trouble(self: Rc<Self>, mut random: Rng) {
        let end = self.start + TROUBLE;
        while Instant::now() < end {
            sleep(Duration::from_millis(random.u64(1..1_200))).await;
            let guard = match self.holders().first() {
                Some(holder) if random.u8(..4) > 0 => *holder,
                _ => random.usize(..GUARDS),
            };
            let edge = random.usize(..EDGES);
            let until = Instant::now() + Duration::from_millis(random.u64(10..2_500));
            match random.u8(..12) {
                0..=2 => self.pauses[guard].begin(until),
                3 => self.pauses[GUARDS + edge].begin(until),
                4..=5 => self.wires.cut(Between::Store(guard), until),
                6..=8 => self.wires.cut(Between::Link(edge, guard), until),
                9..=10 => self.kill_guard(guard, random.u64(..)),
                _ => self.kill_edge(edge, random.u64(..)),
            }
        }
    }

    fn kill_guard(&self, guard: usize, generation: u64) {
        let now = Instant::now();
        self.wires.cut(Between::Store(guard), now);
        (0..EDGES).for_each(|edge| self.wires.cut(Between::Link(edge, guard), now));
        let new = self.guard(guard, generation);
        std::mem::replace(&mut self.guards.borrow_mut()[guard], new).kill();
    }

    fn kill_edge(&self, edge: usize, generation: u64) {
        let now = Instant::now();
        (0..GUARDS).for_each(|guard| self.wires.cut(Between::Link(edge, guard), now));
        let new = self.edge(edge, generation);
        std::mem::replace(&mut self.edges.borrow_mut()[edge], new).kill();
    }

    /// One holder after the other is no sign of two.
    fn check_claimants(&self) {
        let seen = self.metrics.borrow();
        let seen = seen
            .iter()
            .map(|one| one.count("ttguard_alarms_total", &["two_claimants"]));
        if seen.sum::<u64>() > 0 {
            self.violated("two claimants were seen".to_owned());
        }
    }

    /// What the store holds of each key is what was acknowledged last, or newer.
    fn check_store(&self) {
        for (client, seen) in self.seen.iter().enumerate() {
            let get = Command::Get {
                key: key(client).into(),
            };
            let stored = match self.store.execute(&get, self.clock()) {
                Ok(Reply::Value(value)) => String::from_utf8_lossy(&value[..13]).parse().unwrap_or(0),
                _ => 0,
            };
            if stored < seen.acknowledged.get() {
                let acknowledged = seen.acknowledged.get();
                self.violated(format!(
                    "client {client}: {acknowledged} was acknowledged, and {stored} is stored"
                ));
            }
        }
    }
}

async fn live(seed: u64, mut random: Rng) -> Option<String> {
    let wires = Wires::new(random.fork());
    let (to_store, mut at_store) = mpsc::unbounded_channel();
    let (to_guard, mut at_guard) = mpsc::unbounded_channel();
    let world = Rc::new(World {
        wires: Arc::clone(&wires),
        to_store,
        to_guard,
        guards: RefCell::default(),
        edges: RefCell::default(),
        pauses: (0..GUARDS + EDGES).map(|_| Pause::default()).collect(),
        store: Embedded::new(),
        start: Instant::now(),
        seed,
        seen: (0..EDGES * CLIENTS).map(|_| Seen::default()).collect(),
        metrics: RefCell::default(),
        violation: RefCell::default(),
    });
    world
        .guards
        .replace((0..GUARDS).map(|guard| world.guard(guard, 0)).collect());
    world
        .edges
        .replace((0..EDGES).map(|edge| world.edge(edge, 0)).collect());
    let mut tasks = vec![spawn_local(Arc::clone(&wires).carry())];
    let serving = Rc::clone(&world);
    tasks.push(spawn_local(async move {
        while let Some((guard, reader, writer)) = at_store.recv().await {
            spawn_local(Rc::clone(&serving).serve(guard, reader, writer));
        }
    }));
    let linking = Rc::clone(&world);
    tasks.push(spawn_local(async move {
        while let Some((guard, reader, writer)) = at_guard.recv().await {
            linking.guards.borrow()[guard].open(reader, writer);
        }
    }));
    tasks.extend((0..EDGES * CLIENTS).map(|client| spawn_local(Rc::clone(&world).work(client))));
    Rc::clone(&world).trouble(random).await;
    sleep(RECOVERY).await;
    let before: Vec<u64> = world.seen.iter().map(|seen| seen.answered.get()).collect();
    sleep(Duration::from_secs(2)).await;
    for (client, (seen, before)) in world.seen.iter().zip(before).enumerate() {
        if seen.answered.get() == before {
            world.violated(format!(
                "client {client} is not served any more after {before} exchanges"
            ));
        }
    }
    tasks.iter().for_each(JoinHandle::abort);
    world.check_store();
    world.check_claimants();
    world.guards.take().into_iter().for_each(Process::kill);
    world.edges.take().into_iter().for_each(Process::kill);
    world.violation.take()
}

fn run(seed: u64) -> Option<String> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build_local(LocalOptions::default())
        .expect("a runtime");
    runtime.block_on(live(seed, Rng::with_seed(seed)))
}

#[test]
fn whatever_happens_nothing_is_lost_and_nothing_older_let_in() {
    for seed in 0..setting("SIMULATE_EDGE_SEEDS", SEEDS) {
        assert_eq!(run(seed), None, "seed {seed}");
    }
}
