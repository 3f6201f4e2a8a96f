//! What is counted of each request of a client's, whichever way it has come.

use std::time::Instant;

use crate::command::Answer;
use crate::engine::request::Asked;
use crate::engine::shared::Shared;
use crate::metrics::Outcome;

/// Counts a request that is answered.
pub fn answered(shared: &Shared, asked: &Asked, outcome: Outcome, answer: &Answer, now: Instant) {
    let (metrics, protocol) = (&shared.metrics, asked.form.protocol());
    metrics.requests.of(protocol, asked.verb, outcome).increment(1);
    metrics
        .request_seconds
        .of(protocol, asked.verb)
        .record(now.saturating_duration_since(asked.received));
    shared.tally.answered(asked.verb, asked.keys, answer);
}

/// Counts a request to which there is no answer.
pub fn unanswered(shared: &Shared, asked: &Asked) {
    let requests = &shared.metrics.requests;
    requests
        .of(asked.form.protocol(), asked.verb, Outcome::Closed)
        .increment(1);
}
