//! Every metric of ttguard: name, help, unit, labels and handle, in one table.
//!
//! A handle is made once, when [`Metrics`] is made, and found by array index afterwards, never by
//! a string:
//!
//! ```
//! use ttguard::command::Verb;
//! use ttguard::metrics::{Metrics, Outcome};
//!
//! let metrics = Metrics::new(&["bad magic", "size too large"]);
//! metrics.requests.of(Verb::Put, Outcome::Answered).increment(1);
//! metrics.request_faults.of(1).increment(1);
//! metrics.sessions.increment(1);
//! metrics.request_seconds.record(std::time::Duration::from_millis(3));
//! assert!(metrics.render().contains("ttguard_sessions 1\n"));
//! ```
//!
//! There is no global recorder, so that several proxies can live in one process and each counts
//! its own. The one exception is `process_*`, which describes the whole process.

pub mod family;
pub mod histogram;
pub mod label;
mod registry;
mod render;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::metrics::{Counter, Gauge, Histogram, Unit};

pub use family::{By, Family, Grid, Kind, Listed};
pub use label::{
    CloseReason, ConnectOutcome, FenceOutcome, FenceReason, Judged, Label, LookupCause, Observed, Outcome, RetryKind,
    Version, WaitCause,
};
use registry::Registry;

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
const LATENCY: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0,
    10.0, 30.0, 60.0,
];

/// 1 millisecond to a day: from packets that overtook each other to clients that woke up.
const AGE: &[f64] = &[
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
    requests: Grid<Counter, crate::command::Verb, Outcome> = "requests_total", Count,
        "Requests by command and by how they ended.";
    request_faults: Listed<Counter> = "request_faults_total", Count,
        "Requests that could not be decoded, by fault; each ended its session.";
    request_seconds: Histogram = "request_seconds", Seconds,
        "Time from a whole request read to its answer queued.", LATENCY;

    verdicts: By<Counter, Judged> = "verdicts_total", Count,
        "Records judged by the timestamp guard, by verdict.";
    observed: By<Counter, Observed> = "observed_total", Count,
        "Records let through in observe mode that enforce mode would have refused, by reason.";
    denied: By<Counter, crate::command::Verb> = "denied_total", Count,
        "Requests that a listener's allow and deny do not admit, by command.";
    stale_age: Histogram = "stale_age_seconds", Seconds,
        "How much older than the stored stamp a refused write was.", AGE;

    sessions: Gauge = "sessions", Count,
        "Client connections open now.";
    sessions_opened: Counter = "sessions_opened_total", Count,
        "Client connections accepted.";
    sessions_closed: By<Counter, CloseReason> = "sessions_closed_total", Count,
        "Client connections ended, by reason.";
    slow_connections: Gauge = "slow_connections", Count,
        "Backend connections open now that carry one slow command each.";
    buffered: Gauge = "buffered_bytes", Bytes,
        "Bytes held in the buffers of sessions and lanes.";

    backend_seconds: Histogram = "backend_seconds", Seconds,
        "Time from a request written to a lane to its answer read.", LATENCY;
    lanes: Gauge = "lanes", Count,
        "Pipelined backend connections that are up.";
    lanes_connecting: Gauge = "lanes_connecting", Count,
        "Lanes that are being connected now.";
    lane_connects: By<Counter, ConnectOutcome> = "lane_connects_total", Count,
        "Attempts to connect a lane, by outcome.";
    lanes_fenced: By<Counter, FenceReason> = "lanes_fenced_total", Count,
        "Lanes taken out of service, by reason.";
    fences: By<Counter, FenceOutcome> = "fences_total", Count,
        "Fences that are over, by outcome.";
    in_flight: Gauge = "in_flight", Count,
        "Requests sent on lanes and not answered yet.";
    waits: By<Counter, WaitCause> = "waits_total", Count,
        "Requests that had to wait before they were sent, by cause.";
    retries: By<Counter, RetryKind> = "retries_total", Count,
        "Requests sent on another lane after theirs was fenced, by kind.";

    lookups: By<Counter, LookupCause> = "lookups_total", Count,
        "Keys read back from the backend before a verdict, by cause.";
    ledger_entries: Gauge = "ledger_entries", Count,
        "Keys whose newest stamp the ledger holds.";
    ledger_bytes: Gauge = "ledger_bytes", Bytes,
        "Memory that the ledger holds.";
    ledger_evicted: Counter = "ledger_evicted_total", Count,
        "Entries that the ledger gave up to stay within its memory.";
    horizon_age: Gauge = "horizon_age_seconds", Seconds,
        "Now minus the ledger's horizon: negative while the horizon lies ahead, as after a start.";
    pending_keys: Gauge = "pending_keys", Count,
        "Keys with a write in flight or of unknown outcome.";

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
        metrics
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
