//! The JSON behind the dashboard, and what each document holds. Never a value of a record.
//!
//! - `/api/status`: [`Status`]
//! - `/api/refusals`: a list of [`refusals::Shown`], newest first
//! - `/api/clients`: a list of [`clients::Shown`], the most often refused first
//! - `/api/backends`: a list of [`Backend`]
//! - `/api/edges`: a list of [`edges::Shown`], the oldest first
//! - `/api/history/recent`, `/api/history/hour`: [`history::Shown`]
//!
//! Times are seconds since the epoch, lengths of time are seconds, sizes are bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Readiness;
use crate::command::Reason;
use crate::guard::spread::Lies;
use crate::metrics::{CloseReason, FenceReason, Intervention, Judged, Label, LookupCause, Metrics, Outcome, WaitCause};
use crate::recent::{clients, edges, history, lanes, refusals};

/// Where the documents come from. All must be quick.
pub trait Facts: Send + Sync {
    /// What is so now.
    fn status(&self) -> Status;
    /// The last refusals, newest first.
    fn refusals(&self) -> Vec<refusals::Shown>;
    /// The clients that are refused most often.
    fn clients(&self) -> Vec<clients::Shown>;
    /// The stores behind the guard.
    fn backends(&self) -> Vec<Backend>;
    /// The edges that are linked to this guard.
    fn edges(&self) -> Vec<edges::Shown>;
    /// The figures of the last minutes.
    fn recent(&self) -> history::Shown;
    /// The figures of the last hour.
    fn hour(&self) -> history::Shown;
}

/// What is so now, and what has been counted since the start.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    /// The version that runs.
    pub version: Cow<'static, str>,
    /// When this was written.
    pub now: f64,
    /// When this process started.
    pub started: f64,
    /// What `/readyz` says.
    #[serde(flatten)]
    pub readiness: Ready,
    /// Where clients connect.
    pub listeners: Vec<String>,
    /// Client connections.
    pub sessions: Sessions,
    /// What the guard remembers.
    pub ledger: Ledger,
    /// Bytes of large requests that are not received whole yet.
    pub buffered_bytes: u64,
    /// The most that there may be.
    pub buffered_max_bytes: u64,
    /// What has been counted since the start.
    pub counts: Counts,
    /// How keys are written here: `shown`, `shortened`, `hashed` or `hidden`.
    pub keys: Cow<'static, str>,
    /// The settings in force, by key with its tables in front, as `ttguard check` prints them.
    pub settings: Vec<(String, String)>,
}

/// What `/readyz` says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ready {
    /// Whether this proxy should be given traffic.
    pub ready: bool,
    /// Why not.
    pub why_not: Option<String>,
}

impl From<Readiness> for Ready {
    fn from(readiness: Readiness) -> Self {
        let why_not = match readiness {
            Readiness::Ready => None,
            Readiness::NotReady(why) => Some(why),
        };
        Self {
            ready: why_not.is_none(),
            why_not,
        }
    }
}

/// Client connections.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sessions {
    /// Open now.
    pub open: usize,
    /// Allowed at once.
    pub max: usize,
}

/// What the guard remembers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ledger {
    /// Keys remembered.
    pub entries: usize,
    /// Most keys that may be remembered.
    pub entries_max: usize,
    /// Memory that it takes.
    pub bytes: u64,
    /// Most memory that it may take.
    pub bytes_max: u64,
    /// Keys given up for want of room, since the start.
    pub evicted: u64,
    /// Now minus the horizon: negative while it lies ahead, as after a start.
    pub horizon_age_seconds: f64,
    /// Keys with a write in flight or of unknown outcome.
    pub pending_keys: usize,
}

/// What has been counted since the start, each by the values of its label.
#[derive(Debug, Serialize, Deserialize)]
pub struct Counts {
    /// Requests, by how they ended.
    pub requests: Tally,
    /// Records judged, by verdict.
    pub verdicts: Tally,
    /// Records that observe mode let through, by the reason to refuse them.
    pub observed: Tally,
    /// What the pairing guard did, by rule.
    pub interventions: Tally,
    /// Sessions ended, by reason.
    pub sessions_closed: Tally,
    /// Lanes taken out of service, by reason.
    pub lanes_fenced: Tally,
    /// Keys read back, by cause.
    pub lookups: Tally,
    /// Values judged, by where the digits at their head lie as a stamp.
    #[serde(default)]
    pub stamps: Tally,
    /// Requests that waited, by cause.
    pub waits: Tally,
}

/// A number for each value of a label.
pub type Tally = BTreeMap<Cow<'static, str>, u64>;

impl Counts {
    /// What has been counted so far.
    pub fn of(metrics: &Metrics) -> Self {
        Self {
            requests: tally::<Outcome>(metrics, "ttguard_requests_total"),
            verdicts: tally::<Judged>(metrics, "ttguard_verdicts_total"),
            observed: tally::<Reason>(metrics, "ttguard_observed_total"),
            interventions: tally::<Intervention>(metrics, "ttguard_pairing_interventions_total"),
            sessions_closed: tally::<CloseReason>(metrics, "ttguard_sessions_closed_total"),
            lanes_fenced: tally::<FenceReason>(metrics, "ttguard_lanes_fenced_total"),
            lookups: tally::<LookupCause>(metrics, "ttguard_lookups_total"),
            stamps: tally::<Lies>(metrics, "ttguard_stamps_total"),
            waits: tally::<WaitCause>(metrics, "ttguard_waits_total"),
        }
    }
}

fn tally<L: Label>(metrics: &Metrics, row: &str) -> Tally {
    let count = |value: &L| (value.as_str().into(), metrics.count(row, &[value.as_str()]));
    L::ALL.iter().map(count).collect()
}

/// A store behind the guard.
#[derive(Debug, Serialize, Deserialize)]
pub struct Backend {
    /// Where it is.
    pub url: String,
    /// `up`, `degraded` where some lanes are down, `down` where all are; of a guard that an edge does not need now
    /// `standby`.
    pub state: Cow<'static, str>,
    /// Lanes that are up.
    pub lanes_up: usize,
    /// Lanes that should be.
    pub lanes_wanted: usize,
    /// Requests without an answer.
    pub in_flight: i64,
    /// Its lanes, as they were a second ago at most.
    pub lanes: Vec<lanes::Shown>,
}
