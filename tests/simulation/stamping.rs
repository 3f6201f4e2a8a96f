//! Edges that give stamps, with clocks that are off by up to an hour and jump, before a guard: links cut, edges and the guard
//! killed, as a seed says.
//!
//! Whatever happens: of the writes of a key the one that was sent last stays, unless two were sent so close to each other
//! that the time they are on their way for decides; who has read a value is never refused when it writes it; the stamps of
//! one edge never repeat or fall, whether it was started again or not; what was added to a value is there, and once; and
//! nobody ever sees a stamp.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep};
use ttguard::client::route::Route;
use ttguard::command::{Command, Reply, Shape};
use ttguard::config::{Address, BackendUrl, Edges, ListenerSettings, Settings, StampSource};
use ttguard::front::instance::{At, Surroundings, Way};
use ttguard::guard::stamp::{Mark, StampFormat};
use ttguard::metrics::Metrics;
use ttguard::protocol::request::Fault;
use ttguard::store::embedded::Embedded;
use ttguard::transport::{Reader, Writer};

use crate::claims::process::{Pause, Process};
use crate::claims::store;
use crate::claims::wires::{Between, Door, Wires};
use crate::edges::Asking;
use crate::seeds::setting;

const EDGES: usize = 3;
const KEYS: usize = 3;

/// Microseconds since the epoch when a world begins.
const TRUE_START: u64 = 1_700_000_000_000_000;

/// How long anything goes wrong.
const TROUBLE: Duration = Duration::from_secs(40);

/// So long a request may be on its way from its client to its edge, and as far an edge may be wrong of its guard's time.
const CLOSE: Duration = Duration::from_millis(130);

/// How long what was sent may take to be done with, whatever became of who sent it.
const SETTLED: Duration = Duration::from_secs(3);

const SEEDS: u64 = 20;

type Connections = mpsc::UnboundedSender<(usize, Reader, Writer)>;

/// A write of a key that all edges write.
struct Written {
    key: usize,
    value: String,
    sent: Instant,
    /// Nothing where it has no answer.
    code: Option<u8>,
}

struct World {
    wires: Arc<Wires>,
    to_store: Connections,
    to_guard: Connections,
    guard: RefCell<Option<Process>>,
    edges: RefCell<Vec<Process>>,
    /// How far the clock of each edge is off, in microseconds.
    off: Vec<Arc<AtomicI64>>,
    pauses: Vec<Pause>,
    store: Embedded,
    start: Instant,
    seed: u64,
    /// What a guard before has let in may be ahead of the time, as far as a write may be. Who has read such a value gives
    /// stamps behind it: so what was sent last need not stay then.
    some_are_ahead: bool,
    written: RefCell<Vec<Written>>,
    /// What was added to one value, and whether that was acknowledged.
    added: RefCell<Vec<(String, bool)>>,
    /// The stamps that the writes of each edge have, by their numbers.
    stamps: RefCell<BTreeMap<(usize, u64), u64>>,
    chain: Cell<u64>,
    violation: RefCell<Option<String>>,
}

fn format() -> StampFormat {
    StampFormat::given(Mark::default())
}

fn url() -> BackendUrl {
    BackendUrl::Tyrant(Address::Tcp("127.0.0.1:1".to_owned()))
}

fn settings(is_edge: bool) -> Settings {
    let mut listener = ListenerSettings::new(Address::Tcp("127.0.0.1:0".to_owned()));
    listener.edges = Edges::Any;
    let mut settings = Settings {
        edge_of: vec![url(); usize::from(is_edge)],
        backend: url(),
        listeners: vec![listener],
        workers: 1,
        bulk_lanes: 0,
        primed_lanes: 0,
        claim_timeout: Duration::from_secs(1),
        standby: !is_edge,
        ..Settings::default()
    };
    if !is_edge {
        settings.stamp_source = Some(StampSource::Edge);
        settings.rules.stamp = format();
    }
    settings.pairing.start_hold = Duration::from_millis(200);
    settings.pairing.request_timeout = Duration::from_millis(900);
    settings.pairing.fence_timeout = Duration::from_millis(300);
    settings.pairing.connect_timeout = Duration::from_millis(300);
    settings
}

fn put(key: String, value: &str) -> Command {
    Command::Put {
        key: key.into(),
        value: Bytes::copy_from_slice(value.as_bytes()),
    }
}

fn get(key: String) -> Command {
    Command::Get { key: key.into() }
}

fn shared(key: usize) -> String {
    format!("key-{key}")
}

impl World {
    fn surroundings(&self, seed: u64, route: Route, guards: Vec<At>, off: Arc<AtomicI64>) -> Surroundings {
        let start = self.start;
        Surroundings {
            guards,
            route,
            clock: Arc::new(move || {
                let off = off.load(Ordering::Relaxed);
                let true_time = Duration::from_micros(TRUE_START) + start.elapsed();
                let off_by = Duration::from_micros(off.unsigned_abs());
                if off < 0 {
                    true_time - off_by
                } else {
                    true_time + off_by
                }
            }),
            seed: self.seed ^ seed,
            metrics: Arc::new(Metrics::new(&Fault::NAMES)),
            ledger_entries: Some(64),
        }
    }

    fn door(&self, between: Between, accepted: &Connections) -> Route {
        Route::Within(Arc::new(Door {
            wires: Arc::clone(&self.wires),
            between,
            guard: 0,
            accepted: accepted.clone(),
        }))
    }

    fn start_guard(&self, generation: u64) -> Process {
        let route = self.door(Between::Store(0), &self.to_store);
        let surroundings = self.surroundings(1 << 32 ^ generation, route, Vec::new(), Arc::default());
        Process::start(settings(false), surroundings, self.pauses[EDGES].clone())
    }

    fn start_edge(&self, edge: usize, generation: u64) -> Process {
        let at = At {
            url: "the guard".to_owned(),
            way: Way::Route(self.door(Between::Link(edge, 0), &self.to_guard)),
            names: None,
        };
        let seed = (edge as u64 + 9) << 40 ^ generation;
        let surroundings = self.surroundings(seed, Route::Nowhere, vec![at], Arc::clone(&self.off[edge]));
        Process::start(settings(true), surroundings, self.pauses[edge].clone())
    }

    fn violated(&self, what: String) {
        self.violation
            .borrow_mut()
            .get_or_insert_with(|| format!("{what} at {:?}", self.start.elapsed()));
    }

    /// Takes note of the stamp that a write of an edge's is stored with.
    fn note_stamp(&self, value: &Bytes) {
        let Some((stamp, own)) = format().strip(value) else {
            return;
        };
        let text = String::from_utf8_lossy(&own).into_owned();
        let Some((edge, number)) = text.split_once('-') else {
            return;
        };
        let (Ok(edge), Ok(number)) = (edge.parse::<usize>(), number.parse::<u64>()) else {
            return;
        };
        let mut stamps = self.stamps.borrow_mut();
        let before = stamps.range(..(edge, number)).next_back();
        let falls = before.is_some_and(|((of, _), before)| *of == edge && *before >= stamp);
        let after = stamps.range((edge, number + 1)..).next();
        let is_behind = after.is_some_and(|((of, _), after)| *of == edge && *after <= stamp);
        let other = stamps.insert((edge, number), stamp).filter(|other| *other != stamp);
        drop(stamps);
        if falls || is_behind || other.is_some() {
            self.violated(format!(
                "the stamp {stamp} of {text} falls, or is another than before: {other:?}"
            ));
        }
    }

    /// Nothing goes over what has a newer stamp that binds.
    fn check_order(&self, key: &Bytes, value: &Bytes) {
        let before = self.raw(key).and_then(|before| format().read(&before));
        let (Some(before), Some(stamp)) = (before, format().read(value)) else {
            return;
        };
        let binds = before <= TRUE_START + self.start.elapsed().as_micros() as u64 + 300_000_000;
        if binds && stamp < before {
            self.violated(format!("{stamp} goes over {before} of {key:?}"));
        }
    }

    fn true_time(&self) -> Duration {
        Duration::from_micros(TRUE_START) + self.start.elapsed()
    }

    /// The store at one end of a connection of the guard's.
    async fn serve(self: Rc<Self>, reader: Reader, writer: Writer) {
        let saw = |command: &Command| match command {
            Command::Put { key, value } if !key.starts_with(b"timestamp.") => {
                self.check_order(key, value);
                if key.starts_with(b"key-") {
                    self.note_stamp(value);
                }
            }
            _ => {}
        };
        store::serve(&self.store, reader, writer, || self.true_time(), saw).await;
    }

    fn connect(&self, edge: usize) -> Asking {
        let ((reader, writer), (theirs, answers)) = self.wires.open(Between::Client);
        self.edges.borrow()[edge].open(theirs, answers);
        Asking::by(reader, writer)
    }

    /// A client of an edge's: writes what all write, adds to what all add to, and reads.
    async fn work(self: Rc<Self>, edge: usize, mut random: Rng) {
        let mut number = 0;
        loop {
            let mut asking = self.connect(edge);
            while self.exchange(edge, &mut number, &mut asking, &mut random).await.is_ok() {
                sleep(Duration::from_millis(random.u64(5..120))).await;
            }
            drop(asking);
            sleep(Duration::from_millis(30)).await;
        }
    }

    async fn exchange(
        &self,
        edge: usize,
        number: &mut u64,
        asking: &mut Asking,
        random: &mut Rng,
    ) -> std::io::Result<()> {
        *number += 1;
        let (key, value) = (random.usize(..KEYS), format!("{edge}-{number}"));
        match random.u8(..10) {
            0..=5 => {
                let at = self.written.borrow().len();
                self.written.borrow_mut().push(Written {
                    key,
                    value: value.clone(),
                    sent: Instant::now(),
                    code: None,
                });
                let reply = asking.ask(&put(shared(key), &value), Shape::Code).await?;
                self.written.borrow_mut()[at].code = Some(reply.code());
                self.check_refusal(at);
            }
            6..=7 => {
                let at = self.added.borrow().len();
                let token = format!("<{value}>");
                self.added.borrow_mut().push((token.clone(), false));
                let cat = Command::PutCat {
                    key: Bytes::from_static(b"added"),
                    value: token.into(),
                };
                match asking.ask(&cat, Shape::Code).await?.code() {
                    0 => self.added.borrow_mut()[at].1 = true,
                    code => self.violated(format!("what was added was answered with {code}")),
                }
            }
            _ => {
                if let Reply::Value(value) = asking.ask(&get(shared(key)), Shape::Value).await? {
                    let written = self.written.borrow();
                    if !written
                        .iter()
                        .any(|one| one.key == key && one.value.as_bytes() == value)
                    {
                        self.violated(format!("{value:?} was read, which nobody wrote"));
                    }
                }
            }
        }
        Ok(())
    }

    /// A write is refused only where another was sent later, or close to it.
    fn check_refusal(&self, at: usize) {
        if self.some_are_ahead {
            return;
        }
        let written = self.written.borrow();
        let one = &written[at];
        let is_later = |other: &Written| {
            other.key == one.key && other.value != one.value && other.code != Some(2) && other.sent + CLOSE >= one.sent
        };
        match one.code {
            Some(2) if !written.iter().any(is_later) => {
                self.violated(format!(
                    "{} of key {} is refused, and none was sent later",
                    one.value, one.key
                ));
            }
            Some(0 | 2) | None => {}
            Some(code) => self.violated(format!("{} was answered with {code}", one.value)),
        }
    }

    /// Reads and writes one key by one edge after the other, with nobody beside.
    async fn go_along_the_chain(self: Rc<Self>, mut random: Rng) {
        let mut asking: Vec<Option<Asking>> = (0..EDGES).map(|_| None).collect();
        loop {
            let edge = random.usize(..EDGES);
            let asking = &mut asking[edge];
            let asks = asking.get_or_insert_with(|| self.connect(edge));
            let chain = || "chain".to_owned();
            let done = async {
                asks.ask(&get(chain()), Shape::Value).await?;
                let link = self.chain.get() + 1;
                self.chain.set(link);
                asks.ask(&put(chain(), &link.to_string()), Shape::Code).await
            };
            match done.await {
                Ok(reply) if reply.code() == 0 => {}
                Ok(reply) => self.violated(format!(
                    "who has read was answered with {} by edge {edge}",
                    reply.code()
                )),
                Err(_) => {
                    *asking = None;
                    // What it has asked may still be carried out.
                    sleep(SETTLED).await;
                }
            }
        }
    }

    async fn trouble(self: Rc<Self>, mut random: Rng) {
        let end = self.start + TROUBLE;
        while Instant::now() < end {
            sleep(Duration::from_millis(random.u64(1..1_500))).await;
            let edge = random.usize(..EDGES);
            let until = Instant::now() + Duration::from_millis(random.u64(10..700));
            match random.u8(..10) {
                0..=3 => {
                    let hour = 3_600_000_000;
                    self.off[edge].store(random.i64(-hour..hour), Ordering::Relaxed);
                }
                4..=6 => self.wires.cut(Between::Link(edge, 0), until),
                7 => self.pauses[edge].begin(until),
                8 => self.kill_edge(edge, random.u64(..)),
                _ => self.kill_guard(random.u64(..)),
            }
        }
    }

    fn kill_edge(&self, edge: usize, generation: u64) {
        self.wires.cut(Between::Link(edge, 0), Instant::now());
        let new = self.start_edge(edge, generation);
        std::mem::replace(&mut self.edges.borrow_mut()[edge], new).kill();
    }

    fn kill_guard(&self, generation: u64) {
        let now = Instant::now();
        self.wires.cut(Between::Store(0), now);
        (0..EDGES).for_each(|edge| self.wires.cut(Between::Link(edge, 0), now));
        let new = self.start_guard(generation);
        let old = self.guard.borrow_mut().replace(new);
        old.into_iter().for_each(Process::kill);
        if self.some_are_ahead {
            // What was let in ahead of the mark's lead is known to no guard any more that was not there.
            self.stamps.borrow_mut().clear();
            let ahead = Rng::with_seed(generation).u64(..10_000_000);
            let stamp = TRUE_START + self.start.elapsed().as_micros() as u64 + ahead;
            for key in ["chain", "added"] {
                let own = self.stored(key.to_owned()).unwrap_or_default();
                self.store_raw(key, format().stamped(stamp, own.as_bytes()));
            }
        }
    }

    fn store_raw(&self, key: &str, value: Bytes) {
        let key = Bytes::copy_from_slice(key.as_bytes());
        let stored = self.store.execute(&Command::Put { key, value }, self.true_time());
        assert_eq!(stored.map(|reply| reply.code()).ok(), Some(0));
    }

    fn raw(&self, key: &Bytes) -> Option<Bytes> {
        match self.store.execute(&Command::Get { key: key.clone() }, self.true_time()) {
            Ok(Reply::Value(value)) => Some(value),
            _ => None,
        }
    }

    /// What the store holds, as clients see it.
    fn stored(&self, key: String) -> Option<String> {
        let (_, own) = format().strip(&self.raw(&key.into())?)?;
        Some(String::from_utf8_lossy(&own).into_owned())
    }

    /// Everything has ended.
    fn check_store(&self) {
        let written = self.written.borrow();
        for key in 0..KEYS {
            let of_key = || written.iter().filter(|one| one.key == key);
            let last = of_key().filter(|one| one.code == Some(0)).map(|one| one.sent).max();
            let found = self.stored(shared(key));
            let stays = of_key().find(|one| Some(&one.value) == found.as_ref());
            match (stays, last) {
                (Some(stays), Some(last)) if !self.some_are_ahead && stays.sent + CLOSE < last => {
                    let (value, late) = (&stays.value, last - stays.sent);
                    self.violated(format!(
                        "{value} of key {key} stays, and another was sent {late:?} later"
                    ));
                }
                (None, Some(_)) => self.violated(format!("{found:?} is stored of key {key}")),
                _ => {}
            }
        }
        let text = self.stored("added".to_owned()).unwrap_or_default();
        for (token, acknowledged) in &*self.added.borrow() {
            let times = text.matches(token.as_str()).count();
            if times > 1 || (*acknowledged && times == 0) {
                self.violated(format!("{token} was added {times} times; acknowledged: {acknowledged}"));
            }
        }
        if self.chain.get() < 10 || written.len() < 150 {
            self.violated(format!(
                "too little was done: {} and {}",
                self.chain.get(),
                written.len()
            ));
        }
    }
}

async fn live(seed: u64, some_are_ahead: bool, mut random: Rng) -> Option<String> {
    let wires = Wires::new(random.fork());
    let (to_store, mut at_store) = mpsc::unbounded_channel();
    let (to_guard, mut at_guard) = mpsc::unbounded_channel();
    let world = Rc::new(World {
        wires: Arc::clone(&wires),
        to_store,
        to_guard,
        guard: RefCell::default(),
        edges: RefCell::default(),
        off: (0..EDGES).map(|_| Arc::default()).collect(),
        pauses: (0..=EDGES).map(|_| Pause::default()).collect(),
        store: Embedded::new(),
        start: Instant::now(),
        seed,
        some_are_ahead,
        written: RefCell::default(),
        added: RefCell::default(),
        stamps: RefCell::default(),
        chain: Cell::new(0),
        violation: RefCell::default(),
    });
    // Who reads it learns nothing of it: it is further ahead than any write may be.
    let ahead = format().stamped(TRUE_START + 7_200_000_000, b"ahead");
    (0..KEYS).for_each(|key| world.store_raw(&shared(key), ahead.clone()));
    world.written.borrow_mut().extend((0..KEYS).map(|key| Written {
        key,
        value: "ahead".to_owned(),
        sent: world.start,
        code: None,
    }));
    world.guard.replace(Some(world.start_guard(0)));
    world
        .edges
        .replace((0..EDGES).map(|edge| world.start_edge(edge, 0)).collect());
    let mut tasks = vec![spawn_local(Arc::clone(&wires).carry())];
    let serving = Rc::clone(&world);
    tasks.push(spawn_local(async move {
        while let Some((_, reader, writer)) = at_store.recv().await {
            spawn_local(Rc::clone(&serving).serve(reader, writer));
        }
    }));
    let linking = Rc::clone(&world);
    tasks.push(spawn_local(async move {
        while let Some((_, reader, writer)) = at_guard.recv().await {
            if let Some(guard) = &*linking.guard.borrow() {
                guard.open(reader, writer);
            }
        }
    }));
    let mut working: Vec<_> = (0..EDGES)
        .map(|edge| spawn_local(Rc::clone(&world).work(edge, random.fork())))
        .collect();
    working.push(spawn_local(Rc::clone(&world).go_along_the_chain(random.fork())));
    Rc::clone(&world).trouble(random).await;
    sleep(SETTLED).await;
    working.iter().for_each(JoinHandle::abort);
    sleep(SETTLED).await;
    tasks.iter().for_each(JoinHandle::abort);
    world.check_store();
    world.guard.take().into_iter().for_each(Process::kill);
    world.edges.take().into_iter().for_each(Process::kill);
    world.violation.take()
}

fn run(seed: u64, some_are_ahead: bool) -> Option<String> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build_local(LocalOptions::default())
        .expect("a runtime");
    runtime.block_on(live(seed, some_are_ahead, Rng::with_seed(seed)))
}

#[test]
fn whatever_clocks_do_what_was_sent_last_stays() {
    for seed in 0..setting("SIMULATE_STAMPING_SEEDS", SEEDS) {
        assert_eq!(run(seed, false), None, "seed {seed}");
    }
}

#[test]
fn whatever_is_ahead_of_the_time_who_has_read_it_is_not_refused_and_no_edge_falls_back() {
    for seed in 0..setting("SIMULATE_STAMPING_SEEDS", SEEDS) {
        assert_eq!(run(seed, true), None, "seed {seed}");
    }
}
