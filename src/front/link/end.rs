//! Why a link ends.

use thiserror::Error;

use crate::metrics::CloseReason;
use crate::protocol::link;

/// Why a link ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// The edge ended it.
    Edge,
    /// The edge said what cannot be read, or must not be said.
    Fault(Fault),
    /// The edge did not say in time who it is, or did not go on with what it was saying.
    HalfSaid,
    /// The edge has a newer link in its place.
    Overtaken,
    /// Those before it in its place have not ended in time.
    Unfenced,
    /// What it was told of the store when it began holds no more.
    Changed,
    /// The edge does not take its answers.
    Backlog,
    /// It holds much, and memory is short.
    Memory,
    /// The proxy is stopping.
    Drain,
}

/// What an edge did wrong. Nothing behind it can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Fault {
    /// It is no frame, or none that an edge sends.
    #[error(transparent)]
    Frame(#[from] link::Fault),
    /// It does not begin by saying who it is, or says so again.
    #[error("who the edge is is said first, and once")]
    Hello,
    /// The place that it names had a newer link, or the same.
    #[error("a newer link of the edge's has been seen in its place")]
    Overtaken,
    /// A client that is there is said to have come.
    #[error("client {0} has come twice")]
    Opened(u32),
    /// A client that is not there asks, or goes.
    #[error("client {0} is not there")]
    Stranger(u32),
    /// More clients than anybody keeps count of.
    #[error("more than {0} clients")]
    Clients(usize),
    /// The id of a request that has no answer yet.
    #[error("request {0} is asked twice")]
    Asked(u64),
    /// More requests without an answer than there may be.
    #[error("more than {0} requests without an answer")]
    Asks(usize),
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<link::Fault> for End {
    fn from(fault: link::Fault) -> Self {
        Self::Fault(fault.into())
    }
}

impl Fault {
    /// A short name, for the log.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Frame(link::Fault::Version { .. }) => "version",
            Self::Frame(_) => "frame",
            Self::Hello => "hello",
            Self::Overtaken => "overtaken",
            Self::Opened(_) => "opened_twice",
            Self::Stranger(_) => "no_such_client",
            Self::Clients(_) => "too_many_clients",
            Self::Asked(_) => "asked_twice",
            Self::Asks(_) => "too_many_requests",
        }
    }
}

impl End {
    /// As the end of a connection is counted.
    pub(super) fn counted(self) -> CloseReason {
        match self {
            Self::Edge | Self::Overtaken | Self::Changed => CloseReason::Client,
            Self::Fault(_) => CloseReason::Fault,
            Self::HalfSaid | Self::Unfenced => CloseReason::Deadline,
            Self::Backlog => CloseReason::Backlog,
            Self::Memory => CloseReason::Memory,
            Self::Drain => CloseReason::Drain,
        }
    }
}
