//! How much a lane takes, and how much it holds.

use std::time::Duration;

use crate::protocol::tyrant::limits::Limits;

/// How much a lane takes.
#[derive(Clone, Copy, Debug)]
pub struct LaneLimits {
    /// Requests that are queued or unanswered; the question that ends a spell of [priming](crate::store::tyrant::priming) may go
    /// beyond it.
    pub requests_max: usize,
    /// Bytes that are not written yet; one request more may go beyond it.
    pub bytes_max: usize,
    /// How large an answer may be; one that is larger is dropped as it comes.
    pub reply: Limits,
    /// A value of more bytes, with others waiting behind it, is what a lane [is handed over](super::Lane::hand_over) for; never
    /// where there is no such size.
    pub large: Option<usize>,
    /// Whether the lane may be [primed](crate::store::tyrant::priming), and then how long the question may take that ends a spell.
    pub priming: Option<Duration>,
}

/// How much a lane holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneLoad {
    /// Requests that are queued or unanswered.
    pub requests: usize,
    /// Bytes that are not written yet.
    pub bytes: usize,
}

impl LaneLoad {
    /// The greater of each.
    pub fn max(self, other: Self) -> Self {
        Self {
            requests: self.requests.max(other.requests),
            bytes: self.bytes.max(other.bytes),
        }
    }
}

/// What a lane holds for an answer that is not whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HalfReceived {
    /// Bytes in all.
    pub bytes: usize,
    /// Those of them for which who asked [has room](super::Completion::room) set apart.
    pub roomed: usize,
}
