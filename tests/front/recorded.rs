//! The recorded exchanges, through the proxy.

use crate::guarded::Guarded;
use crate::real::Real;
use crate::replay;

#[test]
fn the_embedded_store_answers_as_the_real_server_did() {
    for scenario in replay::load("binary.jsonl") {
        if scenario.database == "*" {
            replay::play(Guarded::memory("").address(), &scenario);
        }
    }
}

#[test]
fn a_file_answers_as_the_real_server_did() {
    for scenario in replay::load("binary.jsonl") {
        if scenario.database == "*" {
            let folder = tempfile::tempdir().expect("a folder");
            replay::play(Guarded::file(&folder.path().join("store"), "").address(), &scenario);
        }
    }
}

#[test]
fn in_front_of_a_real_server_nothing_is_answered_otherwise() {
    for scenario in replay::load("binary.jsonl") {
        if scenario.database != "*" {
            continue;
        }
        let Some(real) = Real::start("*", "in_front_of_a_real_server_nothing_is_answered_otherwise") else {
            return;
        };
        replay::play(Guarded::before(real.address(), "").address(), &scenario);
    }
}
