//! What is counted of each exchange with the store.

use std::time::{Duration, Instant};

use crate::command::{Answer, Verb};
use crate::logging::RateLimit;
use crate::metrics::{Carried, Metrics};
use crate::protocol::link::told::{Failed, Told};
use crate::protocol::tyrant::reply::Dropped;

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

/// Counts what a guard has said of what an edge asked it at `since`, in so many bytes.
pub fn guard_told(metrics: &Metrics, verb: Verb, told: &Told, bytes: usize, since: Instant, now: Instant) {
    let carried = match told {
        Told::Answer(Answer::Reply(reply)) if reply.code() == 0 => Carried::Answered,
        Told::Answer(_) => Carried::Failed,
        Told::Failed(Failed::Stopping | Failed::Waits) => Carried::Unsent,
        Told::Failed(Failed::ReplyTooLarge) => Carried::TooLarge,
        Told::Failed(_) => Carried::Lost,
    };
    backend_carried(metrics, verb, carried, bytes as u64, since, now);
}

fn backend_carried(metrics: &Metrics, verb: Verb, carried: Carried, bytes: u64, since: Instant, now: Instant) {
    metrics.backend_requests.of(verb, carried).increment(1);
    metrics.backend_reply_bytes.of(verb).increment(bytes);
    let seconds = metrics.backend_seconds.of(verb);
    seconds.record(now.saturating_duration_since(since));
}
