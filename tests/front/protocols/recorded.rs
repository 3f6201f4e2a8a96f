//! The recorded exchanges, through the proxy.

use crate::support::guarded::Guarded;
use crate::support::real::Real;
use crate::support::replay::{self, Scenario};

/// The names by which recorded requests of HTTP ask.
const SETTINGS: &str = "http_hosts = [\"x\", \"host\", \"other\"]\n";

/// By the three protocols of the server's port.
const FILES: [&str; 4] = ["binary.jsonl", "memcached.jsonl", "http.jsonl", "conformance.jsonl"];

/// What ttguard is to answer where the server did as recorded: a client of HTTP/1.0 that is kept is told so, as
/// [the manual](ttguard::manual::differences) says.
fn by_ttguard(mut scenario: Scenario) -> Scenario {
    const LENGTH: &[u8] = b"Content-Length: 1\r\n";
    for step in &mut scenario.steps {
        if step.name == "HTTP/1.0, keep-alive" {
            let at = step.recv.windows(LENGTH.len()).position(|line| line == LENGTH);
            let behind = at.expect("a length") + LENGTH.len();
            step.recv.splice(behind..behind, *b"Connection: keep-alive\r\n");
        }
    }
    scenario
}

#[test]
fn the_table_has_cases_enough() {
    let cases = replay::load("conformance.jsonl")
        .iter()
        .map(|scenario| scenario.steps.len())
        .sum::<usize>();
    assert!(cases >= 400, "{cases}");
}

#[test]
fn the_real_server_still_answers_as_it_did() {
    for scenario in replay::load("conformance.jsonl") {
        let Some(real) = Real::start("*", "the_real_server_still_answers_as_it_did") else {
            return;
        };
        replay::play(real.address(), &scenario);
    }
}

#[test]
fn the_embedded_store_answers_as_the_real_server_did() {
    for scenario in FILES.into_iter().flat_map(replay::load).map(by_ttguard) {
        if scenario.database == "*" {
            replay::play(Guarded::memory(SETTINGS).address(), &scenario);
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
    for scenario in FILES.into_iter().flat_map(replay::load).map(by_ttguard) {
        if scenario.database != "*" {
            continue;
        }
        let Some(real) = Real::start("*", "in_front_of_a_real_server_nothing_is_answered_otherwise") else {
            return;
        };
        replay::play(Guarded::before(real.address(), SETTINGS).address(), &scenario);
    }
}
