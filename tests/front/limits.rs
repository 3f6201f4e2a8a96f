//! What there may be so much of and no more:
//! each limit reached, told to nobody but whom it concerns, and counted.

mod arguments;
mod descriptors;
mod heavy;
mod memory;
mod replies;
mod sessions;

use crate::support::guarded::Guarded;

fn expect_closed(guarded: &Guarded, reason: &str, count: f64) {
    guarded.expect_metric("ttguard_sessions_closed_total", &[("reason", reason)], count);
}
