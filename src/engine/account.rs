//! From what happened to what is counted.

use std::time::{Duration, Instant};

use crate::command::Verb;
use crate::guard::verdict::{self, ReadCause, Refusal};
use crate::logging::RateLimit;
use crate::metrics::{
    Alarm, Carried, ConnectOutcome, FenceReason, Intervention, Judged, KeyWait, LookupCause, Metrics, Observed,
    WaitCause,
};
use crate::protocol::tyrant::reply::Dropped;
use crate::store::events::ConnectFault;
use crate::store::tyrant::lane::LaneFault;

/// Counts an answer of the backend, of so many bytes, to what was asked at `since`.
pub fn backend_answered(metrics: &Metrics, verb: Verb, code: u8, bytes: usize, since: Instant, now: Instant) {
    let carried = if code == 0 { Carried::Answered } else { Carried::Failed };
    backend_carried(metrics, verb, carried, bytes as u64, since, now);
}

/// Counts an answer that was dropped as it came; of one that was larger than allowed it says so once in a while.
pub fn backend_answered_too_much(metrics: &Metrics, verb: Verb, dropped: Dropped, since: Instant, now: Instant) {
    static LOG: RateLimit = RateLimit::new(Duration::from_secs(1));
    let Dropped { bytes, fault, .. } = dropped;
    let Some(fault) = fault else {
        return backend_carried(metrics, verb, Carried::Answered, bytes, since, now);
    };
    backend_carried(metrics, verb, Carried::TooLarge, bytes, since, now);
    if let Some(suppressed) = LOG.admit(now) {
        tracing::warn!(?verb, bytes, %fault, suppressed, "an answer is larger than limits.reply allows: its asker fails");
    }
}

fn backend_carried(metrics: &Metrics, verb: Verb, carried: Carried, bytes: u64, since: Instant, now: Instant) {
    metrics.backend_requests.of(verb, carried).increment(1);
    metrics.backend_reply_bytes.of(verb).increment(bytes);
    let seconds = metrics.backend_seconds.of(verb);
    seconds.record(now.saturating_duration_since(since));
}

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

pub fn key_wait(cause: verdict::WaitCause) -> KeyWait {
    match cause {
        verdict::WaitCause::OlderInFlight | verdict::WaitCause::OtherLane => KeyWait::InFlight,
        verdict::WaitCause::Lookup => KeyWait::Lookup,
        verdict::WaitCause::Fence => KeyWait::Fence,
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
        ConnectFault::OtherRun => ConnectOutcome::OtherRun,
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
        LaneFault::Retired | LaneFault::HandedOver => None,
    }
}

/// What the pairing guard did by giving up this lane; nothing where the backend ended it.
pub fn lane_given_up_by_rule(fault: &LaneFault) -> Option<Intervention> {
    match fault {
        LaneFault::Deadline => Some(Intervention::LateAnswer),
        LaneFault::BadAnswer(_) => Some(Intervention::BadAnswer),
        LaneFault::Mismatch => Some(Intervention::Mismatch),
        LaneFault::Unasked(_) => Some(Intervention::Unasked),
        LaneFault::Eof | LaneFault::Io(_) | LaneFault::Retired | LaneFault::HandedOver => None,
    }
}

/// The alarm that this fault of a lane is; nothing for those that happen to anybody.
pub fn alarm(fault: &LaneFault) -> Option<(Alarm, &'static str)> {
    match fault {
        LaneFault::Mismatch => Some((Alarm::UnaskedKey, "the backend named a key that it was not asked for")),
        LaneFault::Unasked(_) => Some((Alarm::UnaskedAnswer, "the backend sent bytes that answer no question")),
        LaneFault::Deadline
        | LaneFault::BadAnswer(_)
        | LaneFault::Eof
        | LaneFault::Io(_)
        | LaneFault::Retired
        | LaneFault::HandedOver => None,
    }
}
