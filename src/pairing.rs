//! Which answer belongs to which question. Pure: no socket, no clock.
//!
//! A server's answers carry no number, so order is all there is: towards the backend the lane's [queue of owed
//! replies](owed::Owed), towards the client the session's [order of answers](order::Order). Between an edge and its guard
//! each question has an [id](ids::Ids), which its answer repeats.

use std::sync::atomic::{AtomicU64, Ordering};

pub mod arrivals;
pub mod ids;
pub mod order;
pub mod owed;

/// One backend connection, from its start to its end. A lane that comes back is another lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId(pub u64);

/// Gives every connection of a process an id of its own.
#[derive(Debug, Default)]
pub struct LaneIds(AtomicU64);

impl LaneIds {
    /// An id that no other connection has.
    pub fn next(&self) -> LaneId {
        LaneId(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
