//! The recorded exchanges, through the proxy.

use crate::guarded::Guarded;
use crate::real::Real;
use crate::replay;

/// By the three protocols of the server's port.
const FILES: [&str; 3] = ["binary.jsonl", "memcached.jsonl", "http.jsonl"];

#[test]
fn the_embedded_store_answers_as_the_real_server_did() {
    for scenario in FILES.into_iter().flat_map(replay::load) {
        if scenario.database == "*" {
            replay::play(Guarded::memory("").address(), &scenario);
        }
    }
}

#[test]
fn in_front_of_a_real_server_nothing_is_answered_otherwise() {
    for scenario in FILES.into_iter().flat_map(replay::load) {
        if scenario.database != "*" {
            continue;
        }
        let Some(real) = Real::start("*", "in_front_of_a_real_server_nothing_is_answered_otherwise") else {
            return;
        };
        replay::play(Guarded::before(real.address(), "").address(), &scenario);
    }
}
