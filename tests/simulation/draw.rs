//! What a seed decides.

use std::hash::Hasher;
use std::time::Duration;

use fastrand::Rng;
use siphasher::sip::SipHasher13;
use ttguard::access::Access;
use ttguard::config::{Pipelining, Settings, SharedPuts, StaleReply};
use ttguard::guard::rules::{ExtMeaning, LedgerMode, Mode, Tie};
use ttguard::guard::stamp::{StampFormat, Unit};

use crate::plan::{
    BatchPlan, Blow, ClientPlan, ClockPlan, Database, KernelPlan, MAPPED, NetworkPlan, Plan, ServerPlan,
};

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
            kernel: kernel(&mut stream("kernel")),
            server: server(&mut stream("server")),
            clients: clients(&mut stream("clients")),
            batches: batches(&mut stream("batches")),
            database: database(&mut stream("database")),
            clock: clock(&mut stream("clock"), duration),
            calm: stream("calm").u8(..10) == 0,
            duration,
            blows: blows(&mut stream("blows"), duration),
            wound: None,
            script: Vec::new(),
        };
        modes(&mut stream("modes"), &mut plan.settings);
        plan.settings.shared_puts = pick(&mut stream("shared puts"), &[SharedPuts::Off, SharedPuts::All]);
        if stream("hand overs").u8(..3) == 0 {
            // Whatever does not come in one piece holds up others.
            plan.settings.bulk_size = 1;
        }
        plan.bound_zombies(&mut stream("zombies"));
        plan.blows.extend(stalls(&mut stream("stalls"), duration));
        plan.blows.sort_by_key(|(at, _)| *at);
        if plan.calm {
            plan.network.quieten();
            plan.kernel.quieten();
            plan.server.quieten();
            // Connections of their own, to follow the log for one, keep a thread each: the lanes have others.
            plan.server.threads += plan.settings.workers * plan.settings.limits.slow_connections;
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
        self.settings.pairing.start_hold = milliseconds(random, &[100, 200, 400]);
        let is_restarted = |(_, blow): &(u64, Blow)| {
            matches!(
                blow,
                Blow::KillGuard { .. } | Blow::StallAndKillGuard { .. } | Blow::DrainGuard
            )
        };
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
            match blow {
                Blow::Pause { during } => *during = (*during).min(most / 3),
                Blow::StallAndKillGuard { during } => *during = (*during).min(most * 2 / 3),
                _ => {}
            }
        }
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
        primed_lanes: pick(random, &[0, 1, 4]),
        stale_reply: StaleReply::Error,
        verify_reads: random.bool(),
        claim: false,
        ..Settings::default()
    };
    // Some clients follow the update log.
    settings.listeners[0].access = Access::OPEN;
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
    settings.bulk_lanes = pick(random, &[0, 1, 2]);
    // Values of the simulation are small.
    settings.bulk_size = pick(random, &[20, 40, 1000]);
    settings.pairing.fail_fast_after = milliseconds(random, &[0, 30, 1000]);
    settings.pairing.frame_deadline = milliseconds(random, &[150, 1000]);
    settings.limits.heavy_rate = pick(random, &[0, 4096]);
    settings.limits.idle_timeout = milliseconds(random, &[0, 0, 300]);
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

fn kernel(random: &mut Rng) -> KernelPlan {
    KernelPlan {
        short_read: chance(random, 0.3),
        short_write: chance(random, 0.3),
        interrupted: chance(random, 0.1),
        late_failure: chance(random, 0.3),
        late: pick(random, &[30, 150, 500]),
        stillborn: chance(random, 0.2),
        reset_loses_sent: chance(random, 0.8),
        held_back: chance(random, 0.05),
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

fn batches(random: &mut Rng) -> BatchPlan {
    BatchPlan {
        chance: chance(random, 1.0),
        keys: pick(random, &[8, 40, 150]),
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

fn stalls(random: &mut Rng, duration: u64) -> Vec<(u64, Blow)> {
    let count = pick(random, &[0, 0, 1, 2]);
    let stall = |random: &mut Rng| Blow::StallGuard {
        during: pick(random, &[5, 50, 200, 800]),
    };
    (0..count).map(|_| (random.u64(0..duration), stall(random))).collect()
}

fn blow(random: &mut Rng) -> Blow {
    let down = pick(random, &[0, 20, 300]);
    let during = pick(random, &[20, 100, 500, 1500]);
    match random.u8(..11) {
        0 => Blow::RestartKept { down },
        1 => Blow::RestartEmpty { down },
        2 => Blow::RestartOlder { down },
        3 => Blow::Refuse { during },
        4 | 5 => Blow::Pause { during },
        6 | 7 => Blow::KillGuard { down },
        8 | 9 => Blow::StallAndKillGuard { during },
        _ => Blow::DrainGuard,
    }
}
