//! What a worker does with each connection that it has, whatever that is.

use std::time::{Duration, Instant};

/// How much a session holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionLoad {
    /// Bytes of answers that queue up behind the one that the client is taking, once as much as it takes has been written.
    pub backlog: usize,
    /// Requests without an answer.
    pub owed: usize,
    /// Requests in flight, `putnr` included.
    pub in_flight: usize,
}

impl SessionLoad {
    /// The greater of each.
    pub fn max(self, other: Self) -> Self {
        Self {
            backlog: self.backlog.max(other.backlog),
            owed: self.owed.max(other.owed),
            in_flight: self.in_flight.max(other.in_flight),
        }
    }
}

/// A connection that a worker serves.
pub trait Served {
    /// The worker looks, each second, whether anything is asked.
    fn look(&self);
    /// The proxy waits for it no longer.
    fn cut(&self);
    /// How much it holds now; nothing once it is to end.
    fn load(&self) -> SessionLoad;
    /// Bytes that it holds without room of their own; nothing once it is to end.
    fn loose(&self) -> usize;
    /// Has it give back the buffer that it does not need this moment; how many bytes that will be.
    fn give_back(&self) -> usize;
    /// Ends it, since it holds more than others and memory is short.
    fn shed(&self);
    /// Ends it where it has room for an answer that is not taken, for which others wait.
    fn make_way(&self, patience: Duration, now: Instant);
}
