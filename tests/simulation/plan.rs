//! What is decided before anything happens: settings, probabilities of faults, and what befalls whom when.

use std::time::Duration;

use ttguard::config::{Pipelining, Settings, StaleReply};
use ttguard::guard::rules::{LedgerMode, Mode, Tie};
use ttguard::guard::stamp::StampFormat;
use ttguard::store::tyrant::link::HANDED_OVER_MAX;
use ttguard::transport::memory::Side;

use crate::client::{MANNERS, Manner};
use crate::network::Between;

/// Everything that is decided beforehand.
#[derive(Clone, Debug)]
pub struct Plan {
    pub settings: Settings,
    pub ledger_entries: Option<usize>,
    pub network: NetworkPlan,
    pub kernel: KernelPlan,
    pub server: ServerPlan,
    pub clients: ClientPlan,
    pub batches: BatchPlan,
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

/// What kernels may do with a connection, and do on a bad day. Times in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct KernelPlan {
    /// A read gives fewer bytes than have arrived.
    pub short_read: f64,
    /// A write takes fewer bytes than there is room for.
    pub short_write: f64,
    /// A read or a write is interrupted by a signal.
    pub interrupted: f64,
    /// A connection to the backend fails after `late` only.
    pub late_failure: f64,
    pub late: u64,
    /// A connection to the backend is reset as soon as it is open.
    pub stillborn: f64,
    /// Who ends a connection with a reset takes what has not arrived yet with it.
    pub reset_loses_sent: f64,
    /// A lane is reset for the guard by what stands between, which delivers what it has of it later.
    pub held_back: f64,
}

impl KernelPlan {
    /// What does no harm stays.
    pub fn quieten(&mut self) {
        *self = Self {
            short_read: self.short_read,
            short_write: self.short_write,
            interrupted: self.interrupted,
            ..Self::default()
        };
    }
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

/// Batches of keys that hardly anything is known of.
#[derive(Clone, Copy, Debug)]
pub struct BatchPlan {
    /// How often what a client pipelines is such a batch.
    pub chance: f64,
    /// From so many keys.
    pub keys: usize,
}

impl ClientPlan {
    /// Whether any of them may follow the update log.
    pub fn follows_log(&self) -> bool {
        let mut weights = MANNERS.iter().zip(&self.manners);
        weights.any(|(manner, weight)| *manner == Manner::Replicating && *weight > 0)
    }
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
    RestartKept {
        down: u64,
    },
    RestartEmpty {
        down: u64,
    },
    RestartOlder {
        down: u64,
    },
    Refuse {
        during: u64,
    },
    Pause {
        during: u64,
    },
    KillGuard {
        down: u64,
    },
    /// What the guard sends to the backend stands still from shortly before it is killed.
    StallAndKillGuard {
        during: u64,
    },
    DrainGuard,
    /// The guard's process stands still, while what it is sent waits before it.
    StallGuard {
        during: u64,
    },
}

impl Plan {
    /// Lanes that each worker may have: one for each link, and those that have handed over their place.
    pub fn lanes_max(&self) -> usize {
        self.settings.links() + self.settings.lanes * HANDED_OVER_MAX
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
        plan.kernel = KernelPlan::default();
        plan.server.quieten();
        plan.batches.chance = 0.0;
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
    /// Nothing happens to what travels.
    pub fn quieten(&mut self) {
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
    /// The backend does as it is told.
    pub fn quieten(&mut self) {
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
