//! The second guard: an answer reaches the one who asked, in the order in which it was asked, or nobody.
//! Servers that stop, workers that stand still, and clients that do not wait.

mod between;
mod late;
mod pipelining;
mod repeated;
mod stalls;
mod stopped;

use std::time::{Duration, Instant};

use crate::support::client::{Client, PATIENCE};
use crate::support::guarded::Guarded;
use crate::support::scripted::Scripted;

/// One lane for everybody, so that a fault on it concerns everybody. The fence waits longer than any test.
const ONE_LANE: &str =
    "workers = 1\nlanes = 1\nbulk_lanes = 0\n[pairing]\nrequest_timeout = \"2s\"\nfence_timeout = \"60s\"\n";

const TIMEOUT: Duration = Duration::from_secs(2);

/// How much later than its deadline an RST may be seen on a busy machine.
const GRACE: Duration = Duration::from_secs(3);

/// A backend that holds the records a and b, and a guard with one lane to it.
fn two_records() -> (Scripted, Guarded) {
    let scripted = Scripted::start();
    scripted.insert("a", b"value of a");
    scripted.insert("b", b"value of b");
    let guarded = Guarded::before(scripted.address(), ONE_LANE);
    (scripted, guarded)
}

#[track_caller]
fn expect_right_answers(client: &mut Client) {
    for key in ["a", "b", "a"] {
        assert_eq!(client.text(key), Some(format!("value of {key}")));
    }
    assert_eq!(client.get("none"), None);
}

#[track_caller]
fn expect_reset_in_time(client: &mut Client, asked: Instant) {
    client.expect_reset(PATIENCE);
    let took = asked.elapsed();
    assert!(took < TIMEOUT + GRACE, "the reset came after {took:?}");
}
