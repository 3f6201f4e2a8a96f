//! The lanes of all workers, as each worker last told.

use std::borrow::Cow;
use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// A place for a lane as `/api/backends` tells it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// The worker that it belongs to, from 0.
    pub worker: usize,
    /// Its place among the worker's, from 0.
    pub link: usize,
    /// Whether it carries large values alone.
    pub bulk: bool,
    /// `up` or `down`.
    pub state: Cow<'static, str>,
    /// For how many seconds it has been up, or down.
    pub for_seconds: f64,
    /// The lane's number in the log, while one is up.
    pub lane: Option<u64>,
    /// Requests that it holds: queued or unanswered.
    pub requests: usize,
    /// Bytes that are not written yet.
    pub unsent_bytes: usize,
    /// Lanes that came up here since the start.
    pub connected: u64,
    /// Lanes that are given up, and whose end at the backend is awaited.
    pub fencing: usize,
    /// Why the last one was given up, or why it cannot connect.
    pub last_fault: Option<String>,
    /// The guard that it leads to, where it is a link of an edge's that is up.
    #[serde(default)]
    pub guard: Option<String>,
    /// The shortest of the last round trips to that.
    #[serde(default)]
    pub round_trip_seconds: Option<f64>,
    /// How far that one's clock was ahead then.
    #[serde(default)]
    pub clock_offset_seconds: Option<f64>,
}

/// What all workers have told.
#[derive(Debug, Default)]
pub struct Lanes(Mutex<BTreeMap<usize, Vec<Shown>>>);

impl Lanes {
    /// What this worker's lanes are like now.
    pub fn tell(&self, worker: usize, lanes: Vec<Shown>) {
        self.0.lock().insert(worker, lanes);
    }

    /// All lanes, by worker and place.
    pub fn all(&self) -> Vec<Shown> {
        self.0.lock().values().flatten().cloned().collect()
    }

    /// The shortest round trip to the guard of an edge, and how far that one's clock is ahead, in seconds.
    pub fn round_trip(&self) -> Option<(f64, f64)> {
        let workers = self.0.lock();
        let trips = workers
            .values()
            .flatten()
            .filter_map(|lane| Some((lane.round_trip_seconds?, lane.clock_offset_seconds?)));
        trips.min_by(|one, other| one.0.total_cmp(&other.0))
    }

    /// The most requests that any lane holds, and the bytes that all of them have not written.
    pub fn load(&self) -> (usize, usize) {
        let workers = self.0.lock();
        let lanes = || workers.values().flatten();
        let most = lanes().map(|lane| lane.requests).max();
        (most.unwrap_or(0), lanes().map(|lane| lane.unsent_bytes).sum())
    }
}
