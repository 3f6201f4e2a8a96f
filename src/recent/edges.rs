//! The edges that are linked to this guard, as each link last told.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::transport::Edge;

/// A link of an edge as `/api/edges` tells it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// Which process the edge is, in hexadecimal digits: another one after each of its starts, and for each of its places.
    pub edge: String,
    /// What it calls itself: process and machine. The same for all links of a process.
    #[serde(default)]
    pub name: Option<String>,
    /// From where it is linked.
    pub from: String,
    /// The name in its certificate, where it has shown one.
    #[serde(default)]
    pub certificate: Option<String>,
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

/// An edge as it is told beside its clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// What it calls itself: process and machine.
    pub name: String,
    /// From where it is linked, without the port.
    pub from: String,
    /// The name in its certificate, where it has shown one.
    pub certificate: Option<String>,
}

impl Named {
    /// This edge.
    pub fn of(edge: &Edge) -> Self {
        let name = edge.name.as_ref();
        Self {
            name: name.map_or_else(|| "an edge".to_owned(), ToString::to_string),
            from: edge.host.to_string(),
            certificate: edge.certificate.as_ref().map(ToString::to_string),
        }
    }
}

/// As it is read beside a client: `process 7 on app-1 at 10.0.0.9 (edge.example)`.
impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.from)?;
        match &self.certificate {
            Some(certificate) => write!(f, " ({certificate})"),
            None => Ok(()),
        }
    }
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
