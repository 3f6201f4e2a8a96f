//! From what happened to what is counted.

use crate::backend::tyrant::lane::LaneFault;
use crate::backend::tyrant::link::ConnectFault;
use crate::guard::verdict::{self, ReadCause, Refusal};
use crate::metrics::{CloseReason, ConnectOutcome, FenceReason, Judged, LookupCause, Observed, WaitCause};

use super::session::End;

pub fn judged(refusal: Refusal) -> Judged {
    match refusal {
        Refusal::Stale { .. } => Judged::Stale,
        Refusal::Tie => Judged::Tie,
        Refusal::Future => Judged::Future,
        Refusal::Unstamped => Judged::UnstampedRefused,
        Refusal::Denied => Judged::Denied,
    }
}

pub fn observed(refusal: Refusal) -> Observed {
    match refusal {
        Refusal::Stale { .. } => Observed::Stale,
        Refusal::Tie => Observed::Tie,
        Refusal::Future => Observed::Future,
        Refusal::Unstamped => Observed::Unstamped,
        Refusal::Denied => Observed::Denied,
    }
}

pub fn wait(cause: verdict::WaitCause) -> WaitCause {
    match cause {
        verdict::WaitCause::OlderInFlight => WaitCause::OlderInFlight,
        verdict::WaitCause::OtherLane => WaitCause::OtherLane,
        verdict::WaitCause::Lookup => WaitCause::Lookup,
        verdict::WaitCause::Fence => WaitCause::Fence,
    }
}

pub fn lookup(cause: ReadCause) -> LookupCause {
    match cause {
        ReadCause::Horizon => LookupCause::Horizon,
        ReadCause::Unknown => LookupCause::Unknown,
        ReadCause::Tie => LookupCause::Tie,
        ReadCause::Delete => LookupCause::Delete,
    }
}

pub fn connect(fault: ConnectFault) -> ConnectOutcome {
    match fault {
        ConnectFault::Refused => ConnectOutcome::Refused,
        ConnectFault::Timeout => ConnectOutcome::Timeout,
        ConnectFault::NotTyrant => ConnectOutcome::NotTyrant,
    }
}

/// Nothing for a lane that ended because the proxy stops.
pub fn fence(fault: &LaneFault) -> Option<FenceReason> {
    match fault {
        LaneFault::Deadline => Some(FenceReason::Deadline),
        LaneFault::BadAnswer(_) | LaneFault::Mismatch => Some(FenceReason::BadAnswer),
        LaneFault::Unasked(_) => Some(FenceReason::Unasked),
        LaneFault::Eof => Some(FenceReason::Eof),
        LaneFault::Io(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Some(FenceReason::Reset),
        LaneFault::Io(_) => Some(FenceReason::Io),
        LaneFault::Retired => None,
    }
}

pub fn close(end: &End) -> CloseReason {
    match end {
        End::Client | End::Done => CloseReason::Client,
        End::Fault(_) => CloseReason::Fault,
        End::Deadline | End::HalfSent => CloseReason::Deadline,
        End::GaveUp => CloseReason::GaveUp,
        End::LaneLost => CloseReason::LaneLost,
        End::Backlog => CloseReason::Backlog,
        End::Memory => CloseReason::Memory,
        End::RefusedCommand => CloseReason::RefusedCommand,
        End::Drain => CloseReason::Drain,
    }
}
