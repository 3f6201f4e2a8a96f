//! What the seed decides before anything happens: settings, probabilities of faults, and what befalls whom when.

use std::hash::Hasher;
use std::time::Duration;

use fastrand::Rng;
use siphasher::sip::SipHasher13;
use ttguard::config::{Pipelining, Settings, StaleReply};
use ttguard::guard::rules::{ExtMeaning, LedgerMode, Mode, Tie};
use ttguard::guard::stamp::{StampFormat, Unit};
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
    pub database: Database,
    pub clock: ClockPlan,
    /// Neither network nor backend does any harm, so that the checker can say exactly what must come out.
    pub calm: bool,
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
    /// `ext`, where unordered changes are made at all.
    pub scripts: bool,
}

/// The script function that stands for a guarded put, where one is mapped.
pub const MAPPED: &str = "put_ts";

/// What the backend keeps, as its `stat` says. In a table, values stand for columns; in a fixed-length database, keys
/// stand for numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Database {
    #[default]
    Hash,
    /// `misc putlist` adds duplicates.
    Tree,
    /// Holds no record that keeps a stamp.
    Table,
    /// As a table; there the name of a hidden record is the number of another one.
    Fixed,
}

impl Database {
    /// The type that `stat` says.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hash => "on-memory hash",
            Self::Tree => "B+ tree",
            Self::Table => "table",
            Self::Fixed => "fixed-length",
        }
    }

    /// Whether a stamp can have a record of its own.
    pub fn keeps_records(self) -> bool {
        matches!(self, Self::Hash | Self::Tree)
    }
}

/// How the guard's own clock is wrong. Milliseconds.
#[derive(Clone, Debug)]
pub struct ClockPlan {
    /// By how much, for each guard process in turn.
    pub skew: Vec<i64>,
    /// When it jumps, and how far.
    pub jumps: Vec<(u64, i64)>,
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
    ///
    /// Each group draws from a stream of its own: a field more in one of them, and the seeds mean for all others what
    /// they meant before. What is new goes to the end of its group, or into a group of its own.
    pub fn of(seed: u64) -> Self {
        let stream = |group: &str| stream(seed, group);
        let duration = stream("duration").u64(800..3000);
        let mut plan = Self {
            settings: settings(&mut stream("settings")),
            ledger_entries: pick(&mut stream("ledger"), &[None, Some(1), Some(3), Some(16)]),
            network: network(&mut stream("network")),
            server: server(&mut stream("server")),
            clients: clients(&mut stream("clients")),
            database: database(&mut stream("database")),
            clock: clock(&mut stream("clock"), duration),
            calm: stream("calm").u8(..10) == 0,
            duration,
            blows: blows(&mut stream("blows"), duration),
            wound: None,
            script: Vec::new(),
        };
        modes(&mut stream("modes"), &mut plan.settings);
        plan.bound_zombies(&mut stream("zombies"));
        if plan.calm {
            plan.network.quieten();
            plan.server.quieten();
            plan.blows.clear();
        }
        plan
    }

    /// In most seeds no write is carried out later than the guard is told to wait for it: what stands still, stands
    /// still for less than its fences and its hold after a start.
    fn bound_zombies(&mut self, random: &mut Rng) {
        if random.u8(..8) == 0 {
            return;
        }
        self.settings.pairing.fence_timeout = milliseconds(random, &[400, 900, 2000]);
        self.settings.pairing.start_hold = milliseconds(random, &[100, 200, 300]);
        let is_restarted = |(_, blow): &(u64, Blow)| matches!(blow, Blow::KillGuard { .. } | Blow::DrainGuard);
        let mut most = self.settings.pairing.fence_timeout;
        if self.blows.iter().any(is_restarted) {
            most = most.min(self.settings.pairing.start_hold);
        }
        let most = most.as_millis() as u64;
        self.network.stall = self.network.stall.min(most / 3);
        self.network.long_latency = self.network.long_latency.min(most / 6);
        self.server.slow_for = self.server.slow_for.min(most / 8);
        self.server.scheduling = self.server.scheduling.min(most / 20);
        for (_, blow) in &mut self.blows {
            if let Blow::Pause { during } = blow {
                *during = (*during).min(most / 3);
            }
        }
    }

    /// A small world without any fault: two workers, one lane each, and clients that ask what the script says.
    pub fn small(script: &[&[Line]], ledger: LedgerMode) -> Self {
        let mut plan = Self::of(0);
        plan.database = Database::Hash;
        plan.clock = ClockPlan {
            skew: vec![0],
            jumps: Vec::new(),
        };
        plan.settings = Settings {
            workers: 2,
            lanes: 1,
            ..plan.settings
        };
        plan.settings.stale_reply = StaleReply::Error;
        plan.settings.rules.mode = Mode::Enforce;
        plan.settings.rules.stamp = StampFormat::default();
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

/// The random numbers of one group of a seed.
fn stream(seed: u64, group: &str) -> Rng {
    let mut hasher = SipHasher13::new();
    hasher.write_u64(seed);
    hasher.write(group.as_bytes());
    Rng::with_seed(hasher.finish())
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
        scripts: random.bool(),
    }
}

fn database(random: &mut Rng) -> Database {
    match random.u8(..8) {
        0 | 1 => Database::Tree,
        2 => Database::Table,
        3 => Database::Fixed,
        _ => Database::Hash,
    }
}

/// What the operator may have decided, beyond numbers.
fn modes(random: &mut Rng, settings: &mut Settings) {
    if random.u8(..8) == 0 {
        settings.rules.mode = Mode::Observe;
    }
    if random.u8(..4) == 0 {
        settings.stale_reply = StaleReply::Ok;
    }
    if random.u8(..6) == 0 {
        settings.rules.stamp = StampFormat::new(13, Unit::Opaque).expect("a width in range");
    }
    if random.bool() {
        settings.rules.ext.insert(MAPPED.to_owned(), ExtMeaning::Put);
    }
}

fn clock(random: &mut Rng, duration: u64) -> ClockPlan {
    let wrong = |random: &mut Rng| match random.u8(..3) {
        0 => random.i64(-3000..3000),
        1 => random.i64(-100..100),
        _ => 0,
    };
    let is_right = random.u8(..3) > 0;
    let skew = (0..4).map(|_| if is_right { 0 } else { wrong(random) }).collect();
    let count = pick(random, &[0, 0, 0, 1, 2]);
    let mut jumps: Vec<_> = (0..count)
        .map(|_| (random.u64(0..duration), random.i64(-3000..3000)))
        .collect();
    jumps.sort_by_key(|(at, _)| *at);
    ClockPlan { skew, jumps }
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
