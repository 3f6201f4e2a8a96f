//! Why a request has no answer.

use crate::protocol::link::told::Failed;

/// Why a request fails: its client is told so where its protocol has words for that, and reset otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It was not answered in time.
    Deadline,
    /// The backend is out of reach, and has been for too long to wait for it.
    BackendDown,
    /// It must not be sent twice, and was lost with its lane.
    LaneLost,
    /// The backend's answer is larger than allowed.
    ReplyTooLarge,
    /// It is not served here.
    RefusedCommand,
    /// The proxy is stopping.
    Stopping,
}

impl Failure {
    /// What a guard says of a request that an edge has sent it.
    pub fn of(failed: Failed) -> Self {
        match failed {
            Failed::Deadline => Self::Deadline,
            Failed::BackendDown | Failed::Waits => Self::BackendDown,
            Failed::LaneLost => Self::LaneLost,
            Failed::ReplyTooLarge => Self::ReplyTooLarge,
            Failed::Refused => Self::RefusedCommand,
            Failed::Stopping => Self::Stopping,
        }
    }
}
