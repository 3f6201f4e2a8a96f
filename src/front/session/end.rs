//! Why a session ends.

use crate::engine::failure::Failure;
use crate::metrics::{CloseReason, Intervention};
use crate::protocol::request::Fault;

/// Why a session ends.
#[derive(Debug)]
pub enum End {
    /// The client ended it.
    Client,
    /// The client asked for it, and has its last answer.
    Done,
    /// A request could not be decoded.
    Fault(Fault),
    /// A request was not answered in time.
    Deadline,
    /// A half-sent request made no progress, or took too long.
    HalfSent,
    /// The client asked nothing for too long.
    Idle,
    /// The backend is out of reach, and has been for too long to wait for it.
    BackendDown,
    /// A second request came while an answer was owed, where that means that the client gave up on the first.
    GaveUp,
    /// A request that must not be sent twice was lost with its lane.
    LaneLost,
    /// The backend's answer is larger than allowed.
    ReplyTooLarge,
    /// The client does not take its answers.
    Backlog,
    /// All sessions together hold too much memory, and this one more than others.
    Memory,
    /// A command that is not served here.
    RefusedCommand,
    /// The proxy is stopping.
    Drain,
    /// The client is an edge: its connection goes on as a link.
    Link,
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Deadline => Self::Deadline,
            Failure::BackendDown => Self::BackendDown,
            Failure::LaneLost => Self::LaneLost,
            Failure::ReplyTooLarge => Self::ReplyTooLarge,
            Failure::RefusedCommand => Self::RefusedCommand,
            Failure::Stopping => Self::Drain,
        }
    }
}

impl End {
    /// As it is counted.
    pub fn counted(&self) -> CloseReason {
        match self {
            Self::Client | Self::Done | Self::Link => CloseReason::Client,
            Self::Fault(_) => CloseReason::Fault,
            Self::Deadline | Self::HalfSent => CloseReason::Deadline,
            Self::Idle => CloseReason::Idle,
            Self::BackendDown => CloseReason::BackendDown,
            Self::GaveUp => CloseReason::GaveUp,
            Self::LaneLost => CloseReason::LaneLost,
            Self::ReplyTooLarge => CloseReason::Reply,
            Self::Backlog => CloseReason::Backlog,
            Self::Memory => CloseReason::Memory,
            Self::RefusedCommand => CloseReason::RefusedCommand,
            Self::Drain => CloseReason::Drain,
        }
    }

    /// What the pairing guard did by resetting this session; nothing where it ended for another reason.
    pub fn intervention(&self) -> Option<Intervention> {
        match self {
            Self::Deadline => Some(Intervention::Deadline),
            Self::GaveUp => Some(Intervention::GaveUp),
            Self::LaneLost => Some(Intervention::LaneLost),
            Self::Client
            | Self::Done
            | Self::Fault(_)
            | Self::HalfSent
            | Self::Idle
            | Self::BackendDown
            | Self::ReplyTooLarge
            | Self::Backlog
            | Self::Memory
            | Self::RefusedCommand
            | Self::Drain
            | Self::Link => None,
        }
    }
}
