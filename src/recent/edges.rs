//! The edges that are linked to this guard, as each link last told.

use std::borrow::Cow;
use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// A link of an edge as `/api/edges` tells it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// Which process the edge is, in hexadecimal digits: another one after each of its starts, and for each of its places.
    pub edge: String,
    /// From where it is linked.
    pub from: String,
    /// Its release.
    pub release: Cow<'static, str>,
    /// When it was welcomed, in seconds since the epoch.
    pub since: f64,
    /// Its clients that have connected.
    pub clients: usize,
    /// What they have asked so far.
    pub requests: u64,
    /// What of that has no answer.
    pub owed: usize,
}

/// What all links have told.
#[derive(Debug, Default)]
pub struct Edges(Mutex<BTreeMap<u64, Shown>>);

impl Edges {
    /// What the link with this number is like now.
    pub fn tell(&self, link: u64, shown: Shown) {
        self.0.lock().insert(link, shown);
    }

    /// The link with this number is no more.
    pub fn gone(&self, link: u64) {
        self.0.lock().remove(&link);
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> Vec<Shown> {
        self.0.lock().values().cloned().collect()
    }
}
