//! What happened lately, kept in bounded memory for whoever looks after the incident: the last refusals, the clients
//! that are refused most often, the figures of the last hour.
//!
//! An accepted write never comes here. A refused one takes one lock for as long as it takes to fill a slot.

pub mod clients;
pub mod edges;
pub mod history;
pub mod lanes;
pub mod refusals;

use std::time::Duration;

use parking_lot::Mutex;

use crate::command::Reason;
use crate::protocol::Protocol;
use crate::transport::Who;
use clients::Clients;
use edges::Edges;
use history::History;
use lanes::Lanes;
use refusals::Refusals;

/// Who asks, and in which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker<'a> {
    /// The other end of the connection, or of an edge's.
    pub who: &'a Who,
    /// The protocol of the request.
    pub protocol: Protocol,
}

/// A refusal as it happens.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// Time since the epoch.
    pub at: Duration,
    /// The whole key.
    pub key: &'a [u8],
    /// A hash of the key under a secret of this process.
    pub key_hash: u64,
    /// Who was refused.
    pub asker: Asker<'a>,
    /// Why.
    pub reason: Reason,
    /// The stamp of the write, where it has one.
    pub stamp: Option<u64>,
    /// The stamp of the newer write, where there is one.
    pub newer: Option<u64>,
    /// How much older it was than the newer one, or how far ahead of the clock.
    pub off_by: Option<Duration>,
    /// Whether it was refused, rather than only observed.
    pub enforced: bool,
}

/// Everything that is kept.
#[derive(Debug, Default)]
pub struct Recent {
    refused: Mutex<(Refusals, Clients)>,
    /// The edges that are linked to this guard.
    pub edges: Edges,
    /// The figures of the last hour.
    pub history: Mutex<History>,
    /// The lanes of all workers.
    pub lanes: Lanes,
}

impl Recent {
    /// Takes note of a refusal. Returns whether it is the first of its client with a stamp in the future, as far as that
    /// is remembered.
    pub fn refused(&self, refused: Refused<'_>) -> bool {
        let mut kept = self.refused.lock();
        kept.0.add(refused);
        kept.1.add(refused)
    }

    /// The last refusals, newest first.
    pub fn refusals(&self, keys: refusals::KeyForm) -> Vec<refusals::Shown> {
        self.refused.lock().0.newest_first(keys)
    }

    /// The clients that are refused most often, the most often first.
    pub fn clients(&self) -> Vec<clients::Shown> {
        self.refused.lock().1.most_first()
    }
}
