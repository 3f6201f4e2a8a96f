//! Every metric of ttguard: name, help, unit, labels and handle, in one table.
//!
//! A handle is made once, when [`Metrics`] is made, and found by array index afterwards, never by
//! a string:
//!
//! ```
//! use ttguard::command::Verb;
//! use ttguard::metrics::{Metrics, Outcome};
//! use ttguard::protocol::Protocol;
//!
//! let metrics = Metrics::new(&["bad magic", "size too large"]);
//! metrics.requests.of(Protocol::Binary, Verb::Put, Outcome::Answered).increment(1);
//! metrics.request_faults.of(1).increment(1);
//! metrics.sessions.increment(1);
//! let seconds = metrics.request_seconds.of(Protocol::Binary, Verb::Put);
//! seconds.record(std::time::Duration::from_millis(3));
//! assert!(metrics.render().contains("ttguard_sessions 1\n"));
//! ```
//!
//! There is no global recorder, so that several proxies can live in one process and each counts
//! its own. The one exception is `process_*`, which describes the whole process.

mod counter;
pub mod family;
pub mod histogram;
pub mod label;
mod registry;
mod render;
mod shard;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::metrics::{Counter, Gauge, Histogram, Unit};

pub use family::{By, Cube, Family, Grid, Kind, Listed};
pub use histogram::Snapshot;
pub use label::{
    Alarm, Carried, Certificate, ClaimChange, CloseReason, ConnectOutcome, FenceOutcome, FenceReason, Intervention,
    Judged, KeyWait, Label, LookupCause, NameOutcome, Outcome, Reload, RetryKind, Side, Version, WaitCause,
};
use registry::Registry;

use crate::command::Reason;
use crate::command::Verb;
use crate::guard::spread::Lies;
use crate::protocol::Protocol;

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The name as it is scraped, with prefix, unit and `_total`.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// What the number counts, in base units.
    pub unit: Unit,
    /// The names of the labels, in their order.
    pub labels: &'static [&'static str],
    /// One sentence for people.
    pub help: &'static str,
    /// The upper bounds of a histogram's buckets, rising, in `unit`; empty for all others.
    pub buckets: &'static [f64],
}

/// 50 microseconds to a minute; 2 s is an edge because it is the default deadline.
pub const LATENCY: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0,
    10.0, 30.0, 60.0,
];

/// 1 millisecond to a day: from packets that overtook each other to clients that woke up.
pub const AGE: &[f64] = &[
    0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0,
];

/// Turns the table into the struct of handles, its constructor and [`TABLE`].
macro_rules! table {
    ($($field:ident: $family:ty = $name:literal, $unit:ident, $help:literal $(, $buckets:ident)?;)*) => {
        /// Every row, in the order of the source.
        pub const TABLE: &[Row] = &[$(Row {
            name: concat!("ttguard_", $name),
            kind: <$family as Family>::KIND,
            unit: Unit::$unit,
            labels: <$family as Family>::LABELS,
            help: $help,
            buckets: { let buckets: &[f64] = &[]; $(let buckets = { let _ = buckets; $buckets };)? buckets },
        }),*];

        /// The handles of one proxy's metrics, one field for each row of [`TABLE`].
        ///
        /// Share it in an `Arc`. To count is an array index and an atomic add; where a batch is at
        /// hand, count in plain integers and add once.
        pub struct Metrics {
            $(#[doc = $help] pub $field: $family,)*
            registry: Registry,
        }

        impl Metrics {
            fn register(mut registry: Registry) -> Self {
                let mut rows = TABLE.iter();
                let mut row = || rows.next().expect("a row for each field");
                Self {
                    $($field: <$family>::register(&mut registry, row()),)*
                    registry,
                }
            }
        }
    };
}

table! {
    requests: Cube<Counter, Protocol, Verb, Outcome> = "requests_total", Count,
        "Requests by protocol, command and how they ended; all but those closed were given what they were owed.";
    request_faults: Listed<Counter> = "request_faults_total", Count,
        "Requests that could not be decoded, by fault; each ended its session, but for most of unknown_verb.";
    request_seconds: Grid<Histogram, Protocol, Verb> = "request_seconds", Seconds,
        "Time from a whole request read to its answer queued, by protocol and command.", LATENCY;
    request_bytes: Grid<Counter, Protocol, Verb> = "request_bytes_total", Bytes,
        "Bytes of whole requests read from clients, by protocol and command.";
    reply_bytes: Grid<Counter, Protocol, Verb> = "reply_bytes_total", Bytes,
        "Bytes of replies queued for clients, by protocol and command.";

    verdicts: Grid<Counter, Judged, Protocol> = "verdicts_total", Count,
        "Records judged by the timestamp guard, by verdict and protocol.";
    observed: Grid<Counter, Reason, Protocol> = "observed_total", Count,
        "Records let through in observe mode that enforce mode would have refused, by reason and protocol.";
    denied: By<Counter, Verb> = "denied_total", Count,
        "Requests that a listener's allow and deny do not admit, by command.";
    stale_age: Histogram = "stale_age_seconds", Seconds,
        "How much older than the stored stamp a stale write was, refused or only observed.", AGE;
    stamp_offset: By<Histogram, Side> = "stamp_offset_seconds", Seconds,
        "How far from our clock the stamp of a judged write was, by the side on which it lies.", AGE;
    stamps: By<Counter, Lies> = "stamps_total", Count,
        "Values judged, by where the digits at their head lie as a stamp, seen from our clock: nowhere where there are none.";

    sessions: Gauge = "sessions", Count,
        "Client connections open now.";
    sessions_max: Gauge = "sessions_max", Count,
        "Client connections that there may be at once: those that the settings allow, or fewer where descriptors are short.";
    sessions_opened: Counter = "sessions_opened_total", Count,
        "Client connections accepted; those over a limit are closed again, with reason limit or client_limit.";
    heavy_pauses: Counter = "heavy_pauses_total", Count,
        "Pauses of sessions that move many bytes, for the sake of those that move few.";
    sessions_closed: By<Counter, CloseReason> = "sessions_closed_total", Count,
        "Client connections ended, by reason.";
    worker_stalls: Counter = "worker_stalls_total", Count,
        "Times that a worker was kept from its sockets for long; what waited too long for that was reset.";
    worker_delay: Histogram = "worker_delay_seconds", Seconds,
        "How late each beat of a worker came, some of them a second: for so long it was kept from its sockets.", LATENCY;
    edges: Gauge = "edges", Count,
        "Links of edges that are open now, each one of the client connections.";
    edge_clients: Gauge = "edge_clients", Count,
        "Clients of edges that have connected there now.";
    link_round_trip: Gauge = "link_round_trip_seconds", Seconds,
        "The shortest of the last round trips from this edge to its guard; 0 where it is no edge, or not linked.";
    link_clock_offset: Gauge = "link_clock_offset_seconds", Seconds,
        "How far the guard's clock was ahead of this edge's then.";
    stamp_max_offset: Gauge = "stamp_max_offset_seconds", Seconds,
        "How far that may be, as stamp.max_offset says, where this edge gives stamps; 0 where it gives none.";
    link_faults: Counter = "link_faults_total", Count,
        "Links of edges that ended since what the edge said could not be read, or must not be said.";
    slow_connections: Gauge = "slow_connections", Count,
        "Slow commands under way now, each on a backend connection of its own, or a thread where the store is in this process.";
    buffered: Gauge = "buffered_bytes", Bytes,
        "Bytes that requests without an answer, buffers and answers that clients have not taken hold, of all sessions and lanes.";
    buffered_max: Gauge = "buffered_max_bytes", Bytes,
        "Bytes that limits.buffer_memory allows to be held.";

    interventions: By<Counter, Intervention> = "pairing_interventions_total", Count,
        "Sessions reset and lanes given up so that no client is given the answer to another question, by rule.";

    alarms: By<Counter, Alarm> = "alarms_total", Count,
        "What must never happen and did, by alarm; the log says more.";

    backend_requests: Grid<Counter, Verb, Carried> = "backend_requests_total", Count,
        "Requests sent to the backend, or carried out by the embedded store, by command and outcome.";
    backend_seconds: By<Histogram, Verb> = "backend_seconds", Seconds,
        "Time from a request queued for the backend to its answer read, by command.", LATENCY;
    backend_request_bytes: By<Counter, Verb> = "backend_request_bytes_total", Bytes,
        "Bytes of requests queued for the backend, by command.";
    backend_reply_bytes: By<Counter, Verb> = "backend_reply_bytes_total", Bytes,
        "Bytes of answers read from the backend, by command.";
    lanes: Gauge = "lanes", Count,
        "Pipelined backend connections that are up.";
    lanes_down: Gauge = "lanes_down", Count,
        "Pipelined backend connections that should be up and are not.";
    lane_connects: By<Counter, ConnectOutcome> = "lane_connects_total", Count,
        "Attempts to connect a lane, the first and again, by outcome.";
    lane_reconnects: Counter = "lane_reconnects_total", Count,
        "Lanes that came up in the place of one that was given up.";
    lane_hand_overs: Counter = "lane_hand_overs_total", Count,
        "Lanes whose place another one took, since others waited behind something large.";
    name_resolutions: By<Counter, NameOutcome> = "name_resolutions_total", Count,
        "Look-ups of the backend's name, by outcome; none where it is an address.";
    backend_moves: Counter = "backend_moves_total", Count,
        "Times that all connections moved to another address of the backend's name.";
    lanes_fenced: By<Counter, FenceReason> = "lanes_fenced_total", Count,
        "Lanes taken out of service, by reason.";
    fences: By<Counter, FenceOutcome> = "fences_total", Count,
        "Fences that are over, by outcome.";
    in_flight: Gauge = "in_flight", Count,
        "Requests put on lanes and not answered yet.";
    lane_queue: Gauge = "lane_queue_requests", Count,
        "The most requests that any lane held, a second ago at most; see limits.lane_queue.";
    lane_unsent: Gauge = "lane_unsent_bytes", Bytes,
        "Bytes queued on lanes and not written yet, a second ago at most.";
    waits: By<Counter, WaitCause> = "waits_total", Count,
        "Requests that had to wait before they were sent, by cause.";
    wait_seconds: By<Histogram, KeyWait> = "wait_seconds", Seconds,
        "How long requests waited for the word of the timestamp guard, by cause.", LATENCY;
    retries: By<Counter, RetryKind> = "retries_total", Count,
        "Requests sent again, by kind: on another lane after theirs was fenced, apart from those they shared one with that failed, or because there was no room for their answer.";

    lookups: By<Counter, LookupCause> = "lookups_total", Count,
        "Keys read back from the backend before a verdict, by cause.";
    ledger_entries: Gauge = "ledger_entries", Count,
        "Keys whose newest stamp the ledger holds.";
    ledger_bytes: Gauge = "ledger_bytes", Bytes,
        "Memory that the ledger holds.";
    ledger_max: Gauge = "ledger_max_bytes", Bytes,
        "Memory that the settings allow the ledger.";
    ledger_evicted: Counter = "ledger_evicted_total", Count,
        "Entries that the ledger gave up to stay within its memory.";
    horizon_age: Gauge = "horizon_age_seconds", Seconds,
        "Now minus the ledger's horizon: negative while the horizon lies ahead, as after a start.";
    pending_keys: Gauge = "pending_keys", Count,
        "Keys with a write in flight or of unknown outcome.";

    config_reloads: By<Counter, Reload> = "config_reloads_total", Count,
        "Times that the settings were read again while running, by outcome.";
    config_applied: Gauge = "config_applied_timestamp_seconds", Seconds,
        "When the settings in force were read, in seconds since the epoch.";
    edge: Gauge = "edge", Count,
        "1 where this process is an edge, which has guards judge for it, 0 where it judges itself.";
    claim_held: Gauge = "claim_held", Count,
        "1 while this process may write to the store, as far as the store's claim goes.";
    claim_epoch: Gauge = "claim_epoch", Count,
        "The epoch of the store's claim, while this process holds it; 0 where there is none.";
    claim_changes: By<Counter, ClaimChange> = "claim_changes_total", Count,
        "What became of the store's claim, as this process has seen it.";
    certificate_expiry: By<Gauge, Certificate> = "certificate_expiry_timestamp_seconds", Seconds,
        "When the first certificate that is shown ends, or the last authority that is trusted, in seconds since the epoch; 0 where there is none.";
    certificate_reloads: By<Counter, Reload> = "certificate_reloads_total", Count,
        "Times that files of TLS had changed and were taken up by themselves, or refused, by outcome.";
    predecessor_overdue: Gauge = "predecessor_overdue", Count,
        "1 while the process that this one takes over from has not ended in the time that an orderly end may take.";
    build_info: By<Gauge, Version> = "build_info", Count,
        "Always 1; the label says which version runs.";
    start_time: Gauge = "start_time_seconds", Seconds,
        "When this proxy started, in seconds since the epoch.";
}

impl Metrics {
    /// Makes every handle, all at zero, with `faults` as the values of `request_faults_total{fault}`.
    ///
    /// The order of `faults` is that of the index given to `request_faults.of`.
    pub fn new(faults: &[&'static str]) -> Self {
        let metrics = Self::register(Registry::new(faults));
        metrics.build_info.of(Version::Running).set(1.0);
        metrics.start_time.set(since_epoch(SystemTime::now()));
        metrics.config_applied.set(since_epoch(SystemTime::now()));
        metrics
    }

    /// As [`Self::render`], but only the series that are not 0, without buckets, without `process_*`: for whoever reads
    /// the numbers of very many proxies.
    pub fn render_moved(&self) -> String {
        self.registry.render_moved()
    }

    /// The settings were read again: counts it, and when they are in force takes note of the time.
    pub fn reloaded(&self, outcome: Reload) {
        self.config_reloads.of(outcome).increment(1);
        if outcome == Reload::Applied {
            self.config_applied.set(since_epoch(SystemTime::now()));
        }
    }

    /// Takes note of when certificates end, as times since the epoch.
    pub fn expires(&self, certificate: Certificate, end: Option<Duration>) {
        let end = end.unwrap_or_default().as_secs_f64();
        self.certificate_expiry.of(certificate).set(end);
    }

    /// The sum of the counters of this row of [`TABLE`] that have all these label values.
    pub fn count(&self, name: &str, labels: &[&str]) -> u64 {
        self.registry.count(name, labels)
    }

    /// The sum of all histograms of this row of [`TABLE`].
    pub fn measured(&self, name: &str) -> Snapshot {
        self.registry.measured(name)
    }

    /// Everything in the Prometheus text format (version 0.0.4), in a stable order.
    ///
    /// Reads a few files of `/proc`; a gauge that mirrors state is as fresh as it was last set.
    pub fn render(&self) -> String {
        self.registry.render()
    }
}

/// Seconds, with a fraction. A clock before 1970 reads as 0.
fn since_epoch(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}

#[cfg(test)]
mod tests;
