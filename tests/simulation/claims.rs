//! Several guards before one store, with its claim: paused, cut off, killed and started again, as a seed says.
//!
//! Whatever happens, no two of them may write at the same moment, no write of one arrives while another may write, and
//! when all is well again one of them serves. The network delays bytes by less than `start_hold`; what is cut off is lost
//! with its connection.

pub mod process;
pub mod store;
pub mod wires;

use std::cell::RefCell;
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
use ttguard::command::Command;
use ttguard::config::{Address, BackendUrl, ListenerSettings, Settings};
use ttguard::front::instance::Surroundings;
use ttguard::metrics::Metrics;
use ttguard::protocol::outgoing::Outgoing;
use ttguard::protocol::request::Fault;
use ttguard::store::embedded::Embedded;
use ttguard::transport::{Reader, Writer};

use self::process::{Pause, Process, holders};
use self::wires::{Between, Door, Wires};

/// Guards before the store.
const GUARDS: usize = 3;

const CLAIM_TIMEOUT: Duration = Duration::from_millis(1_000);
const START_HOLD: Duration = Duration::from_millis(200);

/// How long anything goes wrong.
const TROUBLE: Duration = Duration::from_secs(40);

/// How long it takes at most until one serves again: the last pause, a silence, a hold.
const RECOVERY: Duration = Duration::from_secs(6);

const SEEDS: u64 = 20;

struct World {
    wires: Arc<Wires>,
    accepted: mpsc::UnboundedSender<(usize, Reader, Writer)>,
    guards: RefCell<Vec<Process>>,
    pauses: Vec<Pause>,
    store: Embedded,
    start: Instant,
    seed: u64,
    /// Writes that were carried out, by guard.
    written: RefCell<[u64; GUARDS]>,
    violation: RefCell<Option<String>>,
    claims: bool,
}

impl World {
    fn settings(&self) -> Settings {
        let mut settings = Settings {
            backend: BackendUrl::Tyrant(Address::Tcp("127.0.0.1:1".to_owned())),
            listeners: vec![ListenerSettings::new(Address::Tcp("127.0.0.1:0".to_owned()))],
            workers: 1,
            bulk_lanes: 0,
            primed_lanes: 0,
            claim: self.claims,
            claim_timeout: CLAIM_TIMEOUT,
            standby: true,
            ..Settings::default()
        };
        settings.pairing.start_hold = START_HOLD;
        settings.pairing.request_timeout = Duration::from_millis(400);
        settings.pairing.fence_timeout = Duration::from_millis(300);
        settings.pairing.connect_timeout = Duration::from_millis(200);
        settings
    }

    fn clock(&self) -> Duration {
        Duration::from_secs(1_700_000_000) + self.start.elapsed()
    }

    fn process(&self, guard: usize, generation: u64) -> Process {
        let start = self.start;
        let door = Door {
            wires: Arc::clone(&self.wires),
            between: Between::Store(guard),
            guard,
            accepted: self.accepted.clone(),
        };
        let surroundings = Surroundings {
            guards: Vec::new(),
            route: Route::Within(Arc::new(door)),
            clock: Arc::new(move || Duration::from_secs(1_700_000_000) + start.elapsed()),
            seed: self.seed ^ (guard as u64 + 1) << 32 ^ generation,
            metrics: Arc::new(Metrics::new(&Fault::NAMES)),
            ledger_entries: Some(64),
        };
        Process::start(self.settings(), surroundings, self.pauses[guard].clone())
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
            let names = match command {
                Command::Put { key, .. } => Some(key),
                Command::Misc { arguments, .. } => arguments.first(),
                _ => None,
            };
            if names.is_none_or(|key| &key[..] != b"k") {
                return;
            }
            self.written.borrow_mut()[guard] += 1;
            let others: Vec<_> = self.holders().into_iter().filter(|holder| *holder != guard).collect();
            if !others.is_empty() {
                self.violated(format!("a write of guard {guard} arrived while {others:?} may write"));
            }
        };
        store::serve(&self.store, reader, writer, || self.clock(), saw).await;
    }

    /// A client that puts a fresh value through this guard, again and again.
    async fn put_on(self: Rc<Self>, guard: usize) {
        loop {
            let ((mut reader, writer), (theirs, answers)) = self.wires.open(Between::Client);
            self.guards.borrow()[guard].open(theirs, answers);
            let mut input = BytesMut::new();
            loop {
                let mut out = Outgoing::new();
                let value = format!("{:013}guard {guard}", self.clock().as_millis());
                let put = Command::Put {
                    key: "k".into(),
                    value: value.into(),
                };
                ttguard::protocol::tyrant::request::encode(&put, &mut out);
                input.clear();
                let written = writer.write_ready(&mut out).is_ok();
                let answered = timeout(Duration::from_secs(2), reader.read(&mut input)).await;
                if !written || !matches!(answered, Ok(Ok(1..))) {
                    break;
                }
                sleep(Duration::from_millis(20)).await;
            }
            drop((reader, writer));
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Looks all the time that no two may write.
    async fn watch(self: Rc<Self>) {
        loop {
            let holders = self.holders();
            if holders.len() > 1 {
                self.violated(format!("guards {holders:?} may write at once"));
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Pauses, cuts off and kills guards for a while.
    async fn trouble(self: Rc<Self>, mut random: Rng) {
        let end = self.start + TROUBLE;
        while Instant::now() < end {
            sleep(Duration::from_millis(random.u64(1..1_500))).await;
            let guard = match self.holders().first() {
                // Most often who has something to lose.
                Some(holder) if random.u8(..4) > 0 => *holder,
                _ => random.usize(..GUARDS),
            };
            let until = Instant::now() + Duration::from_millis(random.u64(10..3_000));
            match random.u8(..10) {
                0..=4 => {
                    self.pauses[guard].begin(until);
                }
                5..=7 => self.wires.cut(Between::Store(guard), until),
                _ => {
                    let generation = random.u64(..);
                    self.wires.cut(Between::Store(guard), Instant::now());
                    let new = self.process(guard, generation);
                    std::mem::replace(&mut self.guards.borrow_mut()[guard], new).kill();
                }
            }
        }
    }
}

/// One run; what was violated, and how many writes each guard has had carried out.
fn run(seed: u64, claims: bool) -> (Option<String>, [u64; GUARDS]) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build_local(LocalOptions::default())
        .expect("a runtime");
    runtime.block_on(async move {
        let mut random = Rng::with_seed(seed);
        let wires = Wires::new(random.fork());
        let (accepted, mut connections) = mpsc::unbounded_channel();
        let world = Rc::new(World {
            wires: Arc::clone(&wires),
            accepted,
            guards: RefCell::default(),
            pauses: (0..GUARDS).map(|_| Pause::default()).collect(),
            store: Embedded::new(),
            start: Instant::now(),
            seed,
            written: RefCell::default(),
            violation: RefCell::default(),
            claims,
        });
        let guards = (0..GUARDS).map(|guard| world.process(guard, 0)).collect();
        world.guards.replace(guards);
        let mut tasks = vec![
            spawn_local(Arc::clone(&wires).carry()),
            spawn_local(Rc::clone(&world).watch()),
        ];
        tasks.extend((0..GUARDS).map(|guard| spawn_local(Rc::clone(&world).put_on(guard))));
        let serving = Rc::clone(&world);
        tasks.push(spawn_local(async move {
            while let Some((guard, reader, writer)) = connections.recv().await {
                spawn_local(Rc::clone(&serving).serve(guard, reader, writer));
            }
        }));
        Rc::clone(&world).trouble(random).await;
        sleep(RECOVERY).await;
        if claims {
            let before: u64 = world.written.borrow().iter().sum();
            sleep(Duration::from_secs(1)).await;
            let after: u64 = world.written.borrow().iter().sum();
            if world.holders().len() != 1 || after == before {
                world.violated(format!("{:?} serve, {before} and {after} writes", world.holders()));
            }
        }
        tasks.iter().for_each(JoinHandle::abort);
        world.guards.take().into_iter().for_each(Process::kill);
        let (violation, written) = (world.violation.take(), *world.written.borrow());
        (violation, written)
    })
}

#[test]
fn no_two_guards_ever_write_and_one_serves_again() {
    let mut total = [0; GUARDS];
    for seed in 0..SEEDS {
        let (violation, written) = run(seed, true);
        assert_eq!(violation, None, "seed {seed}");
        total
            .iter_mut()
            .zip(written)
            .for_each(|(total, written)| *total += written);
    }
    assert!(
        total.iter().all(|written| *written > 100),
        "each has had its turn: {total:?}"
    );
}

#[test]
fn without_a_claim_they_do() {
    let (_, written) = run(1, false);
    assert!(
        written.iter().all(|written| *written > 10),
        "all of them write: {written:?}"
    );
}
