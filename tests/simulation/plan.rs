//! What the seed decides before anything happens: settings, probabilities of faults, and what befalls whom when.

use std::time::Duration;

use fastrand::Rng;
use ttguard::config::{Pipelining, Settings, StaleReply};
use ttguard::guard::rules::{LedgerMode, Tie};
use ttguard::transport::memory::Side;

use crate::network::Between;

/// Everything that is decided beforehand.
#[derive(Clone, Debug)]
pub struct Plan {
    pub settings: Settings,
    pub ledger_entries: Option<usize>,
    pub network: NetworkPlan,
    pub server: ServerPlan,
    pub clients: ClientPlan,
    /// Faults stop after so many milliseconds.
    pub duration: u64,
    /// What befalls the backend and the guard, and when.
    pub blows: Vec<(u64, Blow)>,
    /// One fault at one byte, in small worlds.
    pub wound: Option<Wound>,
    /// What each client asks, in small worlds; otherwise they make it up.
    pub script: Vec<Vec<Line>>,
}

/// What a client of a small world asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A put of this stamp, in milliseconds after the start.
    Put(u64),
    /// The same without an answer.
    PutSilently(u64),
    /// Two keys in one list.
    PutList(u64),
    Out,
    Get,
}

/// One fault at one byte.
#[derive(Clone, Copy, Debug)]
pub struct Wound {
    pub between: Between,
    /// Who wrote the byte.
    pub side: Side,
    /// Which one it is, of all that this side wrote on all such connections.
    pub at: u64,
    pub how: How,
}

/// What happens behind the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The writer ends the connection.
    Fin,
    /// The connection is reset.
    Rst,
    /// Nothing moves for longer than any deadline.
    Stall,
}

/// How bytes travel. Times in milliseconds.
#[derive(Clone, Debug)]
pub struct NetworkPlan {
    pub latency: u64,
    pub long_latency: u64,
    pub delay: f64,
    pub split: f64,
    pub lane_cut: f64,
    pub lane_stall: f64,
    pub client_cut: f64,
    pub client_stall: f64,
    pub stall: u64,
    pub lane_room: usize,
    pub client_room: usize,
}

/// How the backend misbehaves.
#[derive(Clone, Debug)]
pub struct ServerPlan {
    pub threads: usize,
    pub scheduling: u64,
    pub slow: f64,
    pub slow_for: u64,
    pub unasked: f64,
    pub wrong_code: f64,
    pub garbled: f64,
    pub early: f64,
    pub close: f64,
    pub fail: f64,
    pub stored_yet_failed: f64,
    pub silent: f64,
    pub not_tyrant: f64,
    pub continues_after_reset: bool,
}

/// How clients behave.
#[derive(Clone, Debug)]
pub struct ClientPlan {
    pub count: usize,
    pub keys: usize,
    pub pause: u64,
    /// Weights of [`crate::client::Manner`], in its order.
    pub manners: Vec<u32>,
    /// Milliseconds by which each client's clock is wrong.
    pub skew: Vec<i64>,
    pub jump: f64,
    /// Stamps are rounded down to multiples of this.
    pub grain: u64,
    pub lateness: u64,
    pub equal: f64,
    pub deletes: bool,
    pub lists: bool,
    pub unordered: bool,
    pub control: bool,
    pub large: f64,
}

/// What befalls the backend or the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    RestartKept { down: u64 },
    RestartEmpty { down: u64 },
    RestartOlder { down: u64 },
    Refuse { during: u64 },
    Pause { during: u64 },
    KillGuard { down: u64 },
    DrainGuard,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let random = &mut random;
        let duration = random.u64(800..3000);
        Self {
            settings: settings(random),
            ledger_entries: [None, Some(1), Some(3), Some(16)][random.usize(..4)],
            network: network(random),
            server: server(random),
            clients: clients(random),
            duration,
            blows: blows(random, duration),
            wound: None,
            script: Vec::new(),
        }
    }

    /// A small world without any fault: two workers, one lane each, and clients that ask what the script says.
    pub fn small(script: &[&[Line]], ledger: LedgerMode) -> Self {
        let mut plan = Self::of(0);
        plan.settings = Settings {
            workers: 2,
            lanes: 1,
            ..plan.settings
        };
        plan.settings.rules.ledger = ledger;
        plan.settings.rules.tie = Tie::First;
        plan.settings.rules.future_tolerance = Duration::from_secs(300);
        plan.settings.rules.delete_tolerance = Duration::ZERO;
        plan.settings.pairing.pipelining = Pipelining::Allow;
        plan.settings.pairing.request_timeout = Duration::from_millis(60);
        plan.settings.pairing.fence_timeout = Duration::from_millis(300);
        plan.settings.pairing.start_hold = Duration::from_millis(5);
        plan.ledger_entries = Some(3);
        plan.network.quieten();
        plan.server.quieten();
        plan.clients.count = script.len();
        plan.clients.keys = 2;
        plan.clients.skew = vec![0; script.len()];
        plan.duration = 400;
        plan.blows = Vec::new();
        plan.script = script.iter().map(|lines| lines.to_vec()).collect();
        plan
    }
}

impl NetworkPlan {
    fn quieten(&mut self) {
        *self = Self {
            latency: 0,
            long_latency: 0,
            delay: 0.0,
            split: 0.0,
            lane_cut: 0.0,
            lane_stall: 0.0,
            client_cut: 0.0,
            client_stall: 0.0,
            stall: 200,
            lane_room: 65_536,
            client_room: 65_536,
        };
    }
}

impl ServerPlan {
    fn quieten(&mut self) {
        *self = Self {
            threads: 4,
            scheduling: 0,
            slow: 0.0,
            slow_for: 0,
            unasked: 0.0,
            wrong_code: 0.0,
            garbled: 0.0,
            early: 0.0,
            close: 0.0,
            fail: 0.0,
            stored_yet_failed: 0.0,
            silent: 0.0,
            not_tyrant: 0.0,
            continues_after_reset: false,
        };
    }
}

fn pick<T: Copy>(random: &mut Rng, from: &[T]) -> T {
    from[random.usize(..from.len())]
}

/// Half of all probabilities are 0, so that faults meet in all combinations.
fn chance(random: &mut Rng, greatest: f64) -> f64 {
    if random.bool() {
        0.0
    } else {
        greatest * random.f64() * random.f64()
    }
}

fn milliseconds(random: &mut Rng, from: &[u64]) -> Duration {
    Duration::from_millis(pick(random, from))
}

fn settings(random: &mut Rng) -> Settings {
    let mut settings = Settings {
        workers: pick(random, &[1, 2]),
        lanes: pick(random, &[1, 1, 2]),
        primed_lanes: pick(random, &[0, 1, 4]),
        stale_reply: StaleReply::Error,
        verify_reads: random.bool(),
        ..Settings::default()
    };
    let rules = &mut settings.rules;
    rules.tie = pick(random, &[Tie::Last, Tie::First, Tie::Greater]);
    rules.ledger = pick(random, &[LedgerMode::Inline, LedgerMode::Inline, LedgerMode::Record]);
    rules.future_tolerance = milliseconds(random, &[0, 100, 1000, 300_000]);
    rules.delete_tolerance = milliseconds(random, &[0, 100, 1000]);
    let pairing = &mut settings.pairing;
    pairing.pipelining = pick(random, &[Pipelining::Allow, Pipelining::Allow, Pipelining::Forbid]);
    pairing.request_timeout = milliseconds(random, &[60, 150, 400]);
    pairing.slow_timeout = milliseconds(random, &[200, 600]);
    pairing.fence_timeout = milliseconds(random, &[100, 300, 900]);
    pairing.start_hold = milliseconds(random, &[20, 100, 200]);
    pairing.frame_timeout = milliseconds(random, &[100, 500]);
    pairing.connect_timeout = milliseconds(random, &[50, 200]);
    let limits = &mut settings.limits;
    limits.pipeline = pick(random, &[2, 8, 1024]);
    limits.lane_queue = pick(random, &[4, 8, 16_384]);
    limits.session_backlog = pick(random, &[2_000, 64 << 20]);
    limits.slow_connections = pick(random, &[1, 8]);
    settings
}

fn network(random: &mut Rng) -> NetworkPlan {
    NetworkPlan {
        latency: pick(random, &[0, 1, 3, 8]),
        long_latency: pick(random, &[20, 60, 200]),
        delay: chance(random, 0.2),
        split: chance(random, 0.5),
        lane_cut: chance(random, 0.06),
        lane_stall: chance(random, 0.06),
        client_cut: chance(random, 0.04),
        client_stall: chance(random, 0.04),
        stall: pick(random, &[50, 200, 800, 2000]),
        lane_room: pick(random, &[24, 100, 4096, 65_536]),
        client_room: pick(random, &[16, 200, 65_536]),
    }
}

fn server(random: &mut Rng) -> ServerPlan {
    ServerPlan {
        threads: pick(random, &[1, 2, 4]),
        scheduling: pick(random, &[0, 1, 5, 30]),
        slow: chance(random, 0.1),
        slow_for: pick(random, &[10, 70, 200, 500]),
        unasked: chance(random, 0.03),
        wrong_code: chance(random, 0.1),
        garbled: chance(random, 0.03),
        early: chance(random, 0.05),
        close: chance(random, 0.04),
        fail: chance(random, 0.3),
        stored_yet_failed: chance(random, 0.2),
        silent: chance(random, 0.3),
        not_tyrant: chance(random, 0.2),
        continues_after_reset: random.bool(),
    }
}

fn clients(random: &mut Rng) -> ClientPlan {
    let count = random.usize(2..=7);
    let skew = |random: &mut Rng| match random.u8(..4) {
        0 => random.i64(-3000..3000),
        1 => random.i64(-100..100),
        _ => 0,
    };
    ClientPlan {
        count,
        keys: random.usize(1..=5),
        pause: pick(random, &[0, 2, 10, 40]),
        manners: (0..crate::client::MANNERS.len())
            .map(|manner| if manner == 0 { 8 } else { pick(random, &[0, 1, 3]) })
            .collect(),
        skew: (0..count).map(|_| skew(random)).collect(),
        jump: chance(random, 0.05),
        grain: pick(random, &[1, 1, 20, 250]),
        lateness: pick(random, &[0, 5, 50, 1000]),
        equal: chance(random, 0.5),
        deletes: random.bool(),
        lists: random.bool(),
        unordered: random.bool(),
        control: random.u8(..4) == 0,
        large: chance(random, 0.2),
    }
}

fn blows(random: &mut Rng, duration: u64) -> Vec<(u64, Blow)> {
    let count = pick(random, &[0, 0, 1, 2, 3]);
    let mut blows: Vec<_> = (0..count).map(|_| (random.u64(0..duration), blow(random))).collect();
    blows.sort_by_key(|(at, _)| *at);
    blows
}

fn blow(random: &mut Rng) -> Blow {
    let down = pick(random, &[0, 20, 300]);
    let during = pick(random, &[20, 100, 500, 1500]);
    match random.u8(..9) {
        0 => Blow::RestartKept { down },
        1 => Blow::RestartEmpty { down },
        2 => Blow::RestartOlder { down },
        3 => Blow::Refuse { during },
        4 | 5 => Blow::Pause { during },
        6 | 7 => Blow::KillGuard { down },
        _ => Blow::DrainGuard,
    }
}
