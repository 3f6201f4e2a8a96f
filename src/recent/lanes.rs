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

    /// The most requests that any lane holds, and the bytes that all of them have not written.
    pub fn load(&self) -> (usize, usize) {
        let workers = self.0.lock();
        let lanes = || workers.values().flatten();
        let most = lanes().map(|lane| lane.requests).max();
        (most.unwrap_or(0), lanes().map(|lane| lane.unsent_bytes).sum())
    }
}
