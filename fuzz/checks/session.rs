//! Whole sessions over streams in memory, with a backend that does what the input says: the real code from the first
//! byte of a client to the last byte of its answer.

mod answers;
mod backend;
mod client;
mod panics;
mod streams;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};
use ttguard::client::route::Route;
use ttguard::config::{ListenerSettings, Pipelining, Settings, SharedPuts, StaleReply};
use ttguard::front::instance::{Instance, Surroundings};
use ttguard::guard::rules::LedgerMode;
use ttguard::metrics::Metrics;
use ttguard::protocol::request::Fault;
use ttguard::protocol::tyrant::dialect::Dialect;
use ttguard::protocol::tyrant::limits::Limits;

use self::backend::{Backend, Door};
use self::client::Client;
use self::streams::Streams;
use super::pieces;
use super::small::LIMITS;

/// The guard's clock at the start, in milliseconds since the epoch.
const EPOCH: u64 = 1_700_000_000_000;

/// So small that many answers are over them.
const SMALL_REPLIES: Limits = Limits {
    argument_max: 24,
    arguments_max: 3,
    frame_max: 48,
    ..Limits::REPLY
};

/// Clients that there are.
const CLIENTS: usize = 3;

/// Long enough for every deadline, fence and backoff.
const QUIET: Duration = Duration::from_secs(20);

thread_local! {
    /// Made once: only its clock goes on from one input to the next.
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
    /// Made once: nothing depends on what was counted before.
    static METRICS: Arc<Metrics> = Arc::new(Metrics::new(&Fault::NAMES));
}

/// What one client does next, from one byte.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// It sends so many bytes.
    Send(usize, usize),
    /// It says that nothing more will come.
    Finish(usize),
    /// It resets its connection.
    Reset(usize),
    /// Nobody does anything for so many milliseconds.
    Wait(u64),
}

impl From<u8> for Deed {
    fn from(byte: u8) -> Self {
        let (who, what) = (usize::from(byte >> 6), usize::from(byte & 63));
        match what {
            _ if who == CLIENTS => Self::Wait(1 << (what % 12)),
            0 => Self::Finish(who),
            63 => Self::Reset(who),
            1..=40 => Self::Send(who, what),
            _ => Self::Send(who, (what - 40) * 32),
        }
    }
}

/// Checks one input: a list of how the guard is set up and what its clients do, another of what befalls the backend's
/// answers, each as [`pieces::list`] reads it, and then the bytes that the clients send. What is left of them the first
/// client sends at last.
///
/// # Panics
/// When the backend is sent anything but whole valid requests, when a client is told anything but the answers to its own
/// questions in their order, when one that may be answered is not, or when anything is left behind.
pub fn check(mut input: &[u8]) {
    panics::watch();
    let list = pieces::list(&mut input);
    let fates = pieces::list(&mut input);
    let (setup, deeds) = list.split_first().map_or((0, list), |(setup, deeds)| (*setup, deeds));
    let runtime = RUNTIME.take().unwrap_or_else(|| {
        let mut builder = Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().expect("a runtime")
    });
    LocalSet::new().block_on(&runtime, run(settings(setup), deeds, fates, input));
    RUNTIME.set(Some(runtime));
    assert!(!panics::happened(), "something has panicked on the way");
}

fn settings(setup: u8) -> Settings {
    let is = |bit: u8| setup & (1 << bit) != 0;
    let mut settings = Settings {
        workers: 1,
        lanes: 1 + usize::from(is(0)),
        bulk_lanes: usize::from(is(1)),
        bulk_size: 64,
        primed_lanes: 0,
        verify_reads: is(2),
        shared_puts: if is(2) { SharedPuts::All } else { SharedPuts::Off },
        stale_reply: if is(3) { StaleReply::Ok } else { StaleReply::Error },
        claim: false,
        ..Settings::default()
    };
    let listener = ListenerSettings {
        dialect: if is(4) { Dialect::PyTyrant } else { Dialect::Tyrant },
        ..settings.listeners[0].clone()
    };
    settings.listeners = vec![listener];
    if is(5) {
        settings.rules.ledger = LedgerMode::Record;
    }
    let pairing = &mut settings.pairing;
    if is(6) {
        pairing.pipelining = Pipelining::Forbid;
    }
    pairing.request_timeout = Duration::from_secs(1);
    pairing.slow_timeout = Duration::from_secs(2);
    pairing.fence_timeout = Duration::from_secs(3);
    pairing.start_hold = Duration::ZERO;
    pairing.frame_timeout = Duration::from_secs(10);
    settings.limits.request = LIMITS;
    if is(7) {
        settings.limits.reply = SMALL_REPLIES;
    }
    settings
}

async fn run(settings: Settings, deeds: &[u8], fates: &[u8], bytes: &[u8]) {
    let streams = Arc::new(Streams::default());
    let backend = Backend::new(fates);
    let start = Instant::now();
    let surroundings = Surroundings {
        guards: Vec::new(),
        route: Route::Within(Arc::new(Door::new(Arc::clone(&streams), &backend))),
        clock: Arc::new(move || Duration::from_millis(EPOCH) + start.elapsed()),
        seed: 7,
        metrics: METRICS.with(Arc::clone),
        ledger_entries: Some(4),
    };
    let process = LocalSet::new();
    let instance = Instance::start(settings.clone(), surroundings, &process);
    let clients = process.run_until(act(&instance, &streams, deeds, bytes)).await;
    for client in clients {
        let may_fail = backend.has_failed()
            || settings.pairing.pipelining == Pipelining::Forbid
            || settings.limits.reply == SMALL_REPLIES;
        client.check(&settings, may_fail);
    }
    process.run_until(rest(&instance, settings.links())).await;
    backend.end();
    drop(instance);
    drop(process);
    streams.end();
}

/// The clients do what they do, and hear what they are told until all of it is over.
async fn act(instance: &Instance, streams: &Arc<Streams>, deeds: &[u8], mut bytes: &[u8]) -> Vec<Client> {
    // The lanes come up.
    settle().await;
    let mut clients: [Option<Client>; CLIENTS] = Default::default();
    let connect = || {
        let (dialler, (reader, writer)) = streams.open();
        instance.open(0, reader, writer);
        Client::new(dialler)
    };
    for &deed in deeds {
        match Deed::from(deed) {
            Deed::Send(who, count) => {
                let (sent, rest) = bytes.split_at(count.min(bytes.len()));
                clients[who].get_or_insert_with(connect).send(sent);
                bytes = rest;
            }
            Deed::Finish(who) => clients[who].get_or_insert_with(connect).finish(),
            Deed::Reset(who) => clients[who].get_or_insert_with(connect).reset(),
            Deed::Wait(milliseconds) => sleep(Duration::from_millis(milliseconds)).await,
        }
        settle().await;
    }
    clients[0].get_or_insert_with(connect).send(bytes);
    settle().await;
    let mut clients: Vec<Client> = clients.into_iter().flatten().collect();
    clients.iter_mut().for_each(Client::finish);
    for client in &mut clients {
        client.hear_all().await;
    }
    clients
}

/// Everyone does what can be done without time.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// Waits until nothing is under way, and sees that nothing is left over.
async fn rest(instance: &Instance, links: usize) {
    let end = Instant::now() + QUIET;
    loop {
        let census = instance.census();
        let left = census.sessions + census.pending + census.buffered;
        if left == 0 && census.in_flight == 0 && census.lanes == links {
            return;
        }
        assert!(Instant::now() < end, "not at rest: {census:?}");
        sleep(Duration::from_millis(50)).await;
    }
}
